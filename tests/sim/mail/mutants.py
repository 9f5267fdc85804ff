"""Known bugs of message queues, put in on purpose: what others have lost, doubled or shown to the wrong
people."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from kvraft.machine.users import bodies, sends, sent
from kvraft.machine.users.open_queue import OpenQueue
from kvraft.machine.users.space import Touched
from kvraft.node.attachment import Attachment, Refusal
from kvraft.node.delivery import DeliveryHub
from kvraft.node.delivery_stream import AckConfirmed, DeliveryStream
from kvraft.v1 import user_data_pb2

Patch = pytest.MonkeyPatch


def _forgets_what_was_sent(patch: Patch) -> None:
    patch.setattr(sent.Memory, "answer", lambda _: None)
    patch.setattr(sent.Memory, "remember", lambda *_: None)


def _remembers_one_generation(patch: Patch) -> None:
    """Short ones: with real generations a run would have to last a day."""
    patch.setattr(sent, "REMEMBERED_MS", 2_000)


def _nobody_is_blocked(patch: Patch) -> None:
    patch.setattr(sends.blocks, "scope", lambda *_: None)


def _confirms_before_it_is_applied(patch: Patch) -> None:
    acknowledge = DeliveryHub.acknowledge

    def at_once(
        hub: DeliveryHub,
        stream: DeliveryStream,
        attachment_id: int,
        *,
        through_seq: int,
        seqs: Sequence[int],
        refusals: Sequence[Refusal],
    ) -> None:
        if attachment_id in stream.attachments and (through_seq or seqs):
            stream.queue(AckConfirmed(attachment_id, through_seq, tuple(seqs)))
        acknowledge(hub, stream, attachment_id, through_seq=through_seq, seqs=seqs, refusals=refusals)

    patch.setattr(DeliveryHub, "acknowledge", at_once)


def _a_full_window_skips(patch: Patch) -> None:
    """What does not fit the window is taken for delivered, and acknowledged with what comes after it."""
    deliver_next = DeliveryHub._deliver_next

    def skip(hub: DeliveryHub, attachment: Attachment, row: user_data_pb2.QueueRow) -> bool:
        is_done = deliver_next(hub, attachment, row)
        if is_done and not attachment.has_room(0):
            attachment.position = min(attachment.position + 1, row.next_seq - 1)
        return is_done

    patch.setattr(DeliveryHub, "_deliver_next", skip)


def _new_messages_are_not_told(patch: Patch) -> None:
    """A connected device hears of messages only when something else happens to it; in the end it waits for
    ever."""

    def publish(hub: DeliveryHub, touched: Touched) -> None:
        touched.queues.clear()
        real(hub, touched)

    real = DeliveryHub.publish
    patch.setattr(DeliveryHub, "publish", publish)


def _bodies_are_never_released(patch: Patch) -> None:
    patch.setattr(bodies, "release", lambda *_: None)


def _numbers_are_given_twice(patch: Patch) -> None:
    """The number of the last message is given again once it is gone."""
    settle = OpenQueue.settle

    def reuse(queue: OpenQueue) -> None:
        settle(queue)
        if not queue.row.live and queue.row.acked and not queue.row.scheduled:
            queue.row.next_seq -= 1
            queue.row.ack_floor -= 1
            queue.row.acked -= 1

    patch.setattr(OpenQueue, "settle", reuse)


MAIL_MUTANTS: tuple[tuple[str, Callable[[Patch], None]], ...] = (
    ("messages sent again are new ones", _forgets_what_was_sent),
    ("messages are remembered too briefly", _remembers_one_generation),
    ("connected devices are not told of messages", _new_messages_are_not_told),
    ("blocks are not looked at", _nobody_is_blocked),
    ("acknowledgements confirmed before they are applied", _confirms_before_it_is_applied),
    ("a message that does not fit the window is skipped", _a_full_window_skips),
    ("a shared body is never released", _bodies_are_never_released),
    ("a queue's last number is given again", _numbers_are_given_twice),
)
