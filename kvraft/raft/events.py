"""What can happen to a node. `Raft.step(event, now_ms)` takes one of these at a time."""

from __future__ import annotations

from dataclasses import dataclass

from kvraft.raft.messages import Message
from kvraft.raft.types import HardState, Index, NodeId, Term


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Nothing happened, but `Raft.deadline_ms` has come."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message arrived."""

    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Propose:
    """Please replicate this command. `Ready.proposed` or `Ready.refused` names the ticket."""

    ticket: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRead:
    """Which index must be applied for a linearizable read? `Ready.confirmed_reads` or
    `Ready.failed_reads` names the ticket. A ticket is never used twice."""

    ticket: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Persisted:
    """One write of the log is durable: everything of the `Ready`s it was made of.

    The last entry is named with its term, so that a late completion of entries that were
    overwritten meanwhile is never counted.
    """

    hard_state: HardState | None = None
    """The hard state of that write, if it had one."""
    last_index: Index | None = None
    """The last entry of that write, if it had any."""
    last_term: Term | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotInstalled:
    """The snapshot of `Ready.install_snapshot` is the state now, durably."""

    index: Index


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotReported:
    """The transfer of `Ready.send_snapshots` to this follower ended."""

    target: NodeId
    succeeded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """The log no longer holds entries up to and with this index."""

    index: Index


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreachable:
    """The connection to this peer broke; what was in flight may be lost."""

    peer: NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitWanted:
    """This peer waits for what is in the log now to commit (its clients' commands, or a read): tell
    it as soon as that happens, not with the next entries or heartbeat."""

    peer: NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferLeadership:
    """Hand leadership to this voter, or to the most up-to-date one (dissertation 3.10)."""

    target: NodeId | None = None


@dataclass(frozen=True, slots=True)
class StateDiverged:
    """A majority holds another state than this node at the same index (`Standing.DIVERGED`)."""


Event = (
    TimePassed
    | Received
    | Propose
    | RequestRead
    | Persisted
    | SnapshotInstalled
    | SnapshotReported
    | StateDiverged
    | Compacted
    | Unreachable
    | CommitWanted
    | TransferLeadership
)
