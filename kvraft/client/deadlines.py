"""The end of each call that waits, at its time.

A call is in here from its caller's own frame until that ends, whoever else has it in a queue, a batch or on
its way, and whatever becomes of them. What ends it is one timer of the event loop for all calls: no task,
so nothing that could be cancelled, and it is set again by each look, and by each call if it has gone
astray.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

LOOK_S = 0.1
"""How often calls are looked through for those whose time is up."""


class Timed(Protocol):
    """What has an end."""

    ends_at_s: float


TimedT = TypeVar("TimedT", bound=Timed)


class Deadlines(Generic[TimedT]):
    """The calls that wait, in one event loop."""

    __slots__ = ("_due_s", "_expire", "_gave_grace", "_look_after", "_loop", "_timer", "waiting")

    def __init__(self, expire: Callable[[TimedT], None], look_after: Callable[[float], bool]) -> None:
        """`expire` ends a call whose time is up; `look_after` is told the loop's time at each look, and
        says whether another one is wanted although nobody waits."""
        self.waiting: set[TimedT] = set()
        self._expire = expire
        self._look_after = look_after
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        """When the timer is due."""
        self._gave_grace = False

    def add(self, call: TimedT, now_s: float) -> None:
        """Somebody waits. The timer may be due too late: not set, set by a clock that was put back, or for
        calls that have more time."""
        self.waiting.add(call)
        if self._timer is None or self._due_s > call.ends_at_s:
            self._loop = asyncio.get_running_loop()
            self._set(min(now_s + LOOK_S, call.ends_at_s))

    def close(self) -> None:
        """No more looks."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, due_s: float) -> None:
        assert self._loop is not None
        if self._timer is not None:
            self._timer.cancel()
        self._due_s = due_s
        self._timer = self._loop.call_at(due_s, self._look)

    def _look(self) -> None:
        assert self._loop is not None
        self._timer = None
        now_s = self._loop.time()
        # After the loop was blocked, answers may be there that were not read yet: they come first.
        self._gave_grace = now_s - self._due_s > LOOK_S and not self._gave_grace
        if self._gave_grace:
            self._set(now_s + LOOK_S)
            return
        more = True
        try:
            for call in [call for call in self.waiting if call.ends_at_s <= now_s]:
                self.waiting.discard(call)
                self._expire(call)
            more = self._look_after(now_s)
        finally:
            if more or self.waiting:
                soonest_s = min((call.ends_at_s for call in self.waiting), default=now_s + LOOK_S)
                self._set(min(now_s + LOOK_S, max(soonest_s, now_s + 0.001)))
