"""Purging: a queue is emptied, and goes on with its numbers."""

from __future__ import annotations

from kvraft.machine.results import Failed, FailureReason
from kvraft.machine.users import keys, queues
from kvraft.machine.users.open_queue import OpenQueue
from kvraft.machine.users.rows import has_device
from kvraft.machine.users.space import UserSpace
from kvraft.v1 import message_pb2


def purge(
    space: UserSpace, request: message_pb2.PurgeQueueRequest
) -> message_pb2.PurgeQueueResponse | Failed:
    """Deletes all messages, also those that are scheduled. Dead letters stay."""
    if not has_device(space.state, request.user_id, request.device_id):
        return Failed(FailureReason.DEVICE_NOT_FOUND, name=request.device_id)
    queue = OpenQueue(space, request.user_id, request.device_id)
    row = queue.row
    purged, unscheduled = row.live, row.scheduled
    seq = row.ack_floor + 1
    while (found := queues.first_from(space.state, queue.key, seq, row.next_seq)) is not None:
        queue.release(queue.take(*found))
        row.purged += 1
        seq = found[0] + 1
    for row_key, encoded in queues.rows_in_steps(space.state, *keys.scheduled_range(queue.key)):
        queue.release(queue.unschedule(row_key, encoded))
    if purged or unscheduled:
        queue.taken_through(row.next_seq - 1)
        queue.look_next(0)
        queue.close()
    return message_pb2.PurgeQueueResponse(purged=purged, unscheduled=unscheduled)
