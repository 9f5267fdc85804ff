"""Receiving the messages of one device, across whatever becomes of the nodes.

The node delivers a message again to every new attachment until its acknowledgement is applied. A receiver
remembers what it has handed out, so that the application gets each message once in one iteration: what comes
again is passed over, and if it was acknowledged meanwhile, that is said once more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator
from typing import Protocol

from kvraft.client.arguments import checked
from kvraft.client.errors import (
    Aborted,
    ClientClosed,
    InternalError,
    KvraftError,
    LeaseLost,
    OutcomeUnknown,
    Unavailable,
)
from kvraft.client.gateway import Gateway
from kvraft.client.limits import (
    DEVICE_ID_BYTES_MAX,
    EPOCH_MAX,
    NACK_DELAY_S_MAX,
    NACK_REASON_BYTES_MAX,
    USER_ID_BYTES_MAX,
    WINDOW_BYTES_MAX,
    WINDOW_MESSAGES_MAX,
    check_id,
    check_number,
    check_text,
)
from kvraft.client.message import Delivery, Message
from kvraft.client.receive_stream import ReceiveStream
from kvraft.client.releases import Releases
from kvraft.client.session_results import Session
from kvraft.v1 import message_pb2

WINDOW_MESSAGES = 100
WINDOW_BYTES = 4 << 20
EPHEMERAL_MAX = 1_000
"""With so many waiting to be handed out, ephemeral messages are dropped."""
DETACH_S = 5.0
"""How long an orderly end waits for the node's word."""

Event = message_pb2.ReceiveEvent
Command = message_pb2.ReceiveCommand


class DeviceSession(Protocol):
    """The session under which a device is attached."""

    async def open(self) -> int:
        """Returns its epoch. Raises KvraftError."""
        ...

    def check(self) -> None:
        """Raises Aborted (SESSION_EXPIRED) if it has ended, or may have, by the clock."""
        ...

    async def close(self) -> None:
        """Ends it, if it was opened here."""
        ...


@checked
class ReceivedMessage:
    """A message that was handed out. It stays in the queue until it is acknowledged."""

    __slots__ = ("_reception", "delivery")

    def __init__(self, reception: Reception, delivery: Delivery) -> None:
        self._reception = reception
        self.delivery = delivery

    @property
    def message(self) -> Message:
        return self.delivery.message

    @property
    def seq(self) -> int:
        """Its number in the queue; 0: it is ephemeral, and there is nothing to acknowledge."""
        return self.delivery.seq

    @property
    def text(self) -> str:
        """The payload as text."""
        return self.delivery.message.text

    async def ack(self) -> None:
        """Acknowledges the message, and waits until it is deleted from the queue on a majority of the nodes.
        Raises OutcomeUnknown if receiving ended before that: if it was not applied, the message comes again.
        Raises what receiving ended with if it had ended before."""
        await self._reception.acknowledge(self.seq)

    def ack_soon(self) -> None:
        """The same without waiting. The end of the iteration waits for it, as long as a node answers."""
        self._reception.acknowledge_soon(self.seq)

    def nack(self, delay_s: float = 0.0, reason: str = "") -> None:
        """It could not be handled: it is handed out again, at once or after `delay_s` (at most 1 hour). The
        20th failure of the oldest message makes it a dead letter, with the last `reason` (256 bytes). Raises
        ValueError, TypeError."""
        check_number("delay_s", delay_s, 0, NACK_DELAY_S_MAX)
        check_text("reason", reason, NACK_REASON_BYTES_MAX)
        self._reception.refuse(self.seq, delay_s, reason)

    def __repr__(self) -> str:
        return f"<ReceivedMessage {self.seq} from {self.message.sender_id!r}>"


class _Acks:
    """What was handed out and not yet confirmed, of one life of the queue."""

    __slots__ = ("confirming", "delivered_seq", "floor", "handed", "refused", "unsaid")

    def __init__(self) -> None:
        self.handed: dict[int, None] = {}
        """Messages the application has and has not acknowledged."""
        self.confirming: dict[int, asyncio.Future[None]] = {}
        """Messages it has acknowledged, and who waits for that to be applied."""
        self.unsaid: dict[int, None] = {}
        """Of these: those that are to be said at the next occasion."""
        self.refused: dict[int, message_pb2.Nack | None] = {}
        """Messages it has refused, until they come again; None: that is said."""
        self.floor = 0
        self.delivered_seq = 0
        """The highest number of this attachment: more cannot be said of."""

    def take(self) -> tuple[int, list[int]]:
        """What is to be said: everything up to a number, and further ones."""
        sayable = sorted(seq for seq in self.unsaid if seq <= self.delivered_seq)
        for seq in sayable:
            del self.unsaid[seq]
        oldest = min((*self.handed, *self.refused, self.delivered_seq + 1))
        through = max((seq for seq in sayable if seq < oldest), default=0)
        return through, [seq for seq in sayable if seq > through]

    def confirm(self, floor: int, seqs: tuple[int, ...] = ()) -> None:
        self.floor = max(self.floor, floor)
        for seq in [seq for seq in self.confirming if seq <= floor or seq in seqs]:
            self._gone(seq)
        for seq in [seq for seq in self.handed if seq <= floor]:
            del self.handed[seq]
        for seq in [seq for seq in self.refused if seq <= floor]:
            del self.refused[seq]

    def take_refused(self) -> list[message_pb2.Nack]:
        """What is to be said of these."""
        nacks = [nack for seq, nack in self.refused.items() if nack is not None and seq <= self.delivered_seq]
        for nack in nacks:
            self.refused[nack.seq] = None
        return nacks

    def passed(self, seq: int) -> None:
        """The attachment has come to `seq`: what was acknowledged and did not come again before, is gone."""
        for before in [each for each in self.confirming if self.delivered_seq < each < seq]:
            self._gone(before)
        self.delivered_seq = max(self.delivered_seq, seq)

    def _gone(self, seq: int) -> None:
        waiter = self.confirming.pop(seq)
        self.unsaid.pop(seq, None)
        if not waiter.done():
            waiter.set_result(None)

    def fail(self, error: BaseException | None) -> None:
        """Receiving ends, because of `error` or in good order. Which of these acknowledgements reached the
        log nobody says any more."""
        why = "" if error is None else f" {error}"
        for seq, waiter in self.confirming.items():
            if not waiter.done():
                failure = OutcomeUnknown(
                    f"Receiving ended before the acknowledgement of message {seq} was confirmed: it may have "
                    f"been applied, else the message comes again.{why}",
                    reason=error.reason if isinstance(error, KvraftError) else "CANCELLED",
                )
                failure.__cause__ = error
                waiter.set_exception(failure)
                # Perhaps its caller is gone.
                waiter.exception()


class Receiver:
    """Iterates over the messages of a device: `async for message in client.messages.receive(...)`.

    Messages come in the order of the queue, each once in one iteration, whatever becomes of nodes and
    connections; what is not acknowledged comes again in the next one. At most `window_messages` are handed
    out without being acknowledged.

    Raises Aborted when the session ends (SESSION_SUPERSEDED, SESSION_CLOSED, SESSION_EXPIRED),
    Unauthenticated (SESSION_REVOKED), NotFound (DEVICE_NOT_FOUND), and any other KvraftError when no leader
    was found for `timeout_s`. To leave it early and in good order, wrap the iterator in
    `contextlib.aclosing`. A receiver is iterated over once.
    """

    __slots__ = ("_reception", "queue_empty")

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self.queue_empty = reception.queue_empty
        """Set when everything that was queued when it began is handed out and acknowledged."""

    def __aiter__(self) -> AsyncGenerator[ReceivedMessage, None]:
        return self._reception.messages()


class Reception:
    """Receiving for one device: what the messages say of themselves, and what the stream brings."""

    def __init__(
        self,
        stream: ReceiveStream,
        user_id: str,
        device_id: str,
        session: DeviceSession,
        releases: Releases,
        *,
        window_messages: int = WINDOW_MESSAGES,
        window_bytes: int = WINDOW_BYTES,
        until_empty: bool = False,
    ) -> None:
        check_id("user_id", user_id, USER_ID_BYTES_MAX)
        check_id("device_id", device_id, DEVICE_ID_BYTES_MAX)
        check_number("window_messages", window_messages, 1, WINDOW_MESSAGES_MAX)
        check_number("window_bytes", window_bytes, 1, WINDOW_BYTES_MAX)
        self._stream = stream
        self._user_id = user_id
        self._device_id = device_id
        self._session = session
        self._releases = releases
        self._window_messages = window_messages
        self._window_bytes = window_bytes
        self._until_empty = until_empty
        self._epoch = 0
        self._attachment_id = 0
        self._device_revision = 0
        self._acks = _Acks()
        self._messages: deque[ReceivedMessage] = deque()
        self._ready = asyncio.Event()
        self._failure: BaseException | None = None
        self._detach: asyncio.Future[None] | None = None
        self.queue_empty = asyncio.Event()
        """Set when everything that was queued when it began is handed out and acknowledged."""

    async def messages(self) -> AsyncGenerator[ReceivedMessage, None]:
        """Each message once."""
        self._epoch = await self._session.open()
        try:
            self._attachment_id = self._stream.add(self)
            while True:
                while self._messages:
                    self._session.check()
                    yield self._messages.popleft()
                if self._failure is not None:
                    raise self._failure
                if self._until_empty and self.queue_empty.is_set():
                    return
                self._ready.clear()
                await self._ready.wait()
        finally:
            # Also if it is cancelled here: what was acknowledged is said, and no attachment stays behind.
            await self._releases.run(self._leave)

    async def _leave(self) -> None:
        try:
            await self._end()
        finally:
            await self._session.close()

    async def _end(self) -> None:
        """Says what is still to be said, and lets go in good order."""
        try:
            if self._stream.is_attached(self._attachment_id):
                self._detach = asyncio.get_running_loop().create_future()
                self._stream.say(self._attachment_id)
                async with asyncio.timeout(DETACH_S):
                    await self._detach
        except TimeoutError:
            pass  # it breaks off, and what was not confirmed comes again
        finally:
            self._stream.remove(self._attachment_id)
            self._acks.fail(None)
            if self._failure is None:
                self._failure = Unavailable(
                    "Receiving has ended; the message was not acknowledged, and comes again.",
                    reason="CANCELLED",
                )

    # --- for the messages -----------------------------------------------------------------------

    async def acknowledge(self, seq: int) -> None:
        """Raises KvraftError."""
        waiter = self.acknowledge_soon(seq)
        if waiter is not None:
            await asyncio.shield(waiter)

    def acknowledge_soon(self, seq: int) -> asyncio.Future[None] | None:
        """What tells when it is confirmed; None: it is, or there is nothing to confirm."""
        acks = self._acks
        if seq in acks.handed:
            confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            if self._failure is not None:  # nothing was said of this one
                confirmed.set_exception(self._failure)
                confirmed.exception()
                return confirmed
            del acks.handed[seq]
            acks.confirming[seq] = confirmed
            acks.unsaid[seq] = None
            self._stream.say(self._attachment_id)
        return acks.confirming.get(seq)

    def refuse(self, seq: int, delay_s: float, reason: str) -> None:
        if seq in self._acks.handed:
            del self._acks.handed[seq]
            nack = message_pb2.Nack(seq=seq, reason=reason)
            nack.delay.FromMilliseconds(round(delay_s * 1000))
            self._acks.refused[seq] = nack
            self._stream.say(self._attachment_id)

    # --- for the stream -------------------------------------------------------------------------

    def attach(self, attachment_id: int) -> Command:
        # What was refused comes again in any case.
        self._acks.refused.clear()
        self._acks.unsaid = dict.fromkeys(self._acks.confirming)
        if self._detach is not None:
            self._stream.say(attachment_id)
        return Command(
            attach=Command.Attach(
                attachment_id=attachment_id,
                user_id=self._user_id,
                device_id=self._device_id,
                epoch=self._epoch,
                window_messages=self._window_messages,
                window_bytes=self._window_bytes,
            )
        )

    def take_commands(self) -> list[Command]:
        commands = []
        through, seqs = self._acks.take()
        nacks = self._acks.take_refused()
        if through or seqs or nacks:
            acknowledge = Command.Acknowledge(
                attachment_id=self._attachment_id, through_seq=through, seqs=seqs, nacks=nacks
            )
            commands.append(Command(acknowledge=acknowledge))
        if self._detach is not None and not self._acks.unsaid:
            commands.append(Command(detach=Command.Detach(attachment_id=self._attachment_id)))
        return commands

    def take(self, event: Event) -> None:
        match event.WhichOneof("event"):
            case "attached":
                self._attached(event.attached)
            case "delivery":
                self._delivered(event.delivery)
            case "ack_confirmed":
                self._acks.confirm(event.ack_confirmed.ack_floor, tuple(event.ack_confirmed.seqs))
            case "command_refused":
                self._refused(event.command_refused)
            case "queue_empty":
                self.queue_empty.set()
                self._ready.set()
            case _:
                pass  # of a later version

    def detached(self) -> None:
        if self._detach is not None and not self._detach.done():
            self._detach.set_result(None)

    def fail(self, error: BaseException) -> None:
        self._failure = error
        self._acks.fail(error)
        self._ready.set()
        self.detached()

    def _refused(self, refused: Event.CommandRefused) -> None:
        """A node that knows other rules than this library: what it refused would never be confirmed."""
        self._failure = InternalError(
            f"The node refused a command: {refused.message} [{refused.reason}]. It was not applied.",
            reason=refused.reason,
            applied="no",
        )
        self._acks.fail(self._failure)
        self._ready.set()

    def _attached(self, attached: Event.Attached) -> None:
        if attached.device_revision != self._device_revision:
            # Another life of the device: its numbers began anew, and what was there before is gone.
            self._device_revision = attached.device_revision
            self._acks.confirm(1 << 64)
            self._acks = _Acks()
        self._acks.confirm(attached.ack_floor)
        self._acks.delivered_seq = attached.ack_floor

    def _delivered(self, delivery: message_pb2.Delivery) -> None:
        acks, seq = self._acks, delivery.seq
        if seq:
            acks.passed(seq)
            if seq in acks.confirming:
                # It was lost, and can be said again now.
                self._stream.say(self._attachment_id)
                return
            if seq in acks.handed:
                return
            # In neither place it would count as acknowledged by a higher number.
            acks.handed[seq] = None
            acks.refused.pop(seq, None)
        elif len(self._messages) >= EPHEMERAL_MAX:
            return
        self._messages.append(ReceivedMessage(self, Delivery.of(delivery)))
        self._ready.set()


class GivenSession:
    """A session that somebody else keeps."""

    __slots__ = ("_epoch",)

    def __init__(self, epoch: int) -> None:
        check_number("epoch", epoch, 0, EPOCH_MAX)
        self._epoch = epoch

    async def open(self) -> int:
        return self._epoch

    def check(self) -> None:
        """Only the node knows."""

    async def close(self) -> None:
        """Whoever keeps it does that."""


class OwnSession:
    """A session under a lease of its own."""

    __slots__ = ("_device", "_gateway", "_session")

    def __init__(self, gateway: Gateway, user_id: str, device_id: str) -> None:
        self._gateway = gateway
        self._device = user_id, device_id
        self._session: Session | None = None

    async def open(self) -> int:
        await self._gateway.begin()
        try:
            self._session = await self._gateway.open(*self._device)
        except BaseException:
            await self._gateway.end()
            raise
        return self._session.epoch

    def check(self) -> None:
        try:
            self._gateway.check()
        except LeaseLost as lost:
            raise Aborted(
                f"The session of the receiver has ended, or may have: {lost}. Receive again.",
                reason="SESSION_EXPIRED",
            ) from lost

    async def close(self) -> None:
        if self._session is not None:
            with contextlib.suppress(KvraftError, ClientClosed):
                await self._gateway.close(self._session)
        await self._gateway.end()
