"""What the key-value space changed, by revision, for as long as it is kept.

The history is no part of the state: it is in no digest and no snapshot, each node has its own, and it could
be made again from the log. What was applied since the last flush is held in memory, the very bytes that the
tables hold, in flat lists, since a container for each change would double what a write pays. A flush writes
it into the engine in the same transaction as the rows, so that a restart has the flushed history and makes
the rest by replaying the log.

On disk the changes lie in blocks, in the order in which they were made: a row for each change would cost as
much as the change itself, and so would a step of Python's for each, where a block is made. It is named by its
first change, and its label has its last revision, the replicated time at which it was written, and its size
on disk, 8 bytes each. Its contents, numbers big-endian:

    number of changes 4
    the revision of each change, 8
    three lengths for each change, 4: of its key, its row and its previous row (-1: there is none)
    the bytes of all these

A revision may begin in one block and end in another. Blocks go one by one, the oldest first, when the history
is longer, larger or older than it may be.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, chain, islice

from kvraft.storage.interfaces import Change, HistoryCompactedError, HistoryExtent, HistoryLimits
from kvraft.storage.state.block_files import disk_bytes
from kvraft.storage.state.engine import Block, EngineReader

BLOCK_BYTES = 256 << 10
BLOCK_CHANGES = 256
"""A block ends when it has reached one of these: what is encoded between two pauses of the flush."""
SLICE_CHANGES = 500
SLICE_BYTES = 256 << 10
"""What `History.read` answers at most, except that a revision is never cut: about a millisecond."""
CHANGE_BYTES = 160
"""What a change costs in memory beside the rows: its tuple, its key, its places in lists."""

Revision = tuple[int, Sequence[Change]]
"""A revision and its changes."""

_KEY = struct.Struct(">QI")
_LABEL = struct.Struct(">QQQ")
_COUNT = struct.Struct(">I")


class _Recent:
    """Changes in memory, ascending."""

    __slots__ = ("held_bytes", "parts", "revisions")

    def __init__(self, revisions: list[int], parts: list[bytes | None], held_bytes: int) -> None:
        self.revisions = revisions
        """Of each change."""
        self.parts = parts
        """Key, row and previous row of each change."""
        self.held_bytes = held_bytes
        """Bytes held beyond the rows of the tables. A row belongs to a table until another takes its place;
        from then on only the history holds it."""

    def copy(self) -> _Recent:
        return _Recent(self.revisions.copy(), self.parts.copy(), self.held_bytes)

    def drop(self, first: _Recent) -> None:
        """Lets go of what `first` has, a copy of before."""
        del self.revisions[: len(first.revisions)]
        del self.parts[: len(first.parts)]
        self.held_bytes -= first.held_bytes

    def changes(self, begin: int = 0) -> Iterator[tuple[int, Change]]:
        """The changes from the `begin`-th on."""
        parts = islice(self.parts, 3 * begin, None)
        for revision, key, row, previous in zip(
            islice(self.revisions, begin, None), parts, parts, parts, strict=True
        ):
            assert key is not None
            yield revision, (key, row, previous)


class History:
    """Implements `kvraft.storage.interfaces.History`."""

    __slots__ = ("_bytes_max", "_clock_ms", "_extent", "_flush", "_limits", "_recent")

    def __init__(self, extent: HistoryExtent | None) -> None:
        """`extent`: what the engine holds, if it ever held some."""
        self._extent = extent
        self._limits: HistoryLimits | None = None
        """Known once it has begun."""
        self._bytes_max: int | None = None
        """What there is room for, where that is known."""
        self._recent = _Recent([], [], 0)
        """Not yet in the engine; those of the flush are the first ones."""
        self._flush: HistoryFlush | None = None
        self._clock_ms = 0

    @property
    def memory_bytes(self) -> int:
        """Held beyond the rows of the tables."""
        return self._recent.held_bytes

    @property
    def oldest_revision(self) -> int:
        assert self._extent is not None, "the history has not begun"
        return self._extent.oldest_revision

    def begin(self, revision: int, limits: HistoryLimits) -> None:
        self._limits = limits
        if self._extent is None:
            self._extent = HistoryExtent(oldest_revision=revision + 1, size_bytes=0)

    def limit_bytes(self, bytes_max: int) -> None:
        """See the interface. What alone is more is not written."""
        self._bytes_max = bytes_max

    def begin_anew(self, revision: int) -> None:
        """The state, at `revision`, lies in an engine without history: only what was not yet flushed is left.
        Never during a flush."""
        assert self._flush is None, "the history begins anew under a flush"
        recent = self._recent.revisions
        self._extent = HistoryExtent(oldest_revision=recent[0] if recent else revision + 1, size_bytes=0)

    def record(self, revisions: Sequence[Revision], clock_ms: int) -> None:
        self._clock_ms = clock_ms
        recent = self._recent
        parts, add_revision = recent.parts, recent.revisions.append
        length_before, held_bytes = len(parts), 0
        for revision, changes in revisions:
            for change in changes:
                add_revision(revision)
                parts += change
                if change[2] is not None:
                    held_bytes += len(change[2])
        recent.held_bytes += held_bytes + CHANGE_BYTES * (len(parts) - length_before) // 3

    def read(self, first: int, reader: EngineReader) -> list[Revision]:
        """As `StateStore.read_history`, what is flushed from the moment of `reader`."""
        if first < self.oldest_revision:
            raise HistoryCompactedError(self.oldest_revision)
        recent = self._recent
        begin = bisect_left(recent.revisions, first)
        if begin > 0:
            return _slice(recent.changes(begin))
        return _slice(chain(_decoded(reader, first), recent.changes()))

    def freeze(self) -> HistoryFlush | None:
        """What is to be flushed; None if the history never began."""
        if self._limits is None:
            return None
        assert self._extent is not None
        limits = self._limits
        if self._bytes_max is not None and self._bytes_max < limits.bytes_max:
            size_bytes = sum(len(part) for part in self._recent.parts if part is not None)
            fits = size_bytes <= self._bytes_max
            limits = replace(limits, bytes_max=self._bytes_max if fits else 0)
        self._flush = HistoryFlush(self._recent.copy(), self._extent, limits, self._clock_ms)
        return self._flush

    def flush_done(self, flush: HistoryFlush | None) -> None:
        """Lets go of what was flushed: by what `freeze` has given, or the same without blocks."""
        self._flush = None
        if flush is not None:
            self._recent.drop(flush.recent)
            self._extent = flush.extent


class HistoryFlush:
    """Changes on their way into the engine, and what goes to make room for them. The thread that flushes
    goes through the `blocks` first, and asks then what is `obsolete`."""

    __slots__ = ("_begun_with", "_clock_ms", "_limits", "_newest", "extent", "recent")

    def __init__(self, recent: _Recent, extent: HistoryExtent, limits: HistoryLimits, clock_ms: int) -> None:
        self.recent = recent
        self._begun_with = extent
        self.extent = extent
        """What the engine holds, this flush included as far as it has come."""
        self._limits = limits
        self._clock_ms = clock_ms
        self._newest = recent.revisions[-1] if recent.revisions else 0

    def without_blocks(self) -> HistoryFlush:
        """The same, but that nothing is written and nothing kept, for want of room: the history begins after
        it. Who watches from further back is told that it is compacted."""
        return HistoryFlush(self.recent, self._begun_with, replace(self._limits, bytes_max=0), self._clock_ms)

    def blocks(self) -> Iterator[Block]:
        """In ascending order of their keys, behind all that the engine has."""
        if self._limits.bytes_max == 0:
            if self._newest:
                self.extent = HistoryExtent(
                    oldest_revision=self._newest + 1, size_bytes=self.extent.size_bytes
                )
            return
        size_bytes = self.extent.size_bytes
        for block in _encoded(self.recent, self._clock_ms):
            size_bytes += disk_bytes(block.contents)
            yield block
        self.extent = HistoryExtent(oldest_revision=self.extent.oldest_revision, size_bytes=size_bytes)

    def obsolete(self, label: bytes) -> bool:
        """Whether the oldest block that is left has to go; it is then taken for gone."""
        limits = self._limits
        last_revision, time_ms, size_bytes = _LABEL.unpack(label)
        if (
            limits.bytes_max
            and self.extent.size_bytes <= limits.bytes_max
            and self._newest - last_revision < limits.revisions_max
            and self._clock_ms - time_ms <= limits.age_ms_max
        ):
            return False
        self.extent = HistoryExtent(
            oldest_revision=max(self.extent.oldest_revision, last_revision + 1),
            size_bytes=self.extent.size_bytes - size_bytes,
        )
        return True


def first_key(revision: int) -> bytes:
    """The name of the block that begins with the first change of a revision."""
    return _KEY.pack(revision, 0)


def _encoded(recent: _Recent, time_ms: int) -> Iterator[Block]:
    begin = 0
    while begin < len(recent.revisions):
        revisions = recent.revisions[begin : begin + BLOCK_CHANGES]
        parts = recent.parts[3 * begin : 3 * (begin + BLOCK_CHANGES)]
        lengths = [-1 if part is None else len(part) for part in parts]
        fitting = bisect_left(list(accumulate(lengths)), BLOCK_BYTES) // 3 + 1
        del revisions[fitting:], parts[3 * fitting :], lengths[3 * fitting :]
        count = len(revisions)
        numbers = _numbers(count).pack(*revisions, *lengths)
        contents = b"".join((_COUNT.pack(count), numbers, *filter(None, parts)))
        position = begin - bisect_left(recent.revisions, revisions[0])
        label = _LABEL.pack(revisions[-1], time_ms, disk_bytes(contents))
        yield Block(_KEY.pack(revisions[0], position), label, contents)
        begin += count


def _decoded(reader: EngineReader, first: int) -> Iterator[tuple[int, Change]]:
    """The changes of an engine from revision `first` on."""
    for contents in reader.history(first_key(first)):
        yield from _changes_of(contents, first)


def _changes_of(block: bytes, first: int) -> Iterator[tuple[int, Change]]:
    (count,) = _COUNT.unpack_from(block)
    layout = _numbers(count)
    numbers = layout.unpack_from(block, _COUNT.size)
    revisions, lengths = numbers[:count], numbers[count:]
    begin = bisect_left(revisions, first)
    end = _COUNT.size + layout.size + sum(length for length in lengths[: 3 * begin] if length > 0)
    remaining = iter(lengths[3 * begin :])
    for revision, key_bytes, row_bytes, previous_bytes in zip(
        revisions[begin:], remaining, remaining, remaining, strict=True
    ):
        key_at = end
        row_at = key_at + key_bytes
        previous_at = row_at + max(row_bytes, 0)
        end = previous_at + max(previous_bytes, 0)
        row = None if row_bytes < 0 else block[row_at:previous_at]
        previous = None if previous_bytes < 0 else block[previous_at:end]
        yield revision, (block[key_at:row_at], row, previous)


def _numbers(count: int) -> struct.Struct:
    """The revisions and lengths of so many changes."""
    return struct.Struct(f">{count}Q{3 * count}i")


def _slice(changes: Iterable[tuple[int, Change]]) -> list[Revision]:
    """The first changes, by revision."""
    taken: list[tuple[int, list[Change]]] = []
    size_bytes = 0
    for count, (revision, change) in enumerate(changes):
        if not taken or revision != taken[-1][0]:
            if count >= SLICE_CHANGES or size_bytes >= SLICE_BYTES:
                break
            taken.append((revision, []))
        taken[-1][1].append(change)
        key, row, previous = change
        size_bytes += len(key) + len(row or b"") + len(previous or b"")
    return list[Revision](taken)
