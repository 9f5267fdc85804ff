"""Where states lie: `<data directory>/state/<generation>/`, eight digits.

A received snapshot becomes a new generation beside the present one. Which generation is *the* state
is written in the log (`InstalledSnapshot`), by the record that commits an installation; so no pointer
file can disagree with it, and whatever else lies here was not finished or is superseded.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from kvraft.raft.types import SnapshotMetadata
from kvraft.storage.data_directory import fsync_directory
from kvraft.storage.errors import DataDirectoryError
from kvraft.storage.interfaces import Applied
from kvraft.storage.state.digest import MASK, row_hash
from kvraft.storage.state.lmdb_engine import LmdbEngine
from kvraft.storage.state.store import LayeredState

FIRST_GENERATION = 1
"""The state that a node begins with, empty."""
COMMIT_BYTES = 8 << 20
"""Rows of a received state that go into one transaction."""


def open_state(directory: Path, generation: int, *, voters: tuple[int, ...] = ()) -> LayeredState:
    """Opens the state of this generation and deletes the others. Only the first one may be new: it is
    created with `voters`. Raises DataDirectoryError, StorageError, CorruptionError."""
    path = _path(directory, generation)
    if generation != FIRST_GENERATION and not path.exists():
        raise DataDirectoryError(
            f"the log names {path} as the state, but it is not there; move the data directory away and let "
            "the others re-seed this node"
        )
    directory.mkdir(mode=0o700, exist_ok=True)
    for other in directory.iterdir():
        if other != path:
            shutil.rmtree(other)
    is_new = not path.exists()
    engine = LmdbEngine(path)
    if is_new:
        fsync_directory(path)
        fsync_directory(directory)
        fsync_directory(directory.parent)
    return LayeredState(engine, voters=voters)


def discard_state(directory: Path, generation: int) -> None:
    """Deletes a received state that is not wanted."""
    shutil.rmtree(_path(directory, generation), ignore_errors=True)


def receive_state(directory: Path) -> StateReceiver:
    """Begins the next generation."""
    taken = [int(each.name) for each in directory.iterdir() if each.name.isdigit()]
    return StateReceiver(directory, max(taken, default=FIRST_GENERATION) + 1)


class StateReceiver:
    """Implements `kvraft.storage.interfaces.SnapshotReceiver`."""

    def __init__(self, directory: Path, generation: int) -> None:
        self.generation = generation
        self._directory = directory
        self._path = _path(directory, generation)
        # Nothing counts before `finish` has synced it all, so single commits need not.
        self._engine = LmdbEngine(self._path, sync=False)
        self._rows: list[tuple[bytes, bytes]] = []
        self._rows_bytes = 0
        self._last_key = b""
        self._digest = 0

    def write_rows(self, rows: list[tuple[bytes, bytes]]) -> None:
        for key, value in rows:
            if key <= self._last_key:
                raise ValueError(f"row {key[:32].hex()} does not follow row {self._last_key[:32].hex()}")
            self._last_key = key
            self._digest += row_hash(key, value)
            self._rows_bytes += len(key) + len(value)
        self._rows.extend(rows)
        if self._rows_bytes >= COMMIT_BYTES:
            self._commit()

    def finish(self, metadata: SnapshotMetadata, digest: int) -> None:
        if self._digest & MASK != digest:
            raise ValueError(
                f"the rows received have digest {self._digest & MASK:016x}, the sender's state {digest:016x}"
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
        fsync_directory(self._path)
        fsync_directory(self._directory)

    def abandon(self) -> None:
        self._engine.close()
        discard_state(self._directory, self.generation)

    def _commit(self) -> None:
        self._engine.append(self._rows)
        self._rows, self._rows_bytes = [], 0


def _path(directory: Path, generation: int) -> Path:
    return directory / f"{generation:08}"
