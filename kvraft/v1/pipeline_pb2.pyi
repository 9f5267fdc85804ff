from kvraft.v1 import common_pb2 as _common_pb2
from kvraft.v1 import kv_pb2 as _kv_pb2
from kvraft.v1 import lease_pb2 as _lease_pb2
from kvraft.v1 import user_data_pb2 as _user_data_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PipelineRequest(_message.Message):
    __slots__ = ("tag", "writes", "reads")
    TAG_FIELD_NUMBER: _ClassVar[int]
    WRITES_FIELD_NUMBER: _ClassVar[int]
    READS_FIELD_NUMBER: _ClassVar[int]
    tag: int
    writes: WriteBatch
    reads: ReadBatch
    def __init__(self, tag: _Optional[int] = ..., writes: _Optional[_Union[WriteBatch, _Mapping]] = ..., reads: _Optional[_Union[ReadBatch, _Mapping]] = ...) -> None: ...

class WriteBatch(_message.Message):
    __slots__ = ("request_id", "commands")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    request_id: _common_pb2.RequestId
    commands: _containers.RepeatedCompositeFieldContainer[WriteCommand]
    def __init__(self, request_id: _Optional[_Union[_common_pb2.RequestId, _Mapping]] = ..., commands: _Optional[_Iterable[_Union[WriteCommand, _Mapping]]] = ...) -> None: ...

class WriteCommand(_message.Message):
    __slots__ = ("put", "delete", "delete_range", "compare_and_set", "batch_write", "txn", "grant_lease", "revoke_lease", "user_data")
    PUT_FIELD_NUMBER: _ClassVar[int]
    DELETE_FIELD_NUMBER: _ClassVar[int]
    DELETE_RANGE_FIELD_NUMBER: _ClassVar[int]
    COMPARE_AND_SET_FIELD_NUMBER: _ClassVar[int]
    BATCH_WRITE_FIELD_NUMBER: _ClassVar[int]
    TXN_FIELD_NUMBER: _ClassVar[int]
    GRANT_LEASE_FIELD_NUMBER: _ClassVar[int]
    REVOKE_LEASE_FIELD_NUMBER: _ClassVar[int]
    USER_DATA_FIELD_NUMBER: _ClassVar[int]
    put: _kv_pb2.PutRequest
    delete: _kv_pb2.DeleteRequest
    delete_range: _kv_pb2.DeleteRangeRequest
    compare_and_set: _kv_pb2.CompareAndSetRequest
    batch_write: _kv_pb2.BatchWriteRequest
    txn: _kv_pb2.TxnRequest
    grant_lease: _lease_pb2.GrantLeaseRequest
    revoke_lease: _lease_pb2.RevokeLeaseRequest
    user_data: _user_data_pb2.UserDataCommand
    def __init__(self, put: _Optional[_Union[_kv_pb2.PutRequest, _Mapping]] = ..., delete: _Optional[_Union[_kv_pb2.DeleteRequest, _Mapping]] = ..., delete_range: _Optional[_Union[_kv_pb2.DeleteRangeRequest, _Mapping]] = ..., compare_and_set: _Optional[_Union[_kv_pb2.CompareAndSetRequest, _Mapping]] = ..., batch_write: _Optional[_Union[_kv_pb2.BatchWriteRequest, _Mapping]] = ..., txn: _Optional[_Union[_kv_pb2.TxnRequest, _Mapping]] = ..., grant_lease: _Optional[_Union[_lease_pb2.GrantLeaseRequest, _Mapping]] = ..., revoke_lease: _Optional[_Union[_lease_pb2.RevokeLeaseRequest, _Mapping]] = ..., user_data: _Optional[_Union[_user_data_pb2.UserDataCommand, _Mapping]] = ...) -> None: ...

class ReadBatch(_message.Message):
    __slots__ = ("keys", "consistency", "min_revision")
    KEYS_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedScalarFieldContainer[bytes]
    consistency: _common_pb2.Consistency
    min_revision: int
    def __init__(self, keys: _Optional[_Iterable[bytes]] = ..., consistency: _Optional[_Union[_common_pb2.Consistency, str]] = ..., min_revision: _Optional[int] = ...) -> None: ...

class PipelineResponse(_message.Message):
    __slots__ = ("tag", "header", "results", "values", "error")
    TAG_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    tag: int
    header: _common_pb2.ResponseHeader
    results: _containers.RepeatedCompositeFieldContainer[WriteResult]
    values: _containers.RepeatedCompositeFieldContainer[ReadResult]
    error: PipelineError
    def __init__(self, tag: _Optional[int] = ..., header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., results: _Optional[_Iterable[_Union[WriteResult, _Mapping]]] = ..., values: _Optional[_Iterable[_Union[ReadResult, _Mapping]]] = ..., error: _Optional[_Union[PipelineError, _Mapping]] = ...) -> None: ...

class WriteResult(_message.Message):
    __slots__ = ("revision", "put", "delete", "delete_range", "compare_and_set", "batch_write", "txn", "grant_lease", "revoke_lease", "user_data", "error")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    PUT_FIELD_NUMBER: _ClassVar[int]
    DELETE_FIELD_NUMBER: _ClassVar[int]
    DELETE_RANGE_FIELD_NUMBER: _ClassVar[int]
    COMPARE_AND_SET_FIELD_NUMBER: _ClassVar[int]
    BATCH_WRITE_FIELD_NUMBER: _ClassVar[int]
    TXN_FIELD_NUMBER: _ClassVar[int]
    GRANT_LEASE_FIELD_NUMBER: _ClassVar[int]
    REVOKE_LEASE_FIELD_NUMBER: _ClassVar[int]
    USER_DATA_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    revision: int
    put: _kv_pb2.PutResponse
    delete: _kv_pb2.DeleteResponse
    delete_range: _kv_pb2.DeleteRangeResponse
    compare_and_set: _kv_pb2.CompareAndSetResponse
    batch_write: _kv_pb2.BatchWriteResponse
    txn: _kv_pb2.TxnResponse
    grant_lease: _lease_pb2.GrantLeaseResponse
    revoke_lease: _lease_pb2.RevokeLeaseResponse
    user_data: _user_data_pb2.UserDataResponse
    error: PipelineError
    def __init__(self, revision: _Optional[int] = ..., put: _Optional[_Union[_kv_pb2.PutResponse, _Mapping]] = ..., delete: _Optional[_Union[_kv_pb2.DeleteResponse, _Mapping]] = ..., delete_range: _Optional[_Union[_kv_pb2.DeleteRangeResponse, _Mapping]] = ..., compare_and_set: _Optional[_Union[_kv_pb2.CompareAndSetResponse, _Mapping]] = ..., batch_write: _Optional[_Union[_kv_pb2.BatchWriteResponse, _Mapping]] = ..., txn: _Optional[_Union[_kv_pb2.TxnResponse, _Mapping]] = ..., grant_lease: _Optional[_Union[_lease_pb2.GrantLeaseResponse, _Mapping]] = ..., revoke_lease: _Optional[_Union[_lease_pb2.RevokeLeaseResponse, _Mapping]] = ..., user_data: _Optional[_Union[_user_data_pb2.UserDataResponse, _Mapping]] = ..., error: _Optional[_Union[PipelineError, _Mapping]] = ...) -> None: ...

class ReadResult(_message.Message):
    __slots__ = ("kv", "omitted")
    KV_FIELD_NUMBER: _ClassVar[int]
    OMITTED_FIELD_NUMBER: _ClassVar[int]
    kv: _kv_pb2.KeyValue
    omitted: bool
    def __init__(self, kv: _Optional[_Union[_kv_pb2.KeyValue, _Mapping]] = ..., omitted: _Optional[bool] = ...) -> None: ...

class PipelineError(_message.Message):
    __slots__ = ("code", "reason", "message", "maybe_applied", "retry_after_ms", "field", "refused_positions")
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    MAYBE_APPLIED_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    REFUSED_POSITIONS_FIELD_NUMBER: _ClassVar[int]
    code: int
    reason: str
    message: str
    maybe_applied: bool
    retry_after_ms: int
    field: str
    refused_positions: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, code: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., maybe_applied: _Optional[bool] = ..., retry_after_ms: _Optional[int] = ..., field: _Optional[str] = ..., refused_positions: _Optional[_Iterable[int]] = ...) -> None: ...
