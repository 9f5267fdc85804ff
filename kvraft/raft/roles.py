"""What a node knows only because of its role: each role's data lives and dies with the role, so
that leader data cannot exist on a follower."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from kvraft.raft.progress import NEVER_MS, Progress
from kvraft.raft.ready import Role
from kvraft.raft.types import Index, NodeId


@dataclass(slots=True, kw_only=True)
class Follower:
    """ "Followers are passive: they issue no requests on their own" (5.1)."""

    leader: NodeId | None
    last_contact_ms: int = NEVER_MS
    """When the leader was last heard; within an election timeout of it, votes are refused."""


@dataclass(slots=True, kw_only=True)
class PreCandidate:
    """Asks whether an election could be won, without disturbing anybody (dissertation 9.6)."""

    granted: set[NodeId]
    refused: set[NodeId] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class Candidate:
    """Has voted for itself and asks the others. Its own vote counts once it is durable."""

    granted: set[NodeId] = field(default_factory=set)
    refused: set[NodeId] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class PendingRound:
    """Reads that are confirmed once a majority has answered heartbeat round `round`."""

    round: int
    index: Index
    tickets: list[int]


@dataclass(slots=True, kw_only=True)
class Transfer:
    """Leadership is being handed over (dissertation 3.10); no proposals are taken meanwhile."""

    target: NodeId
    deadline_ms: int


@dataclass(slots=True, kw_only=True)
class Leader:
    """ "Volatile state on leaders (reinitialized after election)", and what reads need."""

    progress: dict[NodeId, Progress]
    term_start: Index
    """The index of the no-op that began this term; reads wait until it is committed."""
    heartbeat_due_ms: int
    quorum_check_due_ms: int
    uncommitted_bytes: int = 0
    """Of the entries of this term that are not yet handed over for applying."""
    round: int = 0
    """Rises with each round of heartbeats and never repeats within a term."""
    new_reads: list[int] = field(default_factory=list)
    """Tickets for which no round was sent yet."""
    pending_rounds: deque[PendingRound] = field(default_factory=deque)
    transfer: Transfer | None = None
    stalled_since_ms: int | None = None
    """Since when the own disk has not confirmed what it was given; None while it keeps up."""


RoleState = Follower | PreCandidate | Candidate | Leader


def role_of(state: RoleState) -> Role:
    """The name of a role."""
    match state:
        case Follower():
            return Role.FOLLOWER
        case PreCandidate():
            return Role.PRE_CANDIDATE
        case Candidate():
            return Role.CANDIDATE
        case Leader():
            return Role.LEADER
