"""The state: an active table in memory, frozen ones on their way to disk, and an engine below."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from kvraft.raft.types import Index, Term
from kvraft.storage.errors import CorruptionError
from kvraft.storage.interfaces import Applied
from kvraft.storage.state import tables
from kvraft.storage.state.digest import MASK, row_hash
from kvraft.storage.state.engine import Engine, EngineReader
from kvraft.storage.state.tables import Table


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
        self._active = Table()
        self._frozen: tuple[Table, ...] = ()
        """Newest first."""
        self._frozen_applied = self._flushed
        self._flushing: tuple[Table, ...] = ()
        self._flushing_applied = self._flushed
        self._reader: EngineReader = engine.reader()
        self._open_views = 0
        self._is_closed = False

    # --- reads and writes -----------------------------------------------------------------------

    def get(self, key: bytes) -> bytes | None:
        return tables.get((self._active, *self._frozen), self._reader, key)

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

    # --- how far --------------------------------------------------------------------------------

    @property
    def applied(self) -> Applied:
        return self._applied

    def mark_applied(self, index: Index, term: Term) -> None:
        self._digest &= MASK
        self._applied = replace(self._applied, index=index, term=term, digest=self._digest)

    @property
    def flushed_index(self) -> Index:
        return self._flushed.index

    @property
    def memory_bytes(self) -> int:
        return self._active.size_bytes + sum(table.size_bytes for table in self._frozen)

    @property
    def disk_bytes(self) -> int:
        return self._engine.disk_bytes

    # --- moments and flushes --------------------------------------------------------------------

    def view(self) -> LayeredView:
        self._freeze_active()
        self._open_views += 1
        return LayeredView(self._frozen, self._engine.reader(), self._applied, self._view_closed)

    def freeze(self) -> bool:
        """Also true where only the applied index has risen: a restart then begins from it."""
        assert not self._flushing, "the last flush is not done"
        if self._applied == self._flushed:
            return False
        self._freeze_active()
        self._flushing = self._frozen
        self._flushing_applied = self._applied
        return True

    def flush(self) -> None:
        self._engine.write(tables.merge(self._flushing), self._flushing_applied)

    def flush_done(self) -> None:
        # Tables frozen meanwhile are in front of those that were flushed.
        self._frozen = self._frozen[: len(self._frozen) - len(self._flushing)]
        self._flushed = self._flushing_applied
        self._flushing = ()
        self._reader.close()
        self._reader = self._engine.reader()

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
        if self._active.rows:
            self._frozen = (self._active, *self._frozen)
            self._active = Table()


class LayeredView:
    """Implements `kvraft.storage.interfaces.StateView`. May be read in another thread than the store's,
    by one at a time; closed in the store's."""

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

    @property
    def applied(self) -> Applied:
        return self._applied

    def get(self, key: bytes) -> bytes | None:
        return tables.get(self._frozen, self._reader, key)

    def scan(
        self, start: bytes, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        return tables.scan(self._frozen, self._reader, start, end, reverse=reverse)

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._reader.close()
            self._on_closed()
