"""How long many calls took, in the memory of a few: what `kvctl bench` measures with and prints."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

BUCKETS_PER_DOUBLING = 32
"""A bucket ends 2.2 % above where it begins, and so exact are the percentiles."""
BAR_CELLS = 40


class Histogram:
    """Counts latencies in buckets that grow by a constant factor, with 1 ms as one of their bounds (as
    HdrHistogram does, without its linear parts)."""

    __slots__ = ("_buckets", "count", "max_s")

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.count = 0
        self.max_s = 0.0

    def add(self, latency_s: float) -> None:
        """One more; greater than 0."""
        self._buckets[math.floor(math.log2(latency_s * 1e3) * BUCKETS_PER_DOUBLING)] += 1
        self.count += 1
        self.max_s = max(self.max_s, latency_s)

    def percentile_s(self, percent: float) -> float:
        """What `percent` of the calls did not exceed, at most 2.2 % too much. There is at least one call."""
        assert self.count, "no call was counted"
        wanted = math.ceil(self.count * percent / 100)
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return min(2 ** ((bucket + 1) / BUCKETS_PER_DOUBLING) / 1e3, self.max_s)
        return self.max_s

    def rows(self) -> Iterator[tuple[float, int]]:
        """(upper bound in ms, count) of each doubling, from the first to the last that has any."""
        doublings: Counter[int] = Counter()
        for bucket, count in self._buckets.items():
            doublings[bucket // BUCKETS_PER_DOUBLING] += count
        if doublings:
            for doubling in range(min(doublings), max(doublings) + 1):
                yield 2.0 ** (doubling + 1), doublings[doubling]

    def lines(self) -> Iterator[str]:
        """The rows as text, each with a bar."""
        rows = list(self.rows())
        bounds = [f"{bound_ms:.3g} ms" for bound_ms, _ in rows]
        longest = max((count for _, count in rows), default=0)
        for bound, (_, count) in zip(bounds, rows, strict=True):
            # Few are not none.
            bar = "█" * math.ceil(count / longest * BAR_CELLS)
            share = f"{count / self.count:.1%}"
            yield f"below {bound:>{max(map(len, bounds))}}  {bar:<{BAR_CELLS}}  {share:>6}  {count:,}"
