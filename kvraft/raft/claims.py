"""What a message may claim: looked at once, at the door, before any rule believes it.

A message of a correct node never contradicts what this node knows for certain: its own log, what is
committed, who leads the term, what it has sent itself. One that does, or whose numbers no cluster
reaches, comes from a node that is broken, or from somebody else in its name. It is refused: nothing of
it is believed, nothing of it is stored, nothing answers it, and `Ready.wrong_claims` names the sender.
It is never a reason to stop: what another node says proves nothing about this node's own data.

A term is stored the moment it is believed, and every node follows it. So a term may only be so far
ahead of the own one (`TERM_JUMP_MAX`): whoever invents terms comes nowhere near the end of the numbers
with one message or a million, and elections go on above what was invented. Only a node that has never
known a term, which may have to join a cluster of any age, believes a higher one.
"""

from __future__ import annotations

from kvraft.raft.messages import (
    AppendEntries,
    AppendEntriesAccepted,
    AppendEntriesRefused,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
    Message,
    RequestVote,
    TimeoutNow,
)
from kvraft.raft.roles import Leader
from kvraft.raft.state import State
from kvraft.raft.types import INDEX_MAX, TERM_MAX, Index, SnapshotMetadata, Term

TERM_JUMP_MAX = 1 << 32
"""How far ahead of the own term a term may be: at an election every 0.6 s, eighty years of them."""
FIRST_TERM_MAX = TERM_MAX // 2
"""Of what a node without any term believes."""
INDEX_JUMP_MAX = 1 << 48
"""How far ahead of what is committed here a snapshot may be."""


def wrong_claim(state: State, message: Message) -> str | None:
    """What is wrong with a message of a peer, in words that follow the peer's name; None: nothing."""
    return _impossible_number(state, message) or _contradiction(state, message)


# --- numbers ------------------------------------------------------------------------------


def _impossible_number(state: State, message: Message) -> str | None:
    term = message.term
    limit = state.term + TERM_JUMP_MAX if state.term else FIRST_TERM_MAX
    if term > min(limit, TERM_MAX):
        return f"speaks of term {term}, which no cluster reaches that was in term {state.term}"
    index = _highest_index(message)
    if index > INDEX_MAX:
        return f"speaks of entry {index}, which no log reaches"
    return None


def _highest_index(message: Message) -> Index:
    match message:
        case RequestVote(last_log_index=index) | AppendEntriesAccepted(match_index=index):
            return index
        case AppendEntries(leader_commit=commit):
            return max(commit, Index(message.prev_log_index + len(message.entries)))
        case AppendEntriesRefused(rejected_index=rejected, hint_index=hint):
            return max(rejected, hint)
        case Heartbeat(commit_index=index) | InstallSnapshot(snapshot=SnapshotMetadata(index=index)):
            return index
        case _:
            return Index(0)


# --- what this node knows better ----------------------------------------------------------


def _contradiction(state: State, message: Message) -> str | None:
    if message.term < state.term:
        return None  # nothing of it is believed anyway
    match message:
        case RequestVote(pre_vote=False, term=term, last_log_term=last_log_term) if last_log_term >= term:
            return f"asks for votes in term {term} and says that its log is of term {last_log_term} already"
        case AppendEntries():
            return _other_leader(state, message) or _overwrites_committed(state, message)
        case Heartbeat(commit_index=index):
            return _other_leader(state, message) or _counts_what_is_not_here(state, index)
        case TimeoutNow():
            return _other_leader(state, message)
        case InstallSnapshot(snapshot=snapshot):
            return _other_leader(state, message) or _no_successor(state, message.term, snapshot)
        case AppendEntriesAccepted(match_index=index) if message.term == state.term:
            return _holds_more(state, index)
        case HeartbeatResponse(round=answered) if message.term == state.term:
            return _answers_unasked(state, answered)
        case _:
            return None


def _other_leader(
    state: State, message: AppendEntries | Heartbeat | TimeoutNow | InstallSnapshot
) -> str | None:
    """5.2, Election Safety: "at most one leader can be elected in a given term"."""
    known = state.leader_id
    if message.term > state.term or known is None or known == message.sender:
        return None
    return f"says that it leads term {state.term}, which node {known} does"


def _overwrites_committed(state: State, message: AppendEntries) -> str | None:
    """5.4.3, Leader Completeness: a leader holds every committed entry."""
    log = state.log
    for entry in message.entries:
        if entry.index > state.commit_index:
            break
        if entry.index > log.base_index and log.term(entry.index) != entry.term:
            return (
                f"would, as leader of term {message.term}, overwrite entry {entry.index}, although entries "
                f"up to {state.commit_index} are committed"
            )
    return None


def _counts_what_is_not_here(state: State, commit_index: Index) -> str | None:
    """A leader tells a follower of no commit that it does not know to be on the follower's disk."""
    if commit_index <= state.log.last_index:
        return None
    return (
        f"counts entries up to {commit_index} as durable here, but this log ends at {state.log.last_index}: "
        "if it is right, this node has lost acknowledged data, and must be re-seeded"
    )


def _no_successor(state: State, term: Term, snapshot: SnapshotMetadata) -> str | None:
    """Terms only rise along a log, and a leader's is never higher than its own."""
    if snapshot.term > term or snapshot.index > state.commit_index + INDEX_JUMP_MAX:
        return f"sends a snapshot of entry {snapshot.index}, term {snapshot.term}, in term {term}"
    if snapshot.index > state.commit_index:
        committed_term = state.log.term(state.commit_index)
        if committed_term is not None and snapshot.term < committed_term:
            return (
                f"sends a snapshot that ends with term {snapshot.term}, but entry {state.commit_index} of "
                f"term {committed_term} is committed before it"
            )
    return None


def _holds_more(state: State, match_index: Index) -> str | None:
    """A follower's log never equals more than its leader has."""
    if not isinstance(state.role, Leader) or match_index <= state.log.last_index:
        return None
    return (
        f"holds entries up to {match_index} in term {state.term}, but its leader's log ends at "
        f"{state.log.last_index}"
    )


def _answers_unasked(state: State, answered: int) -> str | None:
    """Rounds confirm reads, so what was not asked is not answered."""
    if not isinstance(state.role, Leader) or answered <= state.role.round:
        return None
    return f"answers round {answered} of heartbeats in term {state.term}, and {state.role.round} were sent"
