"""How long a call goes on trying, and how long it waits in between."""

from __future__ import annotations

import asyncio
import random

from kvraft.client.errors import KvraftError
from kvraft.client.status import UNIMPLEMENTED

_PAUSE_MIN_S = 0.05
_PAUSE_MAX_S = 1.0


def pause_s(round_: int, chance: random.Random) -> float:
    """The pause after the `round_`-th round (from 1) in which every endpoint failed: 50 ms, doubled
    with each round up to 1 s, of which a random half is left out so that clients do not return in step.
    """
    # Beyond 2^5 times 50 ms the maximum holds anyway; the exponent must not grow for ever.
    longest_s = min(_PAUSE_MAX_S, _PAUSE_MIN_S * (1 << min(round_ - 1, 5)))
    return longest_s * chance.uniform(0.5, 1.0)


class Pacing:
    """The deadline and the pauses of one call."""

    __slots__ = (
        "_attempt_min_s",
        "_chance",
        "_clock",
        "_endpoint_count",
        "_ends_at_s",
        "_failed",
        "_failures",
        "_strangers",
        "_timeout_s",
    )

    def __init__(self, timeout_s: float, endpoint_count: int, chance: random.Random) -> None:
        self._clock = asyncio.get_running_loop().time
        self._timeout_s = timeout_s
        self._ends_at_s = self._clock() + timeout_s
        # With less time left an attempt is not made: cut short, it would turn a write that is known
        # not to be applied into one of unknown outcome.
        self._attempt_min_s = max(0.05, timeout_s / 10)
        self._endpoint_count = endpoint_count
        self._failures = 0
        self._strangers = 0
        """How many endpoints in a row do not serve clients."""
        self._failed: KvraftError | None = None
        self._chance = chance

    @property
    def left_s(self) -> float:
        return self._ends_at_s - self._clock()

    def attempt_s(self, *, repeatable: bool) -> float:
        """The time one attempt may take: all that is left of what cannot be repeated after a timeout,
        half of what can, so that a node that hangs leaves time to ask another."""
        return self.left_s if not repeatable or self._endpoint_count == 1 else self.left_s / 2

    async def pause(self, error: KvraftError) -> None:
        """Waits, once per round over the endpoints. Raises if no time is left to try again, or all of them
        are no kvraft nodes: `error`, or what went wrong before it."""
        # An attempt that the deadline cut short says less than one that failed by itself.
        if self._failed is None or error.reason != "DEADLINE_EXCEEDED":
            self._failed = error
        self._strangers = self._strangers + 1 if error.reason == UNIMPLEMENTED else 0
        if self.left_s <= self._attempt_min_s or self._strangers == self._endpoint_count:
            self._failed.add_note(f"Tried again for {self._timeout_s:g} s.")
            raise self._failed
        self._failures += 1
        if self._failures % self._endpoint_count == 0:
            wanted_s = pause_s(self._failures // self._endpoint_count, self._chance)
            await asyncio.sleep(min(wanted_s, max(0.0, self.left_s - self._attempt_min_s)))
