"""Ordered tables in memory, and the merged view of several over an engine."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

from sortedcontainers import SortedDict

from kvraft.storage.interfaces import StateReader
from kvraft.storage.state.engine import Row

ROW_OVERHEAD_BYTES = 120
"""What a row costs in memory beyond its key and value."""

_ABSENT = object()


class Table:
    """Rows and tombstones (a value of None) in key order."""

    __slots__ = ("rows", "size_bytes")

    def __init__(self) -> None:
        self.rows: SortedDict[bytes, bytes | None] = SortedDict()
        self.size_bytes = 0

    def put(self, key: bytes, value: bytes | None) -> None:
        """Sets a row; None leaves a tombstone, which hides the row in the layers below."""
        old = self.rows.get(key, _ABSENT)
        if old is _ABSENT:
            self.size_bytes += len(key) + ROW_OVERHEAD_BYTES
        elif old is not None:
            self.size_bytes -= len(old)
        if value is not None:
            self.size_bytes += len(value)
        self.rows[key] = value

    def scan(self, start: bytes, end: bytes | None, *, reverse: bool) -> Iterator[Row]:
        """Rows and tombstones with start <= key < end."""
        rows = self.rows
        for key in rows.irange(start, end, (True, False), reverse):
            yield key, rows[key]


def get(tables: Sequence[Table], below: StateReader, key: bytes) -> bytes | None:
    """The newest value; `tables` newest first."""
    for table in tables:
        found = table.rows.get(key, _ABSENT)
        if found is not _ABSENT:
            value: bytes | None = found
            return value
    return below.get(key)


def scan(
    tables: Sequence[Table], below: StateReader, start: bytes, end: bytes | None, *, reverse: bool
) -> Iterator[tuple[bytes, bytes]]:
    """The newest values in key order; `tables` newest first. Lazy: a short page reads a short way."""
    if end is not None and start >= end:
        return
    engine_rows = below.scan(start, end, reverse=reverse)
    layers = [table for table in tables if table.rows]
    if not layers:
        yield from engine_rows
        return
    last: bytes | None = None
    for key, value in _newest_first(layers, engine_rows, start, end, reverse=reverse):
        if key != last:
            last = key
            if value is not None:
                yield key, value


def merge(tables: Sequence[Table]) -> Iterator[Row]:
    """The newest rows and tombstones of all tables in ascending key order; `tables` newest first."""
    last: bytes | None = None
    for key, value in _newest_first(tables, iter(()), b"", None, reverse=False):
        if key != last:
            last = key
            yield key, value


def _newest_first(
    tables: Sequence[Table],
    engine_rows: Iterator[tuple[bytes, bytes]],
    start: bytes,
    end: bytes | None,
    *,
    reverse: bool,
) -> Iterator[Row]:
    """All rows in key order; of equal keys the newest layer's first."""
    # The rank breaks ties between layers before values would be compared.
    ranks = range(len(tables), -1, -1) if reverse else range(len(tables) + 1)
    streams: list[Iterator[Row]] = [table.scan(start, end, reverse=reverse) for table in tables]
    streams.append(iter(engine_rows))
    ranked = [_ranked(stream, rank) for stream, rank in zip(streams, ranks, strict=True)]
    for key, _, value in heapq.merge(*ranked, reverse=reverse):
        yield key, value


def _ranked(stream: Iterator[Row], rank: int) -> Iterator[tuple[bytes, int, bytes | None]]:
    for key, value in stream:
        yield key, rank, value
