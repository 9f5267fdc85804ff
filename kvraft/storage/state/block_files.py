"""Blocks of bytes in files of one directory: appended, read by their place, dropped file by file.

    history/00000001.blocks, 00000002.blocks, ...

Where the blocks are is written elsewhere, in the transaction that makes them count (`Place`); so a file may
hold more than that after a crash, and what nobody's place names is never looked at. Each block begins with a
page and each start with a new file, so nothing that counts is ever written over.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from kvraft.storage.data_directory import fsync_directory
from kvraft.storage.direct_file import PAGE_BYTES, DirectFile

FILE_BYTES = 32 << 20
"""A file ends with the block that reaches this."""
WRITE_BYTES = 1 << 20
"""Blocks are written together: each system call gives the interpreter lock away and has to win it back."""
_SUFFIX = ".blocks"


def disk_bytes(block: bytes) -> int:
    """What a block takes on the disk."""
    return len(block) + -len(block) % PAGE_BYTES


@dataclass(frozen=True, slots=True)
class Place:
    """Where a block is."""

    file: int
    offset: int
    size_bytes: int


class BlockFiles:
    """`append`, `sync` and `drop_before` come from one thread, `read` from another."""

    __slots__ = (
        "_descriptors",
        "_directory",
        "_end",
        "_is_durable",
        "_last",
        "_sizes",
        "_unwritten",
        "_writer",
    )

    def __init__(self, directory: Path, first: int, last: int) -> None:
        """Files outside of first..last hold nothing that counts, and are deleted. Raises OSError."""
        self._directory = directory
        self._writer: DirectFile | None = None
        self._end = 0
        """Where the next block belongs."""
        self._unwritten: list[bytes] = []
        """The last blocks, each with zeros behind it."""
        self._is_durable = True
        self._descriptors: dict[int, int] = {}
        """For reading."""
        numbers = [int(path.stem) for path in directory.glob(f"*{_SUFFIX}") if path.stem.isdecimal()]
        self._sizes = {
            number: self._path(number).stat().st_size for number in sorted(numbers) if first <= number <= last
        }
        self._last = max(numbers, default=0)
        for number in numbers:
            if number not in self._sizes:
                self._path(number).unlink()

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(tuple(self._sizes.values()))

    def append(self, block: bytes) -> Place:
        """Durable after `sync`. Raises OSError; `take_back` is due then."""
        if self._writer is None or self._end >= FILE_BYTES:
            self._begin_file()
        place = Place(self._last, self._end, len(block))
        self._unwritten += (block, bytes(-len(block) % PAGE_BYTES))
        self._end += disk_bytes(block)
        self._is_durable = False
        if self._end - self._sizes[self._last] >= WRITE_BYTES:
            self._write()
        return place

    def take_back(self, end: Place | None) -> None:
        """Forgets what was appended behind `end`, the last block that counts (None: none does), and gives its
        room back. What comes next begins a new file. Raises OSError."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._unwritten, self._is_durable = [], True
        last = 0 if end is None else end.file
        for number in [number for number in self._sizes if number > last]:
            self._delete(number)
        if end is not None and end.file in self._sizes:
            size_bytes = end.offset + end.size_bytes + -end.size_bytes % PAGE_BYTES
            os.truncate(self._path(end.file), size_bytes)
            self._sizes[end.file] = size_bytes

    def sync(self) -> None:
        """Makes all that was appended durable. Raises OSError; `take_back` is due then."""
        if not self._is_durable:
            assert self._writer is not None
            self._write()
            self._writer.sync()
            self._is_durable = True

    def read(self, place: Place) -> bytes:
        """The block, or what is left of it. Raises OSError."""
        descriptor = self._descriptors.get(place.file)
        if descriptor is None:
            try:
                descriptor = os.open(self._path(place.file), os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return b""
            self._descriptors[place.file] = descriptor
        return os.pread(descriptor, place.size_bytes, place.offset)

    def path(self, place: Place) -> Path:
        """The file of a block, for messages."""
        return self._path(place.file)

    @property
    def next_file(self) -> int:
        """The number of a file that is yet to be begun."""
        return self._last + 1

    def drop_before(self, file: int) -> None:
        """Deletes older files, which nobody reads any more. Raises OSError."""
        if self._writer is not None and self._last < file:
            self._writer.close()
            self._writer = None
        for number in [number for number in self._sizes if number < file]:
            self._delete(number)

    def close(self) -> None:
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors.clear()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _delete(self, number: int) -> None:
        self._path(number).unlink(missing_ok=True)
        del self._sizes[number]
        descriptor = self._descriptors.pop(number, None)
        if descriptor is not None:
            os.close(descriptor)

    def _write(self) -> None:
        assert self._writer is not None
        written, self._unwritten = self._unwritten, []
        self._writer.write(self._sizes[self._last], *written)
        self._sizes[self._last] = self._end

    def _begin_file(self) -> None:
        if self._writer is not None:
            self.sync()
            self._writer.close()
            self._writer = None
        self._last += 1
        self._end = self._sizes[self._last] = 0
        self._writer = DirectFile(self._path(self._last), create=True)
        fsync_directory(self._directory)

    def _path(self, number: int) -> Path:
        return self._directory / f"{number:08}{_SUFFIX}"
