"""The node: one task owns the replica and gives it turns; everything else posts and awaits.

What comes from peers and from the disk is served at once. Requests of clients gather first: a turn
costs about as much for one command as for a hundred, so while more of them keep arriving the owner
lets them come, for a few milliseconds at most (adaptive group commit). A lone caller never waits for
company.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from kvraft.errors import RequestError
from kvraft.machine.results import Answer
from kvraft.node.replica import Replica

GATHER_S_MAX = 0.005
"""The longest gathering."""
GATHER_STEP_S = 0.001
"""A gathering ends when nobody came for this long, which is as finely as an event loop can sleep."""
LONE_CALLERS = 2
"""Up to so many callers are not worth waiting for."""


class Node:
    """A replica with a clock and an event loop."""

    def __init__(self, make_replica: Callable[[int], Replica]) -> None:
        """`make_replica(now_ms)` is called once, with this node's clock."""
        self._loop = asyncio.get_running_loop()
        self.replica = make_replica(self.now_ms())
        self._wakeup: asyncio.Future[None] | None = None
        self._awake = True
        self._failure: BaseException | None = None
        self._requests = 0
        """How many requests have come, ever."""
        self._gathering: asyncio.TimerHandle | None = None
        self._gathered = False

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
        self._gather()
        return await done

    async def fresh(self) -> None:
        """Waits until the state may be read linearizably. Raises RequestError."""
        done, on_fresh = self._fresh_future()
        self.replica.read(now_ms=self.now_ms(), on_fresh=on_fresh)
        self._gather()
        await done

    async def at_least(self, revision: int) -> None:
        """Waits until the state has `revision`. Raises RequestError."""
        done, on_fresh = self._fresh_future()
        self.replica.read_at_least(revision, now_ms=self.now_ms(), on_fresh=on_fresh)
        await done

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
        while True:
            if not self.replica.has_work and not self._awake:
                await self._sleep_until(self.replica.deadline_ms / 1000)
            if self._failure is not None:
                raise self._failure
            take_requests, self._gathered = self._gathered, False
            self._awake = False
            self.replica.turn(self.now_ms(), time.time_ns() // 1_000_000, take_requests=take_requests)
            if self.replica.has_work:
                await asyncio.sleep(0)

    def _gather(self) -> None:
        """A request has come: a turn will take it, together with those that come right after it."""
        self._requests += 1
        if self._gathered or self._gathering is not None:
            return
        if self.replica.proposals.in_flight + self.replica.reads.in_flight <= LONE_CALLERS:
            self._end_gathering()
        else:
            self._gather_on(self._requests, self._loop.time() + GATHER_S_MAX)

    def _gather_on(self, requests_before: int, deadline: float) -> None:
        self._gathering = self._loop.call_later(GATHER_STEP_S, self._look_around, requests_before, deadline)

    def _look_around(self, requests_before: int, deadline: float) -> None:
        if self._requests > requests_before and self._loop.time() < deadline:
            self._gather_on(self._requests, deadline)
        else:
            self._end_gathering()

    def _end_gathering(self) -> None:
        self._gathering = None
        self._gathered = True
        self.wake()

    async def _sleep_until(self, deadline: float) -> None:
        self._wakeup = self._loop.create_future()
        timer = self._loop.call_at(deadline, self.wake)
        try:
            await self._wakeup
        finally:
            timer.cancel()
            self._wakeup = None
