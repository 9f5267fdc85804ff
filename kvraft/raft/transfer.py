"""Leadership transfer: dissertation 3.10."""

from __future__ import annotations

from kvraft.raft.messages import TimeoutNow
from kvraft.raft.roles import Candidate, Follower, Leader, PreCandidate, Transfer
from kvraft.raft.state import State
from kvraft.raft.types import NodeId, Standing


def begin(state: State, leader: Leader, target: NodeId | None) -> None:
    """1. "The prior leader stops accepting new client requests." Without a target, the voter that
    is furthest and was heard lately; without such a one nothing happens."""
    if leader.transfer is not None:
        return
    heard = [
        peer
        for peer in state.configuration.voters
        if peer != state.node_id
        and not leader.progress[peer].is_set_aside
        and leader.progress[peer].standing is Standing.MEMBER
        and state.now_ms - leader.progress[peer].last_heard_ms <= state.settings.election_timeout_ms
    ]
    if target is None:
        target = max(heard, key=lambda peer: leader.progress[peer].match_index, default=None)
    if target not in heard:
        return
    leader.transfer = Transfer(target=target, deadline_ms=state.now_ms + state.settings.election_timeout_ms)
    continue_transfer(state, leader)


def continue_transfer(state: State, leader: Leader) -> None:
    """2. "The prior leader fully updates the target server's log to match its own", then 3. "sends
    a TimeoutNow request to the target server"."""
    transfer = leader.transfer
    if transfer is None or leader.progress[transfer.target].match_index < state.log.last_index:
        return
    state.send(TimeoutNow(sender=state.node_id, target=transfer.target, term=state.term))


def expire(state: State, leader: Leader) -> None:
    """ "If leadership transfer does not complete after about an election timeout, the prior leader
    aborts the transfer and resumes accepting client requests." One that may not lead steps down instead."""
    if leader.transfer is not None and leader.transfer.deadline_ms <= state.now_ms:
        leader.transfer = None
        if state.standing is not Standing.MEMBER:
            state.become_follower(state.term, None)


def on_diverged(state: State) -> None:
    """Whoever has another state than a majority goes on replicating and voting, but does not lead: a leader
    hands over, or steps down where nobody can take over at once."""
    if state.standing is not Standing.MEMBER:
        return
    state.standing = Standing.DIVERGED
    match state.role:
        case Leader() as leader:
            begin(state, leader, None)
            if leader.transfer is None:
                state.become_follower(state.term, None)
        case PreCandidate() | Candidate():
            state.become_follower(state.term, None)
        case Follower():
            pass
