"""What lies under the memory tables: ordered rows that survive a crash, as of one applied index."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from kvraft.storage.interfaces import Applied, StateReader

Row = tuple[bytes, bytes | None]
"""A key and its value; None: the key is to be deleted."""


class EngineReader(StateReader, Protocol):
    """One moment of an engine, until it is closed. One thread at a time."""

    def close(self) -> None:
        """Idempotent. Never while another thread reads."""
        ...


class Engine(Protocol):
    """Durable rows. `write` may run in a thread of its own, everything else in the owner's."""

    @property
    def applied(self) -> Applied | None:
        """What the rows include; None in a new engine."""
        ...

    @property
    def disk_bytes(self) -> int:
        """Bytes in use."""
        ...

    def write(self, rows: Iterable[Row], applied: Applied) -> None:
        """Makes rows, in ascending key order, and what they include durable: all or nothing.

        Raises StorageError; the engine is then dead and refuses every further `write` and `reader`.
        """
        ...

    def reader(self) -> EngineReader:
        """A moment of the rows."""
        ...

    def close(self) -> None:
        """Idempotent. The readers must be closed."""
        ...
