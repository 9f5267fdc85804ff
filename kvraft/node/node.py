"""The node: one task owns the replica and gives it turns; everything else posts and awaits.

A turn costs about as much for one command as for a hundred, so when many callers are waiting the
owner lets them gather for a few milliseconds before the next turn (adaptive group commit). A lone
caller is served at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from kvraft.errors import RequestError
from kvraft.machine.results import Answer
from kvraft.node.replica import Replica

PAUSE_MS_MAX = 5.0
"""The longest gathering of a crowd."""
PAUSE_MS_PER_CALLER = 0.08
"""A crowd of 64 gathers for the longest time; up to `LONE_CALLERS` do not gather at all."""
LONE_CALLERS = 2


class Node:
    """A replica with a clock and an event loop."""

    def __init__(self, make_replica: Callable[[int], Replica]) -> None:
        """`make_replica(now_ms)` is called once, with this node's clock."""
        self._loop = asyncio.get_running_loop()
        self.replica = make_replica(self.now_ms())
        self._wakeup: asyncio.Future[None] | None = None
        self._awake = True
        self._failure: BaseException | None = None
        self._reading = 0

    @staticmethod
    def now_ms() -> int:
        """Milliseconds of a clock that never jumps."""
        return time.monotonic_ns() // 1_000_000

    def wake(self) -> None:
        """Something was posted to the replica: a turn is due."""
        self._awake = True
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)

    def fail(self, failure: BaseException) -> None:
        """The node cannot go on; `own` raises `failure`. Idempotent: the first failure counts."""
        if self._failure is None:
            self._failure = failure
        self.wake()

    async def write(self, command: bytes, *, grows_state: bool) -> Answer:
        """Proposes a command and waits for its answer. Raises RequestError, which says whether it was
        applied. A caller that stops waiting takes nothing back."""
        done: asyncio.Future[Answer] = self._loop.create_future()

        def on_answer(answer: Answer | RequestError) -> None:
            if done.done():
                return
            if isinstance(answer, RequestError):
                done.set_exception(answer)
            else:
                done.set_result(answer)

        self.replica.submit(command, grows_state=grows_state, now_ms=self.now_ms(), on_answer=on_answer)
        self.wake()
        return await done

    async def fresh(self) -> None:
        """Waits until the state may be read linearizably. Raises RequestError."""
        done, on_fresh = self._fresh_future()
        self.replica.read(now_ms=self.now_ms(), on_fresh=on_fresh)
        await self._wait_fresh(done)

    async def at_least(self, revision: int) -> None:
        """Waits until the state has `revision`. Raises RequestError."""
        done, on_fresh = self._fresh_future()
        self.replica.read_at_least(revision, now_ms=self.now_ms(), on_fresh=on_fresh)
        await self._wait_fresh(done)

    async def _wait_fresh(self, done: asyncio.Future[None]) -> None:
        self._reading += 1
        self.wake()
        try:
            await done
        finally:
            self._reading -= 1

    def _fresh_future(self) -> tuple[asyncio.Future[None], Callable[[RequestError | None], None]]:
        done: asyncio.Future[None] = self._loop.create_future()

        def on_fresh(error: RequestError | None) -> None:
            if done.done():
                return
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

        return done, on_fresh

    async def own(self) -> None:
        """The owner task: turns until it is cancelled. Raises what stops the node: a storage error, a
        foreign format, a broken law."""
        pause_until = 0.0
        while True:
            if not self.replica.has_work and not self._awake:
                await self._sleep_until(self.replica.deadline_ms / 1000)
            now = time.monotonic()
            if now < pause_until:
                await asyncio.sleep(pause_until - now)
            if self._failure is not None:
                raise self._failure
            self._awake = False
            self.replica.turn(self.now_ms(), time.time_ns() // 1_000_000)
            pause_until = time.monotonic() + self._pause_s()
            if self.replica.has_work:
                await asyncio.sleep(0)

    def _pause_s(self) -> float:
        callers = self.replica.proposals.in_flight + self._reading
        if callers <= LONE_CALLERS:
            return 0.0
        return min(PAUSE_MS_MAX, callers * PAUSE_MS_PER_CALLER) / 1000

    async def _sleep_until(self, deadline: float) -> None:
        self._wakeup = self._loop.create_future()
        timer = self._loop.call_at(deadline, self.wake)
        try:
            await self._wakeup
        finally:
            timer.cancel()
            self._wakeup = None
