"""Message queues as they are read, and how all of one goes.

A queue is a row with its counters and, behind it, a row for each message under the number it was given. The
numbers of messages that are gone leave holes: `ack_floor` is the number before the first message that is
there, or the last number that was given if there is none. Changes are made by `open_queue.OpenQueue`.

Messages are looked for one by one by their numbers, which are dense but for the few that expired, were
collapsed or acknowledged out of turn; only across a wide hole rows are scanned for the next one.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from kvraft.machine.keys import prefix_end
from kvraft.machine.users import bodies, keys
from kvraft.machine.users.space import UserSpace
from kvraft.storage.interfaces import StateReader
from kvraft.v1 import message_pb2, user_data_pb2

MESSAGES_MAX = 10_000
"""Of one queue, those that are scheduled included."""
BYTES_MAX = 64 << 20
"""Of the messages of one queue, as `size_of` counts them, those that are scheduled included."""
_OVERHEAD_BYTES = 256
_PROBES = 16
"""Numbers that are looked up one by one before rows are scanned: a scan costs about as much."""
_ROWS_AT_ONCE = 256
"""Rows that are held in memory while a queue is removed."""


class QueuedMessage(NamedTuple):
    """A message in a queue."""

    seq: int
    entry: user_data_pb2.EntryRow
    message: message_pb2.Message
    """What was sent, wherever it is stored."""


def size_of(message: message_pb2.Message) -> int:
    """What a message counts for the quota, bytes: its payload, the names of its media, and 256 for the rest.
    Not the size of its row, which depends on how it is written."""
    size_bytes = _OVERHEAD_BYTES + len(message.payload)
    if message.HasField("media"):
        media = message.media
        size_bytes += len(media.uri.encode()) + len(media.mime_type.encode())
    return size_bytes


def find(state: StateReader, user_id: str, device_id: str) -> user_data_pb2.QueueRow:
    """How the queue of a device stands; one that never had a message begins with number 1."""
    row = state.get(keys.queue_key(user_id, device_id))
    return user_data_pb2.QueueRow(next_seq=1) if row is None else user_data_pb2.QueueRow.FromString(row)


def first_from(state: StateReader, queue: bytes, seq: int, next_seq: int) -> tuple[int, bytes] | None:
    """The first message of the queue whose row is `queue` with this number or a higher one: its number and
    row. `next_seq` is the queue's."""
    probed = min(seq + _PROBES, next_seq)
    for candidate in range(seq, probed):
        row = state.get(keys.entry_key(queue, candidate))
        if row is not None:
            return candidate, row
    if probed == next_seq:
        return None
    for row_key, row in state.scan(*keys.entry_range(queue, probed)):
        return keys.seq_of_row(row_key), row
    return None


def live_after(
    state: StateReader, user_id: str, device_id: str, after_seq: int, clock_ms: int
) -> Iterator[QueuedMessage]:
    """The messages with higher numbers than this, in order, without those that have expired by `clock_ms`.
    Lazy, and good across changes of the state: it ends with the last message that was there when it began."""
    row = find(state, user_id, device_id)
    queue = keys.queue_key(user_id, device_id)
    seq = max(after_seq, row.ack_floor) + 1
    while (found := first_from(state, queue, seq, row.next_seq)) is not None:
        seq = found[0] + 1
        if seq > row.next_seq:
            return
        entry = user_data_pb2.EntryRow.FromString(found[1])
        if entry.expire_ms > clock_ms:
            yield QueuedMessage(found[0], entry, message_of(state, entry))


def message_of(state: StateReader, entry: user_data_pb2.EntryRow) -> message_pb2.Message:
    """What was sent."""
    return bodies.read(state, entry.body_owner, entry.body_id) if entry.body_id else entry.message


def delivery(queued: QueuedMessage, attempt: int, redelivered: bool) -> message_pb2.Delivery:
    """A message as a device gets it. `attempt`: how often it failed before, plus 1."""
    seq, entry, message = queued
    delivered = message_pb2.Delivery(
        seq=seq, message=message, revision=entry.revision, attempt=attempt, redelivered=redelivered
    )
    delivered.accept_time.FromMilliseconds(entry.accept_ms)
    delivered.expire_time.FromMilliseconds(entry.expire_ms)
    return delivered


def dead_letters(state: StateReader, user_id: str, device_id: str, after_seq: int) -> Iterator[QueuedMessage]:
    """The dead letters with higher numbers than this, in order. Not to be used across a change of the
    state."""
    queue = keys.queue_key(user_id, device_id)
    for row_key, row in state.scan(*keys.dead_letter_range(queue, after_seq + 1)):
        entry = user_data_pb2.EntryRow.FromString(row)
        yield QueuedMessage(keys.seq_of_row(row_key), entry, message_of(state, entry))


def remove(space: UserSpace, user_id: str, device_id: str) -> int:
    """Removes a queue with everything that is in it, dead letters among it; how many messages were queued or
    scheduled. Of a device that comes back the numbers begin anew."""
    queue = keys.queue_key(user_id, device_id)
    row = space.get(queue)
    if row is None:
        return 0
    header = user_data_pb2.QueueRow.FromString(row)
    space.touched.queues[user_id, device_id] = None
    if header.due_ms:
        space.delete(keys.due_key(header.due_ms, user_id, device_id), keys.NO_ROW)
    for row_key, behind in rows_in_steps(space.state, queue + b"\x00", prefix_end(queue)):
        if row_key[len(queue) : len(queue) + 1] in _WITH_ENTRY:
            entry = user_data_pb2.EntryRow.FromString(behind)
            if entry.body_id:
                bodies.release(space, entry.body_owner, entry.body_id)
        space.delete(row_key, behind)
    space.delete(queue, row)
    return header.live + header.scheduled


_WITH_ENTRY = (b"e", b"l", b"v")


def rows_in_steps(state: StateReader, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The rows of a range that may be deleted one by one as they come."""
    while rows := list(islice(state.scan(start, end), _ROWS_AT_ONCE)):
        yield from rows
        start = rows[-1][0] + b"\x00"
