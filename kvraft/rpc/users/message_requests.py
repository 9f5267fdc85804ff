"""Requests of MessageService, checked against their proto. Each check raises RequestError.

What passes is applied on every node, so nothing may be left that a node could stumble over: times, for
example, are within what a Timestamp can hold.
"""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from kvraft.rpc.kv_requests import REQUEST_BYTES_MAX, invalid
from kvraft.rpc.users.checks import (
    check_bytes,
    check_device_id,
    check_group_id,
    check_id,
    check_new_id,
    check_user_id,
)
from kvraft.rpc.users.receive_requests import NACK_DELAY_S_MAX, NACK_REASON_BYTES_MAX, SEQS_MAX, seconds
from kvraft.v1 import message_pb2, user_data_pb2

MESSAGE_ID_BYTES_MAX = 36
PAYLOAD_BYTES_MAX = 64 << 10
CONVERSATION_ID_BYTES_MAX = 64
COLLAPSE_KEY_BYTES_MAX = 64
URI_BYTES_MAX = 2_048
MIME_TYPE_BYTES_MAX = 128
SHA256_BYTES = 32
TTL_S_MIN = 1
TTL_S_MAX = 366 * 24 * 60 * 60
BATCH_MESSAGES_MAX = 100
# From the year 1 to the year 9999, as google.protobuf.Timestamp says.
_TIMESTAMP_S = range(-62_135_596_800, 253_402_300_800)
_NANOS = range(1_000_000_000)
# Asked of every message: the enums themselves would make a list each time.
_VIEWS = frozenset(message_pb2.SendView.values())
_CONTENT_TYPES = frozenset(message_pb2.ContentType.values())


def check_stored_send(request: message_pb2.SendMessageRequest) -> None:
    """Of SendMessage, for a message that is stored."""
    check_send(request)
    if request.ephemeral:
        raise invalid("ephemeral", "is set; only SendMessage takes ephemeral messages")


def check_send(request: message_pb2.SendMessageRequest) -> None:
    """Of SendMessage."""
    if not request.HasField("message"):
        raise invalid("message", "is not set")
    _check_message(request.message)
    match request.WhichOneof("expiration"):
        case "ttl":
            _check_ttl(request.ttl)
        case "expire_time":
            _check_timestamp("expire_time", request.expire_time)
    if request.HasField("deliver_time"):
        _check_timestamp("deliver_time", request.deliver_time)
    check_bytes("collapse_key", request.collapse_key, COLLAPSE_KEY_BYTES_MAX)
    if request.view not in _VIEWS:
        raise invalid("view", f"is {request.view}, which this node does not know")
    if not request.ephemeral:
        return
    for field, is_set in (
        ("deliver_time", request.HasField("deliver_time")),
        ("collapse_key", bool(request.collapse_key)),
        ("message.request_receipt", request.message.request_receipt),
    ):
        if is_set:
            raise invalid(field, "is set, but the message is ephemeral")


def _check_message(message: message_pb2.Message) -> None:
    check_id("message.message_id", message.message_id, MESSAGE_ID_BYTES_MAX)
    check_new_id("message.message_id", message.message_id)
    check_user_id("message.sender_id", message.sender_id)
    check_new_id("message.sender_id", message.sender_id)
    if message.sender_device_id:
        check_device_id("message.sender_device_id", message.sender_device_id)
        check_new_id("message.sender_device_id", message.sender_device_id)
    match message.WhichOneof("destination"):
        case "user_id":
            check_user_id("message.user_id", message.user_id)
        case "group_id":
            check_group_id("message.group_id", message.group_id)
        case _:
            raise invalid("message.destination", "is not set; give `user_id` or `group_id`")
    kind = message.content_type
    if kind == message_pb2.CONTENT_TYPE_RECEIPT:
        raise invalid("message.content_type", "is RECEIPT; receipts are made by kvraft")
    if not kind or kind not in _CONTENT_TYPES:
        raise invalid("message.content_type", f"is {kind}, which is no type that this node knows")
    check_bytes("message.payload", message.payload, PAYLOAD_BYTES_MAX)
    if message.HasField("media"):
        _check_media(message.media)
    check_bytes("message.conversation_id", message.conversation_id, CONVERSATION_ID_BYTES_MAX)
    if message.HasField("client_time"):
        _check_timestamp("message.client_time", message.client_time)


def _check_media(media: message_pb2.MediaRef) -> None:
    if not media.uri:
        raise invalid("message.media.uri", "is empty")
    check_bytes("message.media.uri", media.uri, URI_BYTES_MAX)
    check_bytes("message.media.mime_type", media.mime_type, MIME_TYPE_BYTES_MAX)
    if len(media.sha256) not in (0, SHA256_BYTES):
        raise invalid(
            "message.media.sha256", f"has {len(media.sha256)} bytes; {SHA256_BYTES} or none are allowed"
        )


def _check_ttl(ttl: Duration) -> None:
    is_between = (TTL_S_MIN, 0) <= (ttl.seconds, ttl.nanos) <= (TTL_S_MAX, 0)
    if ttl.nanos not in _NANOS or not is_between:
        raise invalid("ttl", f"is {ttl.seconds:,} s {ttl.nanos:,} ns; 1 s to 366 days are allowed")


def _check_timestamp(field: str, time: Timestamp) -> None:
    if time.seconds not in _TIMESTAMP_S or time.nanos not in _NANOS:
        raise invalid(field, "is not a valid Timestamp")


def check_batch(request: message_pb2.BatchSendMessagesRequest) -> None:
    """Of BatchSendMessages; its messages are checked one by one."""
    count = len(request.requests)
    if not 1 <= count <= BATCH_MESSAGES_MAX:
        raise invalid("requests", f"holds {count:,} messages; 1 to {BATCH_MESSAGES_MAX} are allowed")
    size_bytes = request.ByteSize()
    if size_bytes > REQUEST_BYTES_MAX:
        raise invalid(
            "requests", f"make a request of {size_bytes:,} bytes; at most {REQUEST_BYTES_MAX:,} are allowed"
        )


def check_acknowledge(request: message_pb2.AcknowledgeMessagesRequest) -> None:
    """Of AcknowledgeMessages."""
    check_gathered(request)
    _check_seqs("seqs", request.seqs)
    _check_seqs("nacks", [nack.seq for nack in request.nacks])


def check_gathered(request: message_pb2.AcknowledgeMessagesRequest) -> None:
    """What a node has gathered from a receiver: as many as its window lets."""
    check_queue(request)
    for position, nack in enumerate(request.nacks):
        seconds(f"nacks[{position}].delay", nack.delay, NACK_DELAY_S_MAX)
        check_bytes(f"nacks[{position}].reason", nack.reason, NACK_REASON_BYTES_MAX)


def check_fail_delivery(command: user_data_pb2.FailDeliveryCommand) -> None:
    """What a node says of a receiver that ended."""
    check_user_id("user_id", command.user_id)
    check_device_id("device_id", command.device_id)
    check_bytes("reason", command.reason, NACK_REASON_BYTES_MAX)


def check_dead_letters(
    request: message_pb2.RedriveDeadLettersRequest | message_pb2.DeleteDeadLettersRequest,
) -> None:
    """Of RedriveDeadLetters and DeleteDeadLetters."""
    check_queue(request)
    _check_seqs("seqs", request.seqs)


def check_queue(
    request: message_pb2.GetQueueRequest
    | message_pb2.PurgeQueueRequest
    | message_pb2.AcknowledgeMessagesRequest
    | message_pb2.ListDeadLettersRequest
    | message_pb2.RedriveDeadLettersRequest
    | message_pb2.DeleteDeadLettersRequest,
) -> None:
    """A request that names a queue."""
    check_user_id("user_id", request.user_id)
    check_device_id("device_id", request.device_id)


def _check_seqs(field: str, seqs: Sequence[int]) -> None:
    if len(seqs) > SEQS_MAX:
        raise invalid(field, f"has {len(seqs):,}; at most {SEQS_MAX:,} are allowed")
    if 0 in seqs:
        raise invalid(f"{field}[{list(seqs).index(0)}]", "is 0; numbers begin at 1")
