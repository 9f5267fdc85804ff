"""What may come between: slow disks, restarts, roles that change while something is under way."""

from __future__ import annotations

from kvraft.raft.events import CommitWanted, Propose, SnapshotReported, TransferLeadership, Unreachable
from kvraft.raft.messages import Heartbeat, RequestVote, TimeoutNow
from kvraft.raft.ready import Role
from kvraft.raft.types import Entry, EntryKind, Index, NodeId, Term
from tests.unit.raft.harness import (
    Cluster,
    accepted,
    append,
    become_leader,
    entries,
    hard_state,
    heartbeat,
    heartbeat_response,
    request_vote,
    vote,
)

# --- disks --------------------------------------------------------------------------------


def test_a_heartbeat_is_answered_without_waiting_for_the_disk() -> None:
    """The term is durable already; entries under way do not matter to it."""
    cluster = Cluster(3, writes_at_once=False)
    cluster.receive(heartbeat(2, term=1))
    cluster.complete_writes(2)
    cluster.take_sent()
    cluster.receive(append(2, *entries(1, 1), term=1))
    cluster.receive(heartbeat(2, term=1, round=2))
    assert cluster.take_sent() == [heartbeat_response(2, term=1, round=2)]


def test_the_first_heartbeat_of_a_term_is_answered_after_the_term_is_durable() -> None:
    cluster = Cluster(3, writes_at_once=False)
    cluster.receive(heartbeat(2, term=1))
    assert cluster.take_sent() == []
    cluster.complete_write(2)
    assert cluster.take_sent() == [heartbeat_response(2, term=1, round=1)]


def test_an_answer_without_anything_to_write_waits_for_the_write_under_way() -> None:
    """A repeated message brings nothing new, but what it repeats is not durable yet."""
    cluster = Cluster(3, writes_at_once=False)
    message = append(2, *entries(1, 1), term=1)
    cluster.receive(message)
    cluster.receive(message)
    assert cluster.take_sent() == []
    cluster.complete_write(2)
    assert cluster.take_sent() == [accepted(2, term=1, match=1)] * 2


def test_a_vote_that_becomes_durable_after_the_election_was_given_up_elects_nobody() -> None:
    cluster = Cluster(3, writes_at_once=False)
    cluster.time_out(1)
    cluster.receive(vote(2, term=1, pre_vote=True))
    cluster.receive(heartbeat(1, term=2, sender=3))
    cluster.complete_writes(1)
    assert (cluster[1].raft.role, cluster[1].raft.leader_id) == (Role.FOLLOWER, 3)
    assert cluster[1].disk.hard_state == hard_state(2, None)


def test_a_single_voters_late_vote_does_not_elect_it_twice() -> None:
    cluster = Cluster(1, writes_at_once=False)
    cluster.time_out(1)
    cluster.time_out(1)
    assert cluster[1].raft.term == 2
    cluster.complete_write(1)
    assert cluster[1].raft.role is Role.CANDIDATE, "that was the vote of term 1"
    cluster.complete_write(1)
    assert (cluster[1].raft.role, cluster[1].raft.term) == (Role.LEADER, 2)


def test_a_write_that_completes_after_a_leader_was_deposed_commits_nothing() -> None:
    cluster = Cluster(3, writes_at_once=False)
    become_leader(cluster)
    cluster.receive(heartbeat(1, term=2, sender=2))
    cluster.complete_writes(1)
    assert cluster[1].raft.commit_index == 0


def test_a_leader_whose_disk_hangs_goes_on_with_heartbeats_and_hands_over() -> None:
    """Timers never wait for storage."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.pass_ms(100)
    cluster.writes_at_once = False
    cluster.propose(1)
    for _ in range(11):
        cluster.pass_ms(100)
        for node_id in (2, 3):
            cluster.complete_writes(node_id)
        assert cluster[1].raft.role is Role.LEADER
    cluster.pass_ms(300)
    assert any(node.raft.role is Role.CANDIDATE for node in (cluster[2], cluster[3]))
    for _ in range(4):
        for node_id in (2, 3):
            cluster.complete_writes(node_id)
        cluster.deliver_all()
    assert cluster[1].raft.role is Role.FOLLOWER
    assert cluster.leader.node_id in (2, 3)


def test_a_leader_whose_disk_hangs_in_the_middle_hands_over() -> None:
    """One write completes, the next one never: the time counts from the last completion."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.pass_ms(100)
    cluster.writes_at_once = False
    cluster.propose(1)
    cluster.propose(1)
    cluster.complete_write(1)
    for _ in range(18):
        cluster.pass_ms(100)
        for node_id in (2, 3):
            cluster.complete_writes(node_id)
    assert cluster.leader.node_id in (2, 3)


def test_a_leader_whose_disk_hangs_and_has_no_majority_steps_down() -> None:
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.writes_at_once = False
    cluster.propose(1)
    cluster.isolate(1)
    cluster.pass_ms(1_200)
    assert cluster[1].raft.role is not Role.LEADER


def test_a_leader_whose_disk_keeps_up_does_not_hand_over() -> None:
    """Writes that complete are progress, however long the queue behind them."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.writes_at_once = False
    for _ in range(40):
        cluster.propose(1)
        cluster.propose(1)
        cluster.pass_ms(100)
        for node_id in (1, 2, 3):
            if cluster[node_id].under_way is not None:
                cluster.complete_write(node_id)
    assert cluster[1].raft.role is Role.LEADER
    assert cluster[1].refused == []


def test_a_candidate_whose_disk_hangs_asks_nobody() -> None:
    """The vote for itself is not durable, so nobody may hear of that election."""
    cluster = Cluster(3, writes_at_once=False)
    cluster.receive(heartbeat(2, term=1))
    cluster.complete_writes(2)
    cluster.take_sent()
    cluster.time_out(2)
    cluster.receive(vote(1, target=2, term=2, pre_vote=True))
    assert all(sent.pre_vote for sent in cluster.take_sent() if isinstance(sent, RequestVote))
    cluster.crash(2)
    cluster.restart(2)
    assert cluster[2].core.hard_state == hard_state(1, None)


# --- restarts -----------------------------------------------------------------------------


def test_a_follower_restarted_with_an_old_log_is_repaired() -> None:
    """What it had not acknowledged is gone; the leader finds out and sends it again."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.pass_ms(100)
    cluster.writes_at_once = False
    for _ in range(3):
        cluster.propose(1)
    cluster.deliver_all()
    cluster.complete_writes(1)
    cluster.complete_writes(3)
    cluster.crash(2)
    cluster.writes_at_once = True
    cluster.restart(2)
    assert cluster[2].raft.last_log_index == 1
    cluster.pass_ms(300)
    assert cluster[2].state == cluster[1].state
    assert cluster[2].raft.last_log_index == 4


def test_a_whole_cluster_restarts_with_everything_that_was_committed() -> None:
    cluster = Cluster(3)
    cluster.elect(1)
    for number in range(5):
        cluster.propose(1, b"%d" % number)
    cluster.deliver_all()
    before = list(cluster[1].state)
    assert len(before) == 6
    for node_id in cluster.nodes:
        cluster.crash(node_id)
    cluster.take_sent()
    for node_id in cluster.nodes:
        cluster.restart(node_id)
    cluster.pass_ms(3_000)
    assert all(node.state[:6] == before for node in cluster.nodes.values())


def test_a_restarted_leader_does_not_lead() -> None:
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.crash(1)
    cluster.restart(1)
    assert cluster[1].raft.role is Role.FOLLOWER
    assert cluster[1].raft.term == 1
    assert cluster[1].core.voted_for == 1


# --- roles --------------------------------------------------------------------------------


def test_a_node_with_an_unapplied_change_of_members_does_not_campaign() -> None:
    """Which voters it must ask may be about to change. Once it has applied that, it may."""
    cluster = Cluster(3, writes_at_once=False)
    change = Entry(Index(1), Term(1), EntryKind.CONFIGURATION, b"")
    cluster.receive(append(2, change, term=1, commit=1))
    cluster.time_out(2)
    assert cluster[2].raft.role is Role.FOLLOWER
    cluster.complete_writes(2)
    cluster.time_out(2)
    assert cluster[2].raft.role is Role.PRE_CANDIDATE


def test_a_pre_candidate_obeys_a_timeout_now() -> None:
    cluster = Cluster(3)
    cluster.receive(heartbeat(2, term=1))
    cluster.time_out(2)
    assert cluster[2].raft.role is Role.PRE_CANDIDATE
    cluster.receive(TimeoutNow(sender=NodeId(1), target=NodeId(2), term=Term(1)))
    assert (cluster[2].raft.role, cluster[2].raft.term) == (Role.CANDIDATE, 2)


def test_a_second_timeout_now_starts_no_second_election() -> None:
    cluster = Cluster(3)
    message = TimeoutNow(sender=NodeId(1), target=NodeId(2), term=Term(1))
    cluster.receive(message)
    cluster.receive(message)
    assert cluster[2].raft.term == 2


def test_events_of_a_leader_mean_nothing_to_others() -> None:
    """They come late, when leadership is lost already."""
    cluster = Cluster(3)
    for event in (
        Unreachable(peer=NodeId(2)),
        SnapshotReported(target=NodeId(2), succeeded=True),
        CommitWanted(peer=NodeId(2)),
        TransferLeadership(),
    ):
        cluster.step(1, event)
    assert cluster.take_sent() == []
    assert cluster[1].raft.role is Role.FOLLOWER


def test_an_old_leader_learns_of_the_newer_term_from_any_answer() -> None:
    """A node that has seen a newer term answers an old leader, so that it steps down and the node can
    rejoin: otherwise both would wait for each other for ever."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.isolate(3)
    cluster.receive(request_vote(2, 3, term=7, last=(9, 6), leadership_transfer=True))
    cluster.take_sent()
    cluster.heal()
    cluster.pass_ms(100)
    assert cluster[1].raft.term == 7
    cluster.pass_ms(2_000)
    assert len(cluster.leaders) == 1
    assert {node.raft.term for node in cluster.nodes.values()} == {cluster.leader.raft.term}


def test_a_term_is_durable_before_any_entry_of_it() -> None:
    """One write, one order: the disk of the harness refuses an entry that is ahead of its term."""
    cluster = Cluster(3, writes_at_once=False)
    cluster.receive(append(2, *entries(1, 1, 4), term=5))
    under_way = cluster[2].under_way
    assert under_way is not None
    assert under_way.hard_state == hard_state(5, None)
    assert len(under_way.entries) == 2


def test_time_never_goes_back() -> None:
    cluster = Cluster(3)
    cluster.elect(1)
    now_ms = cluster[1].core.now_ms
    cluster[1].clock_ms = 0
    cluster.propose(1)
    assert cluster[1].core.now_ms == now_ms


def test_a_node_that_slept_steps_down_before_it_says_anything() -> None:
    """After a pause longer than the election timeout, the first thing a leader does is to give up."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.pass_ms(100)
    cluster[1].clock_ms += 5_000
    cluster.time_out(1)
    assert cluster[1].raft.role is Role.FOLLOWER
    assert not any(isinstance(sent, Heartbeat) for sent in cluster.take_sent())


def test_every_turn_answers_every_proposal() -> None:
    """Many events, one turn: one write and one message per follower."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.pass_ms(100)
    cluster.step(1, *(Propose(ticket=ticket, data=b"x") for ticket in range(100)))
    assert [made.ticket for made in cluster[1].proposed] == list(range(100))
    assert len(cluster.network) == 2
