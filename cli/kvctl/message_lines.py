"""Messages as lines of a file: what `msg import` reads and `msg export` writes (docs/kvctl.md)."""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

from kvctl.encoding import printable_json

if TYPE_CHECKING:
    from kvraft.client import Delivery, OutgoingMessage

STDIN = "-"


class BadLineError(ValueError):
    """A line is no message. `str(error)` says why."""


@contextmanager
def open_lines(name: str) -> Iterator[tuple[IO[bytes], BinaryIO]]:
    """The lines of a file (plain or gzip, as its first bytes say; `-`: of stdin), and the file as it lies on
    the disk, whose position tells how far one has come."""
    if name == STDIN:
        raw: BinaryIO = sys.stdin.buffer
        yield raw, raw
        return
    with Path(name).open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not packed:
            yield file, file
            return
        with gzip.open(file) as lines:
            yield cast(IO[bytes], lines), file


def parse(line: bytes) -> OutgoingMessage:
    """The message of a line. Raises BadLineError."""
    from kvraft.client import ContentType, OutgoingMessage

    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadLineError(f"it is no JSON: {error}") from None
    if not isinstance(fields, dict):
        raise BadLineError("it is no JSON object")
    kind = _text(fields, "type", "TEXT")
    try:
        content_type = ContentType(kind.lower())
    except ValueError:
        raise BadLineError(f"`type` is {kind!r}, not one of {', '.join(ContentType).upper()}") from None
    to, group = _text(fields, "to", ""), _text(fields, "group", "")
    if (to == "") == (group == ""):
        raise BadLineError("it needs `to` or `group`, and not both")
    return OutgoingMessage(
        message_id=_text(fields, "id"),
        sender_id=_text(fields, "from"),
        sender_device_id=_text(fields, "from_device", ""),
        to=to,
        group=group,
        content_type=content_type,
        payload=_payload(fields),
        media=_media(fields),
        conversation_id=_text(fields, "conversation", ""),
        client_time=_time(fields),
        request_receipt=bool(fields.get("receipt", False)),
        for_service=True,
    )


def render(delivery: Delivery, user_id: str, device_id: str) -> bytes:
    """The line of a message in the queue of a device."""
    message = delivery.message
    fields: dict[str, Any] = {"id": message.message_id, "from": message.sender_id}
    if message.sender_device_id:
        fields["from_device"] = message.sender_device_id
    fields["group" if message.group_id else "to"] = message.group_id or message.user_id
    fields["type"] = message.content_type.value.upper()
    try:
        fields["text"] = message.payload.decode()
    except UnicodeDecodeError:
        fields["payload"] = base64.b64encode(message.payload).decode()
    if message.media is not None:
        media = message.media
        fields["media"] = {
            "uri": media.uri,
            "size_bytes": media.size_bytes,
            "mime_type": media.mime_type,
            "sha256": media.sha256.hex(),
        }
    if message.conversation_id:
        fields["conversation"] = message.conversation_id
    if message.client_time is not None:
        fields["time"] = message.client_time.timestamp()
    if message.request_receipt:
        fields["receipt"] = True
    fields["queue"] = {
        "user": user_id,
        "device": device_id,
        "seq": delivery.seq,
        "accept_time": delivery.accept_time.isoformat(),
    }
    return printable_json(json.dumps(fields, ensure_ascii=False, separators=(",", ":"))).encode() + b"\n"


def _text(fields: dict[str, Any], name: str, default: str | None = None) -> str:
    value = fields.get(name, default)
    if value is None:
        raise BadLineError(f"it has no `{name}`")
    if not isinstance(value, str):
        raise BadLineError(f"`{name}` is no string")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise BadLineError(f"`{name}` has half of a surrogate pair, which is no character") from None
    return value


def _payload(fields: dict[str, Any]) -> bytes:
    if "payload" not in fields:
        return _text(fields, "text", "").encode()
    if "text" in fields:
        raise BadLineError("it has `text` and `payload`")
    try:
        return base64.b64decode(_text(fields, "payload"), validate=True)
    except binascii.Error:
        raise BadLineError("`payload` is no base64") from None


def _media(fields: dict[str, Any]) -> Any:
    from kvraft.client import Media

    media = fields.get("media")
    if media is None:
        return None
    if not isinstance(media, dict):
        raise BadLineError("`media` is no object")
    try:
        return Media(
            uri=_text(media, "uri"),
            size_bytes=_size(media),
            mime_type=_text(media, "mime_type", ""),
            sha256=bytes.fromhex(_text(media, "sha256", "")),
        )
    except ValueError as error:
        raise BadLineError(f"`media`: {error}") from None


def _size(media: dict[str, Any]) -> int:
    size_bytes = media.get("size_bytes", 0)
    if type(size_bytes) is not int or not 0 <= size_bytes < 1 << 63:
        raise BadLineError("`size_bytes` is no number of bytes")
    return size_bytes


def _time(fields: dict[str, Any]) -> datetime | None:
    time = fields.get("time")
    if time is None:
        return None
    try:
        if isinstance(time, str):
            parsed = datetime.fromisoformat(time)
            return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)
        return datetime.fromtimestamp(float(time), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        raise BadLineError("`time` is neither seconds since 1970 nor an RFC 3339 time") from None
