"""One segment: a file of fixed size, and where in it the records with entries begin.

The positions are two arrays of 8 bytes per record, not a dict per entry: a segment of small records
costs 2 MiB of memory, and overwriting a tail of the log is cutting them.
"""

from __future__ import annotations

import os
from array import array
from pathlib import Path

SUFFIX = ".log"
_FILL_BYTES = 1 << 18


class Segment:
    """The file is opened when it is first needed. Not safe to use from two threads at once, but
    for `write` beside reads once something was written.

    It is opened with O_DSYNC: write and fdatasync in one system call, on the same terms. In a busy
    process that matters: each call hands the interpreter lock over and has to win it back, which took
    longer than the disk.
    """

    __slots__ = ("_descriptor", "first_indexes", "offsets", "path", "size_bytes")

    def __init__(self, path: Path, size_bytes: int) -> None:
        self.path = path
        self.size_bytes = size_bytes
        self.first_indexes = array("Q")
        """Of the entries of each record that is not overwritten, ascending."""
        self.offsets = array("Q")
        """Where these records are."""
        self._descriptor: int | None = None

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes. Raises OSError."""
        return os.pread(self._open(), length, offset)

    def write(self, data: bytes, offset: int) -> None:
        """Durable when it returns. Raises OSError; nothing may be written after that."""
        written = os.pwrite(self._open(), data, offset)
        if written != len(data):
            raise OSError(f"only {written} of {len(data)} bytes were written")

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_DSYNC | os.O_CLOEXEC)
        return self._descriptor


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
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(descriptor, size_bytes)
        os.posix_fallocate(descriptor, 0, size_bytes)
        zeros = bytes(min(_FILL_BYTES, size_bytes))
        for offset in range(0, size_bytes, len(zeros)):
            piece = min(len(zeros), size_bytes - offset)
            if os.pwrite(descriptor, zeros[:piece], offset) != piece:
                raise OSError(f"{path}: a write of zeros was cut short")
            os.fdatasync(descriptor)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
