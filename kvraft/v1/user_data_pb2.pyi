from kvraft.v1 import admin_pb2 as _admin_pb2
from kvraft.v1 import contact_pb2 as _contact_pb2
from kvraft.v1 import group_pb2 as _group_pb2
from kvraft.v1 import message_pb2 as _message_pb2
from kvraft.v1 import session_pb2 as _session_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class UserDataCommand(_message.Message):
    __slots__ = ("register_device", "remove_device", "open_session", "close_session", "revoke_sessions", "update_contact", "batch_update_contacts", "delete_contact", "block_user", "unblock_user", "create_group", "update_group", "delete_group", "add_group_members", "remove_group_members", "set_group_member_role", "send_message", "acknowledge_messages", "purge_queue", "redrive_dead_letters", "delete_dead_letters", "fail_delivery", "erase_user", "record_export")
    REGISTER_DEVICE_FIELD_NUMBER: _ClassVar[int]
    REMOVE_DEVICE_FIELD_NUMBER: _ClassVar[int]
    OPEN_SESSION_FIELD_NUMBER: _ClassVar[int]
    CLOSE_SESSION_FIELD_NUMBER: _ClassVar[int]
    REVOKE_SESSIONS_FIELD_NUMBER: _ClassVar[int]
    UPDATE_CONTACT_FIELD_NUMBER: _ClassVar[int]
    BATCH_UPDATE_CONTACTS_FIELD_NUMBER: _ClassVar[int]
    DELETE_CONTACT_FIELD_NUMBER: _ClassVar[int]
    BLOCK_USER_FIELD_NUMBER: _ClassVar[int]
    UNBLOCK_USER_FIELD_NUMBER: _ClassVar[int]
    CREATE_GROUP_FIELD_NUMBER: _ClassVar[int]
    UPDATE_GROUP_FIELD_NUMBER: _ClassVar[int]
    DELETE_GROUP_FIELD_NUMBER: _ClassVar[int]
    ADD_GROUP_MEMBERS_FIELD_NUMBER: _ClassVar[int]
    REMOVE_GROUP_MEMBERS_FIELD_NUMBER: _ClassVar[int]
    SET_GROUP_MEMBER_ROLE_FIELD_NUMBER: _ClassVar[int]
    SEND_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGE_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    PURGE_QUEUE_FIELD_NUMBER: _ClassVar[int]
    REDRIVE_DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    DELETE_DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    FAIL_DELIVERY_FIELD_NUMBER: _ClassVar[int]
    ERASE_USER_FIELD_NUMBER: _ClassVar[int]
    RECORD_EXPORT_FIELD_NUMBER: _ClassVar[int]
    register_device: _session_pb2.RegisterDeviceRequest
    remove_device: _session_pb2.RemoveDeviceRequest
    open_session: _session_pb2.OpenSessionRequest
    close_session: _session_pb2.CloseSessionRequest
    revoke_sessions: _session_pb2.RevokeSessionsRequest
    update_contact: _contact_pb2.UpdateContactRequest
    batch_update_contacts: _contact_pb2.BatchUpdateContactsRequest
    delete_contact: _contact_pb2.DeleteContactRequest
    block_user: _contact_pb2.BlockUserRequest
    unblock_user: _contact_pb2.UnblockUserRequest
    create_group: _group_pb2.CreateGroupRequest
    update_group: _group_pb2.UpdateGroupRequest
    delete_group: _group_pb2.DeleteGroupRequest
    add_group_members: _group_pb2.AddGroupMembersRequest
    remove_group_members: _group_pb2.RemoveGroupMembersRequest
    set_group_member_role: _group_pb2.SetGroupMemberRoleRequest
    send_message: _message_pb2.SendMessageRequest
    acknowledge_messages: _message_pb2.AcknowledgeMessagesRequest
    purge_queue: _message_pb2.PurgeQueueRequest
    redrive_dead_letters: _message_pb2.RedriveDeadLettersRequest
    delete_dead_letters: _message_pb2.DeleteDeadLettersRequest
    fail_delivery: FailDeliveryCommand
    erase_user: _admin_pb2.EraseUserRequest
    record_export: RecordExportCommand
    def __init__(self, register_device: _Optional[_Union[_session_pb2.RegisterDeviceRequest, _Mapping]] = ..., remove_device: _Optional[_Union[_session_pb2.RemoveDeviceRequest, _Mapping]] = ..., open_session: _Optional[_Union[_session_pb2.OpenSessionRequest, _Mapping]] = ..., close_session: _Optional[_Union[_session_pb2.CloseSessionRequest, _Mapping]] = ..., revoke_sessions: _Optional[_Union[_session_pb2.RevokeSessionsRequest, _Mapping]] = ..., update_contact: _Optional[_Union[_contact_pb2.UpdateContactRequest, _Mapping]] = ..., batch_update_contacts: _Optional[_Union[_contact_pb2.BatchUpdateContactsRequest, _Mapping]] = ..., delete_contact: _Optional[_Union[_contact_pb2.DeleteContactRequest, _Mapping]] = ..., block_user: _Optional[_Union[_contact_pb2.BlockUserRequest, _Mapping]] = ..., unblock_user: _Optional[_Union[_contact_pb2.UnblockUserRequest, _Mapping]] = ..., create_group: _Optional[_Union[_group_pb2.CreateGroupRequest, _Mapping]] = ..., update_group: _Optional[_Union[_group_pb2.UpdateGroupRequest, _Mapping]] = ..., delete_group: _Optional[_Union[_group_pb2.DeleteGroupRequest, _Mapping]] = ..., add_group_members: _Optional[_Union[_group_pb2.AddGroupMembersRequest, _Mapping]] = ..., remove_group_members: _Optional[_Union[_group_pb2.RemoveGroupMembersRequest, _Mapping]] = ..., set_group_member_role: _Optional[_Union[_group_pb2.SetGroupMemberRoleRequest, _Mapping]] = ..., send_message: _Optional[_Union[_message_pb2.SendMessageRequest, _Mapping]] = ..., acknowledge_messages: _Optional[_Union[_message_pb2.AcknowledgeMessagesRequest, _Mapping]] = ..., purge_queue: _Optional[_Union[_message_pb2.PurgeQueueRequest, _Mapping]] = ..., redrive_dead_letters: _Optional[_Union[_message_pb2.RedriveDeadLettersRequest, _Mapping]] = ..., delete_dead_letters: _Optional[_Union[_message_pb2.DeleteDeadLettersRequest, _Mapping]] = ..., fail_delivery: _Optional[_Union[FailDeliveryCommand, _Mapping]] = ..., erase_user: _Optional[_Union[_admin_pb2.EraseUserRequest, _Mapping]] = ..., record_export: _Optional[_Union[RecordExportCommand, _Mapping]] = ...) -> None: ...

class FailDeliveryCommand(_message.Message):
    __slots__ = ("user_id", "device_id", "seq", "reason")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    device_id: str
    seq: int
    reason: str
    def __init__(self, user_id: _Optional[str] = ..., device_id: _Optional[str] = ..., seq: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class RecordExportCommand(_message.Message):
    __slots__ = ("user_id", "note")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    note: str
    def __init__(self, user_id: _Optional[str] = ..., note: _Optional[str] = ...) -> None: ...

class UserDataResponse(_message.Message):
    __slots__ = ("register_device", "remove_device", "open_session", "close_session", "revoke_sessions", "update_contact", "batch_update_contacts", "delete_contact", "block_user", "unblock_user", "create_group", "update_group", "delete_group", "add_group_members", "remove_group_members", "set_group_member_role", "send_message", "acknowledge_messages", "purge_queue", "redrive_dead_letters", "delete_dead_letters", "fail_delivery", "erase_user", "record_export")
    REGISTER_DEVICE_FIELD_NUMBER: _ClassVar[int]
    REMOVE_DEVICE_FIELD_NUMBER: _ClassVar[int]
    OPEN_SESSION_FIELD_NUMBER: _ClassVar[int]
    CLOSE_SESSION_FIELD_NUMBER: _ClassVar[int]
    REVOKE_SESSIONS_FIELD_NUMBER: _ClassVar[int]
    UPDATE_CONTACT_FIELD_NUMBER: _ClassVar[int]
    BATCH_UPDATE_CONTACTS_FIELD_NUMBER: _ClassVar[int]
    DELETE_CONTACT_FIELD_NUMBER: _ClassVar[int]
    BLOCK_USER_FIELD_NUMBER: _ClassVar[int]
    UNBLOCK_USER_FIELD_NUMBER: _ClassVar[int]
    CREATE_GROUP_FIELD_NUMBER: _ClassVar[int]
    UPDATE_GROUP_FIELD_NUMBER: _ClassVar[int]
    DELETE_GROUP_FIELD_NUMBER: _ClassVar[int]
    ADD_GROUP_MEMBERS_FIELD_NUMBER: _ClassVar[int]
    REMOVE_GROUP_MEMBERS_FIELD_NUMBER: _ClassVar[int]
    SET_GROUP_MEMBER_ROLE_FIELD_NUMBER: _ClassVar[int]
    SEND_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGE_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    PURGE_QUEUE_FIELD_NUMBER: _ClassVar[int]
    REDRIVE_DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    DELETE_DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    FAIL_DELIVERY_FIELD_NUMBER: _ClassVar[int]
    ERASE_USER_FIELD_NUMBER: _ClassVar[int]
    RECORD_EXPORT_FIELD_NUMBER: _ClassVar[int]
    register_device: _session_pb2.RegisterDeviceResponse
    remove_device: _session_pb2.RemoveDeviceResponse
    open_session: _session_pb2.OpenSessionResponse
    close_session: _session_pb2.CloseSessionResponse
    revoke_sessions: _session_pb2.RevokeSessionsResponse
    update_contact: _contact_pb2.UpdateContactResponse
    batch_update_contacts: _contact_pb2.BatchUpdateContactsResponse
    delete_contact: _contact_pb2.DeleteContactResponse
    block_user: _contact_pb2.BlockUserResponse
    unblock_user: _contact_pb2.UnblockUserResponse
    create_group: _group_pb2.CreateGroupResponse
    update_group: _group_pb2.UpdateGroupResponse
    delete_group: _group_pb2.DeleteGroupResponse
    add_group_members: _group_pb2.AddGroupMembersResponse
    remove_group_members: _group_pb2.RemoveGroupMembersResponse
    set_group_member_role: _group_pb2.SetGroupMemberRoleResponse
    send_message: _message_pb2.SendMessageResponse
    acknowledge_messages: _message_pb2.AcknowledgeMessagesResponse
    purge_queue: _message_pb2.PurgeQueueResponse
    redrive_dead_letters: _message_pb2.RedriveDeadLettersResponse
    delete_dead_letters: _message_pb2.DeleteDeadLettersResponse
    fail_delivery: FailDeliveryResponse
    erase_user: _admin_pb2.EraseUserResponse
    record_export: RecordExportResponse
    def __init__(self, register_device: _Optional[_Union[_session_pb2.RegisterDeviceResponse, _Mapping]] = ..., remove_device: _Optional[_Union[_session_pb2.RemoveDeviceResponse, _Mapping]] = ..., open_session: _Optional[_Union[_session_pb2.OpenSessionResponse, _Mapping]] = ..., close_session: _Optional[_Union[_session_pb2.CloseSessionResponse, _Mapping]] = ..., revoke_sessions: _Optional[_Union[_session_pb2.RevokeSessionsResponse, _Mapping]] = ..., update_contact: _Optional[_Union[_contact_pb2.UpdateContactResponse, _Mapping]] = ..., batch_update_contacts: _Optional[_Union[_contact_pb2.BatchUpdateContactsResponse, _Mapping]] = ..., delete_contact: _Optional[_Union[_contact_pb2.DeleteContactResponse, _Mapping]] = ..., block_user: _Optional[_Union[_contact_pb2.BlockUserResponse, _Mapping]] = ..., unblock_user: _Optional[_Union[_contact_pb2.UnblockUserResponse, _Mapping]] = ..., create_group: _Optional[_Union[_group_pb2.CreateGroupResponse, _Mapping]] = ..., update_group: _Optional[_Union[_group_pb2.UpdateGroupResponse, _Mapping]] = ..., delete_group: _Optional[_Union[_group_pb2.DeleteGroupResponse, _Mapping]] = ..., add_group_members: _Optional[_Union[_group_pb2.AddGroupMembersResponse, _Mapping]] = ..., remove_group_members: _Optional[_Union[_group_pb2.RemoveGroupMembersResponse, _Mapping]] = ..., set_group_member_role: _Optional[_Union[_group_pb2.SetGroupMemberRoleResponse, _Mapping]] = ..., send_message: _Optional[_Union[_message_pb2.SendMessageResponse, _Mapping]] = ..., acknowledge_messages: _Optional[_Union[_message_pb2.AcknowledgeMessagesResponse, _Mapping]] = ..., purge_queue: _Optional[_Union[_message_pb2.PurgeQueueResponse, _Mapping]] = ..., redrive_dead_letters: _Optional[_Union[_message_pb2.RedriveDeadLettersResponse, _Mapping]] = ..., delete_dead_letters: _Optional[_Union[_message_pb2.DeleteDeadLettersResponse, _Mapping]] = ..., fail_delivery: _Optional[_Union[FailDeliveryResponse, _Mapping]] = ..., erase_user: _Optional[_Union[_admin_pb2.EraseUserResponse, _Mapping]] = ..., record_export: _Optional[_Union[RecordExportResponse, _Mapping]] = ...) -> None: ...

class FailDeliveryResponse(_message.Message):
    __slots__ = ("dead",)
    DEAD_FIELD_NUMBER: _ClassVar[int]
    dead: bool
    def __init__(self, dead: _Optional[bool] = ...) -> None: ...

class RecordExportResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class UserRow(_message.Message):
    __slots__ = ("devices", "device_set_revision", "revoke_time_ms", "last_seen_day_ms", "contacts", "deleted_contacts", "contacts_floor_revision", "blocked", "groups")
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    DEVICE_SET_REVISION_FIELD_NUMBER: _ClassVar[int]
    REVOKE_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_DAY_MS_FIELD_NUMBER: _ClassVar[int]
    CONTACTS_FIELD_NUMBER: _ClassVar[int]
    DELETED_CONTACTS_FIELD_NUMBER: _ClassVar[int]
    CONTACTS_FLOOR_REVISION_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    devices: _containers.RepeatedCompositeFieldContainer[_session_pb2.Device]
    device_set_revision: int
    revoke_time_ms: int
    last_seen_day_ms: int
    contacts: int
    deleted_contacts: int
    contacts_floor_revision: int
    blocked: int
    groups: int
    def __init__(self, devices: _Optional[_Iterable[_Union[_session_pb2.Device, _Mapping]]] = ..., device_set_revision: _Optional[int] = ..., revoke_time_ms: _Optional[int] = ..., last_seen_day_ms: _Optional[int] = ..., contacts: _Optional[int] = ..., deleted_contacts: _Optional[int] = ..., contacts_floor_revision: _Optional[int] = ..., blocked: _Optional[int] = ..., groups: _Optional[int] = ...) -> None: ...

class QueueRow(_message.Message):
    __slots__ = ("next_seq", "ack_floor", "live", "live_bytes", "acked", "expired", "collapsed", "dead", "purged", "scheduled", "scheduled_bytes", "dead_letters", "due_ms", "suspect_seq", "attempts", "default_from_seq")
    NEXT_SEQ_FIELD_NUMBER: _ClassVar[int]
    ACK_FLOOR_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    LIVE_BYTES_FIELD_NUMBER: _ClassVar[int]
    ACKED_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_FIELD_NUMBER: _ClassVar[int]
    COLLAPSED_FIELD_NUMBER: _ClassVar[int]
    DEAD_FIELD_NUMBER: _ClassVar[int]
    PURGED_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_BYTES_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    DUE_MS_FIELD_NUMBER: _ClassVar[int]
    SUSPECT_SEQ_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_FROM_SEQ_FIELD_NUMBER: _ClassVar[int]
    next_seq: int
    ack_floor: int
    live: int
    live_bytes: int
    acked: int
    expired: int
    collapsed: int
    dead: int
    purged: int
    scheduled: int
    scheduled_bytes: int
    dead_letters: int
    due_ms: int
    suspect_seq: int
    attempts: int
    default_from_seq: int
    def __init__(self, next_seq: _Optional[int] = ..., ack_floor: _Optional[int] = ..., live: _Optional[int] = ..., live_bytes: _Optional[int] = ..., acked: _Optional[int] = ..., expired: _Optional[int] = ..., collapsed: _Optional[int] = ..., dead: _Optional[int] = ..., purged: _Optional[int] = ..., scheduled: _Optional[int] = ..., scheduled_bytes: _Optional[int] = ..., dead_letters: _Optional[int] = ..., due_ms: _Optional[int] = ..., suspect_seq: _Optional[int] = ..., attempts: _Optional[int] = ..., default_from_seq: _Optional[int] = ...) -> None: ...

class EntryRow(_message.Message):
    __slots__ = ("message", "body_id", "body_owner", "size_bytes", "expire_ms", "accept_ms", "revision", "collapse_key", "reason", "attempts", "dead_ms", "own_expiry", "request_receipt")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    BODY_ID_FIELD_NUMBER: _ClassVar[int]
    BODY_OWNER_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_MS_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_MS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    COLLAPSE_KEY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    DEAD_MS_FIELD_NUMBER: _ClassVar[int]
    OWN_EXPIRY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_RECEIPT_FIELD_NUMBER: _ClassVar[int]
    message: _message_pb2.Message
    body_id: int
    body_owner: str
    size_bytes: int
    expire_ms: int
    accept_ms: int
    revision: int
    collapse_key: str
    reason: str
    attempts: int
    dead_ms: int
    own_expiry: bool
    request_receipt: bool
    def __init__(self, message: _Optional[_Union[_message_pb2.Message, _Mapping]] = ..., body_id: _Optional[int] = ..., body_owner: _Optional[str] = ..., size_bytes: _Optional[int] = ..., expire_ms: _Optional[int] = ..., accept_ms: _Optional[int] = ..., revision: _Optional[int] = ..., collapse_key: _Optional[str] = ..., reason: _Optional[str] = ..., attempts: _Optional[int] = ..., dead_ms: _Optional[int] = ..., own_expiry: _Optional[bool] = ..., request_receipt: _Optional[bool] = ...) -> None: ...
