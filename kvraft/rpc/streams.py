"""The two ends of a long-lived stream between nodes. Both have a bounded queue; what a peer does not
take in time is not kept for ever."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, TypeVar

import grpc
import grpc.aio
import structlog

from kvraft.rpc.convert import PeerProtocolError

logger = structlog.get_logger(__name__)

FRAMES_MAX = 4_096
"""Frames waiting in one queue. The bytes are bounded by the algorithm's windows."""
BACKOFF_S = 0.1
BACKOFF_S_MAX = 1.0
STEADY_S = 1.0
"""A stream that was open for so long was no failed attempt."""
SUMMARY_INTERVAL_S = 60.0
"""How often a stream that stays closed is told of."""
ACCEPTED = ("kvraft-stream", "accepted")
"""Among the headers of a stream that the peer has accepted: gRPC hands out headers, empty ones, for a call
that has failed too."""

Request = TypeVar("Request")
Response = TypeVar("Response")


class FrameQueue(Generic[Request]):
    """Frames on their way out, for one reader."""

    __slots__ = ("_closed", "_frames", "_ready")

    def __init__(self) -> None:
        self._frames: deque[Request] = deque()
        self._ready = asyncio.Event()
        self._closed = False

    def put(self, frame: Request) -> bool:
        """False: the queue is full or closed, and the frame was not taken."""
        if self._closed or len(self._frames) >= FRAMES_MAX:
            return False
        self._frames.append(frame)
        self._ready.set()
        return True

    def close(self) -> None:
        """Ends the reader's iteration after what was put."""
        self._closed = True
        self._ready.set()

    async def __aiter__(self) -> AsyncIterator[Request]:
        while True:
            while self._frames:
                yield self._frames.popleft()
            if self._closed:
                return
            self._ready.clear()
            await self._ready.wait()


class _StreamLog:
    """Tells of a stream when it opens and when it closes, and of one that stays closed once a minute."""

    __slots__ = ("_attempts", "_name", "_told_at_s")

    def __init__(self, name: str) -> None:
        self._name = name
        self._attempts = 0
        """That failed since it was open."""
        self._told_at_s = 0.0

    def opened(self) -> None:
        self._attempts = 0
        logger.info("stream opened", stream=self._name)

    def closed(self, now_s: float, code: str, detail: str | None) -> None:
        """It was closed, or could not be opened."""
        self._attempts += 1
        if self._attempts > 1 and now_s - self._told_at_s < SUMMARY_INTERVAL_S:
            return
        self._told_at_s = now_s
        event = "stream closed" if self._attempts == 1 else "stream is still closed"
        logger.info(event, stream=self._name, code=code, detail=detail, attempts=self._attempts)


class OutboundStream(Generic[Request, Response]):
    """A stream this node opens, and opens again when it breaks."""

    def __init__(
        self,
        *,
        name: str,
        open_call: Callable[[AsyncIterator[Request]], Any],
        first_frame: Callable[[], Request],
        on_response: Callable[[Response], None],
        on_broken: Callable[[], None],
        on_nonsense: Callable[[PeerProtocolError], None],
        spawn: Callable[[Any], asyncio.Task[None]],
    ) -> None:
        self._log = _StreamLog(name)
        self._open_call = open_call
        self._first_frame = first_frame
        self._on_response = on_response
        self._on_broken = on_broken
        self._on_nonsense = on_nonsense
        self._spawn = spawn
        self._queue: FrameQueue[Request] | None = None
        self._task: asyncio.Task[None] | None = None
        self.is_connected = False
        """Whether the peer has accepted the stream that is open now."""

    def open(self) -> None:
        """Keeps the stream open from now on."""
        if self._task is None:
            self._queue = FrameQueue()
            self._task = self._spawn(self._run(self._queue))

    def close(self) -> None:
        """Ends the stream; `open` may follow."""
        if self._task is not None:
            self._task.cancel()
            self._task = self._queue = None
            self.is_connected = False  # as the task will find too, but perhaps only after the next `open`

    def send(self, frame: Request) -> bool:
        """Puts a frame in order behind the others. False: there is no stream, and it was not taken."""
        return self._queue is not None and self._queue.put(frame)

    async def _run(self, queue: FrameQueue[Request]) -> None:
        """Frames that are sent before the peer has accepted the stream are kept for it; those of a
        stream that breaks are lost."""
        backoff_s = BACKOFF_S
        while True:
            open_s = await self._run_once(queue)
            queue.close()
            self._on_broken()
            backoff_s = BACKOFF_S if open_s >= STEADY_S else min(2 * backoff_s, BACKOFF_S_MAX)
            await asyncio.sleep(backoff_s * random.uniform(0.5, 1.0))
            queue = self._queue = FrameQueue()

    async def _run_once(self, queue: FrameQueue[Request]) -> float:
        """For how many seconds the stream was open."""
        clock = asyncio.get_running_loop().time
        call = self._open_call(self._frames(queue))
        opened_at_s: float | None = None
        try:
            if ACCEPTED in tuple(await call.initial_metadata()):
                self.is_connected, opened_at_s = True, clock()
                self._log.opened()
            async for response in call:
                self._on_response(response)
            self._log.closed(clock(), "OK", "the peer ended it")
        except grpc.aio.AioRpcError as error:
            self._log.closed(clock(), error.code().name, error.details())
        except PeerProtocolError as error:
            self._log.closed(clock(), "peer sent nonsense", str(error))
            self._on_nonsense(error)
        finally:
            self.is_connected = False
            call.cancel()
        return 0.0 if opened_at_s is None else clock() - opened_at_s

    async def _frames(self, queue: FrameQueue[Request]) -> AsyncIterator[Request]:
        yield self._first_frame()
        async for frame in queue:
            yield frame


class InboundStream(Generic[Response]):
    """A stream a peer has opened: what this node answers, written by a task of its own."""

    def __init__(self) -> None:
        self._queue: FrameQueue[Response] = FrameQueue()

    def send(self, frame: Response) -> None:
        """Puts an answer in order behind the others; lost if the peer does not read."""
        self._queue.put(frame)

    def close(self) -> None:
        self._queue.close()

    async def write_to(self, context: grpc.aio.ServicerContext[Any, Response]) -> None:
        """Writes answers until the stream is closed."""
        async for frame in self._queue:
            await context.write(frame)
