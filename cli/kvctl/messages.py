"""Messages as lines, like a chat, and as objects."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from kvctl.encoding import to_cell, to_json

if TYPE_CHECKING:
    from kvraft.client import Delivery, Message, Queue


def line(accept_time: datetime, message: Message, *, hexadecimal: bool) -> str:
    """When, in local time; who, and in which group; what."""
    when = accept_time.astimezone().strftime("%H:%M:%S")
    where = f" in {message.group_id}" if message.group_id else ""
    return f"{when}  {message.sender_id}{where}: {content(message, hexadecimal=hexadecimal)}"


def content(message: Message, *, hexadecimal: bool) -> str:
    """What it says, on one line."""
    from kvraft.client import ContentType, Receipt

    text = to_cell(message.payload, hexadecimal=hexadecimal)
    if message.content_type is ContentType.RECEIPT:
        receipt = Receipt.of(message.payload)
        read = ", ".join(receipt.message_ids)
        return f"<receipt: {receipt.user_id}/{receipt.device_id} has {read}>"
    if message.content_type is ContentType.TEXT:
        return text
    media = "" if message.media is None else f" {message.media.uri}"
    return f"<{message.content_type.value}{media}>{text and ' '}{text}"


def message_object(message: Message, *, hexadecimal: bool) -> dict[str, Any]:
    media = message.media
    return {
        "message_id": message.message_id,
        "sender_id": message.sender_id,
        "sender_device_id": message.sender_device_id,
        "user_id": message.user_id or None,
        "group_id": message.group_id or None,
        "content_type": message.content_type.value,
        **to_json("payload", message.payload, hexadecimal=hexadecimal),
        "media": None
        if media is None
        else {
            "uri": media.uri,
            "size_bytes": media.size_bytes,
            "mime_type": media.mime_type,
            "sha256": media.sha256.hex(),
        },
        "conversation_id": message.conversation_id,
        "client_time": None if message.client_time is None else message.client_time.isoformat(),
        "request_receipt": message.request_receipt,
    }


def delivery_object(delivery: Delivery, *, hexadecimal: bool) -> dict[str, Any]:
    return {
        "seq": delivery.seq,
        **message_object(delivery.message, hexadecimal=hexadecimal),
        "accept_time": delivery.accept_time.isoformat(),
        "revision": delivery.revision,
        "attempt": delivery.attempt,
        "redelivered": delivery.redelivered,
    }


def queue_object(queue: Queue) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(queue)
