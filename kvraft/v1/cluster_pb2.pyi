from kvraft.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_UNSPECIFIED: _ClassVar[Role]
    ROLE_FOLLOWER: _ClassVar[Role]
    ROLE_PRE_CANDIDATE: _ClassVar[Role]
    ROLE_CANDIDATE: _ClassVar[Role]
    ROLE_LEADER: _ClassVar[Role]

class AlarmKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ALARM_KIND_UNSPECIFIED: _ClassVar[AlarmKind]
    ALARM_KIND_NO_SPACE: _ClassVar[AlarmKind]
    ALARM_KIND_DIVERGED: _ClassVar[AlarmKind]
    ALARM_KIND_PEER_REFUSED: _ClassVar[AlarmKind]
    ALARM_KIND_CLOCK_SKEW: _ClassVar[AlarmKind]
ROLE_UNSPECIFIED: Role
ROLE_FOLLOWER: Role
ROLE_PRE_CANDIDATE: Role
ROLE_CANDIDATE: Role
ROLE_LEADER: Role
ALARM_KIND_UNSPECIFIED: AlarmKind
ALARM_KIND_NO_SPACE: AlarmKind
ALARM_KIND_DIVERGED: AlarmKind
ALARM_KIND_PEER_REFUSED: AlarmKind
ALARM_KIND_CLOCK_SKEW: AlarmKind

class StatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StatusResponse(_message.Message):
    __slots__ = ("header", "version", "cluster_name", "role", "commit_index", "applied_index", "first_log_index", "last_log_index", "state_digest", "flushed_index", "state_bytes", "memory_table_bytes", "log_bytes", "uptime_ms", "members", "alarms")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_NAME_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    COMMIT_INDEX_FIELD_NUMBER: _ClassVar[int]
    APPLIED_INDEX_FIELD_NUMBER: _ClassVar[int]
    FIRST_LOG_INDEX_FIELD_NUMBER: _ClassVar[int]
    LAST_LOG_INDEX_FIELD_NUMBER: _ClassVar[int]
    STATE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    FLUSHED_INDEX_FIELD_NUMBER: _ClassVar[int]
    STATE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_TABLE_BYTES_FIELD_NUMBER: _ClassVar[int]
    LOG_BYTES_FIELD_NUMBER: _ClassVar[int]
    UPTIME_MS_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    ALARMS_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    version: str
    cluster_name: str
    role: Role
    commit_index: int
    applied_index: int
    first_log_index: int
    last_log_index: int
    state_digest: int
    flushed_index: int
    state_bytes: int
    memory_table_bytes: int
    log_bytes: int
    uptime_ms: int
    members: _containers.RepeatedCompositeFieldContainer[Member]
    alarms: _containers.RepeatedCompositeFieldContainer[Alarm]
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., version: _Optional[str] = ..., cluster_name: _Optional[str] = ..., role: _Optional[_Union[Role, str]] = ..., commit_index: _Optional[int] = ..., applied_index: _Optional[int] = ..., first_log_index: _Optional[int] = ..., last_log_index: _Optional[int] = ..., state_digest: _Optional[int] = ..., flushed_index: _Optional[int] = ..., state_bytes: _Optional[int] = ..., memory_table_bytes: _Optional[int] = ..., log_bytes: _Optional[int] = ..., uptime_ms: _Optional[int] = ..., members: _Optional[_Iterable[_Union[Member, _Mapping]]] = ..., alarms: _Optional[_Iterable[_Union[Alarm, _Mapping]]] = ...) -> None: ...

class Member(_message.Message):
    __slots__ = ("id", "client_address", "peer_address", "learner", "match_index", "active")
    ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PEER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    LEARNER_FIELD_NUMBER: _ClassVar[int]
    MATCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    id: int
    client_address: str
    peer_address: str
    learner: bool
    match_index: int
    active: bool
    def __init__(self, id: _Optional[int] = ..., client_address: _Optional[str] = ..., peer_address: _Optional[str] = ..., learner: _Optional[bool] = ..., match_index: _Optional[int] = ..., active: _Optional[bool] = ...) -> None: ...

class Alarm(_message.Message):
    __slots__ = ("kind", "member_id", "message")
    KIND_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    kind: AlarmKind
    member_id: int
    message: str
    def __init__(self, kind: _Optional[_Union[AlarmKind, str]] = ..., member_id: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...
