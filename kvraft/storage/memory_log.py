"""The log without a disk, for simulations: the same laws as `kvraft.storage.log`, and nothing that
depends on time or chance.

Whether a write survives a crash is the simulator's choice: it calls `append` when the write is to be
durable, and does not when it is to be lost. An append is all or nothing, as on disk. After a crash
`reopened` gives the log as the next process would find it.
"""

from __future__ import annotations

from itertools import groupby

from kvraft.raft.types import Entry, HardState, Index, Term
from kvraft.storage.interfaces import Identity, InstalledSnapshot, LogWrite, RecoveredLog


class MemoryLog:
    """Implements `kvraft.storage.interfaces.LogStorage`. Its segments are single entries: compaction is
    exact to the entry and to the byte."""

    __slots__ = (
        "_base_index",
        "_base_term",
        "_entries",
        "_hard_state",
        "_identity",
        "_installed_snapshot",
        "_recovered",
    )

    def __init__(self, identity: Identity) -> None:
        """A new, empty log."""
        self._identity = identity
        self._hard_state = HardState(Term(0), None)
        self._installed_snapshot: InstalledSnapshot | None = None
        self._base_index = Index(0)
        self._base_term = Term(0)
        self._entries: list[Entry] = []
        self._recovered = self._recover()

    @property
    def identity(self) -> Identity:
        return self._identity

    @property
    def recovered(self) -> RecoveredLog:
        return self._recovered

    @property
    def size_bytes(self) -> int:
        return sum(entry.size_bytes for entry in self._entries)

    def reopened(self) -> MemoryLog:
        """A log of its own that holds what this one holds now."""
        log = MemoryLog(self._identity)
        log._hard_state = self._hard_state
        log._installed_snapshot = self._installed_snapshot
        log._base_index, log._base_term = self._base_index, self._base_term
        log._entries = self._entries.copy()
        log._recovered = log._recover()
        return log

    def append(self, write: LogWrite) -> None:
        """See `LogStorage.append`. Never fails."""
        if write.installed_snapshot is not None:
            self._installed_snapshot = write.installed_snapshot
            metadata = write.installed_snapshot.metadata
            self._base_index, self._base_term = metadata.index, metadata.term
            self._entries.clear()
        if write.hard_state is not None:
            self._hard_state = write.hard_state
        if write.entries:
            kept = write.entries[0].index - self._base_index - 1
            assert 0 <= kept <= len(self._entries), (write.entries[0].index, self._last_index)
            del self._entries[kept:]
            for entry in write.entries:
                assert entry.index == self._last_index + 1, (entry.index, self._last_index)
                self._entries.append(entry)

    def entries(self, first: Index, last: Index, bytes_max: int) -> list[Entry]:
        """See `LogStorage.entries`."""
        assert first <= last, (first, last)
        if not self._base_index < first <= last <= self._last_index:
            raise LookupError(
                f"entries {first}..{last} are not in the log, which holds "
                f"{self._base_index + 1}..{self._last_index}"
            )
        found: list[Entry] = []
        size_bytes = 0
        for entry in self._entries[first - self._base_index - 1 : last - self._base_index]:
            size_bytes += entry.size_bytes
            if size_bytes > bytes_max and found:
                break
            found.append(entry)
        return found

    def plan_compaction(self, index: Index, retained_bytes: int) -> Index:
        """See `LogStorage.plan_compaction`."""
        base_index, size_bytes = self._base_index, self.size_bytes
        for entry in self._entries:
            if entry.index > index or size_bytes <= retained_bytes:
                break
            base_index = entry.index
            size_bytes -= entry.size_bytes
        return base_index

    def compact(self, base_index: Index) -> None:
        """See `LogStorage.compact`."""
        count = base_index - self._base_index
        if count > 0:
            self._base_index, self._base_term = base_index, self._entries[count - 1].term
            del self._entries[:count]

    def rebase(self, snapshot: InstalledSnapshot) -> None:
        """See `LogStorage.rebase`."""
        kept = self._entries[snapshot.metadata.index - self._base_index :]
        self.append(LogWrite(installed_snapshot=snapshot, entries=tuple(kept)))

    @property
    def is_tidy(self) -> bool:
        return True

    def close(self) -> None:
        """Nothing is open."""

    @property
    def _last_index(self) -> Index:
        return Index(self._base_index + len(self._entries))

    def _recover(self) -> RecoveredLog:
        runs = groupby(self._entries, key=lambda entry: entry.term)
        return RecoveredLog(
            hard_state=self._hard_state,
            base_index=self._base_index,
            base_term=self._base_term,
            last_index=self._last_index,
            term_starts=tuple((next(run).index, term) for term, run in runs),
            installed_snapshot=self._installed_snapshot,
            torn_bytes=0,
        )
