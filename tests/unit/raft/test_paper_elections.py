"""Elections: sections 5.1, 5.2 and 5.4.1 of the paper, and of the dissertation 3.10 (transfer),
4.2.3 (votes ignored), 6.2 (a leader without majority) and 9.6 (pre-vote)."""

from __future__ import annotations

import pytest

from kvraft.raft.events import TimePassed, TransferLeadership
from kvraft.raft.messages import Heartbeat, RequestVote, TimeoutNow
from kvraft.raft.ready import Refusal, Role
from kvraft.raft.types import Index, NodeId, Term
from tests.unit.raft.harness import (
    Cluster,
    accepted,
    append,
    become_leader,
    entries,
    hard_state,
    heartbeat,
    heartbeat_response,
    install,
    request_vote,
    timeout_now,
    vote,
)

# --- 5.1 ----------------------------------------------------------------------------------


def test_servers_start_as_followers() -> None:
    """5.2: "When servers start up, they begin as followers"."""
    cluster = Cluster(3, logs={1: [1, 2]})
    assert cluster[1].raft.role is Role.FOLLOWER
    assert cluster[1].raft.leader_id is None


def test_an_old_request_is_rejected_aloud() -> None:
    """5.1: "If a server receives a request with a stale term number, it rejects the request": so that
    an old leader or candidate learns the newer term."""
    cluster = Cluster(3, terms={1: 5})
    for request in (append(1, term=4, sender=2), heartbeat(1, term=4, sender=2), request_vote(2, 1, term=4)):
        cluster.receive(request)
        (answer,) = cluster.take_sent()
        assert answer.term == 5
        assert cluster[1].raft.leader_id is None


def test_an_old_response_is_ignored() -> None:
    """5.1: terms order what was said; votes of an earlier term elect nobody."""
    cluster = Cluster(3, terms={1: 5})
    cluster.time_out(1)
    cluster.receive(vote(2, term=6, pre_vote=True))
    assert (cluster[1].raft.role, cluster[1].raft.term) == (Role.CANDIDATE, 6)
    cluster.receive(vote(2, term=5))
    cluster.receive(vote(3, term=5))
    assert cluster[1].raft.role is Role.CANDIDATE


# --- 5.2 ----------------------------------------------------------------------------------


def test_election_timeouts_are_random_between_once_and_twice_the_minimum() -> None:
    """5.2: "election timeouts are chosen randomly from a fixed interval", anew each time."""
    timeouts = set()
    for seed in range(60):
        cluster = Cluster(3, seed=seed)
        timeouts.add(cluster[1].raft.deadline_ms)
        cluster.time_out(1)
        timeouts.add(cluster[1].raft.deadline_ms - cluster[1].clock_ms)
    assert min(timeouts) >= 600
    assert max(timeouts) < 1200
    assert len(timeouts) > 60


def test_split_votes_are_resolved_by_other_timeouts() -> None:
    """5.2: "each candidate restarts its randomized election timeout at the start of an election", so
    that a tie does not repeat for ever."""
    for seed in range(20):
        cluster = Cluster(4, seed=seed)
        for node_id in (1, 2, 3, 4):
            cluster.time_out(node_id)
        cluster.deliver_all()
        cluster.pass_ms(12_000)
        assert len(cluster.leaders) == 1


def test_refused_by_a_majority_a_candidate_waits_as_a_follower() -> None:
    """5.2: it cannot win this term, so it lets a better candidate try first."""
    cluster = Cluster(3)
    cluster.time_out(1)
    cluster.receive(vote(2, term=1, pre_vote=True))
    cluster.receive(vote(2, term=1, granted=False))
    assert cluster[1].raft.role is Role.CANDIDATE
    cluster.receive(vote(3, term=1, granted=False))
    assert cluster[1].raft.role is Role.FOLLOWER
    assert cluster[1].core.voted_for == 1


def test_the_same_voter_counts_once() -> None:
    """5.2: "votes from a majority of the servers", not a majority of messages."""
    cluster = Cluster(5)
    cluster.time_out(1)
    for _ in range(5):
        cluster.receive(vote(2, term=1, pre_vote=True))
    assert cluster[1].raft.role is Role.PRE_CANDIDATE
    cluster.receive(vote(3, term=1, pre_vote=True))
    for _ in range(5):
        cluster.receive(vote(2, term=1))
    assert cluster[1].raft.role is Role.CANDIDATE


def test_the_own_vote_counts_once_it_is_durable() -> None:
    """5.2 and figure 2: "It then votes for itself" is a vote like any other: first on disk."""
    cluster = Cluster(5, writes_at_once=False)
    cluster.time_out(1)
    for voter in (2, 3):
        cluster.receive(vote(voter, term=1, pre_vote=True))
    assert cluster[1].raft.role is Role.CANDIDATE
    assert not any(isinstance(sent, RequestVote) and not sent.pre_vote for sent in cluster.network)
    cluster.complete_write(1)
    assert sum(isinstance(sent, RequestVote) and not sent.pre_vote for sent in cluster.network) == 4
    cluster.receive(vote(2, term=1))
    assert cluster[1].raft.role is Role.CANDIDATE
    cluster.receive(vote(3, term=1))
    assert cluster[1].raft.role is Role.LEADER


def test_messages_of_others_are_ignored() -> None:
    """5.2: votes, votes for and entries come from members; a stranger or an echo changes nothing."""
    cluster = Cluster(3)
    cluster.time_out(1)
    cluster.take_sent()
    for stranger in (4, 1):
        cluster.receive(vote(stranger, term=1, pre_vote=True))
        cluster.receive(request_vote(stranger, 1, term=9))
        cluster.receive(heartbeat(1, term=9, sender=stranger))
        cluster.receive(append(1, *entries(1, 9), term=9, sender=stranger))
        cluster.receive(accepted(stranger, term=1, match=0))
    assert (cluster[1].raft.role, cluster[1].raft.term) == (Role.PRE_CANDIDATE, 0)
    assert cluster.take_sent() == []
    leader = become_leader(cluster)
    for stranger in (4, 1):
        cluster.receive(accepted(stranger, term=1, match=1))
        cluster.receive(heartbeat_response(stranger, term=1, round=1))
    assert leader.raft.commit_index == 0


def test_a_message_for_another_node_is_ignored() -> None:
    cluster = Cluster(3)
    node = cluster[1]
    message = request_vote(2, 3, term=1)
    cluster.deliver_together(1, [message])
    assert node.raft.term == 0
    assert cluster.take_sent() == []


# --- 5.4.1 --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "last", "granted"),
    [
        ([1, 1], (1, 1), False),
        ([1, 1], (2, 1), True),
        ([1, 1], (3, 1), True),
        ([1, 1, 1], (1, 2), True),
        ([1, 2], (9, 1), False),
        ([], (0, 0), True),
    ],
)
def test_only_a_log_at_least_as_up_to_date_gets_the_vote(
    own: list[int], last: tuple[int, int], *, granted: bool
) -> None:
    """5.4.1: "If the logs have last entries with different terms, then the log with the later term is
    more up-to-date. If the logs end with the same term, then whichever log is longer is more
    up-to-date." For pre-votes the same."""
    for pre_vote in (False, True):
        cluster = Cluster(3, logs={1: own}, terms={1: 5})
        cluster.receive(request_vote(2, 1, term=6, last=last, pre_vote=pre_vote))
        (answer,) = cluster.take_sent()
        assert answer == vote(1, target=2, term=answer.term, granted=granted, pre_vote=pre_vote)


def test_entries_not_yet_durable_count_in_the_comparison() -> None:
    """5.4.1: an entry that was taken may be acknowledged any moment, so a candidate must have it."""
    cluster = Cluster(3, writes_at_once=False)
    cluster.receive(append(2, *entries(1, 1), term=1))
    cluster[2].clock_ms = 700
    cluster.receive(request_vote(3, 2, term=2))
    cluster.complete_writes(2)
    assert vote(2, target=3, term=2, granted=False) in cluster.take_sent()


# --- dissertation 9.6, pre-vote -----------------------------------------------------------


def test_a_pre_vote_changes_neither_term_nor_vote() -> None:
    """9.6: "a candidate only increments its term if it first learns from a majority of the cluster
    that they would be willing to grant the candidate their votes"."""
    cluster = Cluster(3)
    cluster.time_out(1)
    assert cluster[1].core.hard_state == hard_state(0, None)
    cluster.receive(request_vote(1, 2, term=1, pre_vote=True))
    assert cluster[2].core.hard_state == hard_state(0, None)
    assert cluster[2].disk.hard_state == hard_state(0, None)


def test_a_pre_vote_grant_echoes_the_term_and_a_refusal_names_the_own() -> None:
    """9.6: the grant is for a term the voter is not in; only a refusal teaches a newer term."""
    cluster = Cluster(3, terms={2: 3})
    cluster.receive(request_vote(1, 2, term=5, pre_vote=True))
    assert cluster.take_sent() == [vote(2, term=5, pre_vote=True)]
    cluster.receive(request_vote(1, 2, term=3, pre_vote=True))
    assert cluster.take_sent() == [vote(2, term=3, granted=False, pre_vote=True)]
    cluster = Cluster(3)
    cluster.time_out(1)
    cluster.receive(vote(2, term=3, granted=False, pre_vote=True))
    assert (cluster[1].raft.role, cluster[1].raft.term) == (Role.FOLLOWER, 3)


def test_any_number_of_pre_votes_may_be_granted() -> None:
    """9.6: it is not a vote: it does not bind, nor put off the voter's own election."""
    cluster = Cluster(3)
    deadline_ms = cluster[1].raft.deadline_ms
    for asking in (2, 3, 2):
        cluster.receive(request_vote(asking, 1, term=1, pre_vote=True))
    assert cluster.take_sent() == [vote(1, target=asking, term=1, pre_vote=True) for asking in (2, 3, 2)]
    assert cluster[1].raft.deadline_ms == deadline_ms


def test_a_pre_vote_grant_of_another_round_does_not_count() -> None:
    """9.6: an answer to a question that is no longer asked."""
    cluster = Cluster(3, terms={1: 4})
    cluster.time_out(1)
    cluster.receive(vote(2, term=4, pre_vote=True))
    cluster.receive(vote(2, term=7, pre_vote=True))
    assert (cluster[1].raft.role, cluster[1].raft.term) == (Role.PRE_CANDIDATE, 4)
    cluster.receive(vote(2, term=5, pre_vote=True))
    assert cluster[1].raft.role is Role.CANDIDATE


def test_a_node_that_cannot_win_never_raises_its_term() -> None:
    """9.6: "partitioned servers' terms do not increase, so that they do not disrupt on return"."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.isolate(3)
    cluster.pass_ms(60_000)
    assert cluster[3].raft.term == 1
    cluster.heal()
    cluster.pass_ms(2_000)
    assert (cluster[1].raft.role, cluster[1].raft.term) == (Role.LEADER, 1)


def test_learners_do_not_stand_for_election_but_vote_if_asked() -> None:
    """4.2.1 and 4.2.2: non-voting members; one may have been promoted without knowing it yet."""
    cluster = Cluster(3, learners=[4])
    cluster[4].clock_ms = 5_000
    cluster.time_out(4)
    assert cluster[4].raft.role is Role.FOLLOWER
    cluster.receive(timeout_now(4, term=1))
    assert cluster[4].raft.role is Role.FOLLOWER
    assert cluster.take_sent() == []
    cluster[4].clock_ms += 600
    cluster.receive(request_vote(2, 4, term=2))
    assert cluster.take_sent() == [vote(4, target=2, term=2)]


def test_votes_of_learners_do_not_count() -> None:
    """4.2.1: "not yet counted towards majorities"."""
    cluster = Cluster(3, learners=[4, 5])
    cluster.time_out(1)
    assert {message.target for message in cluster.take_sent()} == {2, 3}
    for learner in (4, 5):
        cluster.receive(vote(learner, term=1, pre_vote=True))
    assert cluster[1].raft.role is Role.PRE_CANDIDATE


def test_a_node_without_its_state_does_not_stand_for_election() -> None:
    """A snapshot is being installed: the node could lead, but apply nothing."""
    cluster = Cluster(3, writes_at_once=False)
    cluster.snapshots[Index(5), Term(1)] = entries(1, 1, 1, 1, 1, 1)
    cluster.receive(install(2, 5, 1, term=1, configuration=cluster.configuration))
    cluster.time_out(2)
    cluster.receive(timeout_now(2, term=1))
    assert cluster[2].raft.role is Role.FOLLOWER
    cluster.complete_writes(2)
    cluster.time_out(2)
    assert cluster[2].raft.role is Role.PRE_CANDIDATE


# --- dissertation 4.2.3, votes ignored ----------------------------------------------------


@pytest.mark.parametrize("pre_vote", [False, True])
def test_votes_are_ignored_within_an_election_timeout_of_hearing_a_leader(*, pre_vote: bool) -> None:
    """4.2.3: "if a server receives a RequestVote request within the minimum election timeout of
    hearing from a current leader, it does not update its term or grant its vote"."""
    cluster = Cluster(3)
    cluster.receive(heartbeat(2, term=1))
    cluster.take_sent()
    cluster[2].clock_ms = 599
    cluster.receive(request_vote(3, 2, term=2, pre_vote=pre_vote))
    assert cluster[2].raft.term == 1
    assert cluster.take_sent() == []
    cluster[2].clock_ms = 600
    cluster.receive(request_vote(3, 2, term=2, pre_vote=pre_vote))
    (answer,) = cluster.take_sent()
    assert answer == vote(2, target=3, term=2, pre_vote=pre_vote)


def test_a_leader_ignores_votes() -> None:
    """4.2.3: a leader hears itself; `check_quorum` is what ends its time."""
    cluster = Cluster(3)
    become_leader(cluster)
    cluster.receive(request_vote(3, 1, term=9, last=(9, 8)))
    assert (cluster[1].raft.role, cluster[1].raft.term) == (Role.LEADER, 1)


def test_a_transfers_vote_is_not_ignored() -> None:
    """4.2.3: "a special flag indicating ... the leader has permission to disrupt"."""
    cluster = Cluster(3)
    cluster.receive(heartbeat(2, term=1))
    cluster.take_sent()
    cluster.receive(request_vote(3, 2, term=2, leadership_transfer=True))
    assert cluster.take_sent() == [vote(2, target=3, term=2)]


# --- dissertation 6.2, the leader's majority ----------------------------------------------


def test_a_leader_without_a_majority_steps_down() -> None:
    """6.2: "A leader in Raft steps down if an election timeout elapses without a successful round of
    heartbeats to a majority of its cluster"."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.isolate(1)
    cluster.pass_ms(1_200)
    assert cluster[1].raft.role is not Role.LEADER
    assert cluster[1].raft.term == 1


def test_one_follower_of_two_keeps_a_leader() -> None:
    """6.2: a majority, the leader included."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.isolate(3)
    cluster.pass_ms(5_000)
    assert cluster[1].raft.role is Role.LEADER


def test_learners_do_not_keep_a_leader() -> None:
    """6.2: they are no part of the majority."""
    cluster = Cluster(3, learners=[4, 5])
    cluster.elect(1)
    cluster.isolate(2)
    cluster.isolate(3)
    cluster.pass_ms(1_200)
    assert cluster[1].raft.role is not Role.LEADER


def test_a_leader_that_hears_only_itself_sends_in_vain() -> None:
    """6.2: what counts is what it hears: its messages arrive, no answer does."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.cut((2, 1), (3, 1))
    cluster.pass_ms(1_200)
    assert cluster[1].raft.role is not Role.LEADER


# --- dissertation 3.10, transfer ----------------------------------------------------------


def test_transfer_1_no_new_proposals() -> None:
    """3.10: "1. The prior leader stops accepting new client requests."."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.cut((1, 2))
    cluster.propose(1)
    cluster.step(1, TransferLeadership(target=NodeId(2)))
    cluster.propose(1, ticket=9)
    (refused,) = cluster[1].refused
    assert (refused.ticket, refused.reason) == (9, Refusal.TRANSFERRING)


def test_transfer_2_the_target_is_brought_up_to_date_first() -> None:
    """3.10: "2. The prior leader fully updates the target server's log to match its own"."""
    cluster = Cluster(3)
    leader = become_leader(cluster)
    cluster.receive(heartbeat_response(2, term=1, round=0))
    cluster.take_sent()
    cluster.step(1, TransferLeadership(target=NodeId(2)))
    assert not any(isinstance(sent, TimeoutNow) for sent in cluster.take_sent())
    cluster.receive(accepted(2, term=1, match=leader.raft.last_log_index))
    assert timeout_now(2, term=1) in cluster.take_sent()


def test_transfer_3_the_target_starts_an_election_at_once() -> None:
    """3.10: "3. The prior leader sends a TimeoutNow request to the target server. This request has
    the same effect as the target server's election timer firing": without a pre-vote."""
    cluster = Cluster(3)
    cluster.receive(heartbeat(2, term=1))
    cluster.take_sent()
    cluster.receive(timeout_now(2, term=1))
    assert (cluster[2].raft.role, cluster[2].raft.term) == (Role.CANDIDATE, 2)
    assert cluster.take_sent() == [
        request_vote(2, 1, term=2, leadership_transfer=True),
        request_vote(2, 3, term=2, leadership_transfer=True),
    ]


def test_transfer_is_aborted_after_an_election_timeout() -> None:
    """3.10: "If leadership transfer does not complete after about an election timeout, the prior
    leader aborts the transfer and resumes accepting client requests"."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.pass_ms(100)
    cluster.cut((1, 2))
    cluster.propose(1)
    cluster.step(1, TransferLeadership(target=NodeId(2)))
    cluster.pass_ms(599)
    cluster.propose(1)
    cluster.pass_ms(1)
    cluster.propose(1)
    assert len(cluster[1].refused) == 1
    assert len(cluster[1].proposed) == 2


def test_transfer_goes_to_the_voter_that_is_furthest() -> None:
    """3.10: without a target, the one that can take over soonest; never a learner."""
    cluster = Cluster(3, learners=[4])
    cluster.elect(1)
    cluster.cut((1, 2))
    cluster.propose(1)
    cluster.deliver_all()
    cluster.step(1, TransferLeadership())
    assert [sent.target for sent in cluster.network if isinstance(sent, TimeoutNow)] == [3]
    cluster.deliver_all()
    assert cluster.leader.node_id == 3


@pytest.mark.parametrize("target", [1, 4, 9])
def test_transfer_to_one_that_cannot_lead_does_nothing(target: int) -> None:
    cluster = Cluster(3, learners=[4])
    cluster.elect(1)
    cluster.step(1, TransferLeadership(target=NodeId(target)))
    cluster.propose(1)
    assert cluster[1].refused == []
    assert not any(isinstance(sent, TimeoutNow) for sent in cluster.network)


def test_transfer_to_one_that_was_not_heard_lately_does_nothing() -> None:
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.isolate(2)
    cluster.pass_ms(700)
    cluster.step(1, TransferLeadership(target=NodeId(2)))
    cluster.propose(1)
    assert cluster[1].refused == []


def test_a_leader_deposed_during_a_transfer_forgets_it() -> None:
    """The transfer is the old leader's; a later term begins without."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.cut((1, 2))
    cluster.propose(1)
    cluster.step(1, TransferLeadership(target=NodeId(2)))
    cluster.receive(heartbeat(1, term=2, sender=3))
    cluster.propose(1)
    assert cluster[1].refused[-1].reason is Refusal.NOT_LEADER
    cluster.take_sent()
    cluster.heal()
    become_leader(cluster)
    cluster.propose(1, ticket=5)
    assert cluster[1].proposed[-1].ticket == 5


def test_a_late_timeout_now_of_an_old_term_is_ignored() -> None:
    cluster = Cluster(3)
    cluster.receive(heartbeat(2, term=3))
    cluster.receive(timeout_now(2, term=2))
    assert cluster[2].raft.role is Role.FOLLOWER


def test_timers_have_one_deadline() -> None:
    """`deadline_ms` is never missed by more than it says: a leader's is its next heartbeat."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.step(1, TimePassed())
    cluster.take_sent()
    assert cluster[1].raft.deadline_ms == cluster[1].clock_ms + 100
    cluster.time_out(1)
    assert {type(sent) for sent in cluster.take_sent()} == {Heartbeat}
