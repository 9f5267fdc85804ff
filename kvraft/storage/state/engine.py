"""What lies under the memory tables: ordered rows that survive a crash, as of one applied index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from kvraft.storage.interfaces import Applied, Cleaned, HistoryExtent, StateReader, StateUsage

Row = tuple[bytes, bytes | None]
"""A key and its value; None: the key is to be deleted."""


class Block(NamedTuple):
    """A part of the history."""

    key: bytes
    """Where it belongs among the others."""
    label: bytes
    """What is to be known of it without reading it."""
    contents: bytes


class EngineReader(StateReader, Protocol):
    """One moment of an engine, until it is closed. One thread at a time."""

    def history(self, key: bytes) -> Iterator[bytes]:
        """The contents of the blocks of the history in the order of their keys, from the last one on whose
        key is not after `key`; if there is none, from the first. Good until the write after the next one."""
        ...

    def close(self) -> None:
        """Idempotent. Never while another thread reads."""
        ...


class HistoryWrite(Protocol):
    """What a write does to the history, step by step, in this order."""

    def blocks(self) -> Iterator[Block]:
        """What is added, ascending, behind all that is there."""
        ...

    def obsolete(self, label: bytes) -> bool:
        """Asked for the first block, then for the next, until it has to stay: whether it goes."""
        ...

    @property
    def extent(self) -> HistoryExtent:
        """What there is after all that."""
        ...


class Engine(Protocol):
    """Durable rows. `write`, `append` and the `reader` that feeds a rewrite may run in a thread of their own,
    everything else in the owner's."""

    cleaned: Cleaned | None
    """What its files have never held; becomes durable with the next `write`. None in a new engine, until it
    is known."""

    @property
    def applied(self) -> Applied | None:
        """What the rows include; None in a new engine."""
        ...

    @property
    def history(self) -> HistoryExtent | None:
        """What the history holds; None where none was ever written."""
        ...

    @property
    def disk_bytes(self) -> int:
        """Bytes in use."""
        ...

    @property
    def usage(self) -> StateUsage:
        """The same, by what they are for. Raises StorageError."""
        ...

    def write(self, rows: Iterable[Row], applied: Applied, history: HistoryWrite | None = None) -> None:
        """Makes rows, in ascending key order, what they include, and the history (None: nothing about it
        changes) durable: all or nothing.

        Raises ExhaustedError, after which nothing has changed, and StorageError: the engine is then dead and
        refuses every further `write` and `reader`.
        """
        ...

    def append(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Adds rows behind all others, in ascending order, in one transaction. Raises StorageError."""
        ...

    def reader(self) -> EngineReader:
        """A moment of the rows."""
        ...

    def close(self) -> None:
        """Idempotent. The readers must be closed."""
        ...
