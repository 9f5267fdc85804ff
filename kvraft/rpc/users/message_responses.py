"""Answers of MessageService: what a sender may know, and how queues and dead letters are shown."""

from __future__ import annotations

from kvraft.machine.users.queues import QueuedMessage
from kvraft.v1 import message_pb2, user_data_pb2


def show_sent(request: message_pb2.SendMessageRequest, response: message_pb2.SendMessageResponse) -> None:
    """Makes of the machine's answer to a send what the caller asked for: everything, or what a sender may
    know, who must not find out whether they are blocked."""
    if request.view != message_pb2.SEND_VIEW_SERVICE:
        response.ClearField("outcome")
        response.ClearField("device_results")
        response.ClearField("queued_devices")
    elif request.message.user_id:
        for result in response.device_results:
            result.user_id = request.message.user_id


def queue(user_id: str, device_id: str, row: user_data_pb2.QueueRow) -> message_pb2.Queue:
    """How a queue stands."""
    return message_pb2.Queue(
        user_id=user_id,
        device_id=device_id,
        next_seq=row.next_seq,
        ack_floor=row.ack_floor,
        live=row.live,
        live_bytes=row.live_bytes,
        acked=row.acked,
        expired=row.expired,
        collapsed=row.collapsed,
        dead=row.dead,
        purged=row.purged,
        scheduled=row.scheduled,
        dead_letters=row.dead_letters,
        attempts=row.attempts,
    )


def dead_letter(letter: QueuedMessage) -> message_pb2.DeadLetter:
    """A message that could not be delivered."""
    seq, entry, message = letter
    shown = message_pb2.DeadLetter(seq=seq, message=message, reason=entry.reason, attempts=entry.attempts)
    shown.dead_time.FromMilliseconds(entry.dead_ms)
    return shown
