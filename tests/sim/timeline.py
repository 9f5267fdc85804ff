"""Simulated time: one queue of events, and nothing happens in between.

A microsecond passes when the queue says so. Events of the same microsecond happen in the order in
which they were put in, so that a run depends on its seed alone.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

SECOND_US = 1_000_000
MS_US = 1_000


class Timeline:
    """The queue and the clock."""

    __slots__ = ("_events", "_number", "now_us")

    def __init__(self) -> None:
        self.now_us = 0
        self._number = 0
        self._events: list[tuple[int, int, Callable[..., None], tuple[object, ...]]] = []

    def at(self, time_us: int, action: Callable[..., None], *args: object) -> None:
        """Does `action(*args)` at a time that is not past."""
        assert time_us >= self.now_us, (time_us, self.now_us)
        self._number += 1
        heapq.heappush(self._events, (time_us, self._number, action, args))

    def after(self, delay_us: int, action: Callable[..., None], *args: object) -> None:
        """Does `action(*args)` a little later."""
        self.at(self.now_us + delay_us, action, *args)

    def run_until(self, end_us: int) -> None:
        """Lets everything happen that is due before `end_us`."""
        events = self._events
        while events and events[0][0] < end_us:
            self.now_us, _, action, args = heapq.heappop(events)
            action(*args)
        self.now_us = end_us
