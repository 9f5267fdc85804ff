"""One receiver's stream: its attachments, and what is due to it, in order.

Little lies in the queue: the stream asks for messages when it has none left (`take`), attachment by
attachment, so what a slow reader costs is bounded, and each attachment gets its turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kvraft.errors import Reason, RequestError
from kvraft.node.sharing import CONNECTION
from kvraft.v1 import message_pb2

if TYPE_CHECKING:
    from kvraft.node.attachment import Attachment
    from kvraft.node.delivery import DeliveryHub

STREAM_BYTES_MAX = 64 << 10
"""Of messages in the queue of a stream; one message more may exceed it."""
STREAM_EVENTS_MAX = 1_000
"""A stream in which more waits takes no more commands."""


@dataclass(frozen=True, slots=True)
class Attached:
    """The attachment begins."""

    attachment_id: int
    ack_floor: int
    next_seq: int
    device_revision: int


@dataclass(frozen=True, slots=True)
class Delivered:
    """A message; number 0: it is ephemeral."""

    attachment_id: int
    delivery: message_pb2.Delivery
    size_bytes: int


@dataclass(frozen=True, slots=True)
class AckConfirmed:
    """Acknowledgements are applied: of everything up to `ack_floor`, and of `seqs` above it."""

    attachment_id: int
    ack_floor: int
    seqs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class QueueEmpty:
    """All that was queued when it was attached is delivered and acknowledged."""

    attachment_id: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The attachment has ended."""

    attachment_id: int
    reason: Reason | None
    """None: it was detached."""
    message: str
    leader_id: int = 0
    """Of NOT_LEADER, if it is known."""


@dataclass(frozen=True, slots=True)
class CommandRefused:
    """A command breaks a rule: nothing of it is done, and everything else goes on."""

    attachment_id: int
    error: RequestError


StreamEvent = Attached | Delivered | AckConfirmed | QueueEmpty | Closed | CommandRefused


class DeliveryStream:
    """The attachments of one receiver's stream."""

    __slots__ = (
        "_hub",
        "_queue",
        "_queued_bytes",
        "attachments",
        "connection",
        "due",
        "has_ended",
        "on_ready",
    )

    def __init__(self, hub: DeliveryHub, on_ready: Callable[[], None]) -> None:
        self._hub = hub
        self._queue: deque[StreamEvent] = deque()
        self._queued_bytes = 0
        self.connection = CONNECTION.get()
        self.attachments: dict[int, Attachment] = {}
        self.due: dict[Attachment, None] = {}
        """For which there may be something to send; in turn."""
        self.has_ended = False
        """No attachment begins any more."""
        self.on_ready = on_ready

    def take(self) -> StreamEvent | None:
        """What is to be sent next. Raises StorageError."""
        while not self._queue and self.due:
            attachment = next(iter(self.due))
            del self.due[attachment]
            self._hub.fill(attachment)
        if not self._queue:
            self._hub.keeps_up(self)
            return None
        event = self._queue.popleft()
        if isinstance(event, Delivered):
            self._queued_bytes -= event.size_bytes
            attachment_or_none = self.attachments.get(event.attachment_id)
            if attachment_or_none is not None:
                attachment_or_none.sent(event.delivery.seq)
        self._hub.has_read(self)
        return event

    @property
    def is_behind(self) -> bool:
        """Whether so much waits to be sent that the client should not be allowed to ask for more."""
        return len(self._queue) >= STREAM_EVENTS_MAX

    def close(self) -> None:
        """The receiver is gone. What it had of attachments breaks off."""
        self._hub.close_stream(self)

    # --- for the hub ----------------------------------------------------------------------------

    @property
    def is_full(self) -> bool:
        """Whether no more messages go into the queue."""
        return self._queued_bytes >= STREAM_BYTES_MAX

    def queue(self, event: StreamEvent) -> None:
        if isinstance(event, Delivered):
            self._queued_bytes += event.size_bytes
        self._queue.append(event)
        self._hub.waits(self)
        self.on_ready()

    def mark(self, attachment: Attachment) -> None:
        """There may be something to send for it."""
        self.due[attachment] = None
        self._hub.waits(self)
        self.on_ready()
