"""The memory for duplicates: what was sent in the last day, and what was answered.

Rows lie in generations of a day, by the time at which a message was accepted, so a message that was accepted
within the last 24 hours is in this generation or in the one before, and whole generations are forgotten in
the order of their rows. A row names no user: its key is a digest, and what it answers leaves out names.
"""

from __future__ import annotations

import struct
from itertools import islice

import xxhash

from kvraft.machine.results import Failed, FailureReason
from kvraft.machine.users import keys
from kvraft.machine.users.space import UserSpace
from kvraft.storage.interfaces import StateReader
from kvraft.v1 import message_pb2

REMEMBERED_MS = 24 * 60 * 60 * 1000
"""How long a message is known."""

_FINGERPRINT = struct.Struct(">Q")
"""What a row begins with; the answer follows, `SendMessageResponse`, with nothing but the revision in its
header."""
# content type, lengths of payload and conversation id
_CONTENT = struct.Struct(">III")
# size, lengths of URI, media type and SHA-256
_MEDIA = struct.Struct(">QIII")


def fingerprint(message: message_pb2.Message) -> int:
    """64 bits of what a message says. Not of how it is written down: that may change with the version of a
    library, and all nodes must agree. When it was sent and how long it lives are not part of it."""
    payload, conversation = message.payload, message.conversation_id.encode()
    parts = [
        _CONTENT.pack(message.content_type, len(payload), len(conversation)),
        payload,
        conversation,
    ]
    if message.HasField("media"):
        media = message.media
        uri, mime_type, sha256 = media.uri.encode(), media.mime_type.encode(), media.sha256
        lengths = _MEDIA.pack(media.size_bytes, len(uri), len(mime_type), len(sha256))
        parts += lengths, uri, mime_type, sha256
    return xxhash.xxh3_64_intdigest(b"".join(parts))


class Memory:
    """What is known of one message that is being sent."""

    __slots__ = ("_fingerprint", "_row_key", "_row_key_before", "_space")

    def __init__(self, space: UserSpace, message: message_pb2.Message) -> None:
        self._space = space
        self._fingerprint = _FINGERPRINT.pack(fingerprint(message))
        group_id = message.group_id
        self._row_key, self._row_key_before = keys.sent_keys(
            space.clock_ms // REMEMBERED_MS,
            f"g:{group_id}" if group_id else f"u:{message.user_id}",
            message.sender_id,
            message.message_id,
        )

    def answer(self) -> message_pb2.SendMessageResponse | Failed | None:
        """What the message was answered within the last day, or that another had its id; None: it is new."""
        get = self._space.state.get
        row = get(self._row_key) or get(self._row_key_before)
        if row is None:
            return None
        response = message_pb2.SendMessageResponse.FromString(row[_FINGERPRINT.size :])
        if self._space.clock_ms - response.accept_time.ToMilliseconds() >= REMEMBERED_MS:
            return None
        if row[: _FINGERPRINT.size] != self._fingerprint:
            return Failed(FailureReason.MESSAGE_ID_REUSED)
        response.duplicate = True
        return response

    def remember(self, response: message_pb2.SendMessageResponse) -> None:
        """The answer of a message that is new; it must not name anybody."""
        row = self._fingerprint + response.SerializeToString(deterministic=True)
        self._space.put(self._row_key, row, None)


def has_forgettable(state: StateReader, clock_ms: int) -> bool:
    """Whether there are rows that are too old to matter."""
    return next(state.scan(*_forgettable(clock_ms)), None) is not None


def forget(space: UserSpace, rows_max: int) -> int:
    """Deletes rows that are too old to matter, at most so many; how many."""
    doomed = list(islice(space.state.scan(*_forgettable(space.clock_ms)), rows_max))
    for row_key, row in doomed:
        space.delete(row_key, row)
    return len(doomed)


def _forgettable(clock_ms: int) -> tuple[bytes, bytes]:
    return keys.sent_before(max(0, clock_ms // REMEMBERED_MS - 1))
