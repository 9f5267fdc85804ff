"""What nodes say about themselves."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kvraft.client.results import Header
from kvraft.v1 import cluster_pb2


class Role(StrEnum):
    """The role of a node (Raft paper, figure 4)."""

    UNKNOWN = "unknown"
    """A role this version of the library does not know."""
    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


_ROLES = {
    cluster_pb2.ROLE_FOLLOWER: Role.FOLLOWER,
    cluster_pb2.ROLE_PRE_CANDIDATE: Role.PRE_CANDIDATE,
    cluster_pb2.ROLE_CANDIDATE: Role.CANDIDATE,
    cluster_pb2.ROLE_LEADER: Role.LEADER,
}


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the cluster."""

    id: int
    client_address: str
    peer_address: str
    learner: bool
    """Whether it replicates without a vote."""
    match_index: int
    """On the leader: the last index known to be durable on this member."""
    active: bool
    """On the leader: whether it was heard of within an election timeout."""

    @classmethod
    def of(cls, message: cluster_pb2.Member) -> Member:
        return cls(
            message.id,
            message.client_address,
            message.peer_address,
            message.learner,
            message.match_index,
            message.active,
        )


class AlarmKind(StrEnum):
    """What an alarm is about."""

    UNKNOWN = "unknown"
    """A kind this version of the library does not know; its message still says what to do."""
    NO_SPACE = "no-space"
    """Less free disk than the reserve: writes that grow the state are refused."""
    DIVERGED = "diverged"
    """The member's state differs from the leader's at the same index."""
    CLOCK_SKEW = "clock-skew"
    """The member's clock, or the cluster's time, is far from what most voters take for the time."""
    PEER_REFUSED = "peer-refused"
    """The member, or somebody in its name, sent what no correct node sends. It was refused."""


_ALARM_KINDS = {
    cluster_pb2.ALARM_KIND_NO_SPACE: AlarmKind.NO_SPACE,
    cluster_pb2.ALARM_KIND_DIVERGED: AlarmKind.DIVERGED,
    cluster_pb2.ALARM_KIND_PEER_REFUSED: AlarmKind.PEER_REFUSED,
    cluster_pb2.ALARM_KIND_CLOCK_SKEW: AlarmKind.CLOCK_SKEW,
}


@dataclass(frozen=True, slots=True)
class Alarm:
    """A condition that stays until it is mended."""

    kind: AlarmKind
    member_id: int
    message: str
    """For people: what happened and what to do."""

    @classmethod
    def of(cls, message: cluster_pb2.Alarm) -> Alarm:
        return cls(_ALARM_KINDS.get(message.kind, AlarmKind.UNKNOWN), message.member_id, message.message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What a node knows about itself and its cluster."""

    header: Header
    version: str
    cluster_name: str
    role: Role
    commit_index: int
    applied_index: int
    first_log_index: int
    last_log_index: int
    state_digest: int
    """Of the whole state at `applied_index`; equal on every node at equal indexes."""
    flushed_index: int
    """The log index up to which the state is durable in LMDB."""
    state_bytes: int
    memory_table_bytes: int
    log_bytes: int
    uptime_ms: int
    members: tuple[Member, ...]
    alarms: tuple[Alarm, ...]

    @classmethod
    def of(cls, message: cluster_pb2.StatusResponse) -> Status:
        return cls(
            header=Header.of(message.header),
            version=message.version,
            cluster_name=message.cluster_name,
            role=_ROLES.get(message.role, Role.UNKNOWN),
            commit_index=message.commit_index,
            applied_index=message.applied_index,
            first_log_index=message.first_log_index,
            last_log_index=message.last_log_index,
            state_digest=message.state_digest,
            flushed_index=message.flushed_index,
            state_bytes=message.state_bytes,
            memory_table_bytes=message.memory_table_bytes,
            log_bytes=message.log_bytes,
            uptime_ms=message.uptime_ms,
            members=tuple(map(Member.of, message.members)),
            alarms=tuple(map(Alarm.of, message.alarms)),
        )
