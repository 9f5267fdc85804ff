"""Ordered tables in memory, and the merged view of several over an engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce
from typing import Any

from sortedcontainers import SortedList

from kvraft.storage.interfaces import StateReader
from kvraft.storage.state.engine import Row

ROW_OVERHEAD_BYTES = 120
"""What a row costs in memory beyond its key and value."""

ABSENT: Any = object()
"""Tells a key that is not in a table from a tombstone."""


class Table:
    """Rows and tombstones (a value of None).

    New keys are put into their order when somebody asks for it, at the latest when the table is frozen. For a
    table that nobody scans before that it is one sort: of 20,000 random keys in 5 ms, of as many in runs of
    100 in 0.4 ms, where each in its place at once would cost 0.9 us.
    """

    __slots__ = ("_keys", "_unordered", "rows", "size_bytes")

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes | None] = {}
        self._keys: SortedList[bytes] = SortedList()
        self._unordered: list[bytes] = []
        """Keys that are not yet in `_keys`."""
        self.size_bytes = 0

    def put(self, key: bytes, value: bytes | None) -> None:
        """Sets a row; None leaves a tombstone, which hides the row in the layers below."""
        rows = self.rows
        old = rows.get(key, ABSENT)
        rows[key] = value
        if old is ABSENT:
            self._unordered.append(key)
            self.size_bytes += len(key) + ROW_OVERHEAD_BYTES
        elif old is not None:
            self.size_bytes -= len(old)
        if value is not None:
            self.size_bytes += len(value)

    def order(self) -> None:
        """Must be called before a thread that does not write the table may scan it."""
        if self._unordered:
            self._keys.update(self._unordered)
            self._unordered.clear()

    def scan(self, start: bytes, end: bytes | None, *, reverse: bool) -> Iterator[Row]:
        """Rows and tombstones with start <= key < end."""
        self.order()
        rows = self.rows
        return ((key, rows[key]) for key in self._keys.irange(start, end, (True, False), reverse))

    def overlaid(self, upper: Table) -> Table:
        """A new table: these rows under those of `upper`."""
        merged = Table()
        merged.rows = self.rows | upper.rows
        merged._keys.update(merged.rows)
        merged.size_bytes = sum(
            len(key) + ROW_OVERHEAD_BYTES + (0 if value is None else len(value))
            for key, value in merged.rows.items()
        )
        return merged


def get(tables: Iterable[Table], below: StateReader, key: bytes) -> bytes | None:
    """The newest value; `tables` newest first."""
    for table in tables:
        found = table.rows.get(key, ABSENT)
        if found is not ABSENT:
            value: bytes | None = found
            return value
    return below.get(key)


def scan(
    tables: Iterable[Table], below: StateReader, start: bytes, end: bytes | None, *, reverse: bool
) -> Iterator[tuple[bytes, bytes]]:
    """The newest values in key order; `tables` newest first. Lazy: a short page reads a short way."""
    if end is not None and start >= end:
        return
    engine_rows = below.scan(start, end, reverse=reverse)
    layers = [table.scan(start, end, reverse=reverse) for table in tables if table.rows]
    if not layers:
        yield from engine_rows
        return
    for key, value in _merged([*layers, engine_rows], reverse=reverse):
        if value is not None:
            yield key, value


def merge(tables: Iterable[Table]) -> Iterator[Row]:
    """The newest rows and tombstones of all tables in ascending key order; `tables` newest first."""
    return _merged([table.scan(b"", None, reverse=False) for table in tables], reverse=False)


def _merged(layers: Iterable[Iterator[Row]], *, reverse: bool) -> Iterator[Row]:
    """All rows in key order; of equal keys the newest layer's. `layers` newest first."""
    # Innermost the newest: the rows of the lowest layer, which are the most, pass only one merge.
    remaining = iter(layers)
    newest = next(remaining, iter(()))
    return reduce(lambda upper, lower: _overlaid(upper, lower, reverse=reverse), remaining, newest)


def _overlaid(upper: Iterator[Row], lower: Iterator[Row], *, reverse: bool) -> Iterator[Row]:
    above, below = next(upper, None), next(lower, None)
    while above is not None and below is not None:
        if above[0] == below[0]:
            below = next(lower, None)
        elif (above[0] < below[0]) is not reverse:
            yield above
            above = next(upper, None)
        else:
            yield below
            below = next(lower, None)
    if above is not None:
        yield above
        yield from upper
    if below is not None:
        yield below
        yield from lower
