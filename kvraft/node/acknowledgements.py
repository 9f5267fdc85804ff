"""Acknowledgements of all receivers of a node, gathered: one entry of the log every few milliseconds.

While a proposal is under way they wait 10 ms for company, or until they are 256 messages; then each queue's
are one command, and all commands one proposal. A lone receiver does not wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from kvraft.node.attachment import Attachment, Refusal
from kvraft.v1 import command_pb2, message_pb2, user_data_pb2

GATHER_MS = 10
RETRY_MS = 100
"""How long what was refused, because the node is overloaded, waits before it is proposed again."""
MESSAGES_MAX = 256
"""So many do not wait any longer."""
COMMANDS_MAX = 1_000
"""Of one proposal."""
NEVER_MS = 1 << 62


class Acknowledged:
    """What a receiver said of messages, and is not yet applied."""

    __slots__ = ("attachment", "refusals", "seqs", "through_seq")

    def __init__(self, attachment: Attachment) -> None:
        self.attachment = attachment
        self.through_seq = 0
        self.seqs: dict[int, None] = {}
        self.refusals: dict[int, Refusal] = {}

    def add(self, through_seq: int, seqs: Iterable[int], refusals: Iterable[Refusal]) -> None:
        self.through_seq = max(self.through_seq, through_seq)
        self.seqs.update(dict.fromkeys(seqs))
        self.seqs = {seq: None for seq in self.seqs if seq > self.through_seq}
        self.refusals.update({refusal.seq: refusal for refusal in refusals})

    @property
    def confirms(self) -> bool:
        """Whether there is something to confirm."""
        return bool(self.through_seq or self.seqs)

    def command(self) -> command_pb2.Command:
        order = self.attachment.order
        nacks = [
            message_pb2.Nack(seq=refusal.seq, reason=refusal.reason) for refusal in self.refusals.values()
        ]
        acknowledge = message_pb2.AcknowledgeMessagesRequest(
            user_id=order.user_id,
            device_id=order.device_id,
            epoch=order.epoch,
            through_seq=self.through_seq,
            seqs=self.seqs,
            nacks=nacks,
        )
        return command_pb2.Command(user_data=user_data_pb2.UserDataCommand(acknowledge_messages=acknowledge))


class FailedDelivery:
    """A receiver ended with messages that it had not acknowledged."""

    __slots__ = ("device_id", "reason", "seq", "user_id")

    def __init__(self, attachment: Attachment, seq: int, reason: str) -> None:
        self.user_id, self.device_id = attachment.device
        self.seq = seq
        self.reason = reason

    def command(self) -> command_pb2.Command:
        fail = user_data_pb2.FailDeliveryCommand(
            user_id=self.user_id, device_id=self.device_id, seq=self.seq, reason=self.reason
        )
        return command_pb2.Command(user_data=user_data_pb2.UserDataCommand(fail_delivery=fail))


Item = Acknowledged | FailedDelivery


class Gathering:
    """What is to be proposed next, in the order in which it came."""

    __slots__ = ("_acknowledged", "_failed", "_messages", "due_ms")

    def __init__(self) -> None:
        self._acknowledged: dict[Attachment, Acknowledged] = {}
        self._failed: list[FailedDelivery] = []
        self._messages = 0
        self.due_ms = NEVER_MS
        """When it is to be proposed."""

    def acknowledge(
        self,
        attachment: Attachment,
        through_seq: int,
        seqs: Iterable[int],
        refusals: Iterable[Refusal],
        *,
        messages: int,
        due_ms: int,
    ) -> None:
        """Adds what a receiver said of `messages` messages."""
        acknowledged = self._acknowledged.get(attachment)
        if acknowledged is None:
            acknowledged = self._acknowledged[attachment] = Acknowledged(attachment)
            attachment.unconfirmed += 1
        acknowledged.add(through_seq, seqs, refusals)
        self._messages += messages
        self.due_ms = min(self.due_ms, due_ms if self._messages < MESSAGES_MAX else 0)

    def fail(self, attachment: Attachment, seq: int, reason: str, *, due_ms: int) -> None:
        """Adds a delivery that failed; what its receiver acknowledged before goes before."""
        self._failed.append(FailedDelivery(attachment, seq, reason))
        self.due_ms = min(self.due_ms, due_ms)

    def take(self) -> Iterator[list[Item]]:
        """Everything, in proposals."""
        items: list[Item] = [*self._acknowledged.values(), *self._failed]
        self.clear()
        remaining = iter(items)
        while proposal := list(islice(remaining, COMMANDS_MAX)):
            yield proposal

    def clear(self) -> None:
        """Nothing is to be proposed any more."""
        self._acknowledged, self._failed = {}, []
        self._messages, self.due_ms = 0, NEVER_MS


def proposal(items: Iterable[Item]) -> bytes:
    """The command that does all of it."""
    commands = [item.command() for item in items]
    return command_pb2.Command(list=command_pb2.CommandList(commands=commands)).SerializeToString()
