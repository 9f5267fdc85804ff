"""What calls about messages and queues answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from kvraft.client.message import Delivery, Message
from kvraft.client.results import Header
from kvraft.v1 import message_pb2


class SendOutcome(StrEnum):
    """What became of a message that was accepted."""

    NOT_TOLD = "not-told"
    """The answer is for a sender, who is not to know whether they are blocked: send with `for_service`."""
    UNKNOWN = "unknown"
    """Something this version of the library does not know."""
    QUEUED = "queued"
    SCHEDULED = "scheduled"
    BLOCKED = "blocked"
    """The recipient has blocked the sender: it is in no queue."""
    HANDED_OVER = "handed-over"
    """It was handed to devices that are connected (ephemeral)."""
    NOT_ONLINE = "not-online"
    """No device is connected (ephemeral), and it is gone."""
    NO_RECIPIENTS = "no-recipients"
    """The group has no other device: it is in no queue."""


_OUTCOMES = {
    message_pb2.SEND_OUTCOME_UNSPECIFIED: SendOutcome.NOT_TOLD,
    message_pb2.SEND_OUTCOME_QUEUED: SendOutcome.QUEUED,
    message_pb2.SEND_OUTCOME_SCHEDULED: SendOutcome.SCHEDULED,
    message_pb2.SEND_OUTCOME_BLOCKED: SendOutcome.BLOCKED,
    message_pb2.SEND_OUTCOME_HANDED_OVER: SendOutcome.HANDED_OVER,
    message_pb2.SEND_OUTCOME_NOT_ONLINE: SendOutcome.NOT_ONLINE,
    message_pb2.SEND_OUTCOME_NO_RECIPIENTS: SendOutcome.NO_RECIPIENTS,
}


@dataclass(frozen=True, slots=True)
class DeviceResult:
    """What became of a message at one device."""

    user_id: str
    device_id: str
    seq: int
    """Its number in the queue; 0: it is not there because the queue is full."""
    queue_full: bool


@dataclass(frozen=True, slots=True)
class SendResult:
    header: Header
    """Its revision is that at which the message was accepted."""
    message_id: str
    accept_time: datetime
    """By the cluster's clock."""
    duplicate: bool
    """Whether it was sent before: this is the first answer once more."""
    outcome: SendOutcome
    """NOT_TOLD unless it was sent with `for_service`."""
    device_results: tuple[DeviceResult, ...] | None
    """Of a message to a user; None: not told."""
    queued_devices: int | None
    """In how many queues it is; None: not told."""

    @classmethod
    def of(cls, header: Header, message_id: str, response: message_pb2.SendMessageResponse) -> SendResult:
        accepted = response.accept_time
        is_told = response.outcome != message_pb2.SEND_OUTCOME_UNSPECIFIED
        return cls(
            header,
            message_id,
            # In milliseconds, which a float holds: for every message, and twice as fast as `ToDatetime`.
            datetime.fromtimestamp(accepted.seconds + accepted.nanos / 1e9, UTC),
            response.duplicate,
            _OUTCOMES.get(response.outcome, SendOutcome.UNKNOWN),
            tuple(
                [
                    DeviceResult(each.user_id, each.device_id, each.seq, each.queue_full)
                    for each in response.device_results
                ]
            )
            if is_told
            else None,
            response.queued_devices if is_told else None,
        )


@dataclass(frozen=True, slots=True)
class PullResult:
    header: Header
    deliveries: tuple[Delivery, ...]
    """In the order of the queue."""
    more: bool
    """Whether the queue holds more."""


@dataclass(frozen=True, slots=True)
class AcknowledgeResult:
    header: Header
    acknowledged: int
    """How many were deleted."""
    ack_floor: int
    """Everything up to this number was acknowledged, or is gone."""
    dead: int
    """How many became dead letters."""


@dataclass(frozen=True, slots=True)
class Queue:
    """How a queue stands: next_seq - 1 = live + acked + expired + collapsed + dead + purged."""

    user_id: str
    device_id: str
    next_seq: int
    """The number that the next message gets."""
    ack_floor: int
    """Everything up to this number was acknowledged, or is gone."""
    live: int
    """Messages in the queue."""
    live_bytes: int
    acked: int
    expired: int
    collapsed: int
    dead: int
    purged: int
    scheduled: int
    """Messages that wait for their delivery time."""
    dead_letters: int
    """Dead letters that are there now."""
    attempts: int
    """How often the delivery of the oldest message has failed."""

    @classmethod
    def of(cls, queue: message_pb2.Queue) -> Queue:
        return cls(
            queue.user_id,
            queue.device_id,
            queue.next_seq,
            queue.ack_floor,
            queue.live,
            queue.live_bytes,
            queue.acked,
            queue.expired,
            queue.collapsed,
            queue.dead,
            queue.purged,
            queue.scheduled,
            queue.dead_letters,
            queue.attempts,
        )


@dataclass(frozen=True, slots=True)
class QueueResult:
    header: Header
    queue: Queue


@dataclass(frozen=True, slots=True)
class QueuePage:
    header: Header
    queues: tuple[Queue, ...]
    """Each user's are together."""
    next_page_token: str
    """Token of the next page; empty on the last one."""


@dataclass(frozen=True, slots=True)
class PurgeQueueResult:
    header: Header
    purged: int
    """How many messages were in the queue."""
    unscheduled: int
    """How many were scheduled."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that could not be delivered."""

    seq: int
    """The number it had in the queue."""
    message: Message
    reason: str
    """What the last failure said."""
    attempts: int
    """How often its delivery failed."""
    dead_time: datetime
    """When it was given up, by the cluster's clock."""

    @classmethod
    def of(cls, letter: message_pb2.DeadLetter) -> DeadLetter:
        return cls(
            letter.seq,
            Message.of(letter.message),
            letter.reason,
            letter.attempts,
            letter.dead_time.ToDatetime(UTC),
        )


@dataclass(frozen=True, slots=True)
class DeadLetterPage:
    header: Header
    dead_letters: tuple[DeadLetter, ...]
    next_page_token: str
    """Token of the next page; empty on the last one."""


@dataclass(frozen=True, slots=True)
class RedriveResult:
    header: Header
    redriven: int
    """How many are queued again."""
    left: int
    """How many stay because the queue is full."""


@dataclass(frozen=True, slots=True)
class DeleteDeadLettersResult:
    header: Header
    deleted: int
