import datetime

from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from kvraft.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BlockScope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BLOCK_SCOPE_UNSPECIFIED: _ClassVar[BlockScope]
    BLOCK_SCOPE_DIRECT: _ClassVar[BlockScope]
    BLOCK_SCOPE_DIRECT_AND_GROUPS: _ClassVar[BlockScope]
BLOCK_SCOPE_UNSPECIFIED: BlockScope
BLOCK_SCOPE_DIRECT: BlockScope
BLOCK_SCOPE_DIRECT_AND_GROUPS: BlockScope

class Contact(_message.Message):
    __slots__ = ("contact_id", "display_name", "favorite", "mute_until", "data", "etag", "mod_revision")
    CONTACT_ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    FAVORITE_FIELD_NUMBER: _ClassVar[int]
    MUTE_UNTIL_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    MOD_REVISION_FIELD_NUMBER: _ClassVar[int]
    contact_id: str
    display_name: str
    favorite: bool
    mute_until: _timestamp_pb2.Timestamp
    data: bytes
    etag: str
    mod_revision: int
    def __init__(self, contact_id: _Optional[str] = ..., display_name: _Optional[str] = ..., favorite: _Optional[bool] = ..., mute_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., data: _Optional[bytes] = ..., etag: _Optional[str] = ..., mod_revision: _Optional[int] = ...) -> None: ...

class ContactUpdate(_message.Message):
    __slots__ = ("contact", "update_mask", "etag")
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    contact: Contact
    update_mask: _field_mask_pb2.FieldMask
    etag: str
    def __init__(self, contact: _Optional[_Union[Contact, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., etag: _Optional[str] = ...) -> None: ...

class UpdateContactRequest(_message.Message):
    __slots__ = ("user_id", "update", "request_id")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    UPDATE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    update: ContactUpdate
    request_id: _common_pb2.RequestId
    def __init__(self, user_id: _Optional[str] = ..., update: _Optional[_Union[ContactUpdate, _Mapping]] = ..., request_id: _Optional[_Union[_common_pb2.RequestId, _Mapping]] = ...) -> None: ...

class UpdateContactResponse(_message.Message):
    __slots__ = ("header", "contact")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    contact: Contact
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., contact: _Optional[_Union[Contact, _Mapping]] = ...) -> None: ...

class BatchUpdateContactsRequest(_message.Message):
    __slots__ = ("user_id", "updates", "request_id")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    UPDATES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    updates: _containers.RepeatedCompositeFieldContainer[ContactUpdate]
    request_id: _common_pb2.RequestId
    def __init__(self, user_id: _Optional[str] = ..., updates: _Optional[_Iterable[_Union[ContactUpdate, _Mapping]]] = ..., request_id: _Optional[_Union[_common_pb2.RequestId, _Mapping]] = ...) -> None: ...

class BatchUpdateContactsResponse(_message.Message):
    __slots__ = ("header", "etag")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    etag: str
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., etag: _Optional[str] = ...) -> None: ...

class GetContactRequest(_message.Message):
    __slots__ = ("user_id", "contact_id", "consistency", "min_revision")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    CONTACT_ID_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    contact_id: str
    consistency: _common_pb2.Consistency
    min_revision: int
    def __init__(self, user_id: _Optional[str] = ..., contact_id: _Optional[str] = ..., consistency: _Optional[_Union[_common_pb2.Consistency, str]] = ..., min_revision: _Optional[int] = ...) -> None: ...

class GetContactResponse(_message.Message):
    __slots__ = ("header", "contact")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    contact: Contact
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., contact: _Optional[_Union[Contact, _Mapping]] = ...) -> None: ...

class DeleteContactRequest(_message.Message):
    __slots__ = ("user_id", "contact_id", "etag", "request_id")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    CONTACT_ID_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    contact_id: str
    etag: str
    request_id: _common_pb2.RequestId
    def __init__(self, user_id: _Optional[str] = ..., contact_id: _Optional[str] = ..., etag: _Optional[str] = ..., request_id: _Optional[_Union[_common_pb2.RequestId, _Mapping]] = ...) -> None: ...

class DeleteContactResponse(_message.Message):
    __slots__ = ("header", "deleted")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    deleted: bool
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., deleted: _Optional[bool] = ...) -> None: ...

class ListContactsRequest(_message.Message):
    __slots__ = ("user_id", "since_revision", "page_size", "page_token", "consistency", "min_revision")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    SINCE_REVISION_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    since_revision: int
    page_size: int
    page_token: str
    consistency: _common_pb2.Consistency
    min_revision: int
    def __init__(self, user_id: _Optional[str] = ..., since_revision: _Optional[int] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., consistency: _Optional[_Union[_common_pb2.Consistency, str]] = ..., min_revision: _Optional[int] = ...) -> None: ...

class ListContactsResponse(_message.Message):
    __slots__ = ("header", "contacts", "deleted_ids", "next_page_token", "sync_revision")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CONTACTS_FIELD_NUMBER: _ClassVar[int]
    DELETED_IDS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SYNC_REVISION_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    contacts: _containers.RepeatedCompositeFieldContainer[Contact]
    deleted_ids: _containers.RepeatedScalarFieldContainer[str]
    next_page_token: str
    sync_revision: int
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., contacts: _Optional[_Iterable[_Union[Contact, _Mapping]]] = ..., deleted_ids: _Optional[_Iterable[str]] = ..., next_page_token: _Optional[str] = ..., sync_revision: _Optional[int] = ...) -> None: ...

class BlockUserRequest(_message.Message):
    __slots__ = ("user_id", "blocked_id", "scope", "request_id")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_ID_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    blocked_id: str
    scope: BlockScope
    request_id: _common_pb2.RequestId
    def __init__(self, user_id: _Optional[str] = ..., blocked_id: _Optional[str] = ..., scope: _Optional[_Union[BlockScope, str]] = ..., request_id: _Optional[_Union[_common_pb2.RequestId, _Mapping]] = ...) -> None: ...

class BlockUserResponse(_message.Message):
    __slots__ = ("header",)
    HEADER_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ...) -> None: ...

class UnblockUserRequest(_message.Message):
    __slots__ = ("user_id", "blocked_id", "request_id")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    blocked_id: str
    request_id: _common_pb2.RequestId
    def __init__(self, user_id: _Optional[str] = ..., blocked_id: _Optional[str] = ..., request_id: _Optional[_Union[_common_pb2.RequestId, _Mapping]] = ...) -> None: ...

class UnblockUserResponse(_message.Message):
    __slots__ = ("header", "unblocked")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    UNBLOCKED_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    unblocked: bool
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., unblocked: _Optional[bool] = ...) -> None: ...

class ListBlockedUsersRequest(_message.Message):
    __slots__ = ("user_id", "page_size", "page_token", "consistency", "min_revision")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    page_size: int
    page_token: str
    consistency: _common_pb2.Consistency
    min_revision: int
    def __init__(self, user_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., consistency: _Optional[_Union[_common_pb2.Consistency, str]] = ..., min_revision: _Optional[int] = ...) -> None: ...

class BlockedUser(_message.Message):
    __slots__ = ("user_id", "scope", "block_time")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    BLOCK_TIME_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    scope: BlockScope
    block_time: _timestamp_pb2.Timestamp
    def __init__(self, user_id: _Optional[str] = ..., scope: _Optional[_Union[BlockScope, str]] = ..., block_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListBlockedUsersResponse(_message.Message):
    __slots__ = ("header", "blocked_users", "next_page_token")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_USERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    blocked_users: _containers.RepeatedCompositeFieldContainer[BlockedUser]
    next_page_token: str
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., blocked_users: _Optional[_Iterable[_Union[BlockedUser, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
