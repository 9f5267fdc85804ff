"""Where states lie: `<data directory>/state/<generation>/`, eight digits.

A received snapshot becomes a new generation beside the present one, and so does the present one when it is
rewritten (`rewrite`). Which generation is *the* state is written in the log (`InstalledSnapshot`), by the
record that commits an installation; so no pointer file can disagree with it, and whatever else lies here was
not finished or is superseded.

The first generation gets its name when it is whole, by rename. So a directory with a name is sound
after a crash at any moment, and one that is not was damaged.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from kvraft.raft.types import Index, SnapshotMetadata, Term
from kvraft.storage.data_directory import create_directory, fsync_directory
from kvraft.storage.errors import DataDirectoryError, StorageError, storage_error
from kvraft.storage.interfaces import Applied
from kvraft.storage.state.digest import MASK, row_hash
from kvraft.storage.state.lmdb_engine import KEY_BYTES_MAX, LmdbEngine
from kvraft.storage.state.rewrite import RewriteTarget
from kvraft.storage.state.store import LayeredState

FIRST_GENERATION = 1
"""The state that a node begins with, empty."""
COMMIT_BYTES = 8 << 20
"""Rows of a received state that go into one transaction."""

_UNFINISHED = "new"
_naming = threading.Lock()
"""One state may be received while another is rewritten."""


def open_state(directory: Path, generation: int, *, voters: tuple[int, ...] = ()) -> LayeredState:
    """Opens the state of this generation when a node starts, and deletes all others. Only the first one
    may be new: it is created with `voters`. Raises DataDirectoryError, StorageError, CorruptionError."""
    path = _path(directory, generation)
    with _errors_of(directory):
        create_directory(directory)
        for other in _generations(directory):
            if other != generation:
                shutil.rmtree(_path(directory, other))
        if generation == FIRST_GENERATION and not path.exists():
            _create_first(directory, voters)
    return _open(path, voters)


def open_received(directory: Path, generation: int) -> LayeredState:
    """Opens a received state while the node runs. The older ones are for `discard_superseded`. Raises
    DataDirectoryError, StorageError, CorruptionError."""
    return _open(_path(directory, generation), ())


def discard_superseded(directory: Path, generation: int) -> None:
    """Deletes every state older than the present one; views of them stay good. Younger ones may be
    arriving just now, and stay. What a crash leaves behind is deleted by the next start.

    Deleting a large file takes long, so this is for a thread in the background. Raises StorageError.
    """
    with _errors_of(directory):
        for other in _generations(directory):
            if other < generation:
                shutil.rmtree(_path(directory, other))


def discard_state(directory: Path, generation: int) -> None:
    """Deletes a state that is not wanted, or that another one has replaced; views of it stay good, and it may
    be gone already. For a thread in the background. Raises StorageError."""
    with _errors_of(directory), contextlib.suppress(FileNotFoundError):
        shutil.rmtree(_path(directory, generation))


def receive_state(directory: Path) -> StateReceiver:
    """Begins the next generation. Raises StorageError."""
    # Nothing counts before `finish` has synced it all, so single commits need not.
    generation, engine = _create_next(directory, sync_commits=False)
    return StateReceiver(directory, generation, engine)


def state_beside(directory: Path) -> RewriteTarget:
    """Begins the next generation, for a rewrite of the present one. Raises StorageError."""
    generation, engine = _create_next(directory, sync_commits=True)

    def settle() -> None:
        with _errors_of(directory):
            fsync_directory(_path(directory, generation))
            fsync_directory(directory)

    return RewriteTarget(generation, engine, settle)


class StateReceiver:
    """Implements `kvraft.storage.interfaces.SnapshotReceiver`."""

    def __init__(self, directory: Path, generation: int, engine: LmdbEngine) -> None:
        """See `receive_state`."""
        self.generation = generation
        self._directory = directory
        self._path = _path(directory, generation)
        self._engine = engine
        self._rows: list[tuple[bytes, bytes]] = []
        self._rows_bytes = 0
        self._last_key = b""
        self._digest = 0
        self._lock = threading.Lock()
        """Whoever abandons a state need not know whether a thread still writes it."""

    def write_rows(self, rows: list[tuple[bytes, bytes]]) -> None:
        with self._lock:
            for key, value in rows:
                if key <= self._last_key:
                    raise ValueError(f"row {key[:32].hex()} does not follow row {self._last_key[:32].hex()}")
                if len(key) > KEY_BYTES_MAX:
                    raise ValueError(f"a key has {len(key)} bytes; the limit is {KEY_BYTES_MAX}")
                self._last_key = key
                self._digest += row_hash(key, value)
                self._rows_bytes += len(key) + len(value)
            self._rows.extend(rows)
            if self._rows_bytes >= COMMIT_BYTES:
                self._commit()

    def finish(self, metadata: SnapshotMetadata, digest: int) -> None:
        with self._lock:
            if self._digest & MASK != digest:
                raise ValueError(
                    f"the rows received have digest {self._digest & MASK:016x}, "
                    f"the sender's state {digest:016x}"
                )
            self._commit()
            applied = Applied(
                index=metadata.index,
                term=metadata.term,
                voters=metadata.configuration.voters,
                learners=metadata.configuration.learners,
                digest=digest,
            )
            self._engine.write((), applied)
            self._engine.sync()
            self._engine.close()
            with _errors_of(self._path):
                fsync_directory(self._path)
                fsync_directory(self._directory)

    def abandon(self) -> None:
        with self._lock:
            self._engine.close()
            with contextlib.suppress(StorageError):  # the next start deletes it
                discard_state(self._directory, self.generation)

    def _commit(self) -> None:
        self._engine.append(self._rows)
        self._rows, self._rows_bytes = [], 0


def _create_next(directory: Path, *, sync_commits: bool) -> tuple[int, LmdbEngine]:
    with _errors_of(directory), _naming:
        generation = max(_generations(directory), default=FIRST_GENERATION) + 1
        try:
            return generation, LmdbEngine.create(_path(directory, generation), sync_commits=sync_commits)
        except (OSError, StorageError):
            shutil.rmtree(_path(directory, generation), ignore_errors=True)
            raise


def _create_first(directory: Path, voters: tuple[int, ...]) -> None:
    unfinished = directory / _UNFINISHED
    if unfinished.exists():
        shutil.rmtree(unfinished)
    engine = LmdbEngine.create(unfinished)
    engine.write((), Applied(index=Index(0), term=Term(0), voters=voters, learners=(), digest=0))
    engine.close()
    fsync_directory(unfinished)
    unfinished.rename(_path(directory, FIRST_GENERATION))
    fsync_directory(directory)


def _open(path: Path, voters: tuple[int, ...]) -> LayeredState:
    if not path.exists():
        raise DataDirectoryError(
            f"the log names {path} as the state, but it is not there; move the data directory away and let "
            "the others re-seed this node"
        )
    with _errors_of(path):
        return LayeredState(LmdbEngine.open(path), voters=voters)


def _generations(directory: Path) -> list[int]:
    return [int(entry.name) for entry in directory.iterdir() if len(entry.name) == 8 and entry.name.isdigit()]


def _path(directory: Path, generation: int) -> Path:
    return directory / f"{generation:08}"


@contextlib.contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise storage_error(
            error, f"{path}: {error}; check the disk before this node is started again"
        ) from error
