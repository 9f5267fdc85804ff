"""A state of one sorted dict: what the machine may ask of storage, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from sortedcontainers import SortedDict


class PlainState:
    """Implements `kvraft.storage.interfaces.StateTransaction`, and checks what callers claim."""

    def __init__(self) -> None:
        self.rows: SortedDict[bytes, bytes] = SortedDict()

    def get(self, key: bytes) -> bytes | None:
        return self.rows.get(key)

    def scan(
        self, start: bytes, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        for key in self.rows.irange(start, end, (True, False), reverse):
            yield key, self.rows[key]

    def put(self, key: bytes, value: bytes, previous: bytes | None) -> None:
        assert self.rows.get(key) == previous
        self.rows[key] = value

    def delete(self, key: bytes, previous: bytes) -> None:
        assert self.rows.pop(key) == previous
