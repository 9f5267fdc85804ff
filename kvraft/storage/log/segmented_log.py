"""The log as the node knows it: append, read back, compact.

One append is one record and one synchronous write. The next append starts after that, so a valid record
proves that all before it were durable; recovery rests on this. Where the disk is full the same append is
tried again, which writes the same bytes at the same place: whatever the failed one has left is written
over.

A segment is begun aside: zero-filled, its first record written, fsynced, and only then renamed to its
name. So whatever bears the name of a segment begins with an intact record, and one that does not has
lost acknowledged bytes; there is no half-made segment to be lenient with. The first record repeats the
hard state, the installed snapshot and the last entry, so that all older segments can go.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from kvraft.raft.types import Entry, HardState, Index, Term
from kvraft.storage.data_directory import create_directory, fsync_directory, opened_directory
from kvraft.storage.direct_file import PAGE_BYTES, DirectFile
from kvraft.storage.errors import (
    DataDirectoryError,
    ExhaustedError,
    StorageError,
    is_exhaustion,
    storage_error,
)
from kvraft.storage.interfaces import Identity, InstalledSnapshot, LogWrite, RecoveredLog
from kvraft.storage.log.contents import (
    MalformedContentsError,
    SegmentStart,
    decode_write,
    encode_start,
    encode_write,
)
from kvraft.storage.log.held import HeldLog
from kvraft.storage.log.record import (
    FIRST_CHAIN,
    Kind,
    encode_record,
    intact_body,
    parse_header,
    record_bytes,
)
from kvraft.storage.log.recovery import Recovery, corruption, recover
from kvraft.storage.log.segment import Segment, fill_with_zeros, segment_path, segment_paths
from kvraft.storage.log.spares import NEXT_NAME, SPARE_NAME, Spares

SEGMENT_BYTES = 64 << 20
_READ_BYTES = 8192
"""Enough for most records; the rest of a longer one is read when its header is known."""


class SegmentedLog:
    """Implements `kvraft.storage.interfaces.LogStorage` on the files of one directory."""

    __slots__ = (
        "_chain",
        "_directory",
        "_end_offset",
        "_failure",
        "_held",
        "_is_fresh",
        "_lock",
        "_next_sequence",
        "_recovered",
        "_segment_bytes",
        "_spare_due_offset",
        "_spares",
    )

    def __init__(self, directory: Path, recovery: Recovery, segment_bytes: int) -> None:
        """See `create` and `open`."""
        assert segment_bytes > 0, segment_bytes
        assert segment_bytes % PAGE_BYTES == 0, segment_bytes
        held = recovery.held
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._held: HeldLog = held
        self._lock = threading.Lock()
        """Held while `_held` changes and while a record is read, so that no segment is dropped, closed
        and filled with zeros under a reader. Never across a write."""
        self._next_sequence = recovery.next_sequence
        self._chain = recovery.chain
        self._end_offset = recovery.end_offset
        self._is_fresh = False
        """Whether the active segment has no record but its first one."""
        self._failure: str | None = None
        self._spares = Spares(directory, segment_bytes)
        self._spare_due_offset = held.segments[-1].size_bytes // 2
        self._recovered = RecoveredLog(
            hard_state=held.hard_state,
            base_index=held.base_index,
            base_term=held.base_term,
            last_index=held.last_index,
            term_starts=held.term_starts(),
            installed_snapshot=held.installed_snapshot,
            torn_bytes=recovery.torn_bytes,
        )

    @classmethod
    def create(
        cls, directory: Path, identity: Identity, *, segment_bytes: int = SEGMENT_BYTES
    ) -> SegmentedLog:
        """A new, empty log. A crash leaves either no log or this one.

        `segment_bytes` is a multiple of 4096. Raises DataDirectoryError if there is a log already,
        ValueError if the identity does not fit the format, StorageError.
        """
        start = SegmentStart(
            identity=identity,
            segment_bytes=segment_bytes,
            last_index=Index(0),
            last_term=Term(0),
            previous_chain=FIRST_CHAIN,
            hard_state=HardState(Term(0), None),
            installed_snapshot=None,
        )
        contents, size_bytes = _encode_with_room(start, 0)
        record, _ = encode_record(
            Kind.SEGMENT_START, contents, sequence=1, previous_chain=FIRST_CHAIN, offset=0
        )
        with _storage_errors("create a log", directory):
            create_directory(directory)
            if segment_paths(directory):
                raise DataDirectoryError(f"{directory} holds a log already; a new one was not created")
            fill_with_zeros(directory / NEXT_NAME, size_bytes)
            _begin_segment(directory, 1, record, size_bytes)
        return cls.open(directory, segment_bytes=segment_bytes)

    @classmethod
    def open(cls, directory: Path, *, segment_bytes: int = SEGMENT_BYTES) -> SegmentedLog:
        """The log as it was when the process that wrote it ended. A torn tail is cut off and reported in
        `recovered`. `segment_bytes` may differ from before: it holds for new segments.

        Raises CorruptionError, DataDirectoryError if there is no log, StorageError.
        """
        with _storage_errors("open the log", directory):
            if not segment_paths(directory):
                raise DataDirectoryError(f"{directory} holds no log; was the node ever initialised?")
            recovery = recover(directory)
            (directory / SPARE_NAME).unlink(missing_ok=True)
            (directory / NEXT_NAME).unlink(missing_ok=True)
            _settle(recovery)
            fsync_directory(directory)
        log = cls(directory, recovery, segment_bytes)
        # What a snapshot left behind, and a crash before it was deleted.
        log.compact(recovery.held.base_index)
        return log

    @property
    def identity(self) -> Identity:
        return self._held.identity

    @property
    def recovered(self) -> RecoveredLog:
        return self._recovered

    @property
    def size_bytes(self) -> int:
        with self._lock:
            return self._held.size_bytes + self._spares.size_bytes

    @property
    def is_tidy(self) -> bool:
        return self._spares.is_tidy

    @property
    def spare_failure(self) -> OSError | None:
        """Why making a segment ready ahead, or deleting one, failed last time. Not fatal: it is tried
        again, and by the writer itself when it needs the segment."""
        return self._spares.failure

    def append(self, write: LogWrite) -> None:
        """See `LogStorage.append`."""
        if self._failure is not None:
            raise StorageError(self._failure)
        previous_term = self._check(write)
        contents = encode_write(write, previous_term)
        try:
            needed_bytes = record_bytes(len(contents))
            # What a snapshot leaves behind must not stay in the file that goes on.
            is_new_beginning = write.installed_snapshot is not None and not self._is_fresh
            if is_new_beginning or self._end_offset + needed_bytes > self._held.segments[-1].size_bytes:
                self._roll(needed_bytes)
            offset = self._end_offset
            record, chain = encode_record(
                Kind.WRITE,
                contents,
                sequence=self._next_sequence,
                previous_chain=self._chain,
                offset=offset,
            )
            active = self._held.segments[-1]
            active.write(record, offset)
        except OSError as error:
            if is_exhaustion(error):
                raise ExhaustedError(
                    f"the log in {self._directory} cannot be written: {error}. It is tried again until "
                    "there is room"
                ) from error
            self._failure = (
                f"a write of the log in {self._directory} failed: {error}. What reached the disk is unknown, "
                "so nothing is written any more until a restart reads it back: check disk and file "
                "system, then start the node again"
            )
            raise StorageError(self._failure) from error
        self._is_fresh = False
        self._chain = chain
        self._next_sequence += 1
        self._end_offset = offset + len(record)
        superseded: list[Segment] = []
        with self._lock:
            self._held.apply(write, previous_term, offset)
            if write.installed_snapshot is not None:
                superseded = self._held.drop_all_but_last()
                _close_all(superseded)
        if superseded:
            self._spares.retire(superseded)
        if self._end_offset >= self._spare_due_offset:
            self._spares.prepare()
            self._spare_due_offset += active.size_bytes // 8

    def entries(self, first: Index, last: Index, bytes_max: int) -> list[Entry]:
        """See `LogStorage.entries`."""
        assert first <= last, (first, last)
        found: list[Entry] = []
        size_bytes = 0
        with self._lock:
            self._held.find(last)
        next_index = first
        while next_index <= last:
            for entry in self._read_entries(next_index):
                if entry.index > last:
                    break
                size_bytes += entry.size_bytes
                if size_bytes > bytes_max and found:
                    return found
                found.append(entry)
            next_index = Index(found[-1].index + 1)
        return found

    def plan_compaction(self, index: Index, retained_bytes: int) -> Index:
        """See `LogStorage.plan_compaction`."""
        with self._lock:
            return self._held.plan_drop(index, retained_bytes)

    def compact(self, base_index: Index) -> None:
        """See `LogStorage.compact`. The files go in the background."""
        with self._lock:
            dropped = self._held.drop(base_index)
            _close_all(dropped)
        if dropped:
            self._spares.retire(dropped)

    def rebase(self, snapshot: InstalledSnapshot) -> None:
        """See `LogStorage.rebase`."""
        held, index = self._held, snapshot.metadata.index
        assert held.base_index <= index <= held.last_index, (index, held.base_index, held.last_index)
        kept = self.entries(Index(index + 1), held.last_index, sys.maxsize) if index < held.last_index else []
        self.append(LogWrite(installed_snapshot=snapshot, entries=tuple(kept)))

    def close(self) -> None:
        """Waits for what goes on in the background."""
        self._failure = f"the log in {self._directory} is closed"
        self._spares.close()
        with self._lock:
            _close_all(self._held.segments)

    def _check(self, write: LogWrite) -> Term:
        """Our own laws. Returns the term of the entry before the first one written."""
        held, entries, snapshot = self._held, write.entries, write.installed_snapshot
        assert snapshot or write.hard_state or entries, "an empty write"
        if not entries:
            return Term(0)
        before = Index(entries[0].index - 1)
        if snapshot is not None:
            assert before == snapshot.metadata.index, (before, snapshot)
            previous_term = snapshot.metadata.term
        else:
            previous_term = held.term(before)
        index, term = before, previous_term
        for entry in entries:
            assert entry.index == index + 1, (entry.index, index)
            assert entry.term >= term, (entry, term)
            index, term = entry.index, entry.term
        return previous_term

    def _roll(self, needed_bytes: int) -> None:
        """Begins the next segment, with room for a record of this size. Raises OSError."""
        start = self._held.start_of_next_segment(self._segment_bytes, self._chain)
        contents, size_bytes = _encode_with_room(start, needed_bytes)
        next_path = self._directory / NEXT_NAME
        if size_bytes != self._segment_bytes or not self._spares.take(next_path):
            _fill_next(next_path, size_bytes)
        sequence = self._next_sequence
        record, chain = encode_record(
            Kind.SEGMENT_START, contents, sequence=sequence, previous_chain=self._chain, offset=0
        )
        segment = _begin_segment(self._directory, sequence, record, size_bytes)
        self._chain = chain
        self._next_sequence += 1
        self._end_offset = len(record)
        self._is_fresh = True
        self._spare_due_offset = size_bytes // 2
        with self._lock:
            self._held.segments[-1].close()  # it is read from now on, if at all
            self._held.segments.append(segment)

    def _read_entries(self, first: Index) -> list[Entry]:
        """The entries held from `first` on in the record that holds it."""
        with self._lock, _storage_errors("read the log", self._directory):
            segment, offset, last = self._held.find(first)
            data = segment.read(offset, _READ_BYTES)
            header = parse_header(memoryview(data), 0)
            if header is not None and header.size_bytes > len(data):
                data += segment.read(offset + len(data), header.size_bytes - len(data))
        record = memoryview(data)
        body = None if header is None else intact_body(header, record, 0)
        if header is None or body is None or header.kind != Kind.WRITE:
            raise corruption(segment.path, offset, f"the record that holds entry {first} is broken")
        try:
            write, _ = decode_write(body[: header.length_bytes])
        except MalformedContentsError as error:
            raise corruption(
                segment.path, offset, f"the record of entry {first} has unreadable contents: {error}"
            ) from error
        if not write.entries or not write.entries[0].index <= first <= last <= write.entries[-1].index:
            raise corruption(segment.path, offset, f"entry {first} is not where it was written")
        start = write.entries[0].index
        return list(write.entries[first - start : last - start + 1])


def _encode_with_room(start: SegmentStart, needed_bytes: int) -> tuple[bytes, int]:
    """The contents of a segment's first record, and the size of its file: larger than usual if a
    record of `needed_bytes` would not fit behind the first one."""
    contents = encode_start(start)
    needed_bytes += record_bytes(len(contents))
    if needed_bytes <= start.segment_bytes:
        return contents, start.segment_bytes
    size_bytes = -(-needed_bytes // PAGE_BYTES) * PAGE_BYTES
    return encode_start(replace(start, segment_bytes=size_bytes)), size_bytes


def _fill_next(path: Path, size_bytes: int) -> None:
    """Raises OSError; half a file then keeps no room from others."""
    try:
        fill_with_zeros(path, size_bytes)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _begin_segment(directory: Path, sequence: int, record: bytes, size_bytes: int) -> Segment:
    """Makes a durable segment of the zero-filled file `NEXT_NAME`. Raises OSError; where something has run
    out it may be tried again, since that does not happen once the file has its name."""
    path = segment_path(directory, sequence)
    with opened_directory(directory) as names:
        with DirectFile(directory / NEXT_NAME, synchronous=True) as file:
            file.write(0, record)
        os.rename(directory / NEXT_NAME, path)
        try:
            os.fsync(names)
        except OSError as error:  # a second one would succeed and mean nothing
            raise OSError(errno.EIO, f"the name of {path} may not be durable: {error}") from error
    return Segment(path, size_bytes)


def _settle(recovery: Recovery) -> None:
    """Makes durable what recovery read, and cuts off a torn tail. Raises OSError.

    What was read may be in the page cache only: the process may have died in the middle of its
    last write, or because of it (after a failed one the cache calls pages clean that never reached the disk).
    That can be true of the last record alone, so it is written once more as it is.
    """
    active = recovery.held.segments[-1]
    end = recovery.end_offset
    active.write(active.read(recovery.last_offset, end - recovery.last_offset), recovery.last_offset)
    if recovery.torn_bytes:
        active.write(bytes(recovery.torn_bytes), end)


def _close_all(segments: list[Segment]) -> None:
    for segment in segments:
        segment.close()


@contextmanager
def _storage_errors(what: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise storage_error(error, f"cannot {what} in {path}: {error}") from error
