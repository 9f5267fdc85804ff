"""What calls answer: the messages of `kvraft.v1` as frozen values of plain Python types."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kvraft.v1 import cluster_pb2, common_pb2, kv_pb2


@dataclass(frozen=True, slots=True)
class Header:
    """Who answered, and how far that node had come."""

    cluster_id: int
    """Unsigned 64 bits."""
    member_id: int
    leader_id: int
    """The leader that node follows; 0 if it knows none."""
    term: int
    revision: int
    """Of a write: the revision it was given, or that of the unchanged state. Of a read: that of the
    state that was read."""

    @classmethod
    def of(cls, message: common_pb2.ResponseHeader) -> Header:
        return cls(message.cluster_id, message.member_id, message.leader_id, message.term, message.revision)

    @classmethod
    def at(cls, message: common_pb2.ResponseHeader, revision: int) -> Header:
        """The header of one of several answers that share a message."""
        return cls(message.cluster_id, message.member_id, message.leader_id, message.term, revision)


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A key with its value and its history in three numbers."""

    key: bytes
    value: bytes
    """Empty where only keys were asked for."""
    create_revision: int
    """The revision that created the key (since it was last deleted)."""
    mod_revision: int
    """The revision that last wrote the key: what `compare_and_set` compares."""
    version: int
    """How often the key was written since it was created; 1 after its creation."""
    lease_id: int = 0
    """The lease that the key ends with; 0: none."""

    @classmethod
    def of(cls, message: kv_pb2.KeyValue) -> KeyValue:
        return cls(
            message.key,
            message.value,
            message.create_revision,
            message.mod_revision,
            message.version,
            message.lease_id,
        )


@dataclass(frozen=True, slots=True)
class PutResult:
    header: Header
    previous: KeyValue | None
    """What the key held before, if it existed and `return_previous` was asked for."""


@dataclass(frozen=True, slots=True)
class GetResult:
    header: Header
    kv: KeyValue | None
    """`None` if the key does not exist."""


@dataclass(frozen=True, slots=True)
class DeleteResult:
    header: Header
    deleted: bool
    """Whether the key existed."""
    previous: KeyValue | None
    """What the key held, if it existed and `return_previous` was asked for."""


@dataclass(frozen=True, slots=True)
class DeleteRangeResult:
    header: Header
    deleted: int
    """How many keys were deleted."""
    more: bool
    """Whether keys of the range are left because of the limit; call again."""


@dataclass(frozen=True, slots=True)
class RangePage:
    header: Header
    kvs: tuple[KeyValue, ...]
    """The keys of this page, in the asked order."""
    next_page_token: str
    """Token of the next page; empty on the last one."""


@dataclass(frozen=True, slots=True)
class CountResult:
    header: Header
    count: int
    """How many keys the range holds."""


@dataclass(frozen=True, slots=True)
class CompareAndSetResult:
    header: Header
    succeeded: bool
    """Whether the comparison held and the update was made."""
    current: KeyValue | None
    """If it did not hold: what the key holds; `None` if it does not exist."""


@dataclass(frozen=True, slots=True)
class BatchWriteResult:
    header: Header
    existed: tuple[bool, ...]
    """For each operation, whether its key existed just before it."""


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
