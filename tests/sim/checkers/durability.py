"""What is said must be on the disk: looked at when a message leaves, and after every turn."""

from __future__ import annotations

from kvraft.raft.messages import AppendEntriesAccepted, Message, RequestVote, RequestVoteResponse
from kvraft.raft.raft import Raft
from kvraft.raft.types import Index, Term
from kvraft.storage.interfaces import Applied
from kvraft.storage.memory_log import MemoryLog


def check_promise(message: Message, raft: Raft, log: MemoryLog) -> None:
    """Raises AssertionError if `message`, which leaves a node now, says what a crash would make untrue.
    `raft` is the node's algorithm, `log` what its disk holds."""
    hard_state = log._hard_state
    match message:
        case RequestVote(pre_vote=True) | RequestVoteResponse(pre_vote=True):
            return
        case RequestVote(sender=sender) if hard_state.term == message.term:
            assert hard_state.voted_for == sender, f"asks for votes without its own on disk: {message}"
        case RequestVoteResponse(granted=True, target=target) if hard_state.term == message.term:
            assert hard_state.voted_for == target, f"a vote that is not on disk: {message}, {hard_state}"
        case AppendEntriesAccepted(match_index=match_index):
            assert match_index <= log._last_index, f"accepts what is not on disk: {message}"
            if match_index > log._base_index:
                held = _term(log, match_index)
                # In memory, what was accepted may be overwritten already by a later leader than it was
                # accepted from; within a term nothing is.
                due = raft._state.log.term(match_index) if message.term == raft.term else None
                assert held == due if due is not None else held <= message.term, (
                    f"an entry of term {held} is on disk, not {due or 'what was accepted'}: {message}"
                )
        case _:
            pass
    assert hard_state.term >= message.term, f"a term that is not on disk: {message}, {hard_state}"


def check_state_behind_log(applied: Applied, log: MemoryLog) -> None:
    """Raises AssertionError if a crash now could leave a state that its log does not lead to."""
    if applied.index <= log._base_index:
        return
    assert applied.index <= log._last_index, f"the state is at {applied.index}, the log at {log._last_index}"
    term = _term(log, applied.index)
    assert term == applied.term, (
        f"the state is at {applied.index} of term {applied.term}, the log holds one of term {term} there"
    )


def check_persisted(raft: Raft, log: MemoryLog) -> None:
    """Raises AssertionError if the algorithm takes an entry for durable that is not on disk."""
    believed = raft._state.log
    index = believed.persisted_index
    if index <= max(believed.base_index, log._base_index):
        return
    assert index <= log._last_index, f"{index} counts as durable, the disk ends at {log._last_index}"
    assert _term(log, index) == believed.term(index), (
        f"{index} of term {believed.term(index)} counts as durable, on disk it has term {_term(log, index)}"
    )


def _term(log: MemoryLog, index: Index) -> Term:
    return log._entries[index - log._base_index - 1].term
