"""What receivers ask for, checked. Each raises RequestError, which names the field."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration

from kvraft.node.attachment import AttachOrder, Refusal
from kvraft.rpc.kv_requests import invalid
from kvraft.rpc.users.checks import check_bytes, check_device_id, check_user_id
from kvraft.v1 import message_pb2

WINDOW_MESSAGES_MAX = 256
WINDOW_MESSAGES_DEFAULT = 100
WINDOW_BYTES_MAX = 4 << 20
NACK_DELAY_S_MAX = 3_600
NACK_REASON_BYTES_MAX = 256
SEQS_MAX = 1_000
PULL_MESSAGES_MAX = 256
PULL_MESSAGES_DEFAULT = 50
PULL_WAIT_S_MAX = 60


def attach_order(attach: message_pb2.ReceiveCommand.Attach) -> AttachOrder:
    """What is to be attached."""
    check_user_id("attach.user_id", attach.user_id)
    check_device_id("attach.device_id", attach.device_id)
    if attach.window_messages > WINDOW_MESSAGES_MAX:
        raise invalid(
            "attach.window_messages",
            f"is {attach.window_messages:,}; at most {WINDOW_MESSAGES_MAX} are allowed",
        )
    if attach.window_bytes > WINDOW_BYTES_MAX:
        raise invalid(
            "attach.window_bytes", f"is {attach.window_bytes:,}; at most {WINDOW_BYTES_MAX:,} are allowed"
        )
    return AttachOrder(
        attachment_id=attach.attachment_id,
        user_id=attach.user_id,
        device_id=attach.device_id,
        epoch=attach.epoch,
        window_messages=attach.window_messages or WINDOW_MESSAGES_DEFAULT,
        window_bytes=attach.window_bytes or WINDOW_BYTES_MAX,
    )


def check_acknowledge(acknowledge: message_pb2.ReceiveCommand.Acknowledge) -> None:
    """What is said of messages."""
    for field, count in (("seqs", len(acknowledge.seqs)), ("nacks", len(acknowledge.nacks))):
        if count > SEQS_MAX:
            raise invalid(f"acknowledge.{field}", f"has {count:,}; at most {SEQS_MAX:,} are allowed")
    for position, nack in enumerate(acknowledge.nacks):
        field = f"acknowledge.nacks[{position}]"
        seconds(f"{field}.delay", nack.delay, NACK_DELAY_S_MAX)
        check_bytes(f"{field}.reason", nack.reason, NACK_REASON_BYTES_MAX)


def refusals(acknowledge: message_pb2.ReceiveCommand.Acknowledge) -> list[Refusal]:
    """The messages that could not be handled."""
    return [Refusal(nack.seq, nack.delay.ToMilliseconds(), nack.reason) for nack in acknowledge.nacks]


def pull_size(request: message_pb2.PullMessagesRequest) -> int:
    """How many messages are wanted."""
    check_user_id("user_id", request.user_id)
    check_device_id("device_id", request.device_id)
    if request.max_messages > PULL_MESSAGES_MAX:
        raise invalid("max_messages", f"is {request.max_messages:,}; at most {PULL_MESSAGES_MAX} are allowed")
    return request.max_messages or PULL_MESSAGES_DEFAULT


def seconds(field: str, duration: Duration, seconds_max: int) -> float:
    """A time span from 0 to `seconds_max`."""
    found = duration.seconds + duration.nanos / 1e9
    if not 0 <= found <= seconds_max:
        raise invalid(field, f"is {found:,} s; 0 to {seconds_max:,} are allowed")
    return found
