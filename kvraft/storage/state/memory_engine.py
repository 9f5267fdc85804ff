"""An engine in memory: survives the "crash" of a store, not that of the process. For simulations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sortedcontainers import SortedDict

from kvraft.storage.interfaces import Applied, Cleaned, HistoryExtent, StateUsage
from kvraft.storage.state.block_files import disk_bytes
from kvraft.storage.state.engine import Block, HistoryWrite, Row


class MemoryEngine:
    """Implements `Engine`. Each write makes a new version, so that readers keep their moment."""

    def __init__(self) -> None:
        self._rows: SortedDict[bytes, bytes] = SortedDict()
        self._applied: Applied | None = None
        self.cleaned: Cleaned | None = None
        self._blocks: SortedDict[bytes, Block] = SortedDict()
        self._history: HistoryExtent | None = None

    @property
    def applied(self) -> Applied | None:
        return self._applied

    @property
    def history(self) -> HistoryExtent | None:
        return self._history

    @property
    def disk_bytes(self) -> int:
        usage = self.usage
        return usage.rows_bytes + usage.history_bytes

    @property
    def usage(self) -> StateUsage:
        return StateUsage(
            rows_bytes=sum(len(key) + len(value) for key, value in self._rows.items()),
            reusable_bytes=0,
            history_bytes=sum(disk_bytes(block.contents) for block in self._blocks.values()),
        )

    def write(self, rows: Iterable[Row], applied: Applied, history: HistoryWrite | None = None) -> None:
        version = self._rows.copy()
        for key, value in rows:
            if value is None:
                version.pop(key, None)
            else:
                version[key] = value
        if history is not None:
            blocks = self._blocks.copy()
            blocks.update((block.key, block) for block in history.blocks())
            while blocks and history.obsolete(blocks.peekitem(0)[1].label):
                blocks.popitem(0)
            self._blocks, self._history = blocks, history.extent
        self._rows, self._applied = version, applied

    def append(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """See `Engine.append`."""
        version = self._rows.copy()
        version.update(rows)
        self._rows = version

    def reader(self) -> MemoryReader:
        return MemoryReader(self._rows, self._blocks)

    def close(self) -> None:
        """Nothing to let go."""


class MemoryReader:
    """Implements `EngineReader`."""

    def __init__(self, rows: SortedDict[bytes, bytes], blocks: SortedDict[bytes, Block]) -> None:
        self._rows = rows
        self._blocks = blocks

    def get(self, key: bytes) -> bytes | None:
        value: bytes | None = self._rows.get(key)
        return value

    def scan(
        self, start: bytes, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        for key in self._rows.irange(start, end, (True, False), reverse):
            yield key, self._rows[key]

    def history(self, key: bytes) -> Iterator[bytes]:
        for each in self._blocks.islice(max(0, self._blocks.bisect_right(key) - 1)):
            yield self._blocks[each].contents

    def close(self) -> None:
        """Nothing to let go."""
