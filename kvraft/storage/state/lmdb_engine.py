"""The engine on disk: LMDB. The one module that imports it.

A state is one environment with two tables: `rows`, whose values end with an 8-byte checksum because
LMDB does not notice a flipped bit, and `meta`, one record that says which applied index the rows
stand for. Both change in one transaction.

Rows are read through a transaction that is renewed after each write, which makes a read about as
cheap as a dictionary of Python's; long reads have a transaction of their own.
"""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, cast

import lmdb
from xxhash import xxh3_64_intdigest

from kvraft.raft.types import Index, Term
from kvraft.storage.errors import CorruptionError, StorageError
from kvraft.storage.interfaces import Applied
from kvraft.storage.state.digest import row_hash
from kvraft.storage.state.engine import Row

FORMAT_VERSION = 1
MAP_BYTES = 256 << 30
"""Address space, not disk: the quota is kept elsewhere, and the map must never be full."""
READERS_MAX = 1_024
WRITE_CHUNK_ROWS = 256
"""Rows handed to LMDB at a time; between chunks the interpreter is free for other threads."""

_CHECKSUM = struct.Struct(">Q")
_META_KEY = b"applied"


_RESEED = "stop this node, move its data directory away and let the others re-seed it"
_DAMAGE = (
    lmdb.BadChecksumError,
    lmdb.CorruptedError,
    lmdb.InvalidError,
    lmdb.PageNotFoundError,
    lmdb.VersionMismatchError,
)


def _translated(error: lmdb.Error, path: Path) -> StorageError:
    if isinstance(error, _DAMAGE):
        return CorruptionError(f"{path} is damaged: {error}; {_RESEED}")
    return StorageError(f"{path}: {error}; check the disk before this node is started again")


@contextlib.contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    try:
        yield
    except lmdb.Error as error:
        raise _translated(error, path) from error


class LmdbEngine:
    """Implements `Engine` in one directory."""

    def __init__(self, path: Path, *, map_bytes: int = MAP_BYTES, sync: bool = True) -> None:
        """Opens or creates the environment in `path`. Raises StorageError, CorruptionError."""
        self._path = path
        self._file = path / "data.mdb"
        is_new = not self._file.exists()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _errors_of(self._file):
            open_environment = partial(
                lmdb.open,
                str(path),
                map_size=map_bytes,
                mode=0o600,
                max_dbs=2,
                max_readers=READERS_MAX,
                max_spare_txns=4,
                sync=sync,
            )
            # Files of LMDB 0.9 and 1.0 are mutually unreadable; an existing one says itself which it is.
            self._environment = open_environment(lib_version=0) if is_new else open_environment()
            self._environment.reader_check()
            self._rows = self._environment.open_db(b"rows")
            self._meta = self._environment.open_db(b"meta")
        self._applied = self._read_applied()

    @property
    def applied(self) -> Applied | None:
        return self._applied

    @property
    def disk_bytes(self) -> int:
        with _errors_of(self._file):
            info = self._environment.info()
            return int((info["last_pgno"] + 1) * self._environment.stat()["psize"])

    def write(self, rows: Iterable[Row], applied: Applied) -> None:
        remaining = iter(rows)
        with _errors_of(self._file), self._environment.begin(db=self._rows, write=True) as transaction:
            while chunk := list(islice(remaining, WRITE_CHUNK_ROWS)):
                for key, value in chunk:
                    if value is None:
                        transaction.delete(key)
                    else:
                        transaction.put(key, value + _CHECKSUM.pack(row_hash(key, value)))
            self._write_applied(transaction, applied)
        self._applied = applied

    def append(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Adds rows behind all others, in ascending order, in one transaction."""
        items = [(key, value + _CHECKSUM.pack(row_hash(key, value))) for key, value in rows]
        with _errors_of(self._file), self._environment.begin(db=self._rows, write=True) as transaction:
            for key, value in items:
                transaction.put(key, value, append=True)

    def sync(self) -> None:
        """Makes everything written durable, also without `sync` at each commit."""
        with _errors_of(self._file):
            self._environment.sync(True)

    def reader(self) -> LmdbReader:
        with _errors_of(self._file):
            return LmdbReader(self._file, self._environment.begin(db=self._rows))

    def close(self) -> None:
        self._environment.close()

    def _write_applied(self, transaction: lmdb.Transaction, applied: Applied) -> None:
        record = json.dumps(
            {
                "format": FORMAT_VERSION,
                "index": applied.index,
                "term": applied.term,
                "voters": applied.voters,
                "learners": applied.learners,
                "digest": applied.digest,
            }
        ).encode()
        transaction.put(_META_KEY, record + _CHECKSUM.pack(xxh3_64_intdigest(record)), db=self._meta)

    def _read_applied(self) -> Applied | None:
        with _errors_of(self._file), self._environment.begin(db=self._meta) as transaction:
            stored = transaction.get(_META_KEY)
        if stored is None:
            return None
        record, checksum = stored[: -_CHECKSUM.size], stored[-_CHECKSUM.size :]
        if _CHECKSUM.pack(xxh3_64_intdigest(record)) != checksum:
            raise CorruptionError(f"{self._file}: the record of the applied index is damaged; {_RESEED}")
        fields = json.loads(record)
        if fields["format"] != FORMAT_VERSION:
            raise StorageError(
                f"{self._file} has format {fields['format']}, this version of kvraft knows {FORMAT_VERSION}"
            )
        return Applied(
            index=Index(fields["index"]),
            term=Term(fields["term"]),
            voters=tuple(fields["voters"]),
            learners=tuple(fields["learners"]),
            digest=fields["digest"],
        )


class LmdbReader:
    """Implements `EngineReader`: one read transaction."""

    __slots__ = ("_file", "_transaction")

    def __init__(self, file: Path, transaction: lmdb.Transaction) -> None:
        self._file = file
        self._transaction = transaction

    def get(self, key: bytes) -> bytes | None:
        try:
            stored = self._transaction.get(key)
        except lmdb.Error as error:  # written out: a context manager would cost more than the look-up
            raise _translated(error, self._file) from error
        return None if stored is None else self._checked(key, cast(bytes, stored))

    def scan(
        self, start: bytes, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        with _errors_of(self._file), self._transaction.cursor() as cursor:
            if reverse:
                found = cursor.last() if end is None or not cursor.set_range(end) else cursor.prev()
                for key, stored in _rows_of(cursor.iterprev()) if found else ():
                    if key < start:
                        return
                    yield key, self._checked(key, stored)
                return
            for key, stored in _rows_of(cursor.iternext()) if cursor.set_range(start) else ():
                if end is not None and key >= end:
                    return
                yield key, self._checked(key, stored)

    def close(self) -> None:
        self._transaction.abort()

    def _checked(self, key: bytes, stored: bytes) -> bytes:
        value = stored[: -_CHECKSUM.size]
        if _CHECKSUM.pack(row_hash(key, value)) != stored[-_CHECKSUM.size :]:
            raise CorruptionError(
                f"{self._file}: the value of key {key[:32].hex()} is not what was written; {_RESEED}"
            )
        return value


def _rows_of(iterator: Iterator[tuple[Any, Any]]) -> Iterator[tuple[bytes, bytes]]:
    """LMDB's rows are `bytes`, since no transaction here asks for views of its memory."""
    return iterator
