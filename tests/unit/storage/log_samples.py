"""Small logs for tests, and crashes at will."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kvraft.raft.configuration import Configuration
from kvraft.raft.types import Entry, EntryKind, HardState, Index, NodeId, SnapshotMetadata, Term
from kvraft.storage.interfaces import Identity, InstalledSnapshot, LogWrite
from kvraft.storage.log import SegmentedLog

SEGMENT_BYTES = 4096
IDENTITY = Identity(cluster_id=2**64 - 1, cluster_name="zürich", node_id=2, initial_voters=(1, 2, 3))


def entry(index: int, term: int = 1, data: bytes | None = None) -> Entry:
    content = f"entry {index} of term {term}".encode() if data is None else data
    return Entry(Index(index), Term(term), EntryKind.COMMAND, content)


def write(first: int, last: int, term: int = 1, data: bytes | None = None) -> LogWrite:
    return LogWrite(entries=tuple(entry(index, term, data) for index in range(first, last + 1)))


def hard_state(term: int, voted_for: int | None = None) -> HardState:
    return HardState(Term(term), None if voted_for is None else NodeId(voted_for))


def snapshot(index: int, term: int, generation: int = 2) -> InstalledSnapshot:
    return InstalledSnapshot(
        metadata=SnapshotMetadata(
            index=Index(index),
            term=Term(term),
            configuration=Configuration((NodeId(1), NodeId(2), NodeId(3)), (NodeId(7),)),
        ),
        generation=generation,
    )


def create(directory: Path) -> SegmentedLog:
    return SegmentedLog.create(directory, IDENTITY, segment_bytes=SEGMENT_BYTES)


def reopen(log: SegmentedLog, directory: Path) -> SegmentedLog:
    log.close()
    return SegmentedLog.open(directory, segment_bytes=SEGMENT_BYTES)


def all_entries(log: SegmentedLog, first: int, last: int) -> list[Entry]:
    return log.entries(Index(first), Index(last), 1 << 30)


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.log"))


class Crash(BaseException):
    """The process ends here."""


class CrashAt:
    """Raises `Crash` instead of the nth change of the disk, and at each one after it."""

    CHANGES = ("pwrite", "fdatasync", "fsync", "rename", "unlink", "ftruncate", "posix_fallocate", "mkdir")

    def __init__(self, monkeypatch: pytest.MonkeyPatch, nth: int) -> None:
        self.reached = False
        self._left = nth
        for name in self.CHANGES:
            monkeypatch.setattr(os, name, self._counted(getattr(os, name)))

    def _counted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def change(*arguments: Any, **options: Any) -> Any:
            if self._left == 0:
                self.reached = True
                raise Crash
            self._left -= 1
            return real(*arguments, **options)

        return change
