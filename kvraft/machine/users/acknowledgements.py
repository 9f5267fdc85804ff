"""Acknowledgements: what a device has is deleted from its queue, and what it cannot handle is counted.

Only the session that a device has may acknowledge: its epoch fences off those before it. The order within a
command is acknowledgements first, then failures, then receipts, which are messages like any other and may go
to the very queue that was acknowledged.
"""

from __future__ import annotations

from kvraft.machine.results import Failed, FailureReason
from kvraft.machine.users import dead_letters, keys, queues, receipts
from kvraft.machine.users.open_queue import OpenQueue
from kvraft.machine.users.rows import has_device
from kvraft.machine.users.space import UserSpace
from kvraft.v1 import message_pb2, session_pb2, user_data_pb2


def acknowledge(
    space: UserSpace, request: message_pb2.AcknowledgeMessagesRequest
) -> message_pb2.AcknowledgeMessagesResponse | Failed:
    """Deletes what is acknowledged, and counts failures of the first message."""
    user_id, device_id = request.user_id, request.device_id
    refused = _refused(space, user_id, device_id, request.epoch)
    if refused is not None:
        return refused
    queue = OpenQueue(space, user_id, device_id)
    row, given = queue.row, queue.row.next_seq - 1
    named = max(request.through_seq, *request.seqs, *(nack.seq for nack in request.nacks), 0)
    if named > given:
        return Failed(FailureReason.SEQ_NOT_GIVEN, name=str(named))
    acknowledging = _Acknowledging(space, queue)
    acknowledging.through(request.through_seq)
    for seq in request.seqs:
        acknowledging.one(seq)
    queue.settle()
    failures = dead = 0
    for nack in request.nacks:
        if dead_letters.is_suspect(queue, nack.seq):
            failures += 1
            dead += dead_letters.count_failure(space, queue, nack.reason)
    if acknowledging.count or failures:
        queue.close()
    receipts.send(space, user_id, device_id, acknowledging.wanted)
    return message_pb2.AcknowledgeMessagesResponse(
        acknowledged=acknowledging.count, ack_floor=row.ack_floor, dead=dead
    )


def _refused(space: UserSpace, user_id: str, device_id: str, epoch: int) -> Failed | None:
    session = space.get(keys.session_key(user_id, device_id))
    if session is not None:
        if session_pb2.Session.FromString(session).epoch != epoch:
            return Failed(FailureReason.SESSION_SUPERSEDED)
    elif epoch:
        return Failed(FailureReason.SESSION_SUPERSEDED)
    elif not has_device(space.state, user_id, device_id):
        return Failed(FailureReason.DEVICE_NOT_FOUND)
    return None


class _Acknowledging:
    """The acknowledgements of one command."""

    __slots__ = ("_queue", "_space", "count", "wanted")

    def __init__(self, space: UserSpace, queue: OpenQueue) -> None:
        self._space = space
        self._queue = queue
        self.count = 0
        self.wanted: dict[str, list[str]] = {}
        """The messages of each sender that wants receipts, in order."""

    def through(self, through_seq: int) -> None:
        """All messages up to this number."""
        queue, row = self._queue, self._queue.row
        seq = row.ack_floor + 1
        if through_seq < seq:
            return
        while (found := queues.first_from(self._space.state, queue.key, seq, row.next_seq)) is not None:
            if found[0] > through_seq:
                break
            self._acknowledge(*found)
            seq = found[0] + 1
        queue.taken_through(through_seq)

    def one(self, seq: int) -> None:
        """One message, if it is there."""
        if seq > self._queue.row.ack_floor:
            encoded = self._space.get(keys.entry_key(self._queue.key, seq))
            if encoded is not None:
                self._acknowledge(seq, encoded)

    def _acknowledge(self, seq: int, encoded: bytes) -> None:
        entry = self._queue.take(seq, encoded)
        self._queue.row.acked += 1
        self.count += 1
        if entry.request_receipt:
            self._want_receipt(entry)
        self._queue.release(entry)

    def _want_receipt(self, entry: user_data_pb2.EntryRow) -> None:
        message = queues.message_of(self._space.state, entry)
        self.wanted.setdefault(message.sender_id, []).append(message.message_id)
