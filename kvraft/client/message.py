"""Messages as an application sees them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from kvraft.client.arguments import checked
from kvraft.v1 import message_pb2


class ContentType(StrEnum):
    """What a message carries."""

    TEXT = "text"
    VOICE = "voice"
    VIDEO = "video"
    IMAGE = "image"
    LOCATION = "location"
    RECEIPT = "receipt"
    """Made by kvraft: `Receipt.of(payload)` says which messages a device has acknowledged."""
    OPAQUE = "opaque"
    """Anything else."""


_TYPES = {
    message_pb2.CONTENT_TYPE_TEXT: ContentType.TEXT,
    message_pb2.CONTENT_TYPE_VOICE: ContentType.VOICE,
    message_pb2.CONTENT_TYPE_VIDEO: ContentType.VIDEO,
    message_pb2.CONTENT_TYPE_IMAGE: ContentType.IMAGE,
    message_pb2.CONTENT_TYPE_LOCATION: ContentType.LOCATION,
    message_pb2.CONTENT_TYPE_RECEIPT: ContentType.RECEIPT,
    message_pb2.CONTENT_TYPE_OPAQUE: ContentType.OPAQUE,
}
CONTENT_TYPES = {kind: number for number, kind in _TYPES.items()}
MESSAGE_ID_BYTES = 16
"""Random, in a message id that is chosen: as good as a UUID, and made in a fifth of the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """A file that is stored elsewhere."""

    uri: str
    size_bytes: int = 0
    mime_type: str = ""
    sha256: bytes = b""
    """32 bytes, or empty."""

    def to_message(self) -> message_pb2.MediaRef:
        return message_pb2.MediaRef(
            uri=self.uri, size_bytes=self.size_bytes, mime_type=self.mime_type, sha256=self.sha256
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What one user sent."""

    message_id: str
    sender_id: str
    sender_device_id: str
    user_id: str
    """For whom; empty: it is for a group."""
    group_id: str
    content_type: ContentType
    payload: bytes
    media: Media | None
    conversation_id: str
    client_time: datetime | None
    """When the sender wrote it, by their own clock."""
    request_receipt: bool

    @property
    def text(self) -> str:
        """The payload as text; what is no UTF-8 is replaced."""
        return self.payload.decode(errors="replace")

    @classmethod
    def of(cls, message: message_pb2.Message) -> Message:
        media = None
        if message.HasField("media"):
            ref = message.media
            media = Media(uri=ref.uri, size_bytes=ref.size_bytes, mime_type=ref.mime_type, sha256=ref.sha256)
        written = message.HasField("client_time")
        return cls(
            message_id=message.message_id,
            sender_id=message.sender_id,
            sender_device_id=message.sender_device_id,
            user_id=message.user_id,
            group_id=message.group_id,
            content_type=_TYPES.get(message.content_type, ContentType.OPAQUE),
            payload=message.payload,
            media=media,
            conversation_id=message.conversation_id,
            client_time=message.client_time.ToDatetime(UTC) if written else None,
            request_receipt=message.request_receipt,
        )


@dataclass(frozen=True, slots=True)
class Receipt:
    """A device has acknowledged these messages of one sender."""

    user_id: str
    device_id: str
    message_ids: tuple[str, ...]
    """In the order of the queue."""
    acknowledge_time: datetime

    @classmethod
    def of(cls, payload: bytes) -> Receipt:
        """From the payload of a message of type RECEIPT."""
        receipt = message_pb2.Receipt.FromString(payload)
        return cls(
            receipt.user_id,
            receipt.device_id,
            tuple(receipt.message_ids),
            receipt.acknowledge_time.ToDatetime(UTC),
        )


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message in the queue of a device."""

    seq: int
    """Its number in the queue; 0: it is ephemeral, and not to be acknowledged."""
    message: Message
    accept_time: datetime
    """By the cluster's clock."""
    revision: int
    """The revision at which it was accepted: orders messages of different senders."""
    attempt: int
    """How often its delivery failed before, as far as that was counted, plus 1."""
    redelivered: bool
    """Whether it was delivered before, as far as the leader knows."""

    @classmethod
    def of(cls, message: message_pb2.Delivery) -> Delivery:
        return cls(
            message.seq,
            Message.of(message.message),
            message.accept_time.ToDatetime(UTC),
            message.revision,
            message.attempt,
            message.redelivered,
        )


@checked
@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMessage:
    """A message that is to be sent: to a user (`to`) or a group, with a `text` or a `payload`."""

    sender_id: str
    to: str = ""
    group: str = ""
    text: str | None = None
    payload: bytes = b""
    """At most 64 KiB."""
    content_type: ContentType | None = None
    """By default TEXT with a `text`, otherwise OPAQUE."""
    media: Media | None = None
    message_id: str = ""
    """Unique for this sender and destination within 24 hours; chosen if it is empty. Give one to be able to
    send the same message again after an error."""
    sender_device_id: str = ""
    conversation_id: str = ""
    client_time: datetime | None = None
    """When the sender wrote it, with a time zone."""
    ttl_s: float | None = None
    """When it becomes worthless, 1 s to 366 days from now; by default 30 days."""
    deliver_time: datetime | None = None
    """When it is to be queued, with a time zone; by default at once."""
    collapse_key: str = ""
    """It takes the place of an unacknowledged one with the same key."""
    ephemeral: bool = False
    """For devices that are connected now, and never stored."""
    request_receipt: bool = False
    """Whether the sender's devices get a receipt when a device acknowledges it."""
    for_service: bool = False
    """Whether the answer tells everything, `outcome` and the devices: for a back end that may know who has
    blocked whom. Without it they are not told (NOT_TOLD, None), since a sender is not to know."""

    def to_request(self) -> message_pb2.SendMessageRequest:
        """Raises ValueError."""
        if (self.to == "") == (self.group == ""):
            raise ValueError("a message is for a user or for a group: give `to` or `group`")
        if self.text is not None and self.payload:
            raise ValueError("a message has a text or a payload, not both")
        kind = self.content_type
        if kind is None:
            kind = ContentType.OPAQUE if self.text is None else ContentType.TEXT
        message = message_pb2.Message(
            message_id=self.message_id or os.urandom(MESSAGE_ID_BYTES).hex(),
            sender_id=self.sender_id,
            sender_device_id=self.sender_device_id,
            content_type=CONTENT_TYPES[kind],
            payload=self.payload if self.text is None else self.text.encode(),
            conversation_id=self.conversation_id,
            request_receipt=self.request_receipt,
        )
        if self.to:
            message.user_id = self.to
        else:
            message.group_id = self.group
        if self.media is not None:
            message.media.CopyFrom(self.media.to_message())
        view = message_pb2.SEND_VIEW_SERVICE if self.for_service else message_pb2.SEND_VIEW_SENDER
        request = message_pb2.SendMessageRequest(
            message=message, collapse_key=self.collapse_key, ephemeral=self.ephemeral, view=view
        )
        for field, time in (("client_time", self.client_time), ("deliver_time", self.deliver_time)):
            if time is not None and time.tzinfo is None:
                raise ValueError(f"{field} has no time zone")
        if self.client_time is not None:
            request.message.client_time.FromDatetime(self.client_time)
        if self.deliver_time is not None:
            request.deliver_time.FromDatetime(self.deliver_time)
        if self.ttl_s is not None:
            request.ttl.FromMilliseconds(round(self.ttl_s * 1000))
        return request
