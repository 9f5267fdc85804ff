from kvraft.v1 import user_data_pb2 as _user_data_pb2
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
    __slots__ = ("put", "delete", "delete_range", "compare_and_set", "batch_write", "txn", "list", "register_client", "unregister_client", "grant_lease", "renew_leases", "revoke_lease", "expire", "user_data", "client_id", "sequence", "first_unacknowledged")
    PUT_FIELD_NUMBER: _ClassVar[int]
    DELETE_FIELD_NUMBER: _ClassVar[int]
    DELETE_RANGE_FIELD_NUMBER: _ClassVar[int]
    COMPARE_AND_SET_FIELD_NUMBER: _ClassVar[int]
    BATCH_WRITE_FIELD_NUMBER: _ClassVar[int]
    TXN_FIELD_NUMBER: _ClassVar[int]
    LIST_FIELD_NUMBER: _ClassVar[int]
    REGISTER_CLIENT_FIELD_NUMBER: _ClassVar[int]
    UNREGISTER_CLIENT_FIELD_NUMBER: _ClassVar[int]
    GRANT_LEASE_FIELD_NUMBER: _ClassVar[int]
    RENEW_LEASES_FIELD_NUMBER: _ClassVar[int]
    REVOKE_LEASE_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_FIELD_NUMBER: _ClassVar[int]
    USER_DATA_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    FIRST_UNACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    put: PutCommand
    delete: DeleteCommand
    delete_range: DeleteRangeCommand
    compare_and_set: CompareAndSetCommand
    batch_write: BatchWriteCommand
    txn: TxnCommand
    list: CommandList
    register_client: RegisterClientCommand
    unregister_client: UnregisterClientCommand
    grant_lease: GrantLeaseCommand
    renew_leases: RenewLeasesCommand
    revoke_lease: RevokeLeaseCommand
    expire: ExpireCommand
    user_data: _user_data_pb2.UserDataCommand
    client_id: int
    sequence: int
    first_unacknowledged: int
    def __init__(self, put: _Optional[_Union[PutCommand, _Mapping]] = ..., delete: _Optional[_Union[DeleteCommand, _Mapping]] = ..., delete_range: _Optional[_Union[DeleteRangeCommand, _Mapping]] = ..., compare_and_set: _Optional[_Union[CompareAndSetCommand, _Mapping]] = ..., batch_write: _Optional[_Union[BatchWriteCommand, _Mapping]] = ..., txn: _Optional[_Union[TxnCommand, _Mapping]] = ..., list: _Optional[_Union[CommandList, _Mapping]] = ..., register_client: _Optional[_Union[RegisterClientCommand, _Mapping]] = ..., unregister_client: _Optional[_Union[UnregisterClientCommand, _Mapping]] = ..., grant_lease: _Optional[_Union[GrantLeaseCommand, _Mapping]] = ..., renew_leases: _Optional[_Union[RenewLeasesCommand, _Mapping]] = ..., revoke_lease: _Optional[_Union[RevokeLeaseCommand, _Mapping]] = ..., expire: _Optional[_Union[ExpireCommand, _Mapping]] = ..., user_data: _Optional[_Union[_user_data_pb2.UserDataCommand, _Mapping]] = ..., client_id: _Optional[int] = ..., sequence: _Optional[int] = ..., first_unacknowledged: _Optional[int] = ...) -> None: ...

class CommandList(_message.Message):
    __slots__ = ("commands",)
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    commands: _containers.RepeatedCompositeFieldContainer[Command]
    def __init__(self, commands: _Optional[_Iterable[_Union[Command, _Mapping]]] = ...) -> None: ...

class RegisterClientCommand(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class UnregisterClientCommand(_message.Message):
    __slots__ = ("client_id",)
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    client_id: int
    def __init__(self, client_id: _Optional[int] = ...) -> None: ...

class GrantLeaseCommand(_message.Message):
    __slots__ = ("ttl_ms", "lease_id")
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    ttl_ms: int
    lease_id: int
    def __init__(self, ttl_ms: _Optional[int] = ..., lease_id: _Optional[int] = ...) -> None: ...

class RenewLeasesCommand(_message.Message):
    __slots__ = ("lease_ids",)
    LEASE_IDS_FIELD_NUMBER: _ClassVar[int]
    lease_ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, lease_ids: _Optional[_Iterable[int]] = ...) -> None: ...

class RevokeLeaseCommand(_message.Message):
    __slots__ = ("lease_id",)
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    lease_id: int
    def __init__(self, lease_id: _Optional[int] = ...) -> None: ...

class ExpireCommand(_message.Message):
    __slots__ = ("term", "lease_ids", "client_ids", "user_data")
    TERM_FIELD_NUMBER: _ClassVar[int]
    LEASE_IDS_FIELD_NUMBER: _ClassVar[int]
    CLIENT_IDS_FIELD_NUMBER: _ClassVar[int]
    USER_DATA_FIELD_NUMBER: _ClassVar[int]
    term: int
    lease_ids: _containers.RepeatedScalarFieldContainer[int]
    client_ids: _containers.RepeatedScalarFieldContainer[int]
    user_data: bool
    def __init__(self, term: _Optional[int] = ..., lease_ids: _Optional[_Iterable[int]] = ..., client_ids: _Optional[_Iterable[int]] = ..., user_data: _Optional[bool] = ...) -> None: ...

class PutCommand(_message.Message):
    __slots__ = ("key", "value", "return_previous", "lease_id")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    RETURN_PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    value: bytes
    return_previous: bool
    lease_id: int
    def __init__(self, key: _Optional[bytes] = ..., value: _Optional[bytes] = ..., return_previous: _Optional[bool] = ..., lease_id: _Optional[int] = ...) -> None: ...

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
    __slots__ = ("key", "expected_revision", "value", "delete", "lease_id")
    KEY_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_REVISION_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    DELETE_FIELD_NUMBER: _ClassVar[int]
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    expected_revision: int
    value: bytes
    delete: bool
    lease_id: int
    def __init__(self, key: _Optional[bytes] = ..., expected_revision: _Optional[int] = ..., value: _Optional[bytes] = ..., delete: _Optional[bool] = ..., lease_id: _Optional[int] = ...) -> None: ...

class BatchWriteCommand(_message.Message):
    __slots__ = ("keys", "values", "deletes", "lease_ids")
    KEYS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    DELETES_FIELD_NUMBER: _ClassVar[int]
    LEASE_IDS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedScalarFieldContainer[bytes]
    values: _containers.RepeatedScalarFieldContainer[bytes]
    deletes: _containers.RepeatedScalarFieldContainer[int]
    lease_ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, keys: _Optional[_Iterable[bytes]] = ..., values: _Optional[_Iterable[bytes]] = ..., deletes: _Optional[_Iterable[int]] = ..., lease_ids: _Optional[_Iterable[int]] = ...) -> None: ...

class TxnCommand(_message.Message):
    __slots__ = ("compares", "success", "failure")
    class Compare(_message.Message):
        __slots__ = ("start", "end", "is_range", "relation", "value", "version", "create_revision", "mod_revision", "lease_id", "exists")
        START_FIELD_NUMBER: _ClassVar[int]
        END_FIELD_NUMBER: _ClassVar[int]
        IS_RANGE_FIELD_NUMBER: _ClassVar[int]
        RELATION_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        VERSION_FIELD_NUMBER: _ClassVar[int]
        CREATE_REVISION_FIELD_NUMBER: _ClassVar[int]
        MOD_REVISION_FIELD_NUMBER: _ClassVar[int]
        LEASE_ID_FIELD_NUMBER: _ClassVar[int]
        EXISTS_FIELD_NUMBER: _ClassVar[int]
        start: bytes
        end: bytes
        is_range: bool
        relation: int
        value: bytes
        version: int
        create_revision: int
        mod_revision: int
        lease_id: int
        exists: bool
        def __init__(self, start: _Optional[bytes] = ..., end: _Optional[bytes] = ..., is_range: _Optional[bool] = ..., relation: _Optional[int] = ..., value: _Optional[bytes] = ..., version: _Optional[int] = ..., create_revision: _Optional[int] = ..., mod_revision: _Optional[int] = ..., lease_id: _Optional[int] = ..., exists: _Optional[bool] = ...) -> None: ...
    class Operation(_message.Message):
        __slots__ = ("put", "delete", "delete_range", "get", "range", "txn")
        PUT_FIELD_NUMBER: _ClassVar[int]
        DELETE_FIELD_NUMBER: _ClassVar[int]
        DELETE_RANGE_FIELD_NUMBER: _ClassVar[int]
        GET_FIELD_NUMBER: _ClassVar[int]
        RANGE_FIELD_NUMBER: _ClassVar[int]
        TXN_FIELD_NUMBER: _ClassVar[int]
        put: PutCommand
        delete: DeleteCommand
        delete_range: DeleteRangeCommand
        get: TxnCommand.Get
        range: TxnCommand.Range
        txn: TxnCommand
        def __init__(self, put: _Optional[_Union[PutCommand, _Mapping]] = ..., delete: _Optional[_Union[DeleteCommand, _Mapping]] = ..., delete_range: _Optional[_Union[DeleteRangeCommand, _Mapping]] = ..., get: _Optional[_Union[TxnCommand.Get, _Mapping]] = ..., range: _Optional[_Union[TxnCommand.Range, _Mapping]] = ..., txn: _Optional[_Union[TxnCommand, _Mapping]] = ...) -> None: ...
    class Get(_message.Message):
        __slots__ = ("key",)
        KEY_FIELD_NUMBER: _ClassVar[int]
        key: bytes
        def __init__(self, key: _Optional[bytes] = ...) -> None: ...
    class Range(_message.Message):
        __slots__ = ("start", "end", "limit", "reverse", "keys_only", "count_only")
        START_FIELD_NUMBER: _ClassVar[int]
        END_FIELD_NUMBER: _ClassVar[int]
        LIMIT_FIELD_NUMBER: _ClassVar[int]
        REVERSE_FIELD_NUMBER: _ClassVar[int]
        KEYS_ONLY_FIELD_NUMBER: _ClassVar[int]
        COUNT_ONLY_FIELD_NUMBER: _ClassVar[int]
        start: bytes
        end: bytes
        limit: int
        reverse: bool
        keys_only: bool
        count_only: bool
        def __init__(self, start: _Optional[bytes] = ..., end: _Optional[bytes] = ..., limit: _Optional[int] = ..., reverse: _Optional[bool] = ..., keys_only: _Optional[bool] = ..., count_only: _Optional[bool] = ...) -> None: ...
    COMPARES_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    compares: _containers.RepeatedCompositeFieldContainer[TxnCommand.Compare]
    success: _containers.RepeatedCompositeFieldContainer[TxnCommand.Operation]
    failure: _containers.RepeatedCompositeFieldContainer[TxnCommand.Operation]
    def __init__(self, compares: _Optional[_Iterable[_Union[TxnCommand.Compare, _Mapping]]] = ..., success: _Optional[_Iterable[_Union[TxnCommand.Operation, _Mapping]]] = ..., failure: _Optional[_Iterable[_Union[TxnCommand.Operation, _Mapping]]] = ...) -> None: ...

class StoredAnswer(_message.Message):
    __slots__ = ("revision", "repeated", "put", "delete", "delete_range", "compare_and_set", "batch_write", "list", "register_client", "done", "failed", "txn", "get", "range", "grant_lease", "revoke_lease", "user_data")
    class Record(_message.Message):
        __slots__ = ("value", "create_revision", "mod_revision", "version", "lease_id")
        VALUE_FIELD_NUMBER: _ClassVar[int]
        CREATE_REVISION_FIELD_NUMBER: _ClassVar[int]
        MOD_REVISION_FIELD_NUMBER: _ClassVar[int]
        VERSION_FIELD_NUMBER: _ClassVar[int]
        LEASE_ID_FIELD_NUMBER: _ClassVar[int]
        value: bytes
        create_revision: int
        mod_revision: int
        version: int
        lease_id: int
        def __init__(self, value: _Optional[bytes] = ..., create_revision: _Optional[int] = ..., mod_revision: _Optional[int] = ..., version: _Optional[int] = ..., lease_id: _Optional[int] = ...) -> None: ...
    class Put(_message.Message):
        __slots__ = ("record",)
        RECORD_FIELD_NUMBER: _ClassVar[int]
        record: StoredAnswer.Record
        def __init__(self, record: _Optional[_Union[StoredAnswer.Record, _Mapping]] = ...) -> None: ...
    class Delete(_message.Message):
        __slots__ = ("deleted", "record")
        DELETED_FIELD_NUMBER: _ClassVar[int]
        RECORD_FIELD_NUMBER: _ClassVar[int]
        deleted: bool
        record: StoredAnswer.Record
        def __init__(self, deleted: _Optional[bool] = ..., record: _Optional[_Union[StoredAnswer.Record, _Mapping]] = ...) -> None: ...
    class DeleteRange(_message.Message):
        __slots__ = ("deleted", "more")
        DELETED_FIELD_NUMBER: _ClassVar[int]
        MORE_FIELD_NUMBER: _ClassVar[int]
        deleted: int
        more: bool
        def __init__(self, deleted: _Optional[int] = ..., more: _Optional[bool] = ...) -> None: ...
    class Compared(_message.Message):
        __slots__ = ("succeeded", "record")
        SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
        RECORD_FIELD_NUMBER: _ClassVar[int]
        succeeded: bool
        record: StoredAnswer.Record
        def __init__(self, succeeded: _Optional[bool] = ..., record: _Optional[_Union[StoredAnswer.Record, _Mapping]] = ...) -> None: ...
    class BatchWrite(_message.Message):
        __slots__ = ("existed",)
        EXISTED_FIELD_NUMBER: _ClassVar[int]
        existed: _containers.RepeatedScalarFieldContainer[bool]
        def __init__(self, existed: _Optional[_Iterable[bool]] = ...) -> None: ...
    class List(_message.Message):
        __slots__ = ("answers",)
        ANSWERS_FIELD_NUMBER: _ClassVar[int]
        answers: _containers.RepeatedCompositeFieldContainer[StoredAnswer]
        def __init__(self, answers: _Optional[_Iterable[_Union[StoredAnswer, _Mapping]]] = ...) -> None: ...
    class Txn(_message.Message):
        __slots__ = ("succeeded", "results")
        SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
        RESULTS_FIELD_NUMBER: _ClassVar[int]
        succeeded: bool
        results: _containers.RepeatedCompositeFieldContainer[StoredAnswer]
        def __init__(self, succeeded: _Optional[bool] = ..., results: _Optional[_Iterable[_Union[StoredAnswer, _Mapping]]] = ...) -> None: ...
    class Get(_message.Message):
        __slots__ = ("record",)
        RECORD_FIELD_NUMBER: _ClassVar[int]
        record: StoredAnswer.Record
        def __init__(self, record: _Optional[_Union[StoredAnswer.Record, _Mapping]] = ...) -> None: ...
    class Range(_message.Message):
        __slots__ = ("rows", "count")
        ROWS_FIELD_NUMBER: _ClassVar[int]
        COUNT_FIELD_NUMBER: _ClassVar[int]
        rows: _containers.RepeatedCompositeFieldContainer[StoredAnswer.Row]
        count: int
        def __init__(self, rows: _Optional[_Iterable[_Union[StoredAnswer.Row, _Mapping]]] = ..., count: _Optional[int] = ...) -> None: ...
    class Row(_message.Message):
        __slots__ = ("key", "record")
        KEY_FIELD_NUMBER: _ClassVar[int]
        RECORD_FIELD_NUMBER: _ClassVar[int]
        key: bytes
        record: StoredAnswer.Record
        def __init__(self, key: _Optional[bytes] = ..., record: _Optional[_Union[StoredAnswer.Record, _Mapping]] = ...) -> None: ...
    class RegisterClient(_message.Message):
        __slots__ = ("client_id",)
        CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
        client_id: int
        def __init__(self, client_id: _Optional[int] = ...) -> None: ...
    class GrantLease(_message.Message):
        __slots__ = ("lease_id", "ttl_ms")
        LEASE_ID_FIELD_NUMBER: _ClassVar[int]
        TTL_MS_FIELD_NUMBER: _ClassVar[int]
        lease_id: int
        ttl_ms: int
        def __init__(self, lease_id: _Optional[int] = ..., ttl_ms: _Optional[int] = ...) -> None: ...
    class RevokeLease(_message.Message):
        __slots__ = ("deleted",)
        DELETED_FIELD_NUMBER: _ClassVar[int]
        deleted: int
        def __init__(self, deleted: _Optional[int] = ...) -> None: ...
    class Done(_message.Message):
        __slots__ = ()
        def __init__(self) -> None: ...
    class Failed(_message.Message):
        __slots__ = ("reason", "subject")
        REASON_FIELD_NUMBER: _ClassVar[int]
        SUBJECT_FIELD_NUMBER: _ClassVar[int]
        reason: int
        subject: int
        def __init__(self, reason: _Optional[int] = ..., subject: _Optional[int] = ...) -> None: ...
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REPEATED_FIELD_NUMBER: _ClassVar[int]
    PUT_FIELD_NUMBER: _ClassVar[int]
    DELETE_FIELD_NUMBER: _ClassVar[int]
    DELETE_RANGE_FIELD_NUMBER: _ClassVar[int]
    COMPARE_AND_SET_FIELD_NUMBER: _ClassVar[int]
    BATCH_WRITE_FIELD_NUMBER: _ClassVar[int]
    LIST_FIELD_NUMBER: _ClassVar[int]
    REGISTER_CLIENT_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    TXN_FIELD_NUMBER: _ClassVar[int]
    GET_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    GRANT_LEASE_FIELD_NUMBER: _ClassVar[int]
    REVOKE_LEASE_FIELD_NUMBER: _ClassVar[int]
    USER_DATA_FIELD_NUMBER: _ClassVar[int]
    revision: int
    repeated: int
    put: StoredAnswer.Put
    delete: StoredAnswer.Delete
    delete_range: StoredAnswer.DeleteRange
    compare_and_set: StoredAnswer.Compared
    batch_write: StoredAnswer.BatchWrite
    list: StoredAnswer.List
    register_client: StoredAnswer.RegisterClient
    done: StoredAnswer.Done
    failed: StoredAnswer.Failed
    txn: StoredAnswer.Txn
    get: StoredAnswer.Get
    range: StoredAnswer.Range
    grant_lease: StoredAnswer.GrantLease
    revoke_lease: StoredAnswer.RevokeLease
    user_data: _user_data_pb2.UserDataResponse
    def __init__(self, revision: _Optional[int] = ..., repeated: _Optional[int] = ..., put: _Optional[_Union[StoredAnswer.Put, _Mapping]] = ..., delete: _Optional[_Union[StoredAnswer.Delete, _Mapping]] = ..., delete_range: _Optional[_Union[StoredAnswer.DeleteRange, _Mapping]] = ..., compare_and_set: _Optional[_Union[StoredAnswer.Compared, _Mapping]] = ..., batch_write: _Optional[_Union[StoredAnswer.BatchWrite, _Mapping]] = ..., list: _Optional[_Union[StoredAnswer.List, _Mapping]] = ..., register_client: _Optional[_Union[StoredAnswer.RegisterClient, _Mapping]] = ..., done: _Optional[_Union[StoredAnswer.Done, _Mapping]] = ..., failed: _Optional[_Union[StoredAnswer.Failed, _Mapping]] = ..., txn: _Optional[_Union[StoredAnswer.Txn, _Mapping]] = ..., get: _Optional[_Union[StoredAnswer.Get, _Mapping]] = ..., range: _Optional[_Union[StoredAnswer.Range, _Mapping]] = ..., grant_lease: _Optional[_Union[StoredAnswer.GrantLease, _Mapping]] = ..., revoke_lease: _Optional[_Union[StoredAnswer.RevokeLease, _Mapping]] = ..., user_data: _Optional[_Union[_user_data_pb2.UserDataResponse, _Mapping]] = ...) -> None: ...
