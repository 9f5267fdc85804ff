"""Receipts: messages that tell senders what a device has acknowledged.

One acknowledgement makes one receipt for each sender, however many messages it is about (but for very many:
then more follow). It is queued like any message from the user who acknowledged, and as worthless as it is
late: who is unknown, full or has blocked that user is passed over, and nobody is told.
"""

from __future__ import annotations

from collections.abc import Mapping

from kvraft.machine.users import blocks, fanout, queues
from kvraft.machine.users.open_queue import OpenQueue
from kvraft.machine.users.rows import find_recipient
from kvraft.machine.users.space import UserSpace
from kvraft.v1 import message_pb2

MESSAGES_MAX = 1_000
"""In one receipt, which then fits what a message may carry."""


def send(space: UserSpace, user_id: str, device_id: str, wanted: Mapping[str, list[str]]) -> None:
    """Tells each sender which of their messages this device has acknowledged."""
    for sender_id, message_ids in wanted.items():
        for number, first in enumerate(range(0, len(message_ids), MESSAGES_MAX)):
            receipt = message_pb2.Receipt(
                user_id=user_id, device_id=device_id, message_ids=message_ids[first : first + MESSAGES_MAX]
            )
            receipt.acknowledge_time.FromMilliseconds(space.clock_ms)
            suffix = f"-{number}" if number else ""
            message = message_pb2.Message(
                message_id=f"receipt-{space.revision}{suffix}",
                sender_id=user_id,
                sender_device_id=device_id,
                user_id=sender_id,
                content_type=message_pb2.CONTENT_TYPE_RECEIPT,
                payload=receipt.SerializeToString(deterministic=True),
            )
            _queue(space, message)


def _queue(space: UserSpace, message: message_pb2.Message) -> None:
    user_id = message.user_id
    user = find_recipient(space.state, user_id)
    if user is None or blocks.scope(space.state, user_id, user.blocked, message.sender_id) is not None:
        return
    size_bytes = queues.size_of(message)
    opened = [OpenQueue(space, user_id, device_id) for device_id in user.device_ids]
    accepting = [queue for queue in opened if queue.has_room(size_bytes)]
    if accepting:
        fanout.enqueue(space, message, accepting, size_bytes=size_bytes)
