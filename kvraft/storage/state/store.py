"""The state: an active table in memory, frozen ones on their way to disk, and an engine below."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from kvraft.raft.types import Index, Term
from kvraft.storage.errors import CorruptionError, ExhaustedError, StorageError
from kvraft.storage.interfaces import Applied, Change, Cleaned, StateUsage
from kvraft.storage.state import tables
from kvraft.storage.state.digest import MASK, row_change, row_hash
from kvraft.storage.state.engine import Engine, EngineReader
from kvraft.storage.state.history import History, HistoryFlush
from kvraft.storage.state.rewrite import Rewrite, RewriteTarget
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


class _Floor:
    """The engine below the tables, open until neither the store nor a view reads it."""

    __slots__ = ("_is_left", "_open_views", "engine")

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._open_views = 0
        self._is_left = False

    def view_opened(self) -> None:
        self._open_views += 1

    def view_closed(self) -> None:
        self._open_views -= 1
        self._close_if_unused()

    def leave(self) -> None:
        """The store does not need it any more."""
        self._is_left = True
        self._close_if_unused()

    def _close_if_unused(self) -> None:
        if self._is_left and self._open_views == 0:
            self.engine.close()


class LayeredState:
    """Implements `kvraft.storage.interfaces.StateStore` over an engine."""

    def __init__(self, engine: Engine, *, voters: tuple[int, ...], learners: tuple[int, ...] = ()) -> None:
        """`voters` and `learners` are those of a new state; one that has applied something knows its own."""
        self._floor = _Floor(engine)
        self._rewrite: Rewrite | None = None
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
        self._digest += row_change(key, value, previous)
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
    def flushed(self) -> Applied:
        return self._flushed

    @property
    def flushed_index(self) -> Index:
        return self._flushed.index

    @property
    def memory_bytes(self) -> int:
        tables_bytes = self._active.size_bytes + sum(table.size_bytes for table in self._frozen)
        return tables_bytes + self.history.memory_bytes

    @property
    def disk_bytes(self) -> int:
        return self._floor.engine.disk_bytes

    @property
    def usage(self) -> StateUsage:
        return self._floor.engine.usage

    # --- moments and flushes --------------------------------------------------------------------

    def view(self) -> LayeredView:
        """Raises StorageError."""
        reader = self._floor.engine.reader()
        self._freeze_active()
        self._floor.view_opened()
        return LayeredView(self._frozen, reader, self._applied, self._floor.view_closed)

    def freeze(self, *, trims_history: bool = False) -> bool:
        """Also true where only the applied index has risen: a restart then begins from it; and while there
        is a rewrite to go on with. Raises StorageError if the last flush failed, or is not over."""
        self.flush_done()
        if self._flush is not None:
            raise StorageError(
                f"the flush up to index {self._flush.applied.index} was not written: it failed or is not over"
            )
        assert self._digest == self._applied.digest, "an entry is only half applied"
        is_flushed = self._applied.index == self._flushed.index
        if is_flushed and self._rewrite is None and not trims_history:
            return False
        self._freeze_active()
        self._flush = _Flush(self._frozen, self._applied, self.history.freeze())
        return True

    def flush(self) -> None:
        flush = self._flush
        assert flush is not None, "nothing was frozen"
        try:
            self._floor.engine.write(tables.merge(flush.tables), flush.applied, flush.history)
        except ExhaustedError:
            if flush.history is not None:
                flush.history = flush.history.without_blocks()
            raise
        if self._rewrite is not None:
            self._rewrite.go_on(self._floor.engine, tables.merge(flush.tables), flush.applied)
        flush.is_written = True

    def flush_done(self) -> None:
        """Harmless where there is nothing to let go of: a node that stops may hear late of its last
        flush."""
        flush = self._flush
        if flush is None or not flush.is_written or self._is_closed:
            return
        self._renew_reader()
        # Tables frozen meanwhile are in front of those that were flushed.
        self._frozen = self._frozen[: len(self._frozen) - len(flush.tables)]
        self.history.flush_done(flush.history)
        self._flushed = flush.applied
        self._flush = None

    # --- new files -------------------------------------------------------------------------------

    @property
    def cleaned(self) -> Cleaned:
        cleaned = self._floor.engine.cleaned
        assert cleaned is not None, "begin_cleaned comes first"
        return cleaned

    def begin_cleaned(self, cleaned: Cleaned) -> None:
        engine = self._floor.engine
        if engine.cleaned is None:
            engine.cleaned = cleaned

    @property
    def rewrite(self) -> Rewrite | None:
        return self._rewrite

    def begin_rewrite(self, new_target: Callable[[], RewriteTarget], cleaned: Cleaned) -> None:
        """Every flush from the next one on makes a part of the copy. `new_target` is called by the first one,
        which has everything that is applied now; so the copy never holds what is erased now, which `cleaned`
        says. Never while `flush` runs."""
        assert self._rewrite is None, "one at a time"
        self._rewrite = Rewrite(new_target, cleaned)

    def exchange(self, revision: int, time_ms: int) -> None:
        """The complete copy becomes what lies below the tables; views stay good. The history of what was
        flushed stays behind: it begins anew. `revision` is the state's, `time_ms` since the Unix epoch."""
        rewrite = self._rewrite
        assert rewrite is not None, "there is no copy"
        assert rewrite.is_complete, "the copy is not complete"
        assert self._flush is None, "exchanged under a flush"
        rewrite.engine.cleaned = replace(rewrite.cleaned, time_ms=time_ms)
        left, self._floor, self._rewrite = self._floor, _Floor(rewrite.engine), None
        self._renew_reader()
        left.leave()
        self.history.begin_anew(revision)

    def abandon_rewrite(self) -> None:
        """Lets go of the copy, if there is one. Never while `flush` runs."""
        if self._rewrite is not None:
            self._rewrite.close()
            self._rewrite = None

    def close(self) -> None:
        """Views that are still open stay good; the last one takes the engine with it."""
        self._is_closed = True
        self.abandon_rewrite()
        self._reader.close()
        self._floor.leave()

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

    def _renew_reader(self) -> None:
        reader = self._floor.engine.reader()
        self._reader.close()
        self._reader = reader

    def _freeze_active(self) -> None:
        active = self._active
        if not active.rows:
            return
        active.order()
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
