"""What a leader remembers of one device that receives."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kvraft.node.delivery_stream import DeliveryStream

NACKED_MAX = 1_000
"""Messages that wait to be delivered again. With more, nothing is sent until some were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachOrder:
    """What a receiver asks for."""

    attachment_id: int
    user_id: str
    device_id: str
    epoch: int
    window_messages: int
    window_bytes: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that a receiver could not handle."""

    seq: int
    delay_ms: int
    reason: str


class InFlight:
    """A message that is on its way, or at the receiver, and not acknowledged."""

    __slots__ = ("is_answered", "is_sent", "size_bytes")

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.is_sent = False
        """Whether it has left the queue of the stream."""
        self.is_answered = False
        """Whether the receiver has acknowledged or refused it, which is not yet applied."""


class Attachment:
    """One device, its place in its queue and its window."""

    __slots__ = (
        "ack_floor",
        "again",
        "delayed",
        "delivered_seq",
        "empty_seq",
        "gone",
        "in_flight",
        "in_flight_bytes",
        "is_detaching",
        "order",
        "position",
        "redelivered_seq",
        "stream",
        "unconfirmed",
    )

    def __init__(self, stream: DeliveryStream, order: AttachOrder) -> None:
        self.stream = stream
        self.order = order
        self.ack_floor = 0
        """Everything up to it is gone, when it was last looked at."""
        self.position = 0
        """Everything up to it was queued once, or is gone."""
        self.delivered_seq = 0
        """The highest that was queued."""
        self.redelivered_seq = 0
        """The highest that an earlier attachment is known to have got."""
        self.empty_seq: int | None = None
        """The last message that was there at the beginning; None: all of them are known to be gone."""
        self.gone = 0
        """How many messages have left the queue, when it was last looked at."""
        self.in_flight: dict[int, InFlight] = {}
        self.in_flight_bytes = 0
        self.again: list[int] = []
        """Refused, and to be delivered before any later one; ascending."""
        self.delayed: dict[int, int] = {}
        """Refused, and when each is to be delivered again."""
        self.unconfirmed = 0
        """Commands with acknowledgements that are not yet applied."""
        self.is_detaching = False

    @property
    def device(self) -> tuple[str, str]:
        return self.order.user_id, self.order.device_id

    def has_room(self, size_bytes: int) -> bool:
        """Whether the window lets a message of this size; one always fits."""
        if not self.in_flight:
            return len(self.delayed) < NACKED_MAX
        return (
            len(self.in_flight) < self.order.window_messages
            and self.in_flight_bytes + size_bytes <= self.order.window_bytes
            and len(self.delayed) < NACKED_MAX
        )

    def queued(self, seq: int, size_bytes: int) -> None:
        """The message goes into the queue of the stream."""
        self.in_flight[seq] = InFlight(size_bytes)
        self.in_flight_bytes += size_bytes
        self.delivered_seq = max(self.delivered_seq, seq)

    def sent(self, seq: int) -> None:
        """The message has left it."""
        message = self.in_flight.get(seq)
        if message is not None:
            message.is_sent = True

    def ended(self, seq: int) -> None:
        """The message is gone, or has to come again."""
        self.in_flight_bytes -= self.in_flight.pop(seq).size_bytes

    def deliver_again(self, seq: int) -> None:
        self.delayed.pop(seq, None)
        if seq not in self.again:
            insort(self.again, seq)

    def is_open(self, seq: int) -> bool:
        """Whether some message up to `seq` is still to be delivered or acknowledged."""
        if self.position < seq:
            return True
        return any(
            number <= seq for numbers in (self.in_flight, self.again, self.delayed) for number in numbers
        )

    @property
    def suspect(self) -> int | None:
        """The oldest message that the receiver has and has not answered."""
        return min(
            (
                seq
                for seq, message in self.in_flight.items()
                if message.is_sent and not message.is_answered and seq > self.ack_floor
            ),
            default=None,
        )
