"""Poison: a message that a device fails to handle again and again is put aside, so that the others pass.

Only the first message of a queue is suspect. Deliveries run ahead, and a device that dies takes all of them
with it; the one that killed it is, sooner or later, the first.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from kvraft.machine.results import Failed, FailureReason
from kvraft.machine.users import keys
from kvraft.machine.users.fanout import give_life
from kvraft.machine.users.open_queue import OpenQueue
from kvraft.machine.users.rows import has_device
from kvraft.machine.users.space import UserSpace
from kvraft.v1 import message_pb2, user_data_pb2

ATTEMPTS_MAX = 20
"""A message whose delivery has failed so often is a dead letter."""
KEPT_MAX = 1_000
"""Dead letters of one device; of more the oldest goes."""


def is_suspect(queue: OpenQueue, seq: int) -> bool:
    """Whether a failure of this message counts: it is the first one. The queue is settled."""
    return bool(queue.row.live) and seq == queue.row.ack_floor + 1


def count_failure(space: UserSpace, queue: OpenQueue, reason: str) -> bool:
    """The first message has failed. True: it is a dead letter now. The queue is settled."""
    row = queue.row
    seq = row.ack_floor + 1
    if row.suspect_seq != seq:
        row.suspect_seq, row.attempts = seq, 0
    row.attempts += 1
    if row.attempts < ATTEMPTS_MAX:
        return False
    _bury(space, queue, seq, reason)
    return True


def fail_delivery(
    space: UserSpace, command: user_data_pb2.FailDeliveryCommand
) -> user_data_pb2.FailDeliveryResponse:
    """A delivery has failed; of a message that is not the first one it changes nothing."""
    queue = OpenQueue(space, command.user_id, command.device_id)
    if not is_suspect(queue, command.seq):
        return user_data_pb2.FailDeliveryResponse()
    dead = count_failure(space, queue, command.reason)
    queue.close()
    return user_data_pb2.FailDeliveryResponse(dead=dead)


def _bury(space: UserSpace, queue: OpenQueue, seq: int, reason: str) -> None:
    encoded = space.get(keys.entry_key(queue.key, seq))
    assert encoded is not None, f"message {seq} is the first one, and not there"
    entry = queue.take(seq, encoded)
    entry.reason, entry.attempts, entry.dead_ms = reason, queue.row.attempts, space.clock_ms
    row = queue.row
    row.dead += 1
    if row.dead_letters == KEPT_MAX:
        ((row_key, oldest),) = islice(space.state.scan(*keys.dead_letter_range(queue.key)), 1)
        _drop(space, queue, row_key, oldest)
    space.put(keys.dead_letter_key(queue.key, seq), entry.SerializeToString(deterministic=True), None)
    row.dead_letters += 1
    queue.settle()


def redrive(
    space: UserSpace, request: message_pb2.RedriveDeadLettersRequest
) -> message_pb2.RedriveDeadLettersResponse | Failed:
    """Queues dead letters again, in their order, as far as there is room. They collapse with nothing: newer
    messages may have the same key."""
    if not has_device(space.state, request.user_id, request.device_id):
        return Failed(FailureReason.DEVICE_NOT_FOUND, name=request.device_id)
    queue = OpenQueue(space, request.user_id, request.device_id)
    letters = _chosen(space, queue, request.seqs)
    redriven = 0
    for row_key, encoded in letters:
        entry = user_data_pb2.EntryRow.FromString(encoded)
        if not queue.has_room(entry.size_bytes):
            break
        space.delete(row_key, encoded)
        for field in ("reason", "attempts", "dead_ms", "expire_ms", "collapse_key"):
            entry.ClearField(field)
        give_life(entry, space.clock_ms)
        queue.append(entry, entry.SerializeToString(deterministic=True))
        redriven += 1
    if redriven:
        queue.row.dead_letters -= redriven
        queue.close()
    return message_pb2.RedriveDeadLettersResponse(redriven=redriven, left=len(letters) - redriven)


def delete(
    space: UserSpace, request: message_pb2.DeleteDeadLettersRequest
) -> message_pb2.DeleteDeadLettersResponse | Failed:
    """Deletes dead letters."""
    if not has_device(space.state, request.user_id, request.device_id):
        return Failed(FailureReason.DEVICE_NOT_FOUND, name=request.device_id)
    queue = OpenQueue(space, request.user_id, request.device_id)
    letters = _chosen(space, queue, request.seqs)
    for row_key, encoded in letters:
        _drop(space, queue, row_key, encoded)
    if letters:
        queue.close()
    return message_pb2.DeleteDeadLettersResponse(deleted=len(letters))


def _drop(space: UserSpace, queue: OpenQueue, row_key: bytes, encoded: bytes) -> None:
    space.delete(row_key, encoded)
    queue.release(user_data_pb2.EntryRow.FromString(encoded))
    queue.row.dead_letters -= 1


def _chosen(space: UserSpace, queue: OpenQueue, seqs: Iterable[int]) -> list[tuple[bytes, bytes]]:
    """The rows of those dead letters that are there, in their order; of none that are named, all."""
    wanted = sorted(set(seqs))
    if not wanted:
        return list(space.state.scan(*keys.dead_letter_range(queue.key)))
    row_keys = [keys.dead_letter_key(queue.key, seq) for seq in wanted]
    return [(row_key, row) for row_key in row_keys if (row := space.get(row_key)) is not None]
