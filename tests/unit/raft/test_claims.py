"""What a message may claim: nothing that a peer says stops a node, spoils its disk, or is believed against
what the node knows better."""

from __future__ import annotations

import pytest

from kvraft.raft.claims import FIRST_TERM_MAX, TERM_JUMP_MAX
from kvraft.raft.configuration import Configuration
from kvraft.raft.messages import Message
from kvraft.raft.ready import Role
from kvraft.raft.types import INDEX_MAX, TERM_MAX, NodeId
from tests.unit.raft.harness import (
    Cluster,
    accepted,
    append,
    become_leader,
    entries,
    heartbeat,
    heartbeat_response,
    install,
    refused,
    request_vote,
    timeout_now,
    vote,
)

THREE = Configuration((NodeId(1), NodeId(2), NodeId(3)))
IMPOSSIBLE = (5 + TERM_JUMP_MAX + 1, TERM_MAX, (1 << 63) - 1, 1 << 63, (1 << 64) - 2, (1 << 64) - 1)


def messages_of(term: int) -> list[Message]:
    """One of each kind, from node 2 to node 1."""
    return [
        request_vote(2, 1, term=term, leadership_transfer=True),
        request_vote(2, 1, term=term, pre_vote=True),
        vote(2, term=term),
        vote(2, term=term, granted=False),
        vote(2, term=term, granted=False, pre_vote=True),
        append(1, term=term, sender=2),
        append(1, *entries(1, term), term=term, sender=2),
        accepted(2, term=term, match=1),
        refused(2, term=term, rejected=1, hint=(0, 0)),
        heartbeat(1, term=term, sender=2),
        heartbeat_response(2, term=term, round=1),
        install(1, 9, 3, term=term, sender=2, configuration=THREE),
        timeout_now(1, term=term, sender=2),
    ]


@pytest.mark.parametrize("term", IMPOSSIBLE)
def test_a_term_that_no_cluster_reaches_is_neither_followed_nor_stored(term: int) -> None:
    for message in messages_of(term):
        cluster = Cluster(3, terms={1: 5})
        node = cluster[1]
        cluster.receive(message)
        assert (node.raft.term, node.disk.hard_state.term) == (5, 5), message
        assert cluster.take_sent() == [], message
        assert [claim.peer for claim in node.wrong_claims] == [2], message
        assert f"term {term}" in node.wrong_claims[0].claim


def test_a_leader_goes_on_whatever_term_is_invented() -> None:
    for message in messages_of((1 << 64) - 1):
        cluster = Cluster(3)
        leader = become_leader(cluster)
        cluster.receive(message)
        assert leader.raft.role is Role.LEADER, message


def test_the_furthest_term_that_is_followed() -> None:
    cluster = Cluster(3, terms={1: 5})
    cluster.receive(heartbeat(1, term=5 + TERM_JUMP_MAX, sender=2))
    assert cluster[1].raft.term == 5 + TERM_JUMP_MAX
    cluster.receive(heartbeat(1, term=5 + 2 * TERM_JUMP_MAX, sender=2))
    assert cluster[1].raft.term == 5 + 2 * TERM_JUMP_MAX


def test_a_node_without_any_term_may_join_a_cluster_of_any_age() -> None:
    for term, followed in ((FIRST_TERM_MAX, FIRST_TERM_MAX), (FIRST_TERM_MAX + 1, 0)):
        cluster = Cluster(3)
        cluster.receive(heartbeat(1, term=term, sender=2))
        assert cluster[1].raft.term == followed


def test_nobody_campaigns_beyond_the_last_term() -> None:
    cluster = Cluster(3, terms={1: TERM_MAX})
    cluster.time_out(1)
    assert cluster[1].raft.role is Role.FOLLOWER
    cluster.receive(timeout_now(1, term=TERM_MAX, sender=2))
    assert (cluster[1].raft.role, cluster[1].raft.term) == (Role.FOLLOWER, TERM_MAX)


@pytest.mark.parametrize("index", [INDEX_MAX + 1, (1 << 64) - 1])
def test_an_index_that_no_log_reaches_is_not_believed(index: int) -> None:
    for message in (
        request_vote(2, 1, term=6, last=(index, 5), leadership_transfer=True),
        append(1, term=6, sender=2, prev=(index, 5)),
        append(1, term=6, sender=2, commit=index),
        accepted(2, term=6, match=index),
        refused(2, term=6, rejected=index, hint=(0, 0)),
        refused(2, term=6, rejected=0, hint=(index, 0)),
        heartbeat(1, term=6, sender=2, commit=index),
        install(1, index, 5, term=6, sender=2, configuration=THREE),
    ):
        cluster = Cluster(3, terms={1: 5})
        cluster.receive(message)
        assert cluster[1].raft.term == 5, message
        assert len(cluster[1].wrong_claims) == 1, message


def test_the_last_index_before_that_is_still_out_of_a_snapshots_reach() -> None:
    cluster = Cluster(3)
    cluster.receive(heartbeat(2, term=1))
    cluster.receive(install(2, INDEX_MAX, 1, term=1, configuration=THREE))
    assert cluster[2].raft.last_log_index == 0
    assert "snapshot of entry" in cluster[2].wrong_claims[0].claim


# --- who leads ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        heartbeat(2, term=1, sender=3),
        append(2, *entries(1, 1, 1), term=1, sender=3),
        install(2, 9, 1, term=1, sender=3, configuration=THREE),
        timeout_now(2, term=1, sender=3),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_second_leader_of_a_term_is_refused_and_the_first_is_followed(message: Message) -> None:
    """5.2: "at most one candidate can win the election for a particular term"."""
    cluster = Cluster(3)
    cluster.receive(heartbeat(2, term=1, sender=1))
    cluster.take_sent()
    cluster.receive(message)
    assert (cluster[2].raft.leader_id, cluster[2].raft.role) == (1, Role.FOLLOWER)
    assert cluster[2].log_terms == []
    assert cluster.take_sent() == []
    assert "leads term 1, which node 1 does" in cluster[2].wrong_claims[0].claim


def test_a_leader_that_hears_of_another_in_its_term_leads_on() -> None:
    cluster = Cluster(3)
    leader = become_leader(cluster)
    cluster.receive(heartbeat(1, term=1, sender=2))
    assert leader.raft.role is Role.LEADER
    assert "leads term 1, which node 1 does" in leader.wrong_claims[0].claim


# --- what this node knows better ----------------------------------------------------------


def test_a_leader_that_would_overwrite_what_is_committed_is_refused() -> None:
    """5.4.3, Leader Completeness: a leader without a committed entry cannot be."""
    cluster = Cluster(3)
    cluster.receive(append(2, *entries(1, 1, 1, 1), term=1, commit=3))
    cluster.take_sent()
    cluster.receive(append(2, *entries(2, 2), term=2, prev=(1, 1), sender=3))
    assert cluster[2].log_terms == [1, 1, 1]
    assert cluster[2].raft.term == 1
    assert cluster.take_sent() == []
    assert "would, as leader of term 2, overwrite entry 2" in cluster[2].wrong_claims[0].claim


def test_a_leader_that_counts_what_is_not_here_is_refused() -> None:
    """Figure 2, "persistent state": a disk that forgot is noticed by the first heartbeat, and acknowledges
    nothing. Or somebody speaks in the leader's name: that proves nothing of this disk."""
    cluster = Cluster(3)
    cluster.receive(heartbeat(2, term=1, commit=5))
    assert cluster.take_sent() == []
    assert "lost acknowledged data" in cluster[2].wrong_claims[0].claim


def test_a_snapshot_of_another_history_is_refused() -> None:
    cluster = Cluster(3)
    cluster.receive(append(2, *entries(1, 4, 4, 4), term=4, commit=3))
    for index, of_term in ((9, 5), (9, 3)):  # of a term to come; older than what is committed before it
        cluster.receive(install(2, index, of_term, term=4, configuration=THREE))
    assert len(cluster[2].wrong_claims) == 2
    assert cluster[2].log_terms == [4, 4, 4]


def test_votes_are_not_asked_with_a_log_of_the_term_itself() -> None:
    cluster = Cluster(3)
    cluster.receive(request_vote(2, 1, term=7, last=(3, 7), leadership_transfer=True))
    assert cluster[1].raft.term == 0


def test_an_answer_to_a_round_that_was_not_sent_confirms_no_read() -> None:
    cluster = Cluster(3)
    leader = become_leader(cluster)
    cluster.receive(accepted(2, term=1, match=1))
    cluster.read(1, 1)
    cluster.receive(heartbeat_response(2, term=1, round=1 << 40))
    assert leader.confirmed_reads == []
    assert "answers round" in leader.wrong_claims[0].claim


# --- set aside ----------------------------------------------------------------------------


def test_a_follower_that_acknowledges_what_was_never_sent_does_not_count() -> None:
    cluster = Cluster(3)
    leader = become_leader(cluster)
    cluster.receive(accepted(2, term=1, match=9))
    assert leader.raft.role is Role.LEADER
    assert leader.raft.commit_index == 0
    assert "holds entries up to 9" in leader.wrong_claims[0].claim
    assert leader.progress(2).is_set_aside
    cluster.receive(accepted(3, term=1, match=1))
    assert leader.raft.commit_index == 1


def test_it_counts_again_when_a_probe_has_shown_what_it_holds() -> None:
    cluster = Cluster(3)
    leader = become_leader(cluster)
    cluster.receive(accepted(2, term=1, match=1))
    cluster.receive(accepted(2, term=1, match=9))
    assert leader.progress(2).is_set_aside
    cluster.propose(1)
    cluster.receive(heartbeat_response(2, term=1, round=0))
    cluster.receive(accepted(2, term=1, match=2))
    assert not leader.progress(2).is_set_aside
    assert leader.raft.commit_index == 2
