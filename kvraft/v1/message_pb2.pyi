import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from kvraft.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ContentType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONTENT_TYPE_UNSPECIFIED: _ClassVar[ContentType]
    CONTENT_TYPE_TEXT: _ClassVar[ContentType]
    CONTENT_TYPE_VOICE: _ClassVar[ContentType]
    CONTENT_TYPE_VIDEO: _ClassVar[ContentType]
    CONTENT_TYPE_IMAGE: _ClassVar[ContentType]
    CONTENT_TYPE_LOCATION: _ClassVar[ContentType]
    CONTENT_TYPE_RECEIPT: _ClassVar[ContentType]
    CONTENT_TYPE_OPAQUE: _ClassVar[ContentType]

class SendView(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEND_VIEW_UNSPECIFIED: _ClassVar[SendView]
    SEND_VIEW_SENDER: _ClassVar[SendView]
    SEND_VIEW_SERVICE: _ClassVar[SendView]

class SendOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEND_OUTCOME_UNSPECIFIED: _ClassVar[SendOutcome]
    SEND_OUTCOME_QUEUED: _ClassVar[SendOutcome]
    SEND_OUTCOME_SCHEDULED: _ClassVar[SendOutcome]
    SEND_OUTCOME_BLOCKED: _ClassVar[SendOutcome]
    SEND_OUTCOME_HANDED_OVER: _ClassVar[SendOutcome]
    SEND_OUTCOME_NOT_ONLINE: _ClassVar[SendOutcome]
    SEND_OUTCOME_NO_RECIPIENTS: _ClassVar[SendOutcome]
CONTENT_TYPE_UNSPECIFIED: ContentType
CONTENT_TYPE_TEXT: ContentType
CONTENT_TYPE_VOICE: ContentType
CONTENT_TYPE_VIDEO: ContentType
CONTENT_TYPE_IMAGE: ContentType
CONTENT_TYPE_LOCATION: ContentType
CONTENT_TYPE_RECEIPT: ContentType
CONTENT_TYPE_OPAQUE: ContentType
SEND_VIEW_UNSPECIFIED: SendView
SEND_VIEW_SENDER: SendView
SEND_VIEW_SERVICE: SendView
SEND_OUTCOME_UNSPECIFIED: SendOutcome
SEND_OUTCOME_QUEUED: SendOutcome
SEND_OUTCOME_SCHEDULED: SendOutcome
SEND_OUTCOME_BLOCKED: SendOutcome
SEND_OUTCOME_HANDED_OVER: SendOutcome
SEND_OUTCOME_NOT_ONLINE: SendOutcome
SEND_OUTCOME_NO_RECIPIENTS: SendOutcome

class MediaRef(_message.Message):
    __slots__ = ("uri", "size_bytes", "mime_type", "sha256")
    URI_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MIME_TYPE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    uri: str
    size_bytes: int
    mime_type: str
    sha256: bytes
    def __init__(self, uri: _Optional[str] = ..., size_bytes: _Optional[int] = ..., mime_type: _Optional[str] = ..., sha256: _Optional[bytes] = ...) -> None: ...

class Message(_message.Message):
    __slots__ = ("message_id", "sender_id", "sender_device_id", "user_id", "group_id", "content_type", "payload", "media", "conversation_id", "client_time", "request_receipt")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    MEDIA_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_TIME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_RECEIPT_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    sender_id: str
    sender_device_id: str
    user_id: str
    group_id: str
    content_type: ContentType
    payload: bytes
    media: MediaRef
    conversation_id: str
    client_time: _timestamp_pb2.Timestamp
    request_receipt: bool
    def __init__(self, message_id: _Optional[str] = ..., sender_id: _Optional[str] = ..., sender_device_id: _Optional[str] = ..., user_id: _Optional[str] = ..., group_id: _Optional[str] = ..., content_type: _Optional[_Union[ContentType, str]] = ..., payload: _Optional[bytes] = ..., media: _Optional[_Union[MediaRef, _Mapping]] = ..., conversation_id: _Optional[str] = ..., client_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., request_receipt: _Optional[bool] = ...) -> None: ...

class Receipt(_message.Message):
    __slots__ = ("user_id", "device_id", "message_ids", "acknowledge_time")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_IDS_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGE_TIME_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    device_id: str
    message_ids: _containers.RepeatedScalarFieldContainer[str]
    acknowledge_time: _timestamp_pb2.Timestamp
    def __init__(self, user_id: _Optional[str] = ..., device_id: _Optional[str] = ..., message_ids: _Optional[_Iterable[str]] = ..., acknowledge_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class DeviceResult(_message.Message):
    __slots__ = ("user_id", "device_id", "seq", "queue_full")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FULL_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    device_id: str
    seq: int
    queue_full: bool
    def __init__(self, user_id: _Optional[str] = ..., device_id: _Optional[str] = ..., seq: _Optional[int] = ..., queue_full: _Optional[bool] = ...) -> None: ...

class SendMessageRequest(_message.Message):
    __slots__ = ("message", "expire_time", "ttl", "deliver_time", "collapse_key", "ephemeral", "view", "request_id")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    DELIVER_TIME_FIELD_NUMBER: _ClassVar[int]
    COLLAPSE_KEY_FIELD_NUMBER: _ClassVar[int]
    EPHEMERAL_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    message: Message
    expire_time: _timestamp_pb2.Timestamp
    ttl: _duration_pb2.Duration
    deliver_time: _timestamp_pb2.Timestamp
    collapse_key: str
    ephemeral: bool
    view: SendView
    request_id: _common_pb2.RequestId
    def __init__(self, message: _Optional[_Union[Message, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., deliver_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., collapse_key: _Optional[str] = ..., ephemeral: _Optional[bool] = ..., view: _Optional[_Union[SendView, str]] = ..., request_id: _Optional[_Union[_common_pb2.RequestId, _Mapping]] = ...) -> None: ...

class SendMessageResponse(_message.Message):
    __slots__ = ("header", "accept_time", "duplicate", "outcome", "device_results", "queued_devices")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_TIME_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    DEVICE_RESULTS_FIELD_NUMBER: _ClassVar[int]
    QUEUED_DEVICES_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    accept_time: _timestamp_pb2.Timestamp
    duplicate: bool
    outcome: SendOutcome
    device_results: _containers.RepeatedCompositeFieldContainer[DeviceResult]
    queued_devices: int
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., accept_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., duplicate: _Optional[bool] = ..., outcome: _Optional[_Union[SendOutcome, str]] = ..., device_results: _Optional[_Iterable[_Union[DeviceResult, _Mapping]]] = ..., queued_devices: _Optional[int] = ...) -> None: ...

class BatchSendMessagesRequest(_message.Message):
    __slots__ = ("requests", "request_id")
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    requests: _containers.RepeatedCompositeFieldContainer[SendMessageRequest]
    request_id: _common_pb2.RequestId
    def __init__(self, requests: _Optional[_Iterable[_Union[SendMessageRequest, _Mapping]]] = ..., request_id: _Optional[_Union[_common_pb2.RequestId, _Mapping]] = ...) -> None: ...

class BatchSendMessagesResponse(_message.Message):
    __slots__ = ("header", "results")
    class Result(_message.Message):
        __slots__ = ("response", "error")
        RESPONSE_FIELD_NUMBER: _ClassVar[int]
        ERROR_FIELD_NUMBER: _ClassVar[int]
        response: SendMessageResponse
        error: SendError
        def __init__(self, response: _Optional[_Union[SendMessageResponse, _Mapping]] = ..., error: _Optional[_Union[SendError, _Mapping]] = ...) -> None: ...
    HEADER_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    results: _containers.RepeatedCompositeFieldContainer[BatchSendMessagesResponse.Result]
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., results: _Optional[_Iterable[_Union[BatchSendMessagesResponse.Result, _Mapping]]] = ...) -> None: ...

class SendError(_message.Message):
    __slots__ = ("code", "reason", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: int
    reason: str
    message: str
    def __init__(self, code: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class ReceiveMessagesRequest(_message.Message):
    __slots__ = ("commands",)
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    commands: _containers.RepeatedCompositeFieldContainer[ReceiveCommand]
    def __init__(self, commands: _Optional[_Iterable[_Union[ReceiveCommand, _Mapping]]] = ...) -> None: ...

class ReceiveCommand(_message.Message):
    __slots__ = ("attach", "acknowledge", "detach")
    class Attach(_message.Message):
        __slots__ = ("attachment_id", "user_id", "device_id", "epoch", "window_messages", "window_bytes")
        ATTACHMENT_ID_FIELD_NUMBER: _ClassVar[int]
        USER_ID_FIELD_NUMBER: _ClassVar[int]
        DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
        EPOCH_FIELD_NUMBER: _ClassVar[int]
        WINDOW_MESSAGES_FIELD_NUMBER: _ClassVar[int]
        WINDOW_BYTES_FIELD_NUMBER: _ClassVar[int]
        attachment_id: int
        user_id: str
        device_id: str
        epoch: int
        window_messages: int
        window_bytes: int
        def __init__(self, attachment_id: _Optional[int] = ..., user_id: _Optional[str] = ..., device_id: _Optional[str] = ..., epoch: _Optional[int] = ..., window_messages: _Optional[int] = ..., window_bytes: _Optional[int] = ...) -> None: ...
    class Acknowledge(_message.Message):
        __slots__ = ("attachment_id", "through_seq", "seqs", "nacks")
        ATTACHMENT_ID_FIELD_NUMBER: _ClassVar[int]
        THROUGH_SEQ_FIELD_NUMBER: _ClassVar[int]
        SEQS_FIELD_NUMBER: _ClassVar[int]
        NACKS_FIELD_NUMBER: _ClassVar[int]
        attachment_id: int
        through_seq: int
        seqs: _containers.RepeatedScalarFieldContainer[int]
        nacks: _containers.RepeatedCompositeFieldContainer[Nack]
        def __init__(self, attachment_id: _Optional[int] = ..., through_seq: _Optional[int] = ..., seqs: _Optional[_Iterable[int]] = ..., nacks: _Optional[_Iterable[_Union[Nack, _Mapping]]] = ...) -> None: ...
    class Detach(_message.Message):
        __slots__ = ("attachment_id",)
        ATTACHMENT_ID_FIELD_NUMBER: _ClassVar[int]
        attachment_id: int
        def __init__(self, attachment_id: _Optional[int] = ...) -> None: ...
    ATTACH_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGE_FIELD_NUMBER: _ClassVar[int]
    DETACH_FIELD_NUMBER: _ClassVar[int]
    attach: ReceiveCommand.Attach
    acknowledge: ReceiveCommand.Acknowledge
    detach: ReceiveCommand.Detach
    def __init__(self, attach: _Optional[_Union[ReceiveCommand.Attach, _Mapping]] = ..., acknowledge: _Optional[_Union[ReceiveCommand.Acknowledge, _Mapping]] = ..., detach: _Optional[_Union[ReceiveCommand.Detach, _Mapping]] = ...) -> None: ...

class Nack(_message.Message):
    __slots__ = ("seq", "delay", "reason")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    DELAY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    seq: int
    delay: _duration_pb2.Duration
    reason: str
    def __init__(self, seq: _Optional[int] = ..., delay: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class ReceiveMessagesResponse(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[ReceiveEvent]
    def __init__(self, events: _Optional[_Iterable[_Union[ReceiveEvent, _Mapping]]] = ...) -> None: ...

class ReceiveEvent(_message.Message):
    __slots__ = ("attachment_id", "attached", "delivery", "ack_confirmed", "queue_empty", "closed", "command_refused")
    class Attached(_message.Message):
        __slots__ = ("ack_floor", "next_seq", "device_revision")
        ACK_FLOOR_FIELD_NUMBER: _ClassVar[int]
        NEXT_SEQ_FIELD_NUMBER: _ClassVar[int]
        DEVICE_REVISION_FIELD_NUMBER: _ClassVar[int]
        ack_floor: int
        next_seq: int
        device_revision: int
        def __init__(self, ack_floor: _Optional[int] = ..., next_seq: _Optional[int] = ..., device_revision: _Optional[int] = ...) -> None: ...
    class AckConfirmed(_message.Message):
        __slots__ = ("ack_floor", "seqs")
        ACK_FLOOR_FIELD_NUMBER: _ClassVar[int]
        SEQS_FIELD_NUMBER: _ClassVar[int]
        ack_floor: int
        seqs: _containers.RepeatedScalarFieldContainer[int]
        def __init__(self, ack_floor: _Optional[int] = ..., seqs: _Optional[_Iterable[int]] = ...) -> None: ...
    class QueueEmpty(_message.Message):
        __slots__ = ()
        def __init__(self) -> None: ...
    class CommandRefused(_message.Message):
        __slots__ = ("code", "reason", "message")
        CODE_FIELD_NUMBER: _ClassVar[int]
        REASON_FIELD_NUMBER: _ClassVar[int]
        MESSAGE_FIELD_NUMBER: _ClassVar[int]
        code: int
        reason: str
        message: str
        def __init__(self, code: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...
    class Closed(_message.Message):
        __slots__ = ("code", "reason", "message", "leader_id")
        CODE_FIELD_NUMBER: _ClassVar[int]
        REASON_FIELD_NUMBER: _ClassVar[int]
        MESSAGE_FIELD_NUMBER: _ClassVar[int]
        LEADER_ID_FIELD_NUMBER: _ClassVar[int]
        code: int
        reason: str
        message: str
        leader_id: int
        def __init__(self, code: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., leader_id: _Optional[int] = ...) -> None: ...
    ATTACHMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ATTACHED_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    ACK_CONFIRMED_FIELD_NUMBER: _ClassVar[int]
    QUEUE_EMPTY_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    COMMAND_REFUSED_FIELD_NUMBER: _ClassVar[int]
    attachment_id: int
    attached: ReceiveEvent.Attached
    delivery: Delivery
    ack_confirmed: ReceiveEvent.AckConfirmed
    queue_empty: ReceiveEvent.QueueEmpty
    closed: ReceiveEvent.Closed
    command_refused: ReceiveEvent.CommandRefused
    def __init__(self, attachment_id: _Optional[int] = ..., attached: _Optional[_Union[ReceiveEvent.Attached, _Mapping]] = ..., delivery: _Optional[_Union[Delivery, _Mapping]] = ..., ack_confirmed: _Optional[_Union[ReceiveEvent.AckConfirmed, _Mapping]] = ..., queue_empty: _Optional[_Union[ReceiveEvent.QueueEmpty, _Mapping]] = ..., closed: _Optional[_Union[ReceiveEvent.Closed, _Mapping]] = ..., command_refused: _Optional[_Union[ReceiveEvent.CommandRefused, _Mapping]] = ...) -> None: ...

class Delivery(_message.Message):
    __slots__ = ("seq", "message", "accept_time", "revision", "attempt", "redelivered", "expire_time")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_TIME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    REDELIVERED_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    seq: int
    message: Message
    accept_time: _timestamp_pb2.Timestamp
    revision: int
    attempt: int
    redelivered: bool
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, seq: _Optional[int] = ..., message: _Optional[_Union[Message, _Mapping]] = ..., accept_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revision: _Optional[int] = ..., attempt: _Optional[int] = ..., redelivered: _Optional[bool] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class PullMessagesRequest(_message.Message):
    __slots__ = ("user_id", "device_id", "max_messages", "wait", "after_seq")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQ_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    device_id: str
    max_messages: int
    wait: _duration_pb2.Duration
    after_seq: int
    def __init__(self, user_id: _Optional[str] = ..., device_id: _Optional[str] = ..., max_messages: _Optional[int] = ..., wait: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., after_seq: _Optional[int] = ...) -> None: ...

class PullMessagesResponse(_message.Message):
    __slots__ = ("header", "deliveries", "more")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    DELIVERIES_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    deliveries: _containers.RepeatedCompositeFieldContainer[Delivery]
    more: bool
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., deliveries: _Optional[_Iterable[_Union[Delivery, _Mapping]]] = ..., more: _Optional[bool] = ...) -> None: ...

class AcknowledgeMessagesRequest(_message.Message):
    __slots__ = ("user_id", "device_id", "epoch", "through_seq", "seqs", "nacks", "request_id")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    THROUGH_SEQ_FIELD_NUMBER: _ClassVar[int]
    SEQS_FIELD_NUMBER: _ClassVar[int]
    NACKS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    device_id: str
    epoch: int
    through_seq: int
    seqs: _containers.RepeatedScalarFieldContainer[int]
    nacks: _containers.RepeatedCompositeFieldContainer[Nack]
    request_id: _common_pb2.RequestId
    def __init__(self, user_id: _Optional[str] = ..., device_id: _Optional[str] = ..., epoch: _Optional[int] = ..., through_seq: _Optional[int] = ..., seqs: _Optional[_Iterable[int]] = ..., nacks: _Optional[_Iterable[_Union[Nack, _Mapping]]] = ..., request_id: _Optional[_Union[_common_pb2.RequestId, _Mapping]] = ...) -> None: ...

class AcknowledgeMessagesResponse(_message.Message):
    __slots__ = ("header", "acknowledged", "ack_floor", "dead")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    ACK_FLOOR_FIELD_NUMBER: _ClassVar[int]
    DEAD_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    acknowledged: int
    ack_floor: int
    dead: int
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., acknowledged: _Optional[int] = ..., ack_floor: _Optional[int] = ..., dead: _Optional[int] = ...) -> None: ...

class Queue(_message.Message):
    __slots__ = ("user_id", "device_id", "next_seq", "ack_floor", "live", "live_bytes", "acked", "expired", "collapsed", "dead", "purged", "scheduled", "dead_letters", "attempts")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
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
    DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    device_id: str
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
    dead_letters: int
    attempts: int
    def __init__(self, user_id: _Optional[str] = ..., device_id: _Optional[str] = ..., next_seq: _Optional[int] = ..., ack_floor: _Optional[int] = ..., live: _Optional[int] = ..., live_bytes: _Optional[int] = ..., acked: _Optional[int] = ..., expired: _Optional[int] = ..., collapsed: _Optional[int] = ..., dead: _Optional[int] = ..., purged: _Optional[int] = ..., scheduled: _Optional[int] = ..., dead_letters: _Optional[int] = ..., attempts: _Optional[int] = ...) -> None: ...

class GetQueueRequest(_message.Message):
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

class GetQueueResponse(_message.Message):
    __slots__ = ("header", "queue")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    queue: Queue
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., queue: _Optional[_Union[Queue, _Mapping]] = ...) -> None: ...

class ListQueuesRequest(_message.Message):
    __slots__ = ("user_id", "only_nonempty", "page_size", "page_token", "consistency", "min_revision")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    ONLY_NONEMPTY_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    only_nonempty: bool
    page_size: int
    page_token: str
    consistency: _common_pb2.Consistency
    min_revision: int
    def __init__(self, user_id: _Optional[str] = ..., only_nonempty: _Optional[bool] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., consistency: _Optional[_Union[_common_pb2.Consistency, str]] = ..., min_revision: _Optional[int] = ...) -> None: ...

class ListQueuesResponse(_message.Message):
    __slots__ = ("header", "queues", "next_page_token")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    queues: _containers.RepeatedCompositeFieldContainer[Queue]
    next_page_token: str
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., queues: _Optional[_Iterable[_Union[Queue, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class PurgeQueueRequest(_message.Message):
    __slots__ = ("user_id", "device_id", "request_id")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    device_id: str
    request_id: _common_pb2.RequestId
    def __init__(self, user_id: _Optional[str] = ..., device_id: _Optional[str] = ..., request_id: _Optional[_Union[_common_pb2.RequestId, _Mapping]] = ...) -> None: ...

class PurgeQueueResponse(_message.Message):
    __slots__ = ("header", "purged", "unscheduled")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    PURGED_FIELD_NUMBER: _ClassVar[int]
    UNSCHEDULED_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    purged: int
    unscheduled: int
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., purged: _Optional[int] = ..., unscheduled: _Optional[int] = ...) -> None: ...

class DeadLetter(_message.Message):
    __slots__ = ("seq", "message", "reason", "attempts", "dead_time")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    DEAD_TIME_FIELD_NUMBER: _ClassVar[int]
    seq: int
    message: Message
    reason: str
    attempts: int
    dead_time: _timestamp_pb2.Timestamp
    def __init__(self, seq: _Optional[int] = ..., message: _Optional[_Union[Message, _Mapping]] = ..., reason: _Optional[str] = ..., attempts: _Optional[int] = ..., dead_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListDeadLettersRequest(_message.Message):
    __slots__ = ("user_id", "device_id", "page_size", "page_token", "consistency", "min_revision")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    device_id: str
    page_size: int
    page_token: str
    consistency: _common_pb2.Consistency
    min_revision: int
    def __init__(self, user_id: _Optional[str] = ..., device_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., consistency: _Optional[_Union[_common_pb2.Consistency, str]] = ..., min_revision: _Optional[int] = ...) -> None: ...

class ListDeadLettersResponse(_message.Message):
    __slots__ = ("header", "dead_letters", "next_page_token")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    dead_letters: _containers.RepeatedCompositeFieldContainer[DeadLetter]
    next_page_token: str
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., dead_letters: _Optional[_Iterable[_Union[DeadLetter, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RedriveDeadLettersRequest(_message.Message):
    __slots__ = ("user_id", "device_id", "seqs", "request_id")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    SEQS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    device_id: str
    seqs: _containers.RepeatedScalarFieldContainer[int]
    request_id: _common_pb2.RequestId
    def __init__(self, user_id: _Optional[str] = ..., device_id: _Optional[str] = ..., seqs: _Optional[_Iterable[int]] = ..., request_id: _Optional[_Union[_common_pb2.RequestId, _Mapping]] = ...) -> None: ...

class RedriveDeadLettersResponse(_message.Message):
    __slots__ = ("header", "redriven", "left")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    REDRIVEN_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    redriven: int
    left: int
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., redriven: _Optional[int] = ..., left: _Optional[int] = ...) -> None: ...

class DeleteDeadLettersRequest(_message.Message):
    __slots__ = ("user_id", "device_id", "seqs", "request_id")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    SEQS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    device_id: str
    seqs: _containers.RepeatedScalarFieldContainer[int]
    request_id: _common_pb2.RequestId
    def __init__(self, user_id: _Optional[str] = ..., device_id: _Optional[str] = ..., seqs: _Optional[_Iterable[int]] = ..., request_id: _Optional[_Union[_common_pb2.RequestId, _Mapping]] = ...) -> None: ...

class DeleteDeadLettersResponse(_message.Message):
    __slots__ = ("header", "deleted")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    header: _common_pb2.ResponseHeader
    deleted: int
    def __init__(self, header: _Optional[_Union[_common_pb2.ResponseHeader, _Mapping]] = ..., deleted: _Optional[int] = ...) -> None: ...
