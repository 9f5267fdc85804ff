"""The state: an active table in memory, frozen ones on their way to disk, and an engine below."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

from kvraft.raft.types import Index, Term
from kvraft.storage.errors import CorruptionError, StorageError
from kvraft.storage.interfaces import Applied, Change
from kvraft.storage.state import tables
from kvraft.storage.state.digest import MASK, row_hash
from kvraft.storage.state.engine import Engine, EngineReader
from kvraft.storage.state.history import History, HistoryFlush
from kvraft.storage.state.tables import ABSENT, Table

SMALL_TABLE_ROWS = 512
"""Tables frozen by views are joined up to this size, in about 0.1 ms: else each of many views between
two flushes would leave a table that every read must look into."""


class _Flush:
    """Frozen tables on their way into the engine, and the applied index they stand for."""

    __slots__ = ("applied", "history", "is_written", "tables")

    def __init__(self, frozen: tuple[Table, ...], applied: Applied, history: HistoryFlush | None) -> None:
        self.tables = frozen
        self.applied = applied
        self.history = history
        self.is_written = False
        """Set by the thread that flushes, last of all."""


class LayeredState:
    """Implements `kvraft.storage.interfaces.StateStore` over an engine."""

    def __init__(self, engine: Engine, *, voters: tuple[int, ...], learners: tuple[int, ...] = ()) -> None:
        """`voters` and `learners` are those of a new state; one that has applied something knows its own."""
        self._engine = engine
        self._flushed = engine.applied or Applied(
            index=Index(0), term=Term(0), voters=voters, learners=learners, digest=0
        )
        self._applied = self._flushed
        self._digest = self._flushed.digest
        """Not yet reduced modulo 2**64."""
        self._active = Table()
        self._frozen: tuple[Table, ...] = ()
        """Newest first; those of the flush are the last ones."""
        self._flush: _Flush | None = None
        self._reader: EngineReader = engine.reader()
        self.history = History(engine.history)
        self._open_views = 0
        self._is_closed = False

    # --- reads and writes -----------------------------------------------------------------------

    def get(self, key: bytes) -> bytes | None:
        found = self._active.rows.get(key, ABSENT)
        if found is not ABSENT:
            value: bytes | None = found
            return value
        return tables.get(self._frozen, self._reader, key)

    def scan(
        self, start: bytes, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        return tables.scan((self._active, *self._frozen), self._reader, start, end, reverse=reverse)

    def put(self, key: bytes, value: bytes, previous: bytes | None) -> None:
        self._digest += row_hash(key, value)
        if previous is not None:
            self._digest -= row_hash(key, previous)
        self._active.put(key, value)

    def delete(self, key: bytes, previous: bytes) -> None:
        self._digest -= row_hash(key, previous)
        self._active.put(key, None)

    def read_history(self, first: int) -> list[tuple[int, Sequence[Change]]]:
        return self.history.read(first, self._reader)

    # --- how far --------------------------------------------------------------------------------

    @property
    def applied(self) -> Applied:
        return self._applied

    def mark_applied(self, index: Index, term: Term) -> None:
        self._digest &= MASK
        before = self._applied
        self._applied = Applied(
            index=index, term=term, voters=before.voters, learners=before.learners, digest=self._digest
        )

    @property
    def flushed_index(self) -> Index:
        return self._flushed.index

    @property
    def memory_bytes(self) -> int:
        tables_bytes = self._active.size_bytes + sum(table.size_bytes for table in self._frozen)
        return tables_bytes + self.history.memory_bytes

    @property
    def disk_bytes(self) -> int:
        return self._engine.disk_bytes

    # --- moments and flushes --------------------------------------------------------------------

    def view(self) -> LayeredView:
        """Raises StorageError."""
        reader = self._engine.reader()
        self._freeze_active()
        self._open_views += 1
        return LayeredView(self._frozen, reader, self._applied, self._view_closed)

    def freeze(self) -> bool:
        """Also true where only the applied index has risen: a restart then begins from it. Raises
        StorageError if the last flush failed, or is not over."""
        self.flush_done()
        if self._flush is not None:
            raise StorageError(
                f"the flush up to index {self._flush.applied.index} was not written: it failed or is not over"
            )
        if self._applied.index == self._flushed.index:
            return False
        self._freeze_active()
        self._flush = _Flush(self._frozen, self._applied, self.history.freeze())
        return True

    def flush(self) -> None:
        flush = self._flush
        assert flush is not None, "nothing was frozen"
        self._engine.write(tables.merge(flush.tables), flush.applied, flush.history)
        flush.is_written = True

    def flush_done(self) -> None:
        """Harmless where there is nothing to let go of: a node that stops may hear late of its last
        flush."""
        flush = self._flush
        if flush is None or not flush.is_written or self._is_closed:
            return
        reader = self._engine.reader()
        self._reader.close()
        self._reader = reader
        # Tables frozen meanwhile are in front of those that were flushed.
        self._frozen = self._frozen[: len(self._frozen) - len(flush.tables)]
        self.history.flush_done()
        self._flushed = flush.applied
        self._flush = None

    def close(self) -> None:
        """Views that are still open stay good; the last one takes the engine with it."""
        self._is_closed = True
        self._reader.close()
        self._close_engine_if_unused()

    def verify(self) -> int:
        """Reads everything that is flushed and compares checksums and digest: how many rows there are.

        Raises CorruptionError.
        """
        digest = rows = 0
        for key, value in self._reader.scan(b"", None):
            digest += row_hash(key, value)
            rows += 1
        if digest & MASK != self._flushed.digest:
            raise CorruptionError(
                f"the digest of {rows} rows is {digest & MASK:016x}, not {self._flushed.digest:016x} as "
                f"recorded at index {self._flushed.index}: rows were lost, added or exchanged"
            )
        return rows

    def _view_closed(self) -> None:
        self._open_views -= 1
        self._close_engine_if_unused()

    def _close_engine_if_unused(self) -> None:
        if self._is_closed and self._open_views == 0:
            self._engine.close()

    def _freeze_active(self) -> None:
        assert self._digest == self._applied.digest, "an entry is only half applied"
        active = self._active
        if not active.rows:
            return
        self._active = Table()
        in_flush = 0 if self._flush is None else len(self._flush.tables)
        if len(self._frozen) > in_flush and len(self._frozen[0].rows) + len(active.rows) <= SMALL_TABLE_ROWS:
            self._frozen = (self._frozen[0].overlaid(active), *self._frozen[1:])
        else:
            self._frozen = (active, *self._frozen)


class LayeredView:
    """Implements `kvraft.storage.interfaces.StateView`. May be read in another thread than the store's,
    by one at a time; closed in the store's, even while the other reads."""

    def __init__(
        self,
        frozen: tuple[Table, ...],
        reader: EngineReader,
        applied: Applied,
        on_closed: Callable[[], None],
    ) -> None:
        self._frozen = frozen
        self._reader = reader
        self._applied = applied
        self._on_closed = on_closed
        self._is_closed = False
        self._lock = threading.Lock()
        """A reader's moment must not be taken away under its hands, which would be freed memory."""

    @property
    def applied(self) -> Applied:
        return self._applied

    def get(self, key: bytes) -> bytes | None:
        """Raises ValueError if the view is closed."""
        with self._lock:
            self._check_open()
            return tables.get(self._frozen, self._reader, key)

    def scan(
        self, start: bytes, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Raises ValueError if the view is closed before its last row was read: an end too early would
        look like a smaller state."""
        rows = tables.scan(self._frozen, self._reader, start, end, reverse=reverse)
        while True:
            with self._lock:
                self._check_open()
                row = next(rows, None)
            if row is None:
                return
            yield row

    def close(self) -> None:
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._reader.close()
        self._on_closed()

    def _check_open(self) -> None:
        if self._is_closed:
            raise ValueError("the view of the state is closed")
