"""`client.messages` for code without an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

from kvraft.client.message import Message
from kvraft.client.messages import Messages
from kvraft.client.receiver import WINDOW_BYTES, WINDOW_MESSAGES, ReceivedMessage, Receiver
from kvraft.client.sync.blocking import Blocking, LoopThread, blocking
from kvraft.client.sync.iterating import Closing, SyncIterator, blocking_stream


class SyncReceivedMessage:
    """A message that was handed out, as `ReceivedMessage`."""

    __slots__ = ("_message", "_thread", "delivery")

    def __init__(self, message: ReceivedMessage, thread: LoopThread) -> None:
        self._message = message
        self._thread = thread
        self.delivery = message.delivery

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

    def ack(self) -> None:
        """Acknowledges the message, and waits until that is confirmed. Raises KvraftError."""
        self._thread.run(self._message.ack)

    def ack_soon(self) -> None:
        """The same without waiting."""
        self._thread.call(self._message.ack_soon)

    def nack(self, delay_s: float = 0.0, reason: str = "") -> None:
        """It could not be handled: it is handed out again, at once or after `delay_s`. Raises ValueError,
        TypeError."""

        async def nack() -> None:
            self._message.nack(delay_s, reason)

        self._thread.run(nack)


class SyncReceiver(Closing):
    """Iterates over the messages of a device and blocks until there is one, as `Receiver`. `close`, from any
    thread, ends it."""

    __slots__ = ("_receiver", "_thread", "queue_empty")

    def __init__(self, receiver: Receiver, thread: LoopThread) -> None:
        super().__init__()
        self._receiver = receiver
        self._thread = thread
        self.queue_empty = threading.Event()
        """Set when everything that was queued when it began is handed out and acknowledged."""

    def __iter__(self) -> Iterator[SyncReceivedMessage]:
        return self._opened(SyncIterator(self._thread, self._received()))

    async def _received(self) -> AsyncGenerator[tuple[SyncReceivedMessage], None]:
        empty = self._receiver.queue_empty
        watching = asyncio.ensure_future(empty.wait())
        watching.add_done_callback(lambda _: self.queue_empty.set() if empty.is_set() else None)
        try:
            async with aclosing(aiter(self._receiver)) as messages:
                async for message in messages:
                    yield (SyncReceivedMessage(message, self._thread),)
        finally:
            watching.cancel()


class SyncMessages(Blocking[Messages]):
    """`client.messages`: the methods of `Messages`, blocking."""

    __slots__ = ()

    send = blocking(Messages.send)
    send_many = blocking(Messages.send_many)
    send_in_order = blocking(Messages.send_in_order)
    pull = blocking(Messages.pull)
    acknowledge = blocking(Messages.acknowledge)
    queue = blocking(Messages.queue)
    queues = blocking(Messages.queues)
    all_queues = blocking_stream(Messages.all_queues)
    purge = blocking(Messages.purge)
    dead_letters = blocking(Messages.dead_letters)
    all_dead_letters = blocking_stream(Messages.all_dead_letters)
    redrive = blocking(Messages.redrive)
    delete_dead_letters = blocking(Messages.delete_dead_letters)

    def receive(
        self,
        user_id: str,
        device_id: str,
        *,
        epoch: int | None = None,
        window_messages: int = WINDOW_MESSAGES,
        window_bytes: int = WINDOW_BYTES,
        until_empty: bool = False,
        ttl_s: float = 10.0,
    ) -> SyncReceiver:
        """Receives the messages of a device: `for message in client.messages.receive("bob", "phone")`."""
        receiver = self._service.receive(
            user_id,
            device_id,
            epoch=epoch,
            window_messages=window_messages,
            window_bytes=window_bytes,
            until_empty=until_empty,
            ttl_s=ttl_s,
        )
        return SyncReceiver(receiver, self._thread)
