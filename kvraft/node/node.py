"""The node: one task owns the replica and gives it turns; everything else posts and awaits.

What comes from peers and from the disk is served at once. Requests of clients gather first: a turn
with its messages and its fsync costs about as much for one command as for a hundred, so the owner lets
a crowd come together for a few milliseconds, the longer the larger it is (adaptive group commit). A
lone caller never waits for company.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from kvraft import errors
from kvraft.errors import RequestError
from kvraft.machine.results import Answer, Failed
from kvraft.node.refusals import request_error
from kvraft.node.replica import Replica
from kvraft.node.sharing import CONNECTION, Share

GATHER_S_PER_CALLER = 0.0003
GATHER_S_MAX = 0.005
"""How long requests gather. Longer batches no better: by then the callers themselves are the limit."""
LONE_CALLERS = 2
"""Up to so many callers are not worth waiting for."""
CROWD_HALF_LIFE_S = 0.2
"""How soon a crowd that has gone is forgotten. Most of a crowd is always on its way, its answers or its
next requests in some buffer, so the largest number seen waiting lately tells its size best."""
COMMAND_OVERHEAD_BYTES = 1_024
"""What a command that waits costs beside its bytes, about."""


class Node:
    """A replica with a clock and an event loop."""

    def __init__(self, make_replica: Callable[[int], Replica]) -> None:
        """`make_replica(now_ms)` is called once, with this node's clock."""
        self._loop = asyncio.get_running_loop()
        self.replica = make_replica(self.now_ms())
        self._wakeup: asyncio.Future[None] | None = None
        self._awake = True
        self._failure: BaseException | None = None
        self._crowd = 0.0
        """How many callers are about."""
        self._crowd_seen = 0.0
        self._is_gathering = False
        self._waiting = Share(self.replica.settings.waiting_bytes_max)
        """Of the bytes of commands that are not answered."""

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

    async def write(self, command: bytes, *, grows_state: bool, work: int = 0) -> Answer:
        """Proposes a command and waits for its answer. Raises RequestError, which says whether it was
        applied; also where the command was applied and refused. A caller that stops waiting takes nothing
        back. `work`: about how much it is, if whoever calls knows (0: it is estimated)."""
        done: asyncio.Future[Answer] = self._loop.create_future()
        connection, size_bytes = CONNECTION.get(), len(command) + COMMAND_OVERHEAD_BYTES
        if not self._waiting.take(connection, size_bytes):
            raise errors.overloaded(self._waiting.refusal(connection, "bytes of commands that wait"))

        def on_answer(answer: Answer | RequestError) -> None:
            self._waiting.give_back(connection, size_bytes)
            if done.done():
                return
            if isinstance(answer, RequestError):
                done.set_exception(answer)
            elif isinstance(answer.result, Failed):
                done.set_exception(request_error(answer.result))
            else:
                done.set_result(answer)

        self.replica.submit(
            command, grows_state=grows_state, now_ms=self.now_ms(), on_answer=on_answer, work=work
        )
        self.gather()
        return await done

    async def fresh(self) -> None:
        """Waits until the state may be read linearizably. Raises RequestError."""
        done, on_fresh = self._fresh_future()
        self.replica.read(now_ms=self.now_ms(), on_fresh=on_fresh)
        self.gather()
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
            self._awake = False
            self.replica.turn(
                self.now_ms(), time.time_ns() // 1_000_000, take_requests=not self._is_gathering
            )
            if self.replica.has_work:
                await asyncio.sleep(0)

    def gather(self) -> None:
        """Requests were posted to the replica, by a client or on behalf of another node's: a turn will
        take them, together with those that come right after."""
        if self._is_gathering:
            return
        self._count_crowd()
        if self._crowd <= LONE_CALLERS:
            self.wake()
        else:
            self._is_gathering = True
            self._loop.call_later(min(GATHER_S_MAX, self._crowd * GATHER_S_PER_CALLER), self._end_gathering)

    def _count_crowd(self) -> None:
        waiting = self.replica.proposals.in_flight + self.replica.reads.in_flight
        now = self._loop.time()
        forgotten = 0.5 ** ((now - self._crowd_seen) / CROWD_HALF_LIFE_S)
        self._crowd, self._crowd_seen = max(waiting, self._crowd * forgotten), now

    def _end_gathering(self) -> None:
        self._count_crowd()
        self._is_gathering = False
        self.wake()

    async def _sleep_until(self, deadline: float) -> None:
        self._wakeup = self._loop.create_future()
        timer = self._loop.call_at(deadline, self.wake)
        try:
            await self._wakeup
        finally:
            timer.cancel()
            self._wakeup = None
