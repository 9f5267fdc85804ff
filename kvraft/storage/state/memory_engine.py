"""An engine in memory: survives the "crash" of a store, not that of the process. For simulations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sortedcontainers import SortedDict

from kvraft.storage.interfaces import Applied
from kvraft.storage.state.engine import Row


class MemoryEngine:
    """Implements `Engine`. Each write makes a new version, so that readers keep their moment."""

    def __init__(self) -> None:
        self._rows: SortedDict[bytes, bytes] = SortedDict()
        self._applied: Applied | None = None

    @property
    def applied(self) -> Applied | None:
        return self._applied

    @property
    def disk_bytes(self) -> int:
        return sum(len(key) + len(value) for key, value in self._rows.items())

    def write(self, rows: Iterable[Row], applied: Applied) -> None:
        version = self._rows.copy()
        for key, value in rows:
            if value is None:
                version.pop(key, None)
            else:
                version[key] = value
        self._rows, self._applied = version, applied

    def reader(self) -> MemoryReader:
        return MemoryReader(self._rows)

    def close(self) -> None:
        """Nothing to let go."""


class MemoryReader:
    """Implements `EngineReader`."""

    def __init__(self, rows: SortedDict[bytes, bytes]) -> None:
        self._rows = rows

    def get(self, key: bytes) -> bytes | None:
        value: bytes | None = self._rows.get(key)
        return value

    def scan(
        self, start: bytes, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        for key in self._rows.irange(start, end, (True, False), reverse):
            yield key, self._rows[key]

    def close(self) -> None:
        """Nothing to let go."""
