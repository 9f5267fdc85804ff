"""The one stream over which a client receives, for all its devices.

    Receiver          one device: what was handed out, and what was said of it (`receiver`)
      -> commands     attach, acknowledge, detach: gathered while the frame before is under way
      -> the stream   to the leader, wherever it is; opened again when it breaks or the leader changes
      -> events       each goes to the device it is for

Whatever was under way when the stream breaks is not said again here: each device attaches anew, and says what
it has to say when it sees what comes again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Protocol

import grpc.aio
from google.protobuf.message import Message

from kvraft.client.endpoint import Endpoint
from kvraft.client.errors import DeadlineExceeded, KvraftError, OutcomeUnknown, Unavailable
from kvraft.client.failover import Failover
from kvraft.client.leader_endpoint import LeaderEndpoint
from kvraft.client.method import Method
from kvraft.client.pacing import Pacing
from kvraft.client.status import error_from_status, error_of_batch
from kvraft.v1 import message_pb2, pipeline_pb2

_RECEIVE = Method("/kvraft.v1.MessageService/ReceiveMessages", message_pb2.ReceiveMessagesResponse.FromString)
COMMANDS_MAX = 1_000
"""Of one frame."""
SILENCE_S = 3.0
"""A stream that brought nothing for so long may be at a node that hangs, or be at rest: others are asked."""
_MOVED = frozenset({"NOT_LEADER", "SHUTTING_DOWN", "SLOW_CONSUMER"})
"""Ends that meet all attachments of the stream, after which they attach again."""

Event = message_pb2.ReceiveEvent
Command = message_pb2.ReceiveCommand


class Attachable(Protocol):
    """A device that is to be attached for as long as it is open."""

    def attach(self, attachment_id: int) -> Command:
        """It is attached anew; nothing that was said before is on its way any more."""
        ...

    def take_commands(self) -> list[Command]:
        """What it has to say now."""
        ...

    def take(self, event: Event) -> None:
        """Something for it; not its end."""
        ...

    def detached(self) -> None:
        """It has ended in good order."""
        ...

    def fail(self, error: BaseException) -> None:
        """It has ended."""
        ...


class ReceiveStream:
    """Keeps the stream open as long as a device wants to be attached."""

    def __init__(self, failover: Failover) -> None:
        self._failover = failover
        self.leader = LeaderEndpoint(failover)
        self._devices: dict[int, Attachable] = {}
        self._next_id = 1
        self._due: dict[int, None] = {}
        """Which have something to say."""
        self._attach: deque[int] = deque()
        """Which are to be attached."""
        self._wake = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._listening: _Listening | None = None

    def add(self, device: Attachable) -> int:
        """From now on the device is attached; the number it has here."""
        self._failover.check_open()
        attachment_id = self._next_id
        self._next_id += 1
        self._devices[attachment_id] = device
        self._attach.append(attachment_id)
        self._wake.set()
        if self._runner is None:
            self._runner = asyncio.create_task(self._run(), name="kvraft-receive")
            self._runner.add_done_callback(self._ran)
        return attachment_id

    def say(self, attachment_id: int) -> None:
        """The device has something to say."""
        if attachment_id in self._devices:
            self._due[attachment_id] = None
            self._wake.set()

    def is_attached(self, attachment_id: int) -> bool:
        """Whether it has not ended."""
        return attachment_id in self._devices

    def remove(self, attachment_id: int) -> None:
        """The device wants nothing more."""
        self._devices.pop(attachment_id, None)
        if not self._devices and self._runner is not None:
            if self._listening is not None:
                self._listening.is_over = True
            self._runner.cancel()
            self._runner = None

    async def close(self) -> None:
        """Ends every attachment."""
        runner = self._runner
        closed = Unavailable("The client was closed while it received.", reason="CANCELLED")
        for attachment_id, device in list(self._devices.items()):
            self.remove(attachment_id)
            device.fail(closed)
        if runner is not None:
            await asyncio.wait((runner,))
        await self.leader.close()

    def _ran(self, runner: asyncio.Task[None]) -> None:
        """Nothing ends it but that no device is left: whatever else did is a bug, of which receivers must
        hear."""
        if self._runner is runner:
            self._runner = None
        failure = None if runner.cancelled() else runner.exception()
        if failure is not None:
            self._fail_all(failure)

    # --- the stream ---------------------------------------------------------------------------

    async def _run(self) -> None:
        pacing = self._failover.pacing()
        while self._devices:
            endpoint = await self.leader.find()
            error: KvraftError
            if endpoint is None:
                error = Unavailable(
                    "no endpoint tells who leads the cluster [NO_LEADER]. Check with `kvctl status` that a "
                    "majority of the nodes is up.",
                    reason="NO_LEADER",
                )
            else:
                listening = self._listening = _Listening(self, self.leader, endpoint, pacing)
                try:
                    error = await listening.run()
                except grpc.aio.AioRpcError as status:
                    error = error_from_status(
                        status, call="ReceiveMessages", writes=False, endpoint=endpoint.address
                    )
                pacing = listening.pacing
                self.leader.lost(endpoint)
            if not isinstance(error, Unavailable | DeadlineExceeded | OutcomeUnknown):
                self._fail_all(error)
                continue
            try:
                await pacing.pause(error)
            except KvraftError as final:
                self._fail_all(final)
                pacing = self._failover.pacing()

    def _fail_all(self, error: BaseException) -> None:
        devices, self._devices = self._devices, {}
        for device in devices.values():
            device.fail(error)

    def begin(self) -> None:
        """A new stream: all devices are to be attached."""
        self._attach = deque(self._devices)
        self._due.clear()
        self._wake.set()

    async def next_frame(self, listening: _Listening) -> message_pb2.ReceiveMessagesRequest:
        """What is to be said next, when there is something. Raises StopAsyncIteration when this stream is
        left: who still waits for a frame of it must not get one."""
        while not listening.is_over:
            commands: list[Command] = []
            while self._attach and len(commands) < COMMANDS_MAX:
                attachment_id = self._attach.popleft()
                commands.extend(self._ask(attachment_id, lambda device, number: [device.attach(number)]))
            while self._due and len(commands) < COMMANDS_MAX:
                attachment_id = next(iter(self._due))
                del self._due[attachment_id]
                commands.extend(self._ask(attachment_id, lambda device, _: device.take_commands()))
            if commands:
                return message_pb2.ReceiveMessagesRequest(commands=commands)
            self._wake.clear()
            await self._wake.wait()
        raise StopAsyncIteration

    def _ask(self, attachment_id: int, ask: Callable[[Attachable, int], list[Command]]) -> list[Command]:
        """What a device has to say. One that says what no command can hold ends alone."""
        device = self._devices.get(attachment_id)
        if device is None:
            return []
        try:
            return ask(device, attachment_id)
        except (TypeError, ValueError) as error:
            del self._devices[attachment_id]
            device.fail(error)
            return []

    def new_pacing(self) -> Pacing:
        """Of the attempts that follow a success."""
        return self._failover.pacing()

    def left(self) -> None:
        """A stream is left: who waits for its next frame looks again."""
        self._wake.set()

    def take(self, event: Event, address: str) -> KvraftError | None:
        """Gives an event to its device. An error: this node does not serve any more."""
        device = self._devices.get(event.attachment_id)
        if device is None:
            return None
        if not event.HasField("closed"):
            device.take(event)
            return None
        closed = event.closed
        if closed.reason in _MOVED:
            return Unavailable(
                f"ReceiveMessages at {address} failed: {closed.message} [{closed.reason}].",
                reason=closed.reason,
            )
        del self._devices[event.attachment_id]
        if closed.code == 0:
            device.detached()
        else:
            failure = pipeline_pb2.PipelineError(
                code=closed.code, reason=closed.reason, message=closed.message
            )
            device.fail(error_of_batch(failure, call="ReceiveMessages", writes=False, endpoint=address))
        return None

    @property
    def has_devices(self) -> bool:
        return bool(self._devices)


class _Listening:
    """One stream at one node."""

    __slots__ = ("_endpoint", "_heard_at_s", "_is_superseded", "_leader", "_stream", "is_over", "pacing")

    def __init__(
        self, stream: ReceiveStream, leader: LeaderEndpoint, endpoint: Endpoint, pacing: Pacing
    ) -> None:
        self._stream = stream
        self._leader = leader
        self._endpoint = endpoint
        self._heard_at_s = 0.0
        self._is_superseded = False
        self.is_over = False
        self.pacing = pacing
        """Of the attempts since something was last attached."""

    async def run(self) -> KvraftError:
        """Until it ends; why. Raises AioRpcError."""
        self._stream.begin()
        call = self._endpoint.bidirectional(_RECEIVE, self)
        watchdog = asyncio.create_task(self._look_after(call), name="kvraft-receive-watchdog")
        try:
            while self._stream.has_devices:
                response = await call.read()
                self._heard_at_s = asyncio.get_running_loop().time()
                # The stubs have no common base for the two.
                if not isinstance(response, message_pb2.ReceiveMessagesResponse):
                    break
                moved: KvraftError | None = None
                for event in response.events:
                    if event.HasField("attached"):
                        self.pacing = self._stream.new_pacing()
                    moved = self._stream.take(event, self._endpoint.address) or moved
                if moved is not None:
                    return moved
        except asyncio.CancelledError:
            if self.is_over or not self._is_superseded:
                raise
            return Unavailable(
                f"ReceiveMessages at {self._endpoint.address} failed: it brings nothing, and the other nodes "
                "follow another leader [NOT_LEADER].",
                reason="NOT_LEADER",
            )
        finally:
            self.is_over = True
            self._stream.left()
            watchdog.cancel()
            call.cancel()
        return Unavailable(
            f"ReceiveMessages at {self._endpoint.address} failed: the stream ended [CONNECTION_LOST].",
            reason="CONNECTION_LOST",
        )

    async def _look_after(
        self, call: grpc.aio.StreamStreamCall[Message, message_pb2.ReceiveMessagesResponse]
    ) -> None:
        """A leader that hangs, or cannot be reached any more, ends no stream; gRPC's pings would notice after
        15 s. The others elect another within two."""
        loop = asyncio.get_running_loop()
        self._heard_at_s = loop.time()
        while True:
            silent_s = loop.time() - self._heard_at_s
            await asyncio.sleep(SILENCE_S if silent_s >= SILENCE_S else SILENCE_S - silent_s)
            heard_at_s = self._heard_at_s
            if loop.time() - heard_at_s < SILENCE_S or not await self._leader.is_superseded():
                continue
            if self._heard_at_s == heard_at_s:
                self._is_superseded = True
                call.cancel()
                return

    # The requests. (Not a generator: gRPC lets go of it at any moment.)

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        return await self._stream.next_frame(self)
