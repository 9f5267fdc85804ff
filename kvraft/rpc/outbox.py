"""What a pipeline's stream has under way: batches, and their answers until they are sent.

Two windows bound it. While `BATCHES_MAX` are under way, nothing more is read of the stream, and HTTP/2 holds
the caller back. While `ANSWER_BYTES` wait to be sent, no batch is begun: an answer may be a hundred thousand
times as large as its question.
"""

from __future__ import annotations

import asyncio
from collections import deque

BATCHES_MAX = 64
ANSWER_BYTES = 4 << 20
"""Answers of batches that were under way by then may exceed it."""


class Outbox:
    """Encoded answers on their way out, for one task that sends them."""

    __slots__ = ("_answers", "_is_closed", "_ready", "_room", "_unsent_bytes", "window")

    def __init__(self) -> None:
        self.window = asyncio.Semaphore(BATCHES_MAX)
        """Acquired for each batch, released when its answer is sent."""
        self._answers: deque[bytes] = deque()
        self._ready = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._unsent_bytes = 0
        self._is_closed = False

    async def until_room(self) -> None:
        """Waits until answers may be made. What follows should not wait again before `put`."""
        while not self._room.is_set():
            await self._room.wait()

    def put(self, answer: bytes) -> None:
        self._answers.append(answer)
        self._unsent_bytes += len(answer)
        if self._unsent_bytes >= ANSWER_BYTES:
            self._room.clear()
        self._ready.set()

    def sent(self, answer: bytes) -> None:
        """The answer is gone."""
        self._unsent_bytes -= len(answer)
        if self._unsent_bytes < ANSWER_BYTES:
            self._room.set()
        self.window.release()

    def close(self) -> None:
        """Nothing more will be put."""
        self._is_closed = True
        self._ready.set()

    def clear(self) -> None:
        """Lets go of what nobody will be sent: whoever still refers to the outbox keeps none of it."""
        self._answers.clear()

    def __aiter__(self) -> Outbox:
        return self

    async def __anext__(self) -> bytes:
        """The next answer to send."""
        while not self._answers:
            if self._is_closed:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        return self._answers.popleft()
