"""Figure 2 of the paper, sentence by sentence."""

from __future__ import annotations

from kvraft.raft.messages import (
    AppendEntries,
    AppendEntriesAccepted,
    AppendEntriesRefused,
    Heartbeat,
    Message,
    RequestVoteResponse,
)
from kvraft.raft.progress import ProgressMode
from kvraft.raft.ready import Role
from kvraft.raft.types import EntryKind, NodeId
from tests.unit.raft.harness import (
    Cluster,
    accepted,
    append,
    become_leader,
    entries,
    entry,
    hard_state,
    heartbeat,
    refused,
    request_vote,
    vote,
)

# --- State --------------------------------------------------------------------------------


def test_persistent_state_is_on_disk_before_the_answer() -> None:
    """ "Updated on stable storage before responding to RPCs": currentTerm and votedFor."""
    cluster = Cluster(3, writes_at_once=False)
    cluster.receive(request_vote(2, 1, term=1))
    assert cluster.take_sent() == []
    cluster.complete_write(1)
    assert cluster[1].disk.hard_state == hard_state(1, 2)
    assert cluster.take_sent() == [vote(1, target=2, term=1)]


def test_the_log_is_on_disk_before_the_answer() -> None:
    """ "Updated on stable storage before responding to RPCs": log[]."""
    cluster = Cluster(3, writes_at_once=False)
    cluster.receive(append(2, *entries(1, 1), term=1))
    assert cluster.take_sent() == []
    cluster.complete_write(2)
    assert cluster[2].disk.log == list(entries(1, 1))
    assert cluster.take_sent() == [accepted(2, term=1, match=1)]


def test_even_a_refusal_waits_for_the_term_on_disk() -> None:
    """ "Updated on stable storage before responding to RPCs": a refusal names the new term."""
    cluster = Cluster(3, writes_at_once=False)
    cluster.receive(append(2, term=4, prev=(7, 3)))
    assert cluster.take_sent() == []
    cluster.complete_write(2)
    assert cluster[2].disk.hard_state.term == 4
    assert cluster.take_sent() == [refused(2, term=4, rejected=7, hint=(0, 0))]


def test_current_term_is_zero_on_first_boot() -> None:
    """ "currentTerm: initialized to 0 on first boot, increases monotonically"."""
    cluster = Cluster(3)
    assert cluster[1].raft.term == 0
    cluster.receive(heartbeat(2, term=5))
    cluster.receive(heartbeat(2, term=3))
    assert cluster[2].raft.term == 5


def test_voted_for_is_forgotten_in_a_new_term() -> None:
    """ "votedFor: candidateId that received vote in current term (or null if none)"."""
    cluster = Cluster(3)
    cluster.receive(request_vote(2, 1, term=1))
    assert cluster[1].core.voted_for == 2
    cluster.receive(heartbeat(1, sender=3, term=2))
    assert cluster[1].core.voted_for is None


def test_the_first_entry_has_index_1_and_the_leaders_term() -> None:
    """ "Each entry contains command for state machine, and term when entry was received by leader
    (first index is 1)"."""
    cluster = Cluster(1)
    cluster.elect(1)
    cluster.propose(1, b"x")
    first, second = cluster[1].state
    assert (first.index, first.term, first.kind) == (1, 1, EntryKind.NOOP)
    assert (second.index, second.term, second.data) == (2, 1, b"x")


def test_commit_index_begins_with_what_the_state_holds_and_only_rises() -> None:
    """ "commitIndex: initialized to 0, increases monotonically": after a restart, with the applied
    index, since what is applied was committed."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.propose(1)
    cluster.pass_ms(100)
    cluster.flush_and_compact(2, 1)
    cluster[2].disk.state = cluster[2].disk.state[:1]
    cluster.crash(2)
    cluster.restart(2)
    assert (cluster[2].raft.commit_index, cluster[2].raft.applied_index) == (1, 1)
    cluster.pass_ms(200)
    assert cluster[2].raft.commit_index == 2
    cluster.receive(heartbeat(2, term=1, commit=1))
    assert cluster[2].raft.commit_index == 2


def test_next_index_begins_after_the_leaders_last_entry() -> None:
    """ "nextIndex[]: initialized to leader last log index + 1": the last one before its no-op."""
    leader = become_leader(Cluster(3, logs={1: [1, 1, 2]}))
    assert leader.progress(2).next_index == 4
    assert leader.raft.last_log_index == 4


def test_match_index_begins_with_0_and_only_rises() -> None:
    """ "matchIndex[]: initialized to 0, increases monotonically"."""
    cluster = Cluster(3, logs={1: [1, 1, 2]})
    leader = become_leader(cluster)
    assert leader.progress(2).match_index == 0
    cluster.receive(accepted(2, term=3, match=4))
    cluster.receive(accepted(2, term=3, match=1))
    assert leader.progress(2).match_index == 4


def test_leader_state_is_reinitialized_after_election() -> None:
    """ "Volatile state on leaders (reinitialized after election)"."""
    cluster = Cluster(3)
    leader = become_leader(cluster)
    cluster.receive(accepted(2, term=1, match=1))
    assert leader.progress(2).match_index == 1
    cluster.receive(heartbeat(1, sender=3, term=2))
    assert leader.raft.followers == {}
    become_leader(cluster)
    assert leader.progress(2).match_index == 0


# --- AppendEntries RPC --------------------------------------------------------------------


def test_append_1_an_old_term_is_refused() -> None:
    """1. "Reply false if term < currentTerm (5.1)", and the answer names the newer term."""
    cluster = Cluster(3, terms={2: 5})
    cluster.receive(append(2, *entries(1, 1), term=4))
    (answer,) = cluster.take_sent()
    assert isinstance(answer, AppendEntriesRefused)
    assert answer.term == 5
    assert cluster[2].log_terms == []


def test_append_2_without_the_entry_before_it_is_refused() -> None:
    """2. "Reply false if log doesn't contain an entry at prevLogIndex whose term matches
    prevLogTerm (5.3)": the entry is missing."""
    cluster = Cluster(3, logs={2: [1, 1]})
    cluster.receive(append(2, *entries(4, 1), term=1, prev=(3, 1)))
    assert cluster.take_sent() == [refused(2, term=1, rejected=3, hint=(2, 1))]
    assert cluster[2].log_terms == [1, 1]


def test_append_2_with_another_entry_before_it_is_refused() -> None:
    """2. The entry is there, of another term."""
    cluster = Cluster(3, logs={2: [1, 2]})
    cluster.receive(append(2, *entries(3, 3), term=3, prev=(2, 3)))
    assert cluster.take_sent() == [refused(2, term=3, rejected=2, hint=(2, 2))]
    assert cluster[2].log_terms == [1, 2]


def test_append_3_a_conflict_deletes_the_entry_and_all_that_follow_it() -> None:
    """3. "If an existing entry conflicts with a new one (same index but different terms), delete
    the existing entry and all that follow it (5.3)"."""
    cluster = Cluster(3, logs={2: [1, 2, 2, 2]})
    cluster.receive(append(2, *entries(2, 3), term=3, prev=(1, 1)))
    assert cluster[2].log_terms == [1, 3]
    assert [held.term for held in cluster[2].disk.log] == [1, 3]


def test_append_3_without_a_conflict_nothing_is_deleted() -> None:
    """3. Entries that follow the new ones stay, if those are there already."""
    cluster = Cluster(3, logs={2: [1, 2, 2, 2]})
    cluster.receive(append(2, *entries(2, 2), term=2, prev=(1, 1)))
    cluster.receive(append(2, term=2, prev=(1, 1)))
    assert cluster[2].log_terms == [1, 2, 2, 2]


def test_append_4_only_new_entries_are_appended() -> None:
    """4. "Append any new entries not already in the log"."""
    cluster = Cluster(3, logs={2: [1, 1]})
    cluster.receive(append(2, *entries(2, 1, 1, 2), term=2, prev=(1, 1)))
    assert cluster[2].log_terms == [1, 1, 1, 2]
    assert cluster.take_sent() == [accepted(2, term=2, match=4)]


def test_append_5_commits_up_to_the_last_new_entry() -> None:
    """5. "If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new
    entry)": what follows it may differ from the leader's log."""
    cluster = Cluster(3, logs={2: [1, 1, 1, 1]})
    cluster.receive(append(2, *entries(2, 1), term=2, prev=(1, 1), commit=4))
    assert cluster[2].raft.commit_index == 2
    cluster.receive(append(2, *entries(3, 1), term=2, prev=(2, 1), commit=1))
    assert cluster[2].raft.commit_index == 2
    cluster.receive(append(2, *entries(3, 1), term=2, prev=(2, 1), commit=3))
    assert cluster[2].raft.commit_index == 3


# --- RequestVote RPC ----------------------------------------------------------------------


def test_vote_1_an_old_term_is_refused() -> None:
    """1. "Reply false if term < currentTerm (5.1)"."""
    cluster = Cluster(3, terms={1: 5})
    cluster.receive(request_vote(2, 1, term=4, last=(9, 4)))
    assert cluster.take_sent() == [vote(1, target=2, term=5, granted=False)]
    assert cluster[1].core.voted_for is None


def test_vote_2_the_first_candidate_gets_it() -> None:
    """2. "If votedFor is null or candidateId, and candidate's log is at least as up-to-date as
    receiver's log, grant vote (5.2, 5.4)"."""
    cluster = Cluster(3)
    cluster.receive(request_vote(2, 1, term=1))
    cluster.receive(request_vote(3, 1, term=1))
    cluster.receive(request_vote(2, 1, term=1))
    assert cluster.take_sent() == [
        vote(1, target=2, term=1),
        vote(1, target=3, term=1, granted=False),
        vote(1, target=2, term=1),
    ]


def test_vote_2_a_candidate_with_an_older_log_does_not_get_it() -> None:
    """2. And is not voted for, but its term is taken."""
    cluster = Cluster(3, logs={1: [1, 2]})
    cluster.receive(request_vote(2, 1, term=3, last=(5, 1)))
    assert cluster.take_sent() == [vote(1, target=2, term=3, granted=False)]
    assert (cluster[1].raft.term, cluster[1].core.voted_for) == (3, None)


def test_vote_survives_a_restart() -> None:
    """2. "votedFor" is persistent: another candidate is refused after a crash too."""
    cluster = Cluster(3)
    cluster.receive(request_vote(2, 1, term=1))
    cluster.crash(1)
    cluster.restart(1)
    cluster.take_sent()
    cluster.receive(request_vote(3, 1, term=1))
    assert cluster.take_sent() == [vote(1, target=3, term=1, granted=False)]


# --- Rules for Servers: all servers -------------------------------------------------------


def test_committed_entries_are_applied_in_order() -> None:
    """ "If commitIndex > lastApplied: increment lastApplied, apply log[lastApplied] to state machine"."""
    cluster = Cluster(3)
    cluster.receive(append(2, *entries(1, 1, 1, 1), term=1, commit=2))
    assert cluster[2].state == list(entries(1, 1, 1))
    cluster.receive(heartbeat(2, term=1, commit=3))
    assert cluster[2].state == list(entries(1, 1, 1, 1))
    assert cluster[2].raft.applied_index == 3


def test_every_request_of_a_newer_term_makes_a_follower() -> None:
    """ "If RPC request or response contains term T > currentTerm: set currentTerm = T, convert to
    follower (5.1)": requests."""
    requests: list[Message] = [
        append(1, term=9, sender=2),
        heartbeat(1, term=9, sender=2),
        request_vote(2, 1, term=9, last=(9, 8), leadership_transfer=True),
    ]
    for request in requests:
        cluster = Cluster(3)
        become_leader(cluster)
        cluster.receive(request)
        assert (cluster[1].raft.role, cluster[1].raft.term) == (Role.FOLLOWER, 9)


def test_every_response_of_a_newer_term_makes_a_follower() -> None:
    """The same: responses, whatever they answer."""
    responses: list[Message] = [
        accepted(2, term=9, match=0),
        refused(2, term=9, rejected=0, hint=(0, 0)),
        vote(2, term=9, granted=False),
        vote(2, term=9, granted=False, pre_vote=True),
    ]
    for response in responses:
        cluster = Cluster(3)
        become_leader(cluster)
        cluster.receive(response)
        assert (cluster[1].raft.role, cluster[1].raft.term) == (Role.FOLLOWER, 9)
        assert cluster[1].raft.leader_id is None


# --- Rules for Servers: followers, candidates ---------------------------------------------


def test_followers_respond_to_candidates_and_leaders() -> None:
    """ "Respond to RPCs from candidates and leaders"."""
    cluster = Cluster(3)
    cluster.receive(request_vote(2, 1, term=1))
    cluster.receive(append(1, *entries(1, 1), term=1, sender=2))
    answers = cluster.take_sent()
    assert [type(answer) for answer in answers] == [RequestVoteResponse, AppendEntriesAccepted]


def test_a_follower_without_a_leader_stands_for_election() -> None:
    """ "If election timeout elapses without receiving AppendEntries RPC from current leader or
    granting vote to candidate: convert to candidate" - with a pre-vote first."""
    cluster = Cluster(3)
    deadline_ms = cluster[1].raft.deadline_ms
    cluster[1].clock_ms = deadline_ms - 1
    cluster.time_out(1)
    assert cluster[1].raft.role is Role.PRE_CANDIDATE


def test_the_leader_and_a_granted_vote_put_the_election_off() -> None:
    """The same: hearing from the leader and granting a vote begin the timeout anew; refusing a vote
    does not."""
    cluster = Cluster(3, logs={1: [1]})
    node = cluster[1]
    for message in (
        heartbeat(1, term=1, sender=2),
        append(1, term=1, sender=2),
        request_vote(3, 1, term=2, last=(1, 1)),
    ):
        cluster = Cluster(3, logs={1: [1]})
        node = cluster[1]
        node.clock_ms = node.raft.deadline_ms - 1
        cluster.receive(message)
        assert node.raft.deadline_ms >= node.clock_ms + 600
    cluster = Cluster(3, logs={1: [1]})
    node = cluster[1]
    node.clock_ms = node.raft.deadline_ms - 1
    cluster.receive(request_vote(3, 1, term=1))
    assert node.raft.deadline_ms == node.clock_ms + 1


def test_a_candidate_increments_its_term_votes_for_itself_and_asks_everyone() -> None:
    """ "On conversion to candidate, start election: increment currentTerm, vote for self, reset
    election timer, send RequestVote RPCs to all other servers"."""
    cluster = Cluster(3, logs={1: [1, 2]})
    cluster.time_out(1)
    cluster.take_sent()
    before_ms = cluster[1].raft.deadline_ms
    cluster[1].clock_ms += 100
    cluster.receive(vote(2, term=3, pre_vote=True))
    assert cluster[1].disk.hard_state == hard_state(3, 1)
    assert cluster[1].raft.deadline_ms != before_ms
    assert cluster.take_sent() == [
        request_vote(1, 2, term=3, last=(2, 2)),
        request_vote(1, 3, term=3, last=(2, 2)),
    ]


def test_a_majority_of_votes_makes_a_leader() -> None:
    """ "If votes received from majority of servers: become leader"."""
    cluster = Cluster(5)
    cluster.time_out(1)
    for voter in (2, 3):
        cluster.receive(vote(voter, term=1, pre_vote=True))
    assert cluster[1].raft.role is Role.CANDIDATE
    cluster.receive(vote(2, term=1))
    cluster.receive(vote(2, term=1))
    cluster.receive(vote(4, term=1, granted=False))
    assert cluster[1].raft.role is Role.CANDIDATE
    cluster.receive(vote(3, term=1))
    assert cluster[1].raft.role is Role.LEADER


def test_a_candidate_follows_the_new_leader() -> None:
    """ "If AppendEntries RPC received from new leader: convert to follower"."""
    for message in (append(1, term=1, sender=2), heartbeat(1, term=1, sender=2)):
        cluster = Cluster(3)
        cluster.time_out(1)
        cluster.receive(vote(2, term=1, pre_vote=True))
        assert cluster[1].raft.role is Role.CANDIDATE
        cluster.receive(message)
        assert (cluster[1].raft.role, cluster[1].raft.leader_id) == (Role.FOLLOWER, 2)
        assert cluster[1].core.voted_for == 1


def test_a_candidate_whose_timeout_elapses_starts_again() -> None:
    """ "If election timeout elapses: start new election" - asking first, once more."""
    cluster = Cluster(3)
    cluster.time_out(1)
    cluster.receive(vote(2, term=1, pre_vote=True))
    cluster.take_sent()
    cluster.time_out(1)
    assert cluster[1].raft.role is Role.PRE_CANDIDATE
    assert cluster.take_sent() == [
        request_vote(1, 2, term=2, pre_vote=True),
        request_vote(1, 3, term=2, pre_vote=True),
    ]


# --- Rules for Servers: leaders -----------------------------------------------------------


def test_a_new_leader_sends_at_once() -> None:
    """ "Upon election: send initial empty AppendEntries RPCs (heartbeat) to each server": here with
    the no-op that begins the term, and repeated as heartbeats."""
    cluster = Cluster(3)
    cluster.time_out(1)
    cluster.receive(vote(2, term=1, pre_vote=True))
    cluster.take_sent()
    cluster.receive(vote(2, term=1))
    sent = cluster.take_sent()
    assert [(type(message), message.target) for message in sent] == [(AppendEntries, 2), (AppendEntries, 3)]
    assert cluster[1].raft.deadline_ms <= cluster[1].clock_ms


def test_heartbeats_prevent_election_timeouts() -> None:
    """ "Repeat during idle periods to prevent election timeouts (5.2)"."""
    cluster = Cluster(3)
    cluster.elect(1)
    changes = [len(node.role_changes) for node in cluster.nodes.values()]
    cluster.pass_ms(10_000)
    assert [len(node.role_changes) for node in cluster.nodes.values()] == changes
    cluster[1].clock_ms += 100
    cluster.time_out(1)
    assert {type(message) for message in cluster.take_sent()} == {Heartbeat}


def test_a_command_is_answered_after_it_is_applied() -> None:
    """ "If command received from client: append entry to local log, respond after entry applied to
    state machine (5.3)"."""
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.propose(1, b"x", ticket=7)
    (proposed,) = cluster[1].proposed
    assert (proposed.ticket, proposed.index, proposed.term) == (7, 2, 1)
    assert len(cluster[1].state) == 1
    cluster.deliver_all()
    assert cluster[1].state[proposed.index - 1].data == b"x"


def test_what_a_follower_lacks_is_sent_from_next_index_on() -> None:
    """ "If last log index >= nextIndex for a follower: send AppendEntries RPC with log entries
    starting at nextIndex"."""
    cluster = Cluster(3)
    become_leader(cluster)
    cluster.receive(accepted(2, term=1, match=1))
    cluster.take_sent()
    cluster.propose(1, b"x")
    (sent,) = cluster.take_sent()
    assert isinstance(sent, AppendEntries)
    assert (sent.target, sent.prev_log_index, [new.data for new in sent.entries]) == (2, 1, [b"x"])


def test_success_moves_next_and_match() -> None:
    """ "If successful: update nextIndex and matchIndex for follower (5.3)"."""
    cluster = Cluster(3, logs={1: [1, 1]})
    leader = become_leader(cluster)
    cluster.receive(accepted(2, term=2, match=3))
    progress = leader.progress(2)
    assert (progress.match_index, progress.next_index) == (3, 4)
    assert progress.mode is ProgressMode.REPLICATE


def test_inconsistency_moves_next_back_and_retries() -> None:
    """ "If AppendEntries fails because of log inconsistency: decrement nextIndex and retry (5.3)"."""
    cluster = Cluster(3, logs={1: [1, 1, 1]})
    become_leader(cluster)
    cluster.receive(refused(2, term=2, rejected=3, hint=(1, 1)))
    (sent,) = cluster.take_sent()
    assert isinstance(sent, AppendEntries)
    assert (sent.prev_log_index, [new.index for new in sent.entries]) == (1, [2, 3, 4])


def test_a_majority_of_match_indexes_commits_an_entry_of_the_own_term() -> None:
    """ "If there exists an N such that N > commitIndex, a majority of matchIndex[i] >= N, and
    log[N].term == currentTerm: set commitIndex = N (5.3, 5.4)"."""
    cluster = Cluster(5, logs={1: [1, 1]})
    leader = become_leader(cluster, voters=(2, 3))
    cluster.receive(accepted(2, term=2, match=2))
    cluster.receive(accepted(3, term=2, match=2))
    assert leader.raft.commit_index == 0, "entry 2 is of an old term"
    cluster.receive(accepted(2, term=2, match=3))
    assert leader.raft.commit_index == 0, "entry 3 is on two of five"
    cluster.receive(accepted(3, term=2, match=3))
    assert leader.raft.commit_index == 3
    assert NodeId(1) in leader.raft.configuration.voters


def test_an_applied_entry_is_the_one_that_was_sent() -> None:
    """Entries travel unchanged: kind, data, index and term."""
    cluster = Cluster(3)
    sent = entry(1, 1, b"\x00\xff")
    cluster.receive(append(2, sent, term=1, commit=1))
    assert cluster[2].state == [sent]
