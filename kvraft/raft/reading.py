"""Linearizable reads without writing the log: the read index of dissertation 6.4."""

from __future__ import annotations

from kvraft.raft.ready import ConfirmedRead
from kvraft.raft.roles import Leader, PendingRound
from kvraft.raft.state import State


def on_request_read(state: State, ticket: int) -> None:
    """Takes a read that will be confirmed by the next round, or fails it."""
    match state.role:
        case Leader() as leader if len(leader.new_reads) < state.settings.pending_reads_max:
            leader.new_reads.append(ticket)
        case _:
            state.outbox.failed_reads.append(ticket)


def start_pending_round(state: State, leader: Leader) -> None:
    """Sends a round of heartbeats for the reads that came since the last one.

    "If the leader has not yet marked an entry from its current term committed, it waits until it
    has done so", since only then its commit index is known to include everything that was ever
    acknowledged. One round is under way at a time: reads that come meanwhile share the next, and
    each is confirmed only by a round *sent after* it came.
    """
    if not leader.new_reads or leader.pending_rounds or state.commit_index < leader.term_start:
        return
    state.start_round(leader)
    leader.pending_rounds.append(
        PendingRound(round=leader.round, index=state.commit_index, tickets=leader.new_reads)
    )
    leader.new_reads = []
    confirm_rounds(state, leader)


def confirm_rounds(state: State, leader: Leader) -> None:
    """Confirms the reads of every round that a majority has answered, the leader included."""
    if not leader.pending_rounds:
        return
    rounds = {peer: progress.acknowledged_round for peer, progress in leader.progress.items()}
    rounds[state.node_id] = leader.round
    confirmed = state.configuration.quorum_value(rounds)
    while leader.pending_rounds and leader.pending_rounds[0].round <= confirmed:
        done = leader.pending_rounds.popleft()
        state.outbox.confirmed_reads.extend(
            ConfirmedRead(ticket=ticket, index=done.index) for ticket in done.tickets
        )
