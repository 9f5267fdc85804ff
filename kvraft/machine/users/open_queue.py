"""A queue while a command changes it.

What happens to a queue goes through here: its counters, the number before its first message, the rows that
find messages by their time or collapse key, and its one row in the index of what is due. `close` writes the
queue's row and holds its laws: every number that was given is accounted for, and the index says when to look
at this queue next. Two of one queue must not be open at the same time.
"""

from __future__ import annotations

import struct

from kvraft.machine.users import bodies, keys, queues
from kvraft.machine.users.space import UserSpace
from kvraft.v1 import user_data_pb2

_SEQ = struct.Struct(">Q")


class OpenQueue:
    """The queue of a device."""

    __slots__ = ("_previous", "_space", "_took", "device_id", "key", "row", "user_id")

    def __init__(self, space: UserSpace, user_id: str, device_id: str) -> None:
        self._space = space
        self.user_id = user_id
        self.device_id = device_id
        self.key = keys.queue_key(user_id, device_id)
        self._previous = space.get(self.key)
        self.row = (
            user_data_pb2.QueueRow(next_seq=1)
            if self._previous is None
            else user_data_pb2.QueueRow.FromString(self._previous)
        )
        self._took = False
        """Whether the first message may be another than `ack_floor` says."""

    def has_room(self, size_bytes: int) -> bool:
        """Whether the quota lets a message of this size in."""
        row = self.row
        return (
            row.live + row.scheduled < queues.MESSAGES_MAX
            and row.live_bytes + row.scheduled_bytes + size_bytes <= queues.BYTES_MAX
        )

    # --- messages that come -----------------------------------------------------------------------

    def append(self, entry: user_data_pb2.EntryRow, encoded: bytes) -> int:
        """Puts a message at the end; the number that it gets. `encoded` is `entry` as it is written."""
        row = self.row
        seq = row.next_seq
        if entry.collapse_key:
            self._collapse(entry.collapse_key, seq)
        self._space.put(keys.entry_key(self.key, seq), encoded, None)
        if entry.own_expiry:
            self._space.put(keys.expiry_key(self.key, entry.expire_ms, seq), keys.NO_ROW, None)
        row.next_seq = seq + 1
        row.live += 1
        row.live_bytes += entry.size_bytes
        self._look_at(entry.expire_ms)
        return seq

    def schedule(self, entry: user_data_pb2.EntryRow, encoded: bytes, due_ms: int) -> None:
        """Keeps a message until it is due."""
        row = self.row
        self._space.put(keys.scheduled_key(self.key, due_ms, entry.revision), encoded, None)
        row.scheduled += 1
        row.scheduled_bytes += entry.size_bytes
        self._look_at(due_ms)

    def unschedule(self, row_key: bytes, encoded: bytes) -> user_data_pb2.EntryRow:
        """Takes a scheduled message away. Its body keeps the reference."""
        entry = user_data_pb2.EntryRow.FromString(encoded)
        self._space.delete(row_key, encoded)
        self.row.scheduled -= 1
        self.row.scheduled_bytes -= entry.size_bytes
        return entry

    def _collapse(self, collapse_key: str, seq: int) -> None:
        row_key = keys.collapse_row_key(self.key, collapse_key)
        found = self._space.get(row_key)
        if found is not None:
            (older,) = _SEQ.unpack(found)
            encoded = self._space.get(keys.entry_key(self.key, older))
            assert encoded is not None, f"a collapse key names message {older}, which is not there"
            self.release(self.take(older, encoded))
            self.row.collapsed += 1
        self._space.put(row_key, _SEQ.pack(seq), None)

    def _look_at(self, due_ms: int) -> None:
        """Something is due then."""
        row = self.row
        if not row.due_ms or due_ms < row.due_ms:
            self.look_next(due_ms)

    def look_next(self, due_ms: int) -> None:
        """Nothing is due before; 0: nothing is due at all."""
        before = self.row.due_ms
        if before == due_ms:
            return
        if before:
            self._space.delete(keys.due_key(before, self.user_id, self.device_id), keys.NO_ROW)
        if due_ms:
            self._space.put(keys.due_key(due_ms, self.user_id, self.device_id), keys.NO_ROW, None)
        self.row.due_ms = due_ms

    # --- messages that go -------------------------------------------------------------------------

    def take(self, seq: int, encoded: bytes) -> user_data_pb2.EntryRow:
        """Takes a message away, whose row holds `encoded`; the caller counts what for. Its body keeps the
        reference."""
        space, row = self._space, self.row
        entry = user_data_pb2.EntryRow.FromString(encoded)
        space.delete(keys.entry_key(self.key, seq), encoded)
        if entry.own_expiry:
            space.delete(keys.expiry_key(self.key, entry.expire_ms, seq), keys.NO_ROW)
        if entry.collapse_key:
            space.delete(keys.collapse_row_key(self.key, entry.collapse_key), _SEQ.pack(seq))
        row.live -= 1
        row.live_bytes -= entry.size_bytes
        if seq == row.ack_floor + 1:
            row.ack_floor = seq
        self._took = True
        return entry

    def release(self, entry: user_data_pb2.EntryRow) -> None:
        """The message is gone for good."""
        if entry.body_id:
            bodies.release(self._space, entry.body_owner, entry.body_id)

    def taken_through(self, seq: int) -> None:
        """All messages up to this number are gone: spares `settle` to look for them."""
        self.row.ack_floor = max(self.row.ack_floor, seq)

    def settle(self) -> None:
        """Makes `ack_floor` the number before the first message. Failed attempts of one that is not the first
        any more are forgotten."""
        row = self.row
        if not self._took:
            return
        self._took = False
        if row.live:
            found = queues.first_from(self._space.state, self.key, row.ack_floor + 1, row.next_seq)
            assert found is not None, f"{row.live} messages are counted, and there is none"
            row.ack_floor = found[0] - 1
        else:
            row.ack_floor = row.next_seq - 1
        if row.suspect_seq and (not row.live or row.suspect_seq != row.ack_floor + 1):
            row.suspect_seq = row.attempts = 0

    def close(self) -> None:
        """Writes the queue's row."""
        self.settle()
        row = self.row
        assert (
            row.next_seq - 1 == row.live + row.acked + row.expired + row.collapsed + row.dead + row.purged
        ), f"the numbers of a queue do not add up: {row}"
        self._space.put(self.key, row.SerializeToString(deterministic=True), self._previous)
        self._space.touched.queues[self.user_id, self.device_id] = None
