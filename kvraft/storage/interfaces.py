"""What the loop and the machine may ask of a disk. `kvraft.storage.log` and
`kvraft.storage.state` do it on real files, `kvraft.storage.memory_log` in memory for the
simulator; both are plain synchronous code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from kvraft.copyable import Copyable
from kvraft.raft.types import Entry, HardState, Index, SnapshotMetadata, Term


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whose data this is: written once, with the first bytes of a data directory."""

    cluster_id: int
    """Unsigned 64 bits."""
    cluster_name: str
    node_id: int
    initial_voters: tuple[int, ...]
    """The configuration the cluster was created with: its one source until the log changes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledSnapshot:
    """The record that makes a received state the state: the commit point of an installation."""

    metadata: SnapshotMetadata
    generation: int
    """Names the directory of that state (see `StateStore`); generations only rise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogWrite:
    """What one write makes durable, in this order, all of it or (after a crash) none of it."""

    installed_snapshot: InstalledSnapshot | None = None
    """Drop every entry: the log begins anew after the snapshot's index."""
    hard_state: HardState | None = None
    entries: tuple[Entry, ...] = ()
    """Contiguous. Where the log holds an entry at the first index, it and all after it are
    overwritten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveredLog:
    """What a log holds when it is opened."""

    hard_state: HardState
    base_index: Index
    """The entry before the first one held; 0 if the log holds everything."""
    base_term: Term
    last_index: Index
    term_starts: tuple[tuple[Index, Term], ...]
    """(first index, term) of each run of equal terms among the entries held, ascending."""
    installed_snapshot: InstalledSnapshot | None
    """The last snapshot that was installed: its generation is the current state's directory."""
    torn_bytes: int
    """Bytes of an unfinished last write that were cut off; 0 after an orderly stop."""


class LogStorage(Protocol):
    """The Raft log on disk. `append` and `compact` come from one thread, `entries` from another;
    an `append` never runs beside another."""

    @property
    def identity(self) -> Identity: ...

    @property
    def recovered(self) -> RecoveredLog: ...

    def append(self, write: LogWrite) -> None:
        """Makes `write` durable: one synchronous write. Raises ExhaustedError, after which the same write
        must be tried again before any other, and StorageError: the log is then dead and takes no more
        writes."""
        ...

    def entries(self, first: Index, last: Index, bytes_max: int) -> list[Entry]:
        """The durable entries first..last, at least one and then as many as fit `bytes_max`.

        Raises LookupError where an entry is not held, CorruptionError where it cannot be read
        as it was written."""
        ...

    def plan_compaction(self, index: Index, retained_bytes: int) -> Index:
        """The base index the log would have after dropping its oldest segments, as long as all their
        entries are at or before `index` and the log is larger than `retained_bytes`. Changes
        nothing; the present base index if nothing can go. From the thread of `entries`."""
        ...

    def compact(self, base_index: Index) -> None:
        """Drops the segments before a planned base index. Entries up to it must not be asked for any
        more."""
        ...

    def rebase(self, snapshot: InstalledSnapshot) -> None:
        """Begins the log anew after a snapshot of this node's own, which is at an index that the log holds:
        the entries after it are kept, the bytes of all others go. One synchronous write, from the thread of
        `append`. Entries up to it must not be asked for any more. Raises StorageError as `append` does."""
        ...

    @property
    def size_bytes(self) -> int:
        """What the log takes on disk."""
        ...

    @property
    def is_tidy(self) -> bool:
        """Whether no file holds bytes of segments that were dropped."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """How far a state has come; written in the same transaction as its rows."""

    index: Index
    term: Term
    voters: tuple[int, ...]
    learners: tuple[int, ...]
    digest: int
    """Sum modulo 2**64 of the hash of every row: independent of order, equal on equal states."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What the files of a state have never held: nothing that was erased up to this revision is in them, not
    even in pages that are free."""

    revision: int
    time_ms: int
    """When that was so, since the Unix epoch."""


Change = tuple[bytes, bytes | None, bytes | None]
"""The key of a row, with the byte that says whose space it is in; the row that is there since (None: it was
deleted), and the row that was there before (None: there was none)."""


class HistoryCompactedError(Copyable):
    """Changes were asked for that are older than the history that is kept."""

    def __init__(self, oldest_revision: int) -> None:
        super().__init__(f"the history begins with revision {oldest_revision}")
        self.oldest_revision = oldest_revision


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLimits:
    """What a history keeps: whichever of the three is reached first. Kept to when it is flushed, so that
    what came since the last flush is always kept."""

    revisions_max: int
    """How many revisions it goes back."""
    bytes_max: int
    """On disk."""
    age_ms_max: int
    """By replicated time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryExtent:
    """What a history on disk holds; written in the same transaction as the rows."""

    oldest_revision: int
    """Every change from this revision on is kept."""
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSpace:
    """What a file system says."""

    total_bytes: int
    free_bytes: int
    """For an unprivileged process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateUsage:
    """What a state takes on the disk, in bytes."""

    rows_bytes: int
    """What a copy of it would take."""
    reusable_bytes: int
    """Of pages that are free, in files that never become smaller: new rows go there first."""
    history_bytes: int


class History(Protocol):
    """What changed that can be watched, by revision, as far back as it is kept by this node alone."""

    def begin(self, revision: int, limits: HistoryLimits) -> None:
        """Before anything else: the state is at `revision`. Where nothing is kept from before, this is what
        the history begins after."""
        ...

    def record(self, revisions: Sequence[tuple[int, Sequence[Change]]], clock_ms: int) -> None:
        """What an entry changed, by revision, ascending, at this replicated time. The bytes are shared."""
        ...

    def limit_bytes(self, bytes_max: int) -> None:
        """From the next flush on it takes no more than this on disk, nor than its limits say. With 0 nothing
        of what is flushed is written or kept."""
        ...

    @property
    def oldest_revision(self) -> int:
        """The first revision that `read` answers."""
        ...


class StateRewrite(Protocol):
    """A copy of a state in the making, in files that never held what is not in the state any more."""

    @property
    def generation(self) -> int:
        """Names the directory of the copy; 0: no flush has begun it."""
        ...

    @property
    def is_complete(self) -> bool:
        """Whether it holds what is flushed."""
        ...

    @property
    def has_failed(self) -> bool:
        """Whether there was no room to go on: it is to be abandoned."""
        ...


class StateReader(Protocol):
    """Ordered rows: keys of 1 to 511 bytes, compared as unsigned bytes."""

    def get(self, key: bytes) -> bytes | None: ...

    def scan(
        self, start: bytes, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """The rows with start <= key < end (`None`: to the end), ascending or descending.
        The iterator must not be used across a change of what it reads."""
        ...


class StateTransaction(StateReader, Protocol):
    """Where commands are applied: sees its own writes."""

    def put(self, key: bytes, value: bytes, previous: bytes | None) -> None:
        """Sets a row. `previous` is what `get(key)` answers just before: every caller has read it
        anyway, and the digest needs it."""
        ...

    def delete(self, key: bytes, previous: bytes) -> None:
        """Deletes a row, which holds `previous`."""
        ...


class StateView(StateReader, Protocol):
    """One moment of the state for as long as it is open: snapshots, streamed ranges."""

    @property
    def applied(self) -> Applied: ...

    def close(self) -> None: ...


class StateStore(StateTransaction, Protocol):
    """The state on disk, under a table in memory. Owned by one thread, except `flush`."""

    @property
    def applied(self) -> Applied: ...

    def mark_applied(self, index: Index, term: Term) -> None:
        """Everything put, deleted and recorded so far is the state at this entry, and its history."""
        ...

    @property
    def history(self) -> History: ...

    def read_history(self, first: int) -> list[tuple[int, Sequence[Change]]]:
        """The changes from revision `first` on, ascending, in a slice that takes about a millisecond; none:
        there are none yet. Raises HistoryCompactedError, StorageError."""
        ...

    @property
    def flushed(self) -> Applied:
        """What a restart would begin from."""
        ...

    @property
    def flushed_index(self) -> Index:
        """The same, its index."""
        ...

    @property
    def memory_bytes(self) -> int:
        """Bytes of rows and changes not yet flushed, frozen ones included."""
        ...

    @property
    def disk_bytes(self) -> int:
        """Bytes of the pages in use on disk."""
        ...

    @property
    def usage(self) -> StateUsage:
        """What it takes on the disk. Raises StorageError."""
        ...

    def view(self) -> StateView:
        """This moment. In the middle of an entry `applied` still names the one before, whose state it is not.
        Raises StorageError."""
        ...

    def freeze(self, *, trims_history: bool = False) -> bool:
        """Closes the active table so that `flush` can write it; never in the middle of an entry. False:
        nothing to flush. With `trims_history` there always is: what the history may not keep."""
        ...

    def flush(self) -> None:
        """Writes the frozen tables in one transaction with their applied index. The one method
        for another thread. Raises StorageError; after ExhaustedError it may be called again, and does without
        the history."""
        ...

    def flush_done(self) -> None:
        """Back in the owner's thread: lets go of what `flush` wrote."""
        ...

    @property
    def cleaned(self) -> Cleaned:
        """Since when its files have held no more than the state."""
        ...

    def begin_cleaned(self, cleaned: Cleaned) -> None:
        """Before anything else: where nothing is known of what the files held, they are new."""
        ...

    @property
    def rewrite(self) -> StateRewrite | None:
        """The copy that every flush makes a part of."""
        ...

    def close(self) -> None: ...


class SnapshotReceiver(Protocol):
    """Builds a received state beside the current one. May be used from another thread."""

    @property
    def generation(self) -> int: ...

    def write_rows(self, rows: list[tuple[bytes, bytes]]) -> None:
        """Rows in strictly ascending key order. Raises ValueError otherwise, StorageError."""
        ...

    def finish(self, metadata: SnapshotMetadata, digest: int) -> None:
        """Checks the digest against the rows (ValueError) and makes everything durable."""
        ...

    def abandon(self) -> None:
        """Deletes what was received. Harmless after `finish` only before installation."""
        ...
