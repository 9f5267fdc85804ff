"""The checkers must be able to fail: each broken law is noticed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kvraft.raft.invariants import ClusterChecker, TransitionChecker, check_state
from kvraft.raft.progress import ProgressMode
from kvraft.raft.ready import Ready
from kvraft.raft.roles import Follower, Leader
from kvraft.raft.state import State
from kvraft.raft.types import Entry, HardState, Index, NodeId, Term
from tests.unit.raft.harness import Cluster, append, become_leader, entries, entry, request_vote


def leader_state() -> tuple[Cluster, State, Leader]:
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.propose(1, b"x")
    cluster.deliver_all()
    cluster.propose(1, b"y")
    state = cluster[1].core
    assert isinstance(state.role, Leader)
    return cluster, state, state.role


def _set(target: object, name: str, value: object) -> None:
    setattr(target, name, value)


BREAKS: dict[str, Callable[[State, Leader], None]] = {
    "commit 9 <= last": lambda state, leader: _set(state, "commit_index", Index(9)),
    "applied 3 <= commit": lambda state, leader: _set(state, "applied_index", Index(3)),
    "never ahead of its log": lambda state, leader: _set(state.log, "persisted_index", Index(1)),
    "persisted 9 <= handed": lambda state, leader: _set(state.log, "persisted_index", Index(9)),
    "terms never fall": lambda state, leader: _set(state.log, "_run_terms", [0, 2, 1]),
    "no run begins after": lambda state, leader: _set(state.log, "_run_starts", [0, 9]),
    "one after the other": lambda state, leader: _set(state.log, "_run_starts", [0, 0]),
    "no holes": lambda state, leader: _set(state.log, "_cache", {}),
    "cached bytes": lambda state, leader: _set(state.log, "_cache_bytes", 0),
    "terms reach the disk": lambda state, leader: _set(state, "term", Term(0)),
    "one vote per term": lambda state, leader: _set(state, "voted_for", NodeId(2)),
    "own vote is durable": lambda state, leader: _set(
        state, "persisted_hard_state", HardState(Term(0), None)
    ),
    "uncommitted bytes": lambda state, leader: _set(leader, "uncommitted_bytes", -1),
    "every other member": lambda state, leader: _set(leader, "progress", {}),
    "match 3 < next 3": lambda state, leader: _set(leader.progress[NodeId(2)], "match_index", Index(3)),
    "told what is not committed": lambda state, leader: _set(
        leader.progress[NodeId(2)], "commit_sent", Index(3)
    ),
    "not sent": lambda state, leader: _set(leader.progress[NodeId(2)], "acknowledged_round", 99),
    "has a window": lambda state, leader: _set(leader.progress[NodeId(2)], "mode", ProgressMode.PROBE),
    "bytes in flight": lambda state, leader: _set(leader.progress[NodeId(2)], "_inflight_bytes", 1),
    "follows 1": lambda state, leader: _set(state, "role", Follower(leader=NodeId(1))),
}


@pytest.mark.parametrize("message", BREAKS)
def test_a_state_that_contradicts_itself_is_noticed(message: str) -> None:
    cluster, state, leader = leader_state()
    check_state(cluster[1].raft)
    if "3 < next 3" in message:
        leader.progress[NodeId(2)].next_index = Index(3)
    BREAKS[message](state, leader)
    with pytest.raises(AssertionError, match=message):
        check_state(cluster[1].raft)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("term", Term(0), "the term fell"),
        ("voted_for", NodeId(3), "voted for 1 already"),
        ("commit_index", Index(1), "commit fell"),
        ("applied_index", Index(1), "applied fell"),
    ],
)
def test_what_goes_back_is_noticed(name: str, value: object, message: str) -> None:
    cluster, state, _ = leader_state()
    checker = TransitionChecker(cluster[1].raft)
    checker.check()
    _set(state, name, value)
    with pytest.raises(AssertionError, match=message):
        checker.check()


def test_a_leader_that_shortens_its_log_is_noticed() -> None:
    cluster, state, _ = leader_state()
    checker = TransitionChecker(cluster[1].raft)
    state.log.truncate(Index(3))
    with pytest.raises(AssertionError, match="entries up to 3 may not be removed"):
        checker.check()


def test_a_leader_that_overwrites_its_log_is_noticed() -> None:
    cluster, state, _ = leader_state()
    checker = TransitionChecker(cluster[1].raft)
    state.log.truncate(Index(3))
    state.log.append(entries(3, 2))
    with pytest.raises(AssertionError, match="entries up to 3 may not change"):
        checker.check()


def test_a_follower_that_overwrites_what_is_committed_is_noticed() -> None:
    cluster = Cluster(3)
    cluster.receive(append(2, *entries(1, 1, 1, 1), term=1, commit=2))
    node = cluster[2]
    checker = TransitionChecker(node.raft)
    node.core.log.truncate(Index(3))
    checker.check()
    node.core.log.truncate(Index(2))
    node.core.log.append(entries(2, 2))
    with pytest.raises(AssertionError, match="entries up to 2 may not change"):
        checker.check()


def test_a_round_or_a_match_that_goes_back_is_noticed() -> None:
    for name, message in (("round", "rounds never go back"), ("match", "match of 2 fell")):
        cluster, _, leader = leader_state()
        leader.round = 5
        checker = TransitionChecker(cluster[1].raft)
        if name == "round":
            leader.round = 4
        else:
            leader.progress[NodeId(2)].match_index = Index(1)
        with pytest.raises(AssertionError, match=message):
            checker.check()


# --- over the cluster ---------------------------------------------------------------------


def ready_of(cluster: Cluster, node_id: int) -> Ready:
    return cluster[node_id].raft.take_ready()


def with_entries(ready: Ready, new: tuple[Entry, ...], applied: tuple[Entry, ...] = ()) -> Ready:
    values = {name: getattr(ready, name) for name in Ready.__slots__}
    return Ready(**{**values, "entries": new, "committed": applied})


def test_two_leaders_in_one_term_are_noticed() -> None:
    """Election Safety."""
    one, other = Cluster(3), Cluster(3)
    become_leader(one, 1)
    become_leader(other, 2, voters=(1, 3))
    checker = ClusterChecker()
    checker.observe(one[1].raft, ready_of(one, 1))
    with pytest.raises(AssertionError, match="1 and 2 both lead in term 1"):
        checker.observe(other[2].raft, ready_of(other, 2))


def test_logs_that_differ_before_an_equal_entry_are_noticed() -> None:
    """Log Matching."""
    one, other = Cluster(3), Cluster(3)
    one.receive(append(2, *entries(1, 1, 2), term=2))
    other.receive(append(3, *entries(1, 2, 2), term=2))
    checker = ClusterChecker()
    checker.observe(one[2].raft, with_entries(ready_of(one, 2), entries(1, 1, 2)))
    with pytest.raises(AssertionError, match="entry 2 of term 2 differs"):
        checker.observe(other[3].raft, with_entries(ready_of(other, 3), entries(2, 2)))


def test_a_leader_without_a_committed_entry_is_noticed() -> None:
    """Leader Completeness."""
    for log, message in (((), "leads without committed entry 2"), ((1, 3, 3), "another entry")):
        one = Cluster(3)
        one.receive(append(2, *entries(1, 1, 1), term=1, commit=2))
        other = Cluster(3, logs={3: log}, terms={3: 5})
        become_leader(other, 3, voters=(1, 2))
        checker = ClusterChecker()
        checker.observe(one[2].raft, ready_of(one, 2))
        with pytest.raises(AssertionError, match=message):
            checker.observe(other[3].raft, ready_of(other, 3))


def test_other_entries_committed_at_one_index_are_noticed() -> None:
    """State Machine Safety, in the logs."""
    one, other = Cluster(3), Cluster(3)
    one.receive(append(2, *entries(1, 1), term=1, commit=1))
    other.receive(append(3, *entries(1, 2), term=2, commit=1))
    checker = ClusterChecker()
    checker.observe(one[2].raft, ready_of(one, 2))
    with pytest.raises(AssertionError, match="committed entry 1 has term 2 here and 1 elsewhere"):
        checker.observe(other[3].raft, ready_of(other, 3))


def test_other_entries_applied_at_one_index_are_noticed() -> None:
    """State Machine Safety."""
    cluster = Cluster(3)
    checker = ClusterChecker()
    ready = ready_of(cluster, 1)
    checker.observe(cluster[1].raft, with_entries(ready, (), (entry(1, 1, b"x"),)))
    with pytest.raises(AssertionError, match="another node applied"):
        checker.observe(cluster[2].raft, with_entries(ready, (), (entry(1, 1, b"y"),)))


def test_the_disk_of_the_harness_refuses_a_second_vote() -> None:
    """What was voted is remembered across a restart, and a second vote never reaches the disk."""
    cluster = Cluster(3)
    cluster.receive(request_vote(2, 1, term=1))
    cluster[1].core.voted_for = NodeId(3)
    with pytest.raises(AssertionError, match="one vote per term"):
        cluster.turn(cluster[1])
