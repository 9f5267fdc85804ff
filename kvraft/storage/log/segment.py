"""One segment: a file of fixed size, and where in it the records with entries begin.

The positions are two arrays of 8 bytes per record, not a dict per entry: a segment of small records
costs 2 MiB of memory, and overwriting a tail of the log is cutting them.
"""

from __future__ import annotations

import os
from array import array
from pathlib import Path

from kvraft.storage.direct_file import DirectFile

SUFFIX = ".log"
_FILL_BYTES = 1 << 18


class Segment:
    """The file is opened when it is first needed: apart for reading and for writing, which may go on at the
    same time, each in one thread.

    It is written synchronously (O_DSYNC): write and fdatasync in one system call, on the same terms. In a
    busy process that matters: each call hands the interpreter lock over and has to win it back, which took
    longer than the disk.
    """

    __slots__ = ("_descriptor", "_writer", "first_indexes", "offsets", "path", "size_bytes")

    def __init__(self, path: Path, size_bytes: int) -> None:
        self.path = path
        self.size_bytes = size_bytes
        self.first_indexes = array("Q")
        """Of the entries of each record that is not overwritten, ascending."""
        self.offsets = array("Q")
        """Where these records are."""
        self._descriptor: int | None = None
        """For reading."""
        self._writer: DirectFile | None = None

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes. Raises OSError."""
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        return os.pread(self._descriptor, length, offset)

    def write(self, data: bytes, offset: int) -> None:
        """Durable when it returns, with zeros up to the end of its last page. Raises OSError; nothing may be
        written after that."""
        if self._writer is None:
            self._writer = DirectFile(self.path, synchronous=True)
        self._writer.write(offset, data)

    def close(self) -> None:
        """Not for good: `read` and `write` open it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def segment_path(directory: Path, sequence: int) -> Path:
    """The file whose first record has this sequence number."""
    return directory / f"{sequence:016x}{SUFFIX}"


def segment_paths(directory: Path) -> list[tuple[int, Path]]:
    """(sequence of the first record, path) of the segments in `directory`, ascending. Raises OSError."""
    found = []
    for path in directory.iterdir():
        try:
            sequence = int(path.stem, 16)
        except ValueError:
            continue
        if path == segment_path(directory, sequence):
            found.append((sequence, path))
    return sorted(found)


def fill_with_zeros(path: Path, size_bytes: int) -> None:
    """Makes `path` a file of `size_bytes` zeros, durable; the name is not (fsync the directory).

    The zeros are written, not only allocated: making a record durable then writes no metadata.
    Piece by piece, so that the disk stays free for the log's own writes. Raises OSError.
    """
    zeros = bytes(min(_FILL_BYTES, size_bytes))
    with DirectFile(path, create=True) as file:
        file.allocate(size_bytes)
        for offset in range(0, size_bytes, len(zeros)):
            file.write(offset, zeros[: size_bytes - offset])
            file.sync()
