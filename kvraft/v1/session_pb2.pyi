import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from kvraft.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OpenMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OPEN_MODE_UNSPECIFIED: _ClassVar[OpenMode]
    OPEN_MODE_TAKE_OVER: _ClassVar[OpenMode]
    OPEN_MODE_FAIL_IF_OPEN: _ClassVar[OpenMode]
OPEN_MODE_UNSPECIFIED: OpenMode
OPEN_MODE_TAKE_OVER: OpenMode
OPEN_MODE_FAIL_IF_OPEN: OpenMode

class Device(_message.Message):
    __slots__ = ("device_id", "label", "create_revision", "create_time", "revoke_time")
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    CREATE_REVISION_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    REVOKE_TIME_FIELD_NUMBER: _ClassVar[int]
    device_id: str
    label: str
    create_revision: int
    create_time: _timestamp_pb2.Timestamp
    revoke_time: _timestamp_pb2.Timestamp
    def __init__(self, device_id: _Optional[str] = ..., label: _Optional[str] = ..., create_revision: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revoke_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Session(_message.Message):
    __slots__ = ("user_id", "device_id", "epoch", "lease_id", "gateway_address", "info", "open_time")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    INFO_FIELD_NUMBER: _ClassVar[int]
    OPEN_TIME_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    device_id: str
    epoch: int
    lease_id: int
    gateway_address: str
    info: bytes
    open_time: _timestamp_pb2.Timestamp
    def __init__(self, user_id: _Optional[str] = ..., device_id: _Optional[str] = ..., epoch: _Optional[int] = ..., lease_id: _Optional[int] = ..., gateway_address: _Optional[str] = ..., info: _Optional[bytes] = ..., open_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RegisterDeviceRequest(_message.Message):
    __slots__ = ("user_id", "device_id", "label", "request_id")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    device_id: str
    label: str
    request_id: _common_pb2.RequestId
    def __init__(self, user_id: _Optional[str] = ..., device_id: _Optional[str] = ..., label: _Optional[str] = ..., request_id: _Optional[_Union[_common_pb2.RequestId, _Mapping]] = ...) -> None: ...

class RegisterDeviceResponse(_message.Message):
    __slots__ = ("header", "device", "created", "device_set_revision")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    DEVICE_SET_REVISION_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    device: Device
    created: bool
    device_set_revision: int
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., device: _Optional[_Union[Device, _Mapping]] = ..., created: _Optional[bool] = ..., device_set_revision: _Optional[int] = ...) -> None: ...

class ListDevicesRequest(_message.Message):
    __slots__ = ("user_id", "consistency", "min_revision")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    consistency: _common_pb2.Consistency
    min_revision: int
    def __init__(self, user_id: _Optional[str] = ..., consistency: _Optional[_Union[_common_pb2.Consistency, str]] = ..., min_revision: _Optional[int] = ...) -> None: ...

class ListDevicesResponse(_message.Message):
    __slots__ = ("header", "devices", "device_set_revision", "revoke_time")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    DEVICE_SET_REVISION_FIELD_NUMBER: _ClassVar[int]
    REVOKE_TIME_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    devices: _containers.RepeatedCompositeFieldContainer[Device]
    device_set_revision: int
    revoke_time: _timestamp_pb2.Timestamp
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., devices: _Optional[_Iterable[_Union[Device, _Mapping]]] = ..., device_set_revision: _Optional[int] = ..., revoke_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RemoveDeviceRequest(_message.Message):
    __slots__ = ("user_id", "device_id", "request_id")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    device_id: str
    request_id: _common_pb2.RequestId
    def __init__(self, user_id: _Optional[str] = ..., device_id: _Optional[str] = ..., request_id: _Optional[_Union[_common_pb2.RequestId, _Mapping]] = ...) -> None: ...

class RemoveDeviceResponse(_message.Message):
    __slots__ = ("header", "purged_messages", "device_set_revision")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    PURGED_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    DEVICE_SET_REVISION_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    purged_messages: int
    device_set_revision: int
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., purged_messages: _Optional[int] = ..., device_set_revision: _Optional[int] = ...) -> None: ...

class OpenSessionRequest(_message.Message):
    __slots__ = ("user_id", "device_id", "lease_id", "gateway_address", "mode", "info", "request_id")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    INFO_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    device_id: str
    lease_id: int
    gateway_address: str
    mode: OpenMode
    info: bytes
    request_id: _common_pb2.RequestId
    def __init__(self, user_id: _Optional[str] = ..., device_id: _Optional[str] = ..., lease_id: _Optional[int] = ..., gateway_address: _Optional[str] = ..., mode: _Optional[_Union[OpenMode, str]] = ..., info: _Optional[bytes] = ..., request_id: _Optional[_Union[_common_pb2.RequestId, _Mapping]] = ...) -> None: ...

class OpenSessionResponse(_message.Message):
    __slots__ = ("header", "session", "replaced_epoch")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    REPLACED_EPOCH_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    session: Session
    replaced_epoch: int
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., session: _Optional[_Union[Session, _Mapping]] = ..., replaced_epoch: _Optional[int] = ...) -> None: ...

class CloseSessionRequest(_message.Message):
    __slots__ = ("user_id", "device_id", "epoch", "request_id")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    device_id: str
    epoch: int
    request_id: _common_pb2.RequestId
    def __init__(self, user_id: _Optional[str] = ..., device_id: _Optional[str] = ..., epoch: _Optional[int] = ..., request_id: _Optional[_Union[_common_pb2.RequestId, _Mapping]] = ...) -> None: ...

class CloseSessionResponse(_message.Message):
    __slots__ = ("header", "closed")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    closed: bool
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., closed: _Optional[bool] = ...) -> None: ...

class RevokeSessionsRequest(_message.Message):
    __slots__ = ("user_id", "device_id", "request_id")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    device_id: str
    request_id: _common_pb2.RequestId
    def __init__(self, user_id: _Optional[str] = ..., device_id: _Optional[str] = ..., request_id: _Optional[_Union[_common_pb2.RequestId, _Mapping]] = ...) -> None: ...

class RevokeSessionsResponse(_message.Message):
    __slots__ = ("header", "closed_sessions", "revoke_time")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CLOSED_SESSIONS_FIELD_NUMBER: _ClassVar[int]
    REVOKE_TIME_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    closed_sessions: int
    revoke_time: _timestamp_pb2.Timestamp
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., closed_sessions: _Optional[int] = ..., revoke_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetSessionRequest(_message.Message):
    __slots__ = ("user_id", "device_id", "consistency", "min_revision")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    device_id: str
    consistency: _common_pb2.Consistency
    min_revision: int
    def __init__(self, user_id: _Optional[str] = ..., device_id: _Optional[str] = ..., consistency: _Optional[_Union[_common_pb2.Consistency, str]] = ..., min_revision: _Optional[int] = ...) -> None: ...

class GetSessionResponse(_message.Message):
    __slots__ = ("header", "session")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    session: Session
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., session: _Optional[_Union[Session, _Mapping]] = ...) -> None: ...

class ListSessionsRequest(_message.Message):
    __slots__ = ("user_id", "lease_id", "page_size", "page_token", "consistency", "min_revision")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    lease_id: int
    page_size: int
    page_token: str
    consistency: _common_pb2.Consistency
    min_revision: int
    def __init__(self, user_id: _Optional[str] = ..., lease_id: _Optional[int] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., consistency: _Optional[_Union[_common_pb2.Consistency, str]] = ..., min_revision: _Optional[int] = ...) -> None: ...

class ListSessionsResponse(_message.Message):
    __slots__ = ("header", "sessions", "next_page_token")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    sessions: _containers.RepeatedCompositeFieldContainer[Session]
    next_page_token: str
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., sessions: _Optional[_Iterable[_Union[Session, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchSessionsRequest(_message.Message):
    __slots__ = ("user_ids", "lease_id", "from_revision")
    USER_IDS_FIELD_NUMBER: _ClassVar[int]
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_REVISION_FIELD_NUMBER: _ClassVar[int]
    user_ids: _containers.RepeatedScalarFieldContainer[str]
    lease_id: int
    from_revision: int
    def __init__(self, user_ids: _Optional[_Iterable[str]] = ..., lease_id: _Optional[int] = ..., from_revision: _Optional[int] = ...) -> None: ...

class WatchSessionsResponse(_message.Message):
    __slots__ = ("header", "events", "fragment")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    FRAGMENT_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    events: _containers.RepeatedCompositeFieldContainer[SessionEvent]
    fragment: bool
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., events: _Optional[_Iterable[_Union[SessionEvent, _Mapping]]] = ..., fragment: _Optional[bool] = ...) -> None: ...

class SessionEvent(_message.Message):
    __slots__ = ("kind", "session", "revision", "replaced_epoch")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[SessionEvent.Kind]
        KIND_OPENED: _ClassVar[SessionEvent.Kind]
        KIND_REPLACED: _ClassVar[SessionEvent.Kind]
        KIND_CLOSED: _ClassVar[SessionEvent.Kind]
        KIND_REVOKED: _ClassVar[SessionEvent.Kind]
        KIND_EXPIRED: _ClassVar[SessionEvent.Kind]
    KIND_UNSPECIFIED: SessionEvent.Kind
    KIND_OPENED: SessionEvent.Kind
    KIND_REPLACED: SessionEvent.Kind
    KIND_CLOSED: SessionEvent.Kind
    KIND_REVOKED: SessionEvent.Kind
    KIND_EXPIRED: SessionEvent.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REPLACED_EPOCH_FIELD_NUMBER: _ClassVar[int]
    kind: SessionEvent.Kind
    session: Session
    revision: int
    replaced_epoch: int
    def __init__(self, kind: _Optional[_Union[SessionEvent.Kind, str]] = ..., session: _Optional[_Union[Session, _Mapping]] = ..., revision: _Optional[int] = ..., replaced_epoch: _Optional[int] = ...) -> None: ...

class GetPresenceRequest(_message.Message):
    __slots__ = ("viewer_id", "user_ids", "consistency", "min_revision")
    VIEWER_ID_FIELD_NUMBER: _ClassVar[int]
    USER_IDS_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    viewer_id: str
    user_ids: _containers.RepeatedScalarFieldContainer[str]
    consistency: _common_pb2.Consistency
    min_revision: int
    def __init__(self, viewer_id: _Optional[str] = ..., user_ids: _Optional[_Iterable[str]] = ..., consistency: _Optional[_Union[_common_pb2.Consistency, str]] = ..., min_revision: _Optional[int] = ...) -> None: ...

class GetPresenceResponse(_message.Message):
    __slots__ = ("header", "presences")
    class Presence(_message.Message):
        __slots__ = ("user_id", "online", "last_seen_day")
        USER_ID_FIELD_NUMBER: _ClassVar[int]
        ONLINE_FIELD_NUMBER: _ClassVar[int]
        LAST_SEEN_DAY_FIELD_NUMBER: _ClassVar[int]
        user_id: str
        online: bool
        last_seen_day: _timestamp_pb2.Timestamp
        def __init__(self, user_id: _Optional[str] = ..., online: _Optional[bool] = ..., last_seen_day: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
    HEADER_FIELD_NUMBER: _ClassVar[int]
    PRESENCES_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    presences: _containers.RepeatedCompositeFieldContainer[GetPresenceResponse.Presence]
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., presences: _Optional[_Iterable[_Union[GetPresenceResponse.Presence, _Mapping]]] = ...) -> None: ...
