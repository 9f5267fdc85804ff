"""A file that is written past the page cache (open(2), O_DIRECT).

What goes into the log and the history is seldom read again and soon deleted. On its way through the page
cache every 4 KiB of it would want a page to be found, cleared and filled, and later written and dropped: as
much processor time as a third of what the node does with the bytes. Three nodes on two cores, batches of 100
puts: a fifth more puts a second.

The kernel wants whole pages, in memory that begins with a page. So a write goes through a buffer of pages:
what is in its first page already is written once more, and the rest of its last page becomes zeros. Reads go
through the page cache, which the kernel keeps true. A file system that has no O_DIRECT (EINVAL when a file is
opened) is written through the cache like any other.
"""

from __future__ import annotations

import errno
import mmap
import os
from pathlib import Path
from types import TracebackType

PAGE_BYTES = 4096
"""What every disk and file system takes; most would take 512."""
BUFFER_BYTES = 1 << 20
"""A write that is larger has a buffer of its own."""


class DirectFile:
    """Open for writing, by one thread; close it, or use it as a context."""

    __slots__ = ("_buffer", "_descriptor", "_end", "_last_page", "_path")

    def __init__(self, path: Path, *, create: bool = False, synchronous: bool = False) -> None:
        """`synchronous`: a write is durable when it returns (O_DSYNC), with the size that it needs. Raises
        OSError."""
        flags = os.O_RDWR | os.O_CLOEXEC
        flags |= (os.O_CREAT if create else 0) | (os.O_DSYNC if synchronous else 0)
        try:
            self._descriptor = os.open(path, flags | os.O_DIRECT, 0o600)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self._descriptor = os.open(path, flags, 0o600)
        self._path = path
        self._buffer = _pages(PAGE_BYTES)
        self._end = 0
        """Where the last write ended."""
        self._last_page = b""
        """What the page has before it."""

    def __enter__(self) -> DirectFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def allocate(self, size_bytes: int) -> None:
        """Gives the file this size, and room for it on the disk. Raises OSError."""
        os.ftruncate(self._descriptor, size_bytes)
        os.posix_fallocate(self._descriptor, 0, size_bytes)

    def write(self, offset: int, *pieces: bytes) -> None:
        """One system call, unless it is cut short. Up to the next multiple of 4096 zeros follow. Raises
        OSError; what reached the disk is unknown then, and nothing may be written any more but the same at
        the same place."""
        before = offset % PAGE_BYTES
        begin, end = offset - before, before + sum(map(len, pieces))
        size_bytes = end + -end % PAGE_BYTES
        buffer = self._buffer_of(size_bytes)
        if before:
            buffer[:before] = self._last_page if offset == self._end else self._page(begin)[:before]
        place = before
        for piece in pieces:
            buffer[place : place + len(piece)] = piece
            place += len(piece)
        buffer[end:size_bytes] = bytes(size_bytes - end)
        with memoryview(buffer) as pages:
            self._write_pages(pages[:size_bytes], begin)
        self._end = begin + end
        self._last_page = buffer[end - end % PAGE_BYTES : end]

    def sync(self) -> None:
        """What was written is durable when it returns, with the file's size; its name is not. Raises
        OSError."""
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)

    def _write_pages(self, pages: memoryview, begin: int) -> None:
        """A write that was cut short goes on at the page it came to: where it was for want of room, the next
        call says so. Under a limit that ends within a page none ever does."""
        while pages:
            written = os.pwrite(self._descriptor, pages, begin)
            whole = written - written % PAGE_BYTES
            if not whole:
                raise OSError(
                    errno.ENOSPC, f"only {written} of {len(pages)} bytes were written", str(self._path)
                )
            pages, begin = pages[whole:], begin + whole

    def _page(self, begin: int) -> bytes:
        """A page of the file, past the cache as well."""
        page = _pages(PAGE_BYTES)
        length = os.preadv(self._descriptor, [page], begin)
        return page[:length].ljust(PAGE_BYTES, b"\0")

    def _buffer_of(self, size_bytes: int) -> mmap.mmap:
        if size_bytes <= len(self._buffer):
            return self._buffer
        buffer = _pages(min(BUFFER_BYTES, 2 * size_bytes) if size_bytes <= BUFFER_BYTES else size_bytes)
        if size_bytes <= BUFFER_BYTES:
            self._buffer = buffer
        return buffer


def _pages(size_bytes: int) -> mmap.mmap:
    """Memory that begins with a page."""
    return mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
