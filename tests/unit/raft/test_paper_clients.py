"""Client interaction: section 8 of the paper and 6.4 of the dissertation, linearizable reads."""

from __future__ import annotations

from kvraft.raft.events import CommitWanted, RequestRead
from kvraft.raft.messages import Heartbeat
from kvraft.raft.ready import ConfirmedRead, Refusal, Role
from kvraft.raft.settings import Settings
from kvraft.raft.types import EntryKind, Index, NodeId
from tests.unit.raft.harness import (
    Cluster,
    accepted,
    become_leader,
    heartbeat,
    heartbeat_response,
    vote,
)


def rounds(cluster: Cluster) -> list[int]:
    """The rounds of the heartbeats on their way to node 2, taken off the network."""
    return [
        sent.round for sent in cluster.take_sent() if isinstance(sent, Heartbeat) and sent.target == NodeId(2)
    ]


def serving(voters: int = 3) -> Cluster:
    """Node 1 leads and has committed its no-op; the test writes the answers of the others."""
    cluster = Cluster(voters)
    become_leader(cluster)
    for voter in range(2, voters + 1):
        cluster.receive(accepted(voter, term=1, match=1))
    cluster.take_sent()
    assert cluster[1].raft.commit_index == 1
    return cluster


# --- section 8 ----------------------------------------------------------------------------


def test_only_the_leader_takes_commands() -> None:
    """8: "If the client's first choice is not the leader, that server will reject the client's request
    and supply information about the most recent leader it has heard from"."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.propose(2, ticket=5)
    (refused,) = cluster[2].refused
    assert (refused.ticket, refused.reason) == (5, Refusal.NOT_LEADER)
    assert cluster[2].role_changes[-1].leader == 1


def test_a_leader_begins_its_term_with_a_no_op() -> None:
    """8: "Raft handles this by having each leader commit a blank no-op entry into the log at the
    start of its term"."""
    cluster = Cluster(3, logs={1: [1], 2: [1], 3: [1]})
    cluster.elect(1)
    assert [applied.kind for applied in cluster[1].state] == [EntryKind.COMMAND, EntryKind.NOOP]
    assert cluster[1].state[-1].term == 2


# --- 6.4 ----------------------------------------------------------------------------------


def test_read_1_waits_for_the_terms_first_commit() -> None:
    """6.4: "1. If the leader has not yet marked an entry from its current term committed, it waits
    until it has done so"."""
    cluster = Cluster(3, logs={1: [1]})
    become_leader(cluster)
    cluster.read(1, 1)
    cluster.receive(accepted(2, term=2, match=1))
    assert rounds(cluster) == []
    cluster.receive(accepted(2, term=2, match=2))
    assert rounds(cluster) == [1]
    cluster.receive(heartbeat_response(2, term=2, round=1))
    assert cluster[1].confirmed_reads == [ConfirmedRead(ticket=1, index=Index(2))]


def test_read_2_the_read_index_is_the_commit_index_when_the_round_is_sent() -> None:
    """6.4: "2. The leader saves its current commit index in a local variable readIndex": what commits
    while the round is under way is no part of it."""
    cluster = serving()
    cluster.read(1, 1)
    cluster.propose(1)
    cluster.receive(accepted(2, term=1, match=2))
    assert cluster[1].raft.commit_index == 2
    cluster.receive(heartbeat_response(2, term=1, round=1))
    assert cluster[1].confirmed_reads == [ConfirmedRead(ticket=1, index=Index(1))]


def test_read_3_a_majority_answers_a_round_sent_after_the_read() -> None:
    """6.4: "3. It issues a new round of heartbeats and waits for their acknowledgments from a majority
    of the cluster": the answer to an earlier round confirms nothing."""
    cluster = serving(5)
    cluster.time_out(1)
    assert rounds(cluster) == [1]
    cluster.read(1, 1)
    assert rounds(cluster) == [2]
    for voter in (2, 3, 4):
        cluster.receive(heartbeat_response(voter, term=1, round=1))
    assert cluster[1].confirmed_reads == []
    cluster.receive(heartbeat_response(2, term=1, round=2))
    cluster.receive(heartbeat_response(2, term=1, round=2))
    assert cluster[1].confirmed_reads == []
    cluster.receive(heartbeat_response(3, term=1, round=2))
    assert [read.ticket for read in cluster[1].confirmed_reads] == [1]


def test_read_4_waits_for_the_state() -> None:
    """6.4: "4. The leader waits for its state machine to advance at least as far as the readIndex": the
    index is handed over, and may be ahead of what this node has applied."""
    cluster = Cluster(3, writes_at_once=False)
    become_leader(cluster)
    for voter in (2, 3):
        cluster.receive(accepted(voter, term=1, match=1))
    cluster.read(1, 1)
    cluster.receive(heartbeat_response(2, term=1, round=1))
    (read,) = cluster[1].confirmed_reads
    assert read.index == 1 > cluster[1].raft.applied_index
    cluster.complete_writes(1)
    assert cluster[1].raft.applied_index == 1


def test_reads_that_wait_share_the_next_round() -> None:
    """6.4: "one round of heartbeats ... for any number of read-only queries that it has accumulated":
    each is confirmed by a round sent after it came, and one round is under way at a time."""
    cluster = serving()
    cluster.read(1, 1)
    assert rounds(cluster) == [1]
    cluster.read(1, 2)
    cluster.read(1, 3)
    assert rounds(cluster) == []
    cluster.receive(heartbeat_response(2, term=1, round=1))
    assert [read.ticket for read in cluster[1].confirmed_reads] == [1]
    assert rounds(cluster) == [2]
    cluster.receive(heartbeat_response(2, term=1, round=2))
    assert [read.ticket for read in cluster[1].confirmed_reads] == [1, 2, 3]


def test_a_later_rounds_answer_confirms_earlier_reads() -> None:
    """Rounds rise: a lost answer is made up for by the next periodic one."""
    cluster = serving()
    cluster.read(1, 1)
    rounds(cluster)
    cluster.time_out(1)
    assert rounds(cluster) == [2]
    cluster.receive(heartbeat_response(2, term=1, round=2))
    assert [read.ticket for read in cluster[1].confirmed_reads] == [1]


def test_rounds_are_never_used_twice() -> None:
    """Not by a retry, nor by a pause: after any delay a read needs the answer to a round that was sent
    after it came."""
    cluster = serving()
    seen: list[int] = []
    for ticket in range(1, 6):
        cluster.read(1, ticket)
        sent = rounds(cluster)
        cluster.time_out(1)
        sent += rounds(cluster)
        cluster.receive(heartbeat_response(3, term=1, round=sent[-1]))
        seen += sent
        rounds(cluster)
    assert seen == sorted(set(seen))
    assert [read.ticket for read in cluster[1].confirmed_reads] == [1, 2, 3, 4, 5]


def test_a_heartbeat_that_tells_a_commit_repeats_the_round_under_way() -> None:
    """It left after that round began, so its answer may confirm it, and nothing later."""
    cluster = serving()
    cluster.propose(1)
    cluster.step(1, CommitWanted(peer=NodeId(2)))
    cluster.read(1, 1)
    assert rounds(cluster) == [1]
    cluster.receive(accepted(2, term=1, match=2))
    assert rounds(cluster) == [1]
    cluster.read(1, 2)
    cluster.receive(heartbeat_response(2, term=1, round=1))
    assert [read.ticket for read in cluster[1].confirmed_reads] == [1]


def test_reads_fail_when_leadership_is_lost() -> None:
    """Those whose round is under way, and those that wait for one. None is confirmed later."""
    cluster = serving()
    cluster.read(1, 1)
    cluster.read(1, 2)
    cluster.receive(heartbeat(1, term=2, sender=2))
    cluster.receive(heartbeat_response(3, term=1, round=1))
    assert cluster[1].failed_reads == [1, 2]
    assert cluster[1].confirmed_reads == []


def test_reads_fail_where_nobody_leads() -> None:
    cluster = Cluster(3)
    cluster.read(2, 4)
    assert cluster[2].failed_reads == [4]


def test_waiting_reads_are_bounded() -> None:
    cluster = Cluster(3, settings=Settings(pending_reads_max=2))
    become_leader(cluster)
    cluster.step(1, *(RequestRead(ticket=ticket) for ticket in range(4)))
    assert cluster[1].failed_reads == [2, 3]


def test_a_single_voter_confirms_at_once() -> None:
    cluster = Cluster(1)
    cluster.elect(1)
    cluster.read(1, 1)
    assert cluster[1].confirmed_reads == [ConfirmedRead(ticket=1, index=Index(1))]


def test_learners_confirm_nothing() -> None:
    cluster = Cluster(3, learners=[4, 5])
    become_leader(cluster)
    cluster.receive(accepted(2, term=1, match=1))
    cluster.read(1, 1)
    for learner in (4, 5):
        cluster.receive(heartbeat_response(learner, term=1, round=1))
    assert cluster[1].confirmed_reads == []


def test_the_answer_to_an_old_terms_heartbeat_confirms_nothing() -> None:
    """Node 1 led term 1 and sent round 1 to node 2, which arrives only when node 1 has been deposed
    and leads term 3. The answer carries term 3, but not as a word on a round of that term: when it
    left, node 2 had not heard of the read, and may since have voted in term 4."""
    cluster = Cluster(3)
    become_leader(cluster)
    cluster.time_out(1)
    late = next(sent for sent in cluster.take_sent() if sent.target == 2)
    cluster.receive(heartbeat(1, term=2, sender=3))
    cluster.take_sent()
    become_leader(cluster)
    cluster.receive(accepted(3, term=3, match=2))
    cluster.receive(heartbeat(2, term=3, sender=1, round=0))
    cluster.take_sent()
    cluster.receive(late)
    (answer,) = cluster.take_sent()
    assert answer.term == 3
    cluster.read(1, 7)
    cluster.receive(answer)
    assert cluster[1].raft.role is Role.LEADER
    assert cluster[1].confirmed_reads == []


def test_a_deposed_leader_serves_no_stale_read() -> None:
    """6.4: "It must make sure it still is the leader": a new leader has committed meanwhile."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.isolate(1)
    cluster[2].clock_ms = cluster[3].clock_ms = 10_000
    cluster.time_out(2)
    cluster.deliver_all()
    assert cluster[2].raft.role is Role.LEADER
    cluster.propose(2, b"new")
    cluster.deliver_all()
    cluster.read(1, 1)
    cluster.heal()
    cluster.time_out(1)
    cluster.deliver_all()
    assert cluster[1].confirmed_reads == []
    assert cluster[1].failed_reads == [1]


def test_a_vote_is_no_answer_to_a_round() -> None:
    cluster = serving()
    cluster.read(1, 1)
    cluster.receive(vote(2, term=1))
    cluster.receive(accepted(2, term=1, match=1))
    assert cluster[1].confirmed_reads == []
