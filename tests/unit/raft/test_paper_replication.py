"""Log replication: sections 5.3 and 5.4 of the paper, and the dissertation's 10.2 (pipelining, and
the leader's own disk)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kvraft.raft.events import CommitWanted, Persisted, Unreachable
from kvraft.raft.messages import (
    AppendEntries,
    AppendEntriesAccepted,
    AppendEntriesRefused,
    Heartbeat,
    HeartbeatResponse,
)
from kvraft.raft.progress import ProgressMode
from kvraft.raft.ready import Refusal, Role
from kvraft.raft.settings import Settings
from kvraft.raft.types import Index, NodeId, Term
from tests.unit.raft.harness import (
    Cluster,
    accepted,
    append,
    become_leader,
    entries,
    heartbeat_response,
    refused,
    vote,
)

FIGURE_7_LEADER = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6]
FIGURE_7 = {
    "a": [1, 1, 1, 4, 4, 5, 5, 6, 6],
    "b": [1, 1, 1, 4],
    "c": [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    "d": [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
    "e": [1, 1, 1, 4, 4, 4, 4],
    "f": [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
}

# --- 5.3 ----------------------------------------------------------------------------------


@pytest.mark.parametrize("case", FIGURE_7)
def test_figure_7_any_follower_is_made_equal_with_one_probe_per_term(case: str) -> None:
    """5.3 and figure 7: "When the leader at the top comes to power, it is possible that any of
    scenarios (a-f) could occur in follower logs." "With this approach, one AppendEntries RPC will be
    required for each term with conflicting entries, rather than one RPC per entry"."""
    cluster = Cluster(
        3,
        logs={1: FIGURE_7_LEADER, 2: FIGURE_7[case], 3: FIGURE_7_LEADER},
        terms={1: 7, 2: 7, 3: 7},
    )
    refusals = 0
    cluster.isolate(2)
    cluster.elect(1)
    cluster.heal()
    cluster.time_out(1)
    for _ in range(50):
        if not cluster.network:
            break
        message = cluster.network.pop(0)
        refusals += isinstance(message, AppendEntriesRefused)
        cluster.deliver(message)
    cluster.pass_ms(200)
    assert cluster[2].log_terms == [*FIGURE_7_LEADER, 8]
    assert cluster[2].state == cluster[1].state
    own_terms = set(FIGURE_7[case]) - set(FIGURE_7_LEADER)
    assert refusals <= 1 + len(own_terms)


@pytest.mark.parametrize(
    ("leader", "follower"),
    [
        ([1] * 5 + [2] * 50, [1] * 60),
        ([1] * 60, [1] * 3),
        ([1, 3, 5, 7, 9, 11], [1, 2, 4, 6, 8, 10]),
        ([1] * 5 + [5] * 20 + [7] * 20, [1] * 5 + [4] * 20 + [6] * 20),
        ([1] * 40 + [9], [2] * 40),
    ],
)
def test_probes_are_bounded_by_terms_in_both_directions(leader: list[int], follower: list[int]) -> None:
    """5.3: whoever has more entries per term, a whole term is stepped over at once."""
    cluster = Cluster(
        3, logs={1: leader, 2: follower, 3: leader}, terms={1: max(leader + follower), 2: max(follower)}
    )
    cluster.isolate(2)
    cluster.elect(1)
    cluster.heal()
    cluster.time_out(1)
    refusals = 0
    while cluster.network:
        message = cluster.network.pop(0)
        refusals += isinstance(message, AppendEntriesRefused)
        cluster.deliver(message)
    assert cluster[2].log_terms == cluster[1].log_terms
    assert refusals <= min(len(set(leader)), len(set(follower))) + 1


def test_a_leader_never_overwrites_its_own_log() -> None:
    """5.3: "A leader never overwrites or deletes entries in its own log (the Leader Append-Only
    Property in Figure 3)": also where a follower's log differs and is longer."""
    cluster = Cluster(3, logs={1: [1, 3], 2: [1, 2, 2, 2, 2], 3: [1]})
    cluster.elect(1)
    cluster.pass_ms(200)
    assert cluster[1].log_terms == [1, 3, 4]
    assert cluster[2].log_terms == [1, 3, 4]


def test_followers_learn_of_commits() -> None:
    """5.3: "The leader keeps track of the highest index it knows to be committed, and it includes that
    index in future AppendEntries RPCs (including heartbeats) so that the other servers eventually
    find out"."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.propose(1, b"x")
    cluster.deliver_all()
    assert cluster[2].raft.commit_index < 2
    cluster.pass_ms(100)
    assert [node.raft.commit_index for node in cluster.nodes.values()] == [2, 2, 2]


def test_a_follower_that_waits_learns_of_the_commit_at_once() -> None:
    """Its clients' commands wait: no heartbeat interval is added to them. The others are told with
    the next entries or heartbeat."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.pass_ms(100)
    cluster.propose(1, b"x")
    cluster.step(1, CommitWanted(peer=NodeId(2)))
    cluster.deliver_all()
    assert [node.raft.commit_index for node in cluster.nodes.values()] == [2, 2, 1]


def test_a_follower_that_is_followed_learns_of_each_commit_at_once() -> None:
    """Whoever watches its state waits for no heartbeat, as long as its answers to them say so."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.pass_ms(100)
    says = HeartbeatResponse(
        sender=NodeId(2), target=NodeId(1), term=cluster[1].raft.term, round=0, follows_commits=True
    )
    cluster.receive(says)
    cluster.propose(1, b"x")
    cluster.deliver_all()
    assert [node.raft.commit_index for node in cluster.nodes.values()] == [2, 2, 1]
    cluster.receive(replace(says, follows_commits=False))
    cluster.propose(1, b"x")
    cluster.deliver_all()
    assert [node.raft.commit_index for node in cluster.nodes.values()] == [3, 2, 2]


def test_a_slow_follower_does_not_stop_the_others() -> None:
    """5.3: "a minority of slow servers need not impact overall system performance", and "the leader
    retries AppendEntries RPCs indefinitely until all followers eventually store all entries"."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.isolate(3)
    for _ in range(20):
        cluster.propose(1)
    cluster.deliver_all()
    assert cluster[1].raft.commit_index == 21
    cluster.pass_ms(5_000)
    cluster.heal()
    cluster.pass_ms(1_500)
    assert cluster[3].state == cluster[1].state


def test_duplicates_and_reorderings_are_harmless() -> None:
    """5.5: "Raft RPCs are idempotent, so this causes no harm"."""
    cluster = Cluster(3)
    first = append(2, *entries(1, 1, 1), term=1)
    second = append(2, *entries(3, 1, 1), term=1, prev=(2, 1), commit=3)
    for message in (second, first, second, first, first, second):
        cluster.receive(message)
    assert cluster[2].log_terms == [1, 1, 1, 1]
    assert cluster[2].raft.commit_index == 3
    assert [type(answer) for answer in cluster.take_sent()] == [AppendEntriesRefused] + [
        AppendEntriesAccepted
    ] * 5


# --- 5.4.2 --------------------------------------------------------------------------------


def test_entries_of_old_terms_never_commit_by_counting() -> None:
    """5.4.2: "Raft never commits log entries from previous terms by counting replicas. Only log
    entries from the leader's current term are committed by counting replicas; once an entry from the
    current term has been committed in this way, then all prior entries are committed indirectly"."""
    cluster = Cluster(3, logs={1: [1, 2, 2]})
    leader = become_leader(cluster)
    for voter in (2, 3):
        cluster.receive(accepted(voter, term=3, match=3))
    assert leader.raft.commit_index == 0
    cluster.receive(accepted(2, term=3, match=4))
    assert leader.raft.commit_index == 4


def test_learners_do_not_count() -> None:
    """Dissertation 4.2.1: a majority of the voters."""
    cluster = Cluster(3, learners=[4, 5])
    leader = become_leader(cluster)
    for learner in (4, 5):
        cluster.receive(accepted(learner, term=1, match=1))
    assert leader.raft.commit_index == 0
    cluster.receive(accepted(2, term=1, match=1))
    assert leader.raft.commit_index == 1


# --- 10.2.1, the leader's own disk --------------------------------------------------------


def test_the_leader_sends_before_its_own_disk_and_counts_itself_after() -> None:
    """10.2.1: "The leader may even commit an entry before it has been written to its own disk, if a
    majority of followers have written it to their disks"."""
    cluster = Cluster(3, writes_at_once=False)
    leader = become_leader(cluster)
    cluster.receive(accepted(2, term=1, match=1))
    assert leader.raft.commit_index == 0, "one of three"
    cluster.receive(accepted(3, term=1, match=1))
    assert (leader.raft.commit_index, leader.raft.applied_index) == (1, 0)
    cluster.complete_write(1)
    assert leader.raft.applied_index == 1
    cluster.propose(1)
    cluster.complete_write(1)
    assert leader.raft.commit_index == 1, "one of three"
    cluster.receive(accepted(2, term=1, match=2))
    assert leader.raft.commit_index == 2


def test_a_single_voter_waits_for_its_disk() -> None:
    """10.2.1: there is nobody else to have it on disk."""
    cluster = Cluster(1, writes_at_once=False)
    cluster.time_out(1)
    assert cluster[1].raft.role is Role.CANDIDATE
    cluster.complete_write(1)
    assert cluster[1].raft.role is Role.LEADER
    assert cluster[1].raft.commit_index == 0
    cluster.complete_write(1)
    assert cluster[1].raft.commit_index == 1
    cluster.propose(1)
    assert cluster[1].raft.commit_index == 1
    cluster.complete_write(1)
    assert cluster[1].raft.commit_index == 2


# --- 10.2.2, pipelining -------------------------------------------------------------------

WINDOW = Settings(
    heartbeat_interval_ms=100, inflight_messages_max=3, inflight_bytes_max=1_000, append_bytes_max=500
)


def replicating(settings: Settings = WINDOW) -> Cluster:
    """Node 1 leads and replicates to node 2, whose answers the test writes."""
    cluster = Cluster(3, settings=settings)
    become_leader(cluster)
    cluster.receive(accepted(2, term=1, match=1))
    cluster.take_sent()
    return cluster


def sent_to(cluster: Cluster, target: int) -> list[AppendEntries]:
    return [
        message
        for message in cluster.take_sent()
        if isinstance(message, AppendEntries) and message.target == target
    ]


def test_a_probe_waits_for_its_answer() -> None:
    """10.2.2: "nextIndex ... one at a time until it finds where their logs diverge"."""
    cluster = Cluster(3)
    become_leader(cluster)
    cluster.propose(1)
    cluster.propose(1)
    assert cluster.take_sent() == []
    cluster.receive(accepted(2, term=1, match=1))
    (sent,) = sent_to(cluster, 2)
    assert [new.index for new in sent.entries] == [2, 3]


def test_the_window_is_bounded_in_messages() -> None:
    """10.2.2: "the leader can send the next without waiting for the previous", up to a limit."""
    cluster = replicating()
    for _ in range(5):
        cluster.propose(1, b"x")
    assert len(sent_to(cluster, 2)) == 3
    cluster.receive(accepted(2, term=1, match=2))
    assert len(sent_to(cluster, 2)) == 1


def test_the_window_is_bounded_in_bytes() -> None:
    """The limit is passed by the last message at most."""
    cluster = replicating()
    for _ in range(5):
        cluster.propose(1, b"x" * 600)
    assert [new.index for sent in sent_to(cluster, 2) for new in sent.entries] == [2, 3]
    cluster.receive(accepted(2, term=1, match=2))
    assert [new.index for sent in sent_to(cluster, 2) for new in sent.entries] == [4]


def test_a_message_is_bounded_in_bytes_but_holds_one_entry() -> None:
    cluster = Cluster(3, settings=WINDOW)
    become_leader(cluster)
    for size in (200, 200, 200, 2_000):
        cluster.propose(1, b"x" * size)
    cluster.receive(accepted(2, term=1, match=1))
    sent = sent_to(cluster, 2)
    assert [[new.index for new in message.entries] for message in sent] == [[2, 3], [4], [5]]


def test_a_full_window_that_was_lost_is_opened_by_a_heartbeat_answer() -> None:
    """Nothing else would ever be sent again: the one message tells, by its refusal, where to go on."""
    cluster = replicating()
    for _ in range(5):
        cluster.propose(1, b"x")
    cluster.take_sent()
    cluster[1].clock_ms += 100
    cluster.receive(heartbeat_response(2, term=1, round=0))
    (sent,) = sent_to(cluster, 2)
    assert sent.prev_log_index == 4
    cluster.receive(refused(2, term=1, rejected=4, hint=(1, 1)))
    (sent,) = sent_to(cluster, 2)
    assert [new.index for new in sent.entries] == [2, 3, 4, 5, 6]
    assert cluster[1].progress(2).mode is ProgressMode.PROBE


def test_a_window_full_of_bytes_that_was_lost_is_opened_without_passing_the_limit() -> None:
    """Where one small message fills no room, as many are given up as it takes."""
    cluster = replicating()
    for size in (10, 400, 900):
        cluster.propose(1, b"x" * size)
    cluster.propose(1, b"x" * 900)
    assert [new.index for sent in sent_to(cluster, 2) for new in sent.entries] == [2, 3, 4]
    for _ in range(5):
        cluster[1].clock_ms += 100
        cluster.receive(heartbeat_response(2, term=1, round=0))
        assert cluster[1].progress(2)._inflight_bytes < 1_000 + 932


def test_a_heartbeat_answer_while_things_move_resends_nothing() -> None:
    """What is merely on its way is not taken for lost."""
    cluster = replicating()
    cluster.propose(1, b"x")
    cluster.take_sent()
    cluster[1].clock_ms += 99
    cluster.receive(heartbeat_response(2, term=1, round=0))
    assert sent_to(cluster, 2) == []


def test_a_broken_connection_means_probing() -> None:
    """What was in flight may be lost."""
    cluster = replicating()
    cluster.propose(1, b"x")
    cluster.take_sent()
    cluster.step(1, Unreachable(peer=NodeId(2)))
    (sent,) = sent_to(cluster, 2)
    assert sent.prev_log_index == 1
    assert cluster[1].progress(2).mode is ProgressMode.PROBE
    cluster.step(1, Unreachable(peer=NodeId(9)))


def test_a_lost_probe_is_sent_again_after_a_heartbeat_answer() -> None:
    cluster = Cluster(3)
    become_leader(cluster)
    cluster.receive(heartbeat_response(2, term=1, round=0))
    assert len(sent_to(cluster, 2)) == 1


def test_a_late_refusal_is_ignored() -> None:
    """An answer to an older message says nothing about the last one."""
    cluster = replicating()
    cluster.propose(1, b"x")
    cluster.receive(accepted(2, term=1, match=2))
    cluster.take_sent()
    cluster.receive(refused(2, term=1, rejected=1, hint=(0, 0)))
    assert cluster[1].progress(2).mode is ProgressMode.REPLICATE
    assert cluster.take_sent() == []


def test_a_refusal_that_comes_twice_moves_the_probe_once() -> None:
    """The second one answers a message that is no longer the last."""
    cluster = Cluster(3, logs={1: [1] * 5})
    leader = become_leader(cluster)
    refusal = refused(2, term=2, rejected=5, hint=(3, 1))
    cluster.receive(refusal)
    assert [sent.prev_log_index for sent in sent_to(cluster, 2)] == [3]
    cluster.receive(refusal)
    assert sent_to(cluster, 2) == []
    assert leader.progress(2).next_index == 4


def test_heartbeats_name_no_more_than_the_follower_holds() -> None:
    """min(match index, commit index): the raw commit index would commit whatever the follower has
    there."""
    cluster = Cluster(3, logs={1: [1, 1]})
    leader = become_leader(cluster)
    cluster.receive(accepted(2, term=2, match=3))
    assert leader.raft.commit_index == 3
    cluster.take_sent()
    cluster.time_out(1)
    assert {
        message.target: message.commit_index
        for message in cluster.take_sent()
        if isinstance(message, Heartbeat)
    } == {2: 3, 3: 0}


# --- limits -------------------------------------------------------------------------------


def test_uncommitted_bytes_are_bounded() -> None:
    """Proposals past the limit are refused, and taken again once something was applied."""
    cluster = Cluster(3, settings=Settings(uncommitted_bytes_max=1_000))
    cluster.elect(1)
    cluster.isolate(1)
    for ticket in range(5):
        cluster.propose(1, b"x" * 300, ticket=ticket)
    assert [made.ticket for made in cluster[1].proposed] == [0, 1, 2]
    assert {refusal.reason for refusal in cluster[1].refused} == {Refusal.OVERLOADED}
    cluster.heal()
    cluster.pass_ms(400)
    cluster.propose(1, b"x" * 300, ticket=9)
    assert cluster[1].proposed[-1].ticket == 9


def test_what_is_handed_over_for_applying_is_bounded() -> None:
    cluster = Cluster(3, settings=Settings(committed_bytes_max=100))
    handed: list[int] = []
    cluster.observer = lambda seen, ready: handed.append(len(ready.committed))
    cluster.receive(append(2, *entries(1, 1, 1, 1, 1, 1, 1, 1), term=1, commit=7))
    assert sum(handed) == 7
    assert max(handed) == 3


def test_a_late_fsync_of_overwritten_entries_is_not_counted() -> None:
    """The completion names (index, term): it must not vouch for what replaced that entry since."""
    cluster = Cluster(3, writes_at_once=False)
    cluster.receive(append(2, *entries(1, 1, 1, 1), term=1))
    cluster.receive(append(2, *entries(2, 2, 2), term=2, prev=(1, 1), commit=3, sender=3))
    log = cluster[2].core.log
    cluster.complete_write(2)
    assert log.persisted_index == 0
    assert cluster[2].raft.applied_index == 0, "committed, but not durable here"
    cluster.complete_write(2)
    assert log.persisted_index == 3
    assert [held.term for held in cluster[2].state] == [1, 2, 2]


def test_a_late_fsync_after_a_new_election_is_counted_if_the_entry_is_still_there() -> None:
    """A follower's write may complete when it already leads: those entries count then."""
    cluster = Cluster(3, writes_at_once=False)
    cluster.receive(append(1, *entries(1, 1, 1), term=1, sender=2))
    cluster[1].clock_ms += 5_000
    cluster.time_out(1)
    cluster.receive(vote(2, term=2, pre_vote=True))
    cluster.complete_write(1)
    assert cluster[1].core.log.persisted_index == 2
    cluster.complete_write(1)
    cluster.receive(vote(2, term=2))
    assert cluster[1].raft.role is Role.LEADER
    cluster.step(1, Persisted(last_index=Index(2), last_term=Term(1)))
    assert cluster[1].core.log.persisted_index == 2
