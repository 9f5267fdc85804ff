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

class ExportUserRequest(_message.Message):
    __slots__ = ("user_id", "note")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    note: str
    def __init__(self, user_id: _Optional[str] = ..., note: _Optional[str] = ...) -> None: ...

class ExportUserResponse(_message.Message):
    __slots__ = ("header", "lines")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    lines: bytes
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., lines: _Optional[bytes] = ...) -> None: ...

class EraseUserRequest(_message.Message):
    __slots__ = ("user_id", "note", "request_id")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    note: str
    request_id: _common_pb2.RequestId
    def __init__(self, user_id: _Optional[str] = ..., note: _Optional[str] = ..., request_id: _Optional[_Union[_common_pb2.RequestId, _Mapping]] = ...) -> None: ...

class EraseUserResponse(_message.Message):
    __slots__ = ("header", "existed", "erasure_id", "removed_rows")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    EXISTED_FIELD_NUMBER: _ClassVar[int]
    ERASURE_ID_FIELD_NUMBER: _ClassVar[int]
    REMOVED_ROWS_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    existed: bool
    erasure_id: int
    removed_rows: int
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., existed: _Optional[bool] = ..., erasure_id: _Optional[int] = ..., removed_rows: _Optional[int] = ...) -> None: ...

class GetErasureRequest(_message.Message):
    __slots__ = ("erasure_id",)
    ERASURE_ID_FIELD_NUMBER: _ClassVar[int]
    erasure_id: int
    def __init__(self, erasure_id: _Optional[int] = ...) -> None: ...

class GetErasureResponse(_message.Message):
    __slots__ = ("header", "applied", "log_clean", "state_clean", "clean_time")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    LOG_CLEAN_FIELD_NUMBER: _ClassVar[int]
    STATE_CLEAN_FIELD_NUMBER: _ClassVar[int]
    CLEAN_TIME_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    applied: bool
    log_clean: bool
    state_clean: bool
    clean_time: _timestamp_pb2.Timestamp
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., applied: _Optional[bool] = ..., log_clean: _Optional[bool] = ..., state_clean: _Optional[bool] = ..., clean_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CheckStateRequest(_message.Message):
    __slots__ = ("max_findings",)
    MAX_FINDINGS_FIELD_NUMBER: _ClassVar[int]
    max_findings: int
    def __init__(self, max_findings: _Optional[int] = ...) -> None: ...

class CheckStateResponse(_message.Message):
    __slots__ = ("header", "findings", "checked_rows", "total_rows", "done")
    class Finding(_message.Message):
        __slots__ = ("law", "subject", "detail")
        LAW_FIELD_NUMBER: _ClassVar[int]
        SUBJECT_FIELD_NUMBER: _ClassVar[int]
        DETAIL_FIELD_NUMBER: _ClassVar[int]
        law: str
        subject: str
        detail: str
        def __init__(self, law: _Optional[str] = ..., subject: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...
    HEADER_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    CHECKED_ROWS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_ROWS_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    findings: _containers.RepeatedCompositeFieldContainer[CheckStateResponse.Finding]
    checked_rows: int
    total_rows: int
    done: bool
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., findings: _Optional[_Iterable[_Union[CheckStateResponse.Finding, _Mapping]]] = ..., checked_rows: _Optional[int] = ..., total_rows: _Optional[int] = ..., done: _Optional[bool] = ...) -> None: ...

class ListAuditEntriesRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "consistency", "min_revision")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    consistency: _common_pb2.Consistency
    min_revision: int
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., consistency: _Optional[_Union[_common_pb2.Consistency, str]] = ..., min_revision: _Optional[int] = ...) -> None: ...

class ListAuditEntriesResponse(_message.Message):
    __slots__ = ("header", "entries", "next_page_token")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    entries: _containers.RepeatedCompositeFieldContainer[AuditEntry]
    next_page_token: str
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., entries: _Optional[_Iterable[_Union[AuditEntry, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class AuditEntry(_message.Message):
    __slots__ = ("revision", "time", "action", "user_id_sha256", "note")
    class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ACTION_UNSPECIFIED: _ClassVar[AuditEntry.Action]
        ACTION_EXPORT_USER: _ClassVar[AuditEntry.Action]
        ACTION_ERASE_USER: _ClassVar[AuditEntry.Action]
    ACTION_UNSPECIFIED: AuditEntry.Action
    ACTION_EXPORT_USER: AuditEntry.Action
    ACTION_ERASE_USER: AuditEntry.Action
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    USER_ID_SHA256_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    revision: int
    time: _timestamp_pb2.Timestamp
    action: AuditEntry.Action
    user_id_sha256: bytes
    note: str
    def __init__(self, revision: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., action: _Optional[_Union[AuditEntry.Action, str]] = ..., user_id_sha256: _Optional[bytes] = ..., note: _Optional[str] = ...) -> None: ...
