"""A state copied into new files, which never held what was deleted before, while the old ones stay in use.

LMDB leaves the bytes of deleted rows in pages that are free, and never makes its file smaller. So what was
erased is only gone when all that is left lies in another file. The copy goes along with the flushes, in
their thread: each one writes what it has into the old files, the same rows into the part of the copy that is
there, and then copies the next rows in key order, as much as does not hold up the next flush. There is no
long read that would pin pages, and no moment when writes must wait. Once the copy has come to the last row it
holds what is flushed, and every further flush keeps it so.

The history (`history`) is not copied: it holds what rows held before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile

from kvraft.storage.errors import ExhaustedError
from kvraft.storage.interfaces import Applied, Cleaned
from kvraft.storage.state.engine import Engine, Row

COPY_BYTES_PER_FLUSH = 32 << 20
"""Less than a second of the flushing thread; at a flush every two seconds, a minute for 1 GB."""
COMMIT_BYTES = 8 << 20
"""Rows that go into one transaction."""


@dataclass(frozen=True, slots=True)
class RewriteTarget:
    """New, empty files for a state."""

    generation: int
    engine: Engine
    settle: Callable[[], None]
    """Makes the names of the files durable, after the first write. Raises StorageError."""


class Rewrite:
    """Implements `kvraft.storage.interfaces.StateRewrite`. `go_on` runs in the thread that flushes, the rest
    in the owner's, never at the same time."""

    __slots__ = ("_new_target", "_position", "_target", "cleaned", "has_failed", "is_complete")

    def __init__(self, new_target: Callable[[], RewriteTarget], cleaned: Cleaned) -> None:
        """`new_target` is called in the thread that flushes. Raises StorageError."""
        self._new_target = new_target
        self.cleaned = cleaned
        self._target: RewriteTarget | None = None
        self._position = b""
        """Rows up to this key are copied."""
        self.is_complete = False
        self.has_failed = False

    @property
    def generation(self) -> int:
        return 0 if self._target is None else self._target.generation

    @property
    def engine(self) -> Engine:
        assert self._target is not None, "no flush has begun the copy"
        return self._target.engine

    def go_on(self, source: Engine, flushed: Iterable[Row], applied: Applied) -> None:
        """`source` has just been given `flushed`, rows and deletions in ascending order, and is at `applied`.
        Where there is no room for it, it has failed. Raises StorageError."""
        if self.has_failed:
            return
        try:
            self._go_on(source, flushed, applied)
        except ExhaustedError:
            self.is_complete, self.has_failed = False, True

    def _go_on(self, source: Engine, flushed: Iterable[Row], applied: Applied) -> None:
        if self._target is None:
            self._target = self._new_target()
            self._target.engine.cleaned = self.cleaned
        engine = self._target.engine
        if self.is_complete:
            engine.write(flushed, applied)
            return
        engine.write(takewhile(lambda row: row[0] <= self._position, flushed), applied)
        reader = source.reader()
        try:
            for _ in range(COPY_BYTES_PER_FLUSH // COMMIT_BYTES):
                before = self._position
                engine.append(self._rows_behind(reader.scan(before, None)))
                if self._position == before:
                    self._target.settle()
                    self.is_complete = True
                    return
        finally:
            reader.close()

    def close(self) -> None:
        """Lets go of the files."""
        if self._target is not None:
            self._target.engine.close()

    def _rows_behind(self, rows: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        """The next rows of the source, as many as one transaction takes."""
        size_bytes = 0
        for key, value in rows:
            if key == self._position:
                continue
            yield key, value
            self._position = key
            size_bytes += len(key) + len(value)
            if size_bytes >= COMMIT_BYTES:
                return
