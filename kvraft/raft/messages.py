"""What nodes say to each other. Our own classes; protobuf stays in `kvraft.rpc`.

Every message names its sender, its target and the sender's term ("current terms are
exchanged whenever servers communicate", 5.1).
"""

from __future__ import annotations

from dataclasses import dataclass

from kvraft.raft.types import Entry, Index, NodeId, SnapshotMetadata, Standing, Term


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestVote:
    """ "Invoked by candidates to gather votes" (5.2)."""

    sender: NodeId
    target: NodeId
    term: Term
    """The candidate's term; of a pre-vote, the term it would start."""
    last_log_index: Index
    last_log_term: Term
    pre_vote: bool = False
    """Only asks whether the vote would be given (dissertation 9.6)."""
    leadership_transfer: bool = False
    """The leader itself asked for this election, so its lease is no objection (dissertation 4.2.3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestVoteResponse:
    """The answer to `RequestVote`."""

    sender: NodeId
    target: NodeId
    term: Term
    """Granted: the term that was asked for. Refused: the voter's term."""
    granted: bool
    pre_vote: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendEntries:
    """ "Invoked by leader to replicate log entries" (5.3)."""

    sender: NodeId
    target: NodeId
    term: Term
    prev_log_index: Index
    prev_log_term: Term
    entries: tuple[Entry, ...]
    leader_commit: Index


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendEntriesAccepted:
    """The follower's log equals the leader's up to `match_index`, durably."""

    sender: NodeId
    target: NodeId
    term: Term
    match_index: Index


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendEntriesRefused:
    """The entry at `rejected_index` is not the leader's, or the leader's term is old.

    The hint is the follower's last index whose entry has at most the refused term, so that
    one probe per term is enough, in both directions (5.3, "the protocol can be optimized").
    """

    sender: NodeId
    target: NodeId
    term: Term
    rejected_index: Index
    hint_index: Index
    hint_term: Term


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """ "I lead", and how far this follower may commit."""

    sender: NodeId
    target: NodeId
    term: Term
    commit_index: Index
    """min(the follower's match index, the leader's commit index): never what it may not hold."""
    round: int
    """Rises with every round of heartbeats; its echo confirms reads (dissertation 6.4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatResponse:
    """The answer to `Heartbeat`."""

    sender: NodeId
    target: NodeId
    term: Term
    round: int
    standing: Standing = Standing.MEMBER
    wall_ms: int | None = None
    """What the sender's machine takes for the time, milliseconds since the Unix epoch: not the algorithm's,
    and put in where the message leaves."""
    follows_commits: bool = False
    """Whether each commit is to be told to the sender at once; put in likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallSnapshot:
    """A whole snapshot has arrived from the leader and waits beside the state (section 7)."""

    sender: NodeId
    target: NodeId
    term: Term
    snapshot: SnapshotMetadata


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeoutNow:
    """ "Start an election at once" (dissertation 3.10)."""

    sender: NodeId
    target: NodeId
    term: Term


Message = (
    RequestVote
    | RequestVoteResponse
    | AppendEntries
    | AppendEntriesAccepted
    | AppendEntriesRefused
    | Heartbeat
    | HeartbeatResponse
    | InstallSnapshot
    | TimeoutNow
)
