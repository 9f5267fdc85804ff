"""Leader election: section 5.2 and the restriction of 5.4.1, with pre-vote and leader
stickiness (dissertation 9.6, 4.2.3) and the leader's own check of its majority (6.2)."""

from __future__ import annotations

from kvraft.raft.messages import RequestVote, RequestVoteResponse
from kvraft.raft.roles import Candidate, Follower, Leader, PreCandidate
from kvraft.raft.state import State
from kvraft.raft.types import TERM_MAX, EntryKind, HardState, Index, Standing, Term


def on_election_timeout(state: State) -> None:
    """ "If election timeout elapses without receiving AppendEntries RPC from current leader or
    granting vote to candidate: convert to candidate" - after asking whether that can succeed."""
    if not may_campaign(state):
        state.reset_election_timer()
        return
    state.become_pre_candidate()
    if state.configuration.has_quorum({state.node_id}):
        start_election(state, leadership_transfer=False)
        return
    _request_votes(state, Term(state.term + 1), pre_vote=True, leadership_transfer=False)


def may_campaign(state: State) -> bool:
    """Only voters of full standing stand for election, and only once they know of every membership change
    that may be committed (dissertation 4.1: the newest configuration counts from when it is appended)."""
    if state.standing is not Standing.MEMBER:
        return False
    if state.node_id not in state.configuration.voters or state.installing is not None:
        return False
    if state.term >= TERM_MAX:
        return False
    first = Index(state.applied_index + 1)
    unapplied = state.log.slice(first, state.commit_index, bytes_max=1 << 62)
    return all(entry.kind is not EntryKind.CONFIGURATION for entry in unapplied)


def start_election(state: State, *, leadership_transfer: bool) -> None:
    """ "On conversion to candidate, start election: increment currentTerm, vote for self, reset
    election timer, send RequestVote RPCs to all other servers"."""
    state.become_candidate()
    _request_votes(state, state.term, pre_vote=False, leadership_transfer=leadership_transfer)


def _request_votes(state: State, term: Term, *, pre_vote: bool, leadership_transfer: bool) -> None:
    for voter in state.configuration.voters:
        if voter != state.node_id:
            state.send_after_persist(
                RequestVote(
                    sender=state.node_id,
                    target=voter,
                    term=term,
                    last_log_index=state.log.last_index,
                    last_log_term=state.log.last_term,
                    pre_vote=pre_vote,
                    leadership_transfer=leadership_transfer,
                )
            )


def hears_a_leader(state: State) -> bool:
    """ "if a server receives a RequestVote request within the minimum election timeout of hearing
    from a current leader, it does not update its term or grant its vote" (dissertation 4.2.3)."""
    match state.role:
        case Leader():
            return True
        case Follower(leader=leader, last_contact_ms=last_contact_ms):
            return leader is not None and state.now_ms - last_contact_ms < state.settings.election_timeout_ms
        case _:
            return False


def on_request_vote(state: State, message: RequestVote) -> None:
    """ "Receiver implementation" of RequestVote. The caller has dealt with newer terms."""
    if message.pre_vote:
        granted = message.term > state.term and state.log.is_up_to_date(
            message.last_log_index, message.last_log_term
        )
        _answer(state, message, granted=granted, term=message.term if granted else state.term)
        return
    # 1. "Reply false if term < currentTerm (5.1)"
    if message.term < state.term:
        _answer(state, message, granted=False, term=state.term)
        return
    # 2. "If votedFor is null or candidateId, and candidate's log is at least as up-to-date as
    #    receiver's log, grant vote (5.2, 5.4)"
    may_vote = state.voted_for == message.sender or (state.voted_for is None and state.leader_id is None)
    granted = may_vote and state.log.is_up_to_date(message.last_log_index, message.last_log_term)
    if granted:
        state.voted_for = message.sender
        state.reset_election_timer()
    _answer(state, message, granted=granted, term=state.term)


def _answer(state: State, request: RequestVote, *, granted: bool, term: Term) -> None:
    """A pre-vote grant repeats the term that was asked for, which is not the voter's own."""
    state.send_after_persist(
        RequestVoteResponse(
            sender=state.node_id,
            target=request.sender,
            term=term,
            granted=granted,
            pre_vote=request.pre_vote,
        )
    )


def on_request_vote_response(state: State, message: RequestVoteResponse) -> None:
    """Counts an answer; ignores those to questions that are no longer asked."""
    match state.role:
        case PreCandidate() as role if message.pre_vote:
            current = not message.granted or message.term == state.term + 1
        case Candidate() as role if not message.pre_vote:
            current = message.term == state.term
        case _:
            return
    if current:
        (role.granted if message.granted else role.refused).add(message.sender)
        _count_votes(state, role)


def on_vote_persisted(state: State, hard_state: HardState) -> None:
    """The candidate's own vote is durable and counts, also where it is the only one."""
    match state.role:
        case Candidate() as role if hard_state == state.hard_state:
            role.granted.add(state.node_id)
            _count_votes(state, role)
        case _:
            pass


def _count_votes(state: State, role: PreCandidate | Candidate) -> None:
    """ "If votes received from majority of servers: become leader"; if a majority refused, wait as a
    follower for a better candidate."""
    if state.configuration.has_quorum(role.granted):
        if isinstance(role, PreCandidate):
            start_election(state, leadership_transfer=False)
        else:
            state.become_leader()
    elif state.configuration.has_quorum(role.refused):
        state.become_follower(state.term, None)
