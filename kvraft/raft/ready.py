"""What is owed to the world after some steps, and in which order.

The order of effects is written here and nowhere else:

1. `messages` may leave at once.
2. `install_snapshot`, then `hard_state` and `entries`, go to stable storage as one write. (Where a
   snapshot has to wait, hard state and the messages that promise only it may go ahead.)
3. When that write is durable, `messages_after_persist` may leave, and `Persisted` (or
   `SnapshotInstalled`) is stepped. Writes complete in the order they were made; what was
   handed out while one is under way is the next one.
4. `committed` is applied at once, in order; it never holds an entry that is not durable here.
5. `confirmed_reads` are served as soon as their index is applied, after `committed`.
6. `send_snapshots` start from the state as it is after `committed`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from kvraft.raft.messages import Message
from kvraft.raft.types import Entry, HardState, Index, NodeId, SnapshotMetadata, Term


class Role(Enum):
    """The states of figure 4, with the pre-vote of dissertation 9.6."""

    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


class Refusal(Enum):
    """Why a proposal was not taken. It is in no log and never will be."""

    NOT_LEADER = "not leader"
    TRANSFERRING = "leadership is being handed over"
    OVERLOADED = "too many uncommitted bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleChange:
    """Who leads, as far as this node knows, and what it is itself."""

    role: Role
    term: Term
    leader: NodeId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """The proposal `ticket` became the entry (index, term); it may still be overwritten."""

    ticket: int
    index: Index
    term: Term


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The proposal `ticket` was not taken."""

    ticket: int
    reason: Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmedRead:
    """The read `ticket` is linearizable once `index` is applied."""

    ticket: int
    index: Index


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongClaim:
    """A peer said what cannot be (`claims`); nothing of it was believed."""

    peer: NodeId
    claim: str
    """Follows the peer's name in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendSnapshot:
    """Stream the state to `target` and step `SnapshotReported` when that has ended."""

    target: NodeId
    term: Term
    snapshot: SnapshotMetadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Everything owed since the last `Raft.take_ready()`. The module says in which order."""

    role_change: RoleChange | None
    hard_state: HardState | None
    entries: tuple[Entry, ...]
    """To append; where the log already holds an entry at the first index, it and all that
    follow it are overwritten."""
    install_snapshot: SnapshotMetadata | None
    """Make the snapshot that waits beside the state the state, and drop the log before it.
    Entries of the same `Ready` follow the snapshot."""
    messages: tuple[Message, ...]
    messages_after_persist: tuple[Message, ...]
    committed: tuple[Entry, ...]
    proposed: tuple[Proposed, ...]
    refused: tuple[Refused, ...]
    confirmed_reads: tuple[ConfirmedRead, ...]
    failed_reads: tuple[int, ...]
    """Tickets of reads that will not be confirmed: leadership was lost, or never held."""
    send_snapshots: tuple[SendSnapshot, ...]
    wrong_claims: tuple[WrongClaim, ...]
    """For people: messages that were refused."""
