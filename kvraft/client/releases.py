"""What a client has taken and gives back: leases, sessions, attachments.

Whoever waits for a release may be cancelled; the release goes on, so that others need not wait until what was
held ends by itself. It belongs to the client, which waits for it when it is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")


class Releases:
    """The releases of a client that are under way, and what it holds."""

    __slots__ = ("_held", "_is_closed", "_timeout_s", "_under_way")

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._held: dict[object, Callable[[], None]] = {}
        self._under_way: set[asyncio.Task[Any]] = set()
        self._is_closed = False

    def hold(self, held: object, abandon: Callable[[], None]) -> None:
        """Remembers what is to be given back when the client is closed: `abandon` begins that."""
        self._held[held] = abandon

    def let_go(self, held: object) -> None:
        """Forgets it: it is given back, or lost."""
        self._held.pop(held, None)

    async def run(self, release: Callable[[], Coroutine[Any, Any, ResultT]]) -> ResultT:
        """Returns what `release` does. If the waiting is cancelled, the release goes on."""
        return await asyncio.shield(self.begin(release))

    def begin(self, release: Callable[[], Coroutine[Any, Any, ResultT]]) -> asyncio.Task[ResultT]:
        """Begins a release; nobody has to wait for it."""
        return self._begin(release, asyncio.get_running_loop().time() + self._timeout_s)

    async def close(self) -> None:
        """Gives back what is still held, and waits for what is under way, at most `timeout_s`."""
        for abandon in list(self._held.values()):
            abandon()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=self._timeout_s)
        self._is_closed = True
        for task in list(self._under_way):
            task.cancel()

    def _begin(
        self, release: Callable[[], Coroutine[Any, Any, ResultT]], ends_at_s: float
    ) -> asyncio.Task[ResultT]:
        task = asyncio.create_task(self._persist(release, ends_at_s), name="kvraft-release")
        self._under_way.add(task)
        task.add_done_callback(partial(self._done, release, ends_at_s))
        return task

    async def _persist(
        self, release: Callable[[], Coroutine[Any, Any, ResultT]], ends_at_s: float
    ) -> ResultT:
        """Who cancels all tasks of a loop, as `asyncio.run` does at its end, does not mean this one: it
        begins again, until its time is up."""
        while True:
            try:
                return await release()
            except asyncio.CancelledError:
                if not self._goes_on(ends_at_s):
                    raise

    def _goes_on(self, ends_at_s: float) -> bool:
        return not self._is_closed and asyncio.get_running_loop().time() < ends_at_s

    def _done(
        self, release: Callable[[], Coroutine[Any, Any, Any]], ends_at_s: float, task: asyncio.Task[Any]
    ) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # who waited, if anybody did, has it
        elif self._goes_on(ends_at_s):
            # It was cancelled before its first step, which no `except` of its own can see.
            self._begin(release, ends_at_s)
