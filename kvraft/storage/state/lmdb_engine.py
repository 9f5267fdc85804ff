"""The engine on disk: LMDB. The one module that imports it.

A state is one environment with three tables: `rows` and `history`, whose values end with an 8-byte
checksum because LMDB does not notice a flipped bit, and `meta`, with one record that says which applied
index the rows stand for, and one that says what the history holds. All change in one transaction, and the
tables exist from the first one on: an environment without them was damaged, never new.

The blocks of the history lie beside it, in `block_files`: large, written in the order in which they will be
deleted, and hardly ever read, they would only take LMDB's pages through the page cache and its lists of free
ones. The table has for each block where it is, its checksum and its label. A file of blocks is deleted by the
write after the one that let go of its last block: by then nobody reads what was before.

A write that finds the disk full is taken back as a whole, and may come again: all pages of a transaction
are new to it and are written by its commit, so nothing rests on what a failed one left behind. Only after a
failed write of a meta page, which says where the newest pages are, LMDB refuses all further transactions,
and the node has to stop.

Rows are read through a transaction that is renewed after each write, which makes a read about as
cheap as a dictionary of Python's; long reads have a transaction of their own.

While rows are written the thread that answers clients wants the interpreter too. LMDB's binding releases the
interpreter lock around every single row (`putmulti` as well), but for less than a microsecond: too short
for the other thread to wake up and take it, which then waits until the interpreter's switch interval
(5 ms) is over, after each of its system calls. So the writer pauses for real after each chunk. Measured
with 150 us of work and a poll in turn, p99 of a round while 40,000 rows of 300 bytes are written, and how
long writing takes beside that thread, and beside one that never lets go of the interpreter:

    rows per chunk, pause      p99       polling     never letting go
    no pause                   4.2 ms    0.12 s      0.21 s
     64 rows, 50 us            0.4 ms    0.26 s      3.5 s
    256 rows, 50 us            0.7 ms    0.16 s      1.0 s
    256 rows, sleep(0)         as with 50 us in Python 3.11, but nothing promises that it lets go long enough
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import struct
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, cast

import lmdb
from xxhash import xxh3_64_digest

from kvraft.raft.types import Index, Term
from kvraft.storage.errors import (
    CorruptionError,
    DataDirectoryError,
    ExhaustedError,
    StorageError,
    is_exhaustion,
    storage_error,
)
from kvraft.storage.interfaces import Applied, Cleaned, HistoryExtent, StateUsage
from kvraft.storage.state.block_files import BlockFiles, Place
from kvraft.storage.state.digest import CHECKSUM_BYTES, row_checksum
from kvraft.storage.state.engine import HistoryWrite, Row

KEY_BYTES_MAX = 511
FORMAT_VERSION = 1
MAP_BYTES = 256 << 30
"""Address space, not disk: the quota is kept elsewhere, and the map must never be full."""
READERS_MAX = 16_384
"""Views that may be open at once."""
_READERS_HEADER_BYTES, _READER_BYTES = 128, 64
"""Of the lock file. LMDB takes it as large as it is, if it is large enough."""
WRITE_CHUNK_ROWS = 256
WRITE_PAUSE_S = 50e-6
"""See above."""
AMPLE_BYTES = 256 << 20
"""With less, a disk may have been full a moment ago: a segment of the log that did not fit was given back."""
_PROBE_BYTES = 1 << 20
_META_PAGES = 2

_ROWS = b"rows"
_HISTORY = b"history"
_META = b"meta"
_APPLIED_KEY = b"applied"
_EXTENT_KEY = b"history"
_DATA_FILE = "data.mdb"
_LOCK_FILE = "lock.mdb"
_BLOCKS_DIRECTORY = "history"
_BLOCK_ENTRY = struct.Struct(">IQI8s")
"""File, offset and size of a block, and its checksum; its label follows."""
_RESEED = "stop this node, move its data directory away and let the others re-seed it"
_DAMAGE = (
    lmdb.BadChecksumError,
    lmdb.CorruptedError,
    lmdb.InvalidError,
    lmdb.NotFoundError,
    lmdb.PageNotFoundError,
    lmdb.VersionMismatchError,
)


_CHECK_DISK = "check the disk before this node is started again"
_MAKE_ROOM = "it is tried again until there is room: free disk space, or delete keys"
_OUT_OF = (lmdb.DiskError, lmdb.MapFullError, lmdb.TxnFullError, lmdb.ReadersFullError, lmdb.MemoryError)
_CHECK_OWNER = "see that it belongs to this user and that nothing else in this process has it open"


def _translated(error: lmdb.Error, file: Path, advice: str = _CHECK_DISK) -> StorageError:
    if isinstance(error, _DAMAGE):
        return CorruptionError(f"{file} is damaged: {error}; {_RESEED}")
    if isinstance(error, _OUT_OF) or is_exhaustion(OSError(error.code, error.reason)):
        return ExhaustedError(f"{file}: {error}; {_MAKE_ROOM}")
    if error.code == errno.EIO and not _has_ample_room(file):
        # Of a write that was cut short since the disk became full, LMDB says no more than that.
        return ExhaustedError(f"{file}: {error}, and the disk is full; {_MAKE_ROOM}")
    return StorageError(f"{file}: {error}; {advice}")


def _has_ample_room(file: Path) -> bool:
    """Whether want of room cannot have been why a write to a file failed just now: its disk has much of it,
    also if some was given back meanwhile, and neither a quota nor a limit forbids it to become larger."""
    try:
        statistics = os.statvfs(file)
    except OSError:
        return True
    return statistics.f_bavail * statistics.f_frsize >= AMPLE_BYTES and _can_grow(file)


def _can_grow(file: Path) -> bool:
    """Whether a file may become a little larger, which a quota or a limit may forbid."""
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC)
        try:
            size_bytes = os.fstat(descriptor).st_size
            try:
                os.posix_fallocate(descriptor, size_bytes, _PROBE_BYTES)
            finally:
                os.ftruncate(descriptor, size_bytes)
        finally:
            os.close(descriptor)
    except OSError as error:
        return not is_exhaustion(error)
    return True


@contextlib.contextmanager
def _errors_of(file: Path, advice: str = _CHECK_DISK) -> Iterator[None]:
    try:
        yield
    except lmdb.Error as error:
        raise _translated(error, file, advice) from error
    except OSError as error:  # of the files with the blocks
        raise storage_error(error, f"{file.parent / _BLOCKS_DIRECTORY}: {error}; {advice}") from error


class LmdbEngine:
    """Implements `Engine` in one directory; `create` or `open` it."""

    def __init__(self, file: Path, environment: lmdb.Environment, *, is_new: bool) -> None:
        self._file = file
        self._environment = environment
        self._is_dead = False
        with _errors_of(file):
            environment.reader_check()
            self._rows = environment.open_db(_ROWS, create=is_new)
            self._blocks = environment.open_db(_HISTORY, create=is_new)
            self._meta = environment.open_db(_META, create=is_new)
        self.cleaned: Cleaned | None = None
        self._applied = None if is_new else self._read_applied()
        self._history = None if is_new else self._read_extent()
        self._block_files, self._oldest_file = self._open_block_files()

    @classmethod
    def create(cls, path: Path, *, sync_commits: bool = True) -> LmdbEngine:
        """A new environment in a new directory `path`. It can be opened again from the first `write` on, and
        is durable when `path` and its parent are fsynced after that; without `sync_commits`, after `sync`.

        Raises StorageError, OSError.
        """
        path.mkdir(mode=0o700)
        (path / _BLOCKS_DIRECTORY).mkdir(mode=0o700)
        # The files of LMDB 0.9 (0) and 1.0 are mutually unreadable, and the default may change.
        return cls._open(path, is_new=True, sync=sync_commits, lib_version=0)

    @classmethod
    def open(cls, path: Path) -> LmdbEngine:
        """Opens an environment that was written to. Raises StorageError, CorruptionError,
        DataDirectoryError if a newer version wrote it, OSError."""
        # Damage, here and below, must not pass for something new and empty.
        file = path / _DATA_FILE
        if not file.exists() or not file.stat().st_size:
            raise CorruptionError(f"{file} is empty or gone; {_RESEED}")
        return cls._open(path, is_new=False)

    @classmethod
    def _open(cls, path: Path, *, is_new: bool, **options: Any) -> LmdbEngine:
        file = path / _DATA_FILE
        _reserve_readers(path / _LOCK_FILE)
        with _errors_of(file, _CHECK_OWNER):
            environment = lmdb.open(
                str(path), map_size=MAP_BYTES, mode=0o600, max_dbs=3, max_readers=READERS_MAX, **options
            )
        try:
            _fill_end(file, environment)
            return cls(file, environment, is_new=is_new)
        except BaseException:
            environment.close()
            raise

    @property
    def applied(self) -> Applied | None:
        return self._applied

    @property
    def history(self) -> HistoryExtent | None:
        return self._history

    @property
    def disk_bytes(self) -> int:
        with _errors_of(self._file):
            return _used_bytes(self._environment) + self._block_files.size_bytes

    @property
    def usage(self) -> StateUsage:
        with _errors_of(self._file):
            with self._environment.begin() as transaction:
                tables = [transaction.stat(db) for db in (self._rows, self._blocks, self._meta)]
            main = self._environment.stat()
            pages = sum(
                stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"] for stat in (main, *tables)
            )
            in_use_bytes = (pages + _META_PAGES) * main["psize"]
            return StateUsage(
                rows_bytes=in_use_bytes,
                reusable_bytes=max(0, _used_bytes(self._environment) - in_use_bytes),
                history_bytes=self._block_files.size_bytes,
            )

    def write(self, rows: Iterable[Row], applied: Applied, history: HistoryWrite | None = None) -> None:
        with self._transaction() as transaction:
            self._put_rows(transaction, rows)
            if history is not None:
                self._put_history(transaction, history)
            self._put_applied(transaction, applied)
        self._applied = applied
        if history is not None:
            self._history = history.extent

    def append(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """See `Engine.append`."""
        with self._transaction() as transaction:
            self._put_rows(transaction, rows, append=True)

    def sync(self) -> None:
        """Makes everything written durable, also without `sync_commits`."""
        with _errors_of(self._file):
            self._environment.sync(True)

    def reader(self) -> LmdbReader:
        self._check_alive()
        with _errors_of(self._file):
            return LmdbReader(
                self._file, self._environment.begin(db=self._rows), self._blocks, self._block_files
            )

    def close(self) -> None:
        self._environment.close()
        self._block_files.close()

    def _check_alive(self) -> None:
        if self._is_dead:
            raise StorageError(
                f"{self._file}: a write failed before, and what reached the disk is unknown; {_CHECK_DISK}"
            )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[lmdb.Transaction]:
        """All or nothing; after nothing, never again, unless it was only for lack of room: LMDB itself would
        let the next commit succeed after any failure."""
        self._check_alive()
        try:
            with _errors_of(self._file), self._environment.begin(db=self._rows, write=True) as transaction:
                yield transaction
        except ExhaustedError:
            self._take_back()
            raise
        except BaseException:
            self._is_dead = True
            raise

    def _take_back(self) -> None:
        """Gives back the room of what a failed transaction wrote."""
        try:
            with _errors_of(self._file):
                self._block_files.take_back(self._block_at_end(last=True))
                oldest = self._block_at_end(last=False)
                self._oldest_file = 0 if oldest is None else oldest.file
                used = _used_bytes(self._environment)
                if self._file.stat().st_size > used:
                    os.truncate(self._file, used)
        except StorageError:
            self._is_dead = True
            raise

    def _block_at_end(self, *, last: bool) -> Place | None:
        """Of the first or the last block that counts."""
        with self._environment.begin() as transaction, transaction.cursor(self._blocks) as cursor:
            if not (cursor.last() if last else cursor.first()):
                return None
            return _block_entry(self._file, *_item(cursor))[0]

    @staticmethod
    def _put_rows(transaction: lmdb.Transaction, rows: Iterable[Row], *, append: bool = False) -> None:
        remaining = iter(rows)
        with transaction.cursor() as cursor:
            while chunk := list(islice(remaining, WRITE_CHUNK_ROWS)):
                cursor.putmulti(
                    [(key, value + row_checksum(key, value)) for key, value in chunk if value is not None],
                    append=append,
                )
                for key, value in chunk:
                    if value is None:
                        transaction.delete(key)
                time.sleep(WRITE_PAUSE_S)

    def _put_history(self, transaction: lmdb.Transaction, history: HistoryWrite) -> None:
        files = self._block_files
        files.drop_before(self._oldest_file)
        for key, label, contents in history.blocks():
            place = files.append(contents)
            checksum = row_checksum(key, contents)
            entry = _BLOCK_ENTRY.pack(place.file, place.offset, place.size_bytes, checksum) + label
            transaction.put(key, entry + row_checksum(key, entry), db=self._blocks, append=True)
        files.sync()
        with transaction.cursor(self._blocks) as cursor:
            self._oldest_file = files.next_file
            while cursor.first():
                place, _, label = _block_entry(self._file, *_item(cursor))
                if not history.obsolete(label):
                    self._oldest_file = place.file
                    break
                cursor.delete()
        extent = history.extent
        self._put_record(
            transaction,
            _EXTENT_KEY,
            {"oldest_revision": extent.oldest_revision, "size_bytes": extent.size_bytes},
        )

    def _open_block_files(self) -> tuple[BlockFiles, int]:
        """And the oldest of them. Raises StorageError, CorruptionError."""
        with _errors_of(self._file):
            oldest, newest = self._block_at_end(last=False), self._block_at_end(last=True)
            first = 0 if oldest is None else oldest.file
            last = 0 if newest is None else newest.file
            return BlockFiles(self._file.parent / _BLOCKS_DIRECTORY, first, last), first

    def _put_applied(self, transaction: lmdb.Transaction, applied: Applied) -> None:
        self._put_record(
            transaction,
            _APPLIED_KEY,
            {
                "format": FORMAT_VERSION,
                "index": applied.index,
                "term": applied.term,
                "voters": applied.voters,
                "learners": applied.learners,
                "digest": applied.digest,
                "cleaned": None if self.cleaned is None else [self.cleaned.revision, self.cleaned.time_ms],
            },
        )

    def _put_record(self, transaction: lmdb.Transaction, key: bytes, fields: dict[str, Any]) -> None:
        record = json.dumps(fields).encode()
        transaction.put(key, record + xxh3_64_digest(record), db=self._meta)

    def _get_record(self, key: bytes) -> bytes | None:
        with _errors_of(self._file), self._environment.begin(db=self._meta) as transaction:
            stored: bytes | None = transaction.get(key)
            return stored

    def _fields_of(self, stored: bytes, what: str) -> dict[str, Any]:
        record, checksum = stored[:-CHECKSUM_BYTES], stored[-CHECKSUM_BYTES:]
        if xxh3_64_digest(record) != checksum:
            raise CorruptionError(f"{self._file}: the record of the {what} is damaged or gone; {_RESEED}")
        fields: dict[str, Any] = json.loads(record)
        return fields

    def _read_extent(self) -> HistoryExtent | None:
        stored = self._get_record(_EXTENT_KEY)
        return None if stored is None else HistoryExtent(**self._fields_of(stored, "history"))

    def _read_applied(self) -> Applied:
        """And what the files have never held."""
        fields = self._fields_of(self._get_record(_APPLIED_KEY) or b"", "applied index")
        if fields["format"] != FORMAT_VERSION:
            raise DataDirectoryError(
                f"{self._file} is of format {fields['format']}, and this program knows {FORMAT_VERSION}: "
                "start the version of kvraft that wrote it, or a newer one"
            )
        if (cleaned := fields.get("cleaned")) is not None:
            self.cleaned = Cleaned(revision=cleaned[0], time_ms=cleaned[1])
        return Applied(
            index=Index(fields["index"]),
            term=Term(fields["term"]),
            voters=tuple(fields["voters"]),
            learners=tuple(fields["learners"]),
            digest=fields["digest"],
        )


class LmdbReader:
    """Implements `EngineReader`: one read transaction."""

    __slots__ = ("_block_files", "_blocks", "_cursor", "_file", "_transaction")

    def __init__(
        self, file: Path, transaction: lmdb.Transaction, blocks: Any, block_files: BlockFiles
    ) -> None:
        self._file = file
        self._transaction = transaction
        self._cursor: Any = transaction.cursor()
        """For single rows: it looks first where it looked last, where the next key of a batch often is. Its
        rows are `bytes`, as in `_rows_of`."""
        self._blocks = blocks
        """The table of the history; LMDB's binding does not name its type."""
        self._block_files = block_files

    def get(self, key: bytes) -> bytes | None:
        try:
            stored: bytes | None = self._cursor.get(key)
        except lmdb.Error as error:  # written out: a context manager would cost more than the look-up
            raise _translated(error, self._file) from error
        return None if stored is None else _checked(self._file, key, stored)

    def scan(
        self, start: bytes, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        with _errors_of(self._file), self._transaction.cursor() as cursor:
            if reverse:
                found = cursor.last() if end is None or not cursor.set_range(end) else cursor.prev()
                for key, stored in _rows_of(cursor.iterprev()) if found else ():
                    if key < start:
                        return
                    yield key, _checked(self._file, key, stored)
                return
            for key, stored in _rows_of(cursor.iternext()) if cursor.set_range(start) else ():
                if end is not None and key >= end:
                    return
                yield key, _checked(self._file, key, stored)

    def history(self, key: bytes) -> Iterator[bytes]:
        with _errors_of(self._file), self._transaction.cursor(self._blocks) as cursor:
            if not cursor.set_range(key):
                found = cursor.last()
            else:
                found = cursor.key() == key or cursor.prev() or cursor.first()
            for each, stored in _rows_of(cursor.iternext()) if found else ():
                place, checksum, _ = _block_entry(self._file, each, stored)
                contents = self._block_files.read(place)
                if row_checksum(each, contents) != checksum:
                    raise CorruptionError(
                        f"{self._block_files.path(place)}, offset {place.offset}: these {place.size_bytes} "
                        f"bytes of history are not what was written; {_RESEED}"
                    )
                yield contents

    def close(self) -> None:
        self._cursor.close()
        self._transaction.abort()


def _checked(file: Path, key: bytes, stored: bytes) -> bytes:
    value = stored[:-CHECKSUM_BYTES]
    if not stored.endswith(row_checksum(key, value)):
        raise CorruptionError(f"{file}: the value of key {key[:32].hex()} is not what was written; {_RESEED}")
    return value


def _block_entry(file: Path, key: bytes, stored: bytes) -> tuple[Place, bytes, bytes]:
    """Where a block is, its checksum and its label."""
    entry = _checked(file, key, stored)
    number, offset, size_bytes, checksum = _BLOCK_ENTRY.unpack_from(entry)
    return Place(number, offset, size_bytes), checksum, entry[_BLOCK_ENTRY.size :]


def _item(cursor: lmdb.Cursor) -> tuple[bytes, bytes]:
    """See `_rows_of`."""
    return cast(tuple[bytes, bytes], cursor.item())


def _rows_of(iterator: Iterator[tuple[Any, Any]]) -> Iterator[tuple[bytes, bytes]]:
    """LMDB's rows are `bytes`, since no transaction here asks for views of its memory."""
    return iterator


def _used_bytes(environment: lmdb.Environment) -> int:
    return int((environment.info()["last_pgno"] + 1) * environment.stat()["psize"])


def _reserve_readers(file: Path) -> None:
    """LMDB writes into the table of readers as memory, from the first moment on, where a page for which the
    disk has no room kills the process. So they are all made before LMDB comes. Raises OSError where they
    never were, and there is no room."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, _READERS_HEADER_BYTES + READERS_MAX * _READER_BYTES)
    finally:
        os.close(descriptor)


def _fill_end(file: Path, environment: lmdb.Environment) -> None:
    """LMDB reads its file as memory, where touching what lies behind the end of the file kills the process.
    A file that lost its end is filled up with zeros, which LMDB and the checksums recognise as damage. (Pages
    at the end that were taken and freed in one transaction are never written, so a sound file may be short
    as well.)"""
    used = _used_bytes(environment)
    if used > MAP_BYTES:
        raise CorruptionError(f"{file} says that it has {used} bytes; {_RESEED}")
    if file.stat().st_size < used:
        os.truncate(file, used)
