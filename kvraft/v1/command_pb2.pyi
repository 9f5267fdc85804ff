from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CommandBatch(_message.Message):
    __slots__ = ("version", "time_ms", "groups")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    version: int
    time_ms: int
    groups: _containers.RepeatedCompositeFieldContainer[CommandGroup]
    def __init__(self, version: _Optional[int] = ..., time_ms: _Optional[int] = ..., groups: _Optional[_Iterable[_Union[CommandGroup, _Mapping]]] = ...) -> None: ...

class CommandGroup(_message.Message):
    __slots__ = ("origin_id", "group_id", "commands")
    ORIGIN_ID_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    origin_id: int
    group_id: int
    commands: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, origin_id: _Optional[int] = ..., group_id: _Optional[int] = ..., commands: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Command(_message.Message):
    __slots__ = ("put", "delete", "delete_range", "compare_and_set", "batch_write")
    PUT_FIELD_NUMBER: _ClassVar[int]
    DELETE_FIELD_NUMBER: _ClassVar[int]
    DELETE_RANGE_FIELD_NUMBER: _ClassVar[int]
    COMPARE_AND_SET_FIELD_NUMBER: _ClassVar[int]
    BATCH_WRITE_FIELD_NUMBER: _ClassVar[int]
    put: PutCommand
    delete: DeleteCommand
    delete_range: DeleteRangeCommand
    compare_and_set: CompareAndSetCommand
    batch_write: BatchWriteCommand
    def __init__(self, put: _Optional[_Union[PutCommand, _Mapping]] = ..., delete: _Optional[_Union[DeleteCommand, _Mapping]] = ..., delete_range: _Optional[_Union[DeleteRangeCommand, _Mapping]] = ..., compare_and_set: _Optional[_Union[CompareAndSetCommand, _Mapping]] = ..., batch_write: _Optional[_Union[BatchWriteCommand, _Mapping]] = ...) -> None: ...

class PutCommand(_message.Message):
    __slots__ = ("key", "value", "return_previous")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    RETURN_PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    value: bytes
    return_previous: bool
    def __init__(self, key: _Optional[bytes] = ..., value: _Optional[bytes] = ..., return_previous: _Optional[bool] = ...) -> None: ...

class DeleteCommand(_message.Message):
    __slots__ = ("key", "return_previous")
    KEY_FIELD_NUMBER: _ClassVar[int]
    RETURN_PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    return_previous: bool
    def __init__(self, key: _Optional[bytes] = ..., return_previous: _Optional[bool] = ...) -> None: ...

class DeleteRangeCommand(_message.Message):
    __slots__ = ("start", "end", "limit")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    start: bytes
    end: bytes
    limit: int
    def __init__(self, start: _Optional[bytes] = ..., end: _Optional[bytes] = ..., limit: _Optional[int] = ...) -> None: ...

class CompareAndSetCommand(_message.Message):
    __slots__ = ("key", "expected_revision", "value", "delete")
    KEY_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_REVISION_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    DELETE_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    expected_revision: int
    value: bytes
    delete: bool
    def __init__(self, key: _Optional[bytes] = ..., expected_revision: _Optional[int] = ..., value: _Optional[bytes] = ..., delete: _Optional[bool] = ...) -> None: ...

class BatchWriteCommand(_message.Message):
    __slots__ = ("operations",)
    class Operation(_message.Message):
        __slots__ = ("key", "value", "delete")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        DELETE_FIELD_NUMBER: _ClassVar[int]
        key: bytes
        value: bytes
        delete: bool
        def __init__(self, key: _Optional[bytes] = ..., value: _Optional[bytes] = ..., delete: _Optional[bool] = ...) -> None: ...
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    operations: _containers.RepeatedCompositeFieldContainer[BatchWriteCommand.Operation]
    def __init__(self, operations: _Optional[_Iterable[_Union[BatchWriteCommand.Operation, _Mapping]]] = ...) -> None: ...
