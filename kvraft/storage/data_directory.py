"""The directory that is a node: one process at a time, a known format, private to its owner.

    LOCK      flock'ed for as long as a process uses the directory; holds its pid
    FORMAT    the version of everything in here, so that an older program refuses a newer directory
    log/      the Raft log (`kvraft.storage.log`); the node is initialised when it has a segment
    state/    the states, one directory per generation (`kvraft.storage.state`)

FORMAT comes into being whole, by rename, before anything else is put here; the first segment of the
log in the same way, before the first state. So a crash at any moment of the first start leaves a directory
that is either not initialised, and can be, or a node. One that has a state and no log has lost its
votes, and is refused.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

from kvraft.storage.errors import DataDirectoryError
from kvraft.storage.interfaces import DiskSpace

FORMAT_VERSION = 3
"""1 and 2 were never released: 1 kept the history in LMDB, 2 kept answers without the command they are of."""
_LOCK = "LOCK"
_FORMAT = "FORMAT"
_FORMAT_TEMPORARY = "FORMAT.tmp"
_SEGMENT = re.compile(r"[0-9a-f]{16}\.log")
_OWNER_BYTES = 32
"""Of LOCK: always as many, so that it is written over and needs no room."""
_FOREIGN_ALLOWED = {_LOCK, _FORMAT_TEMPORARY, "lost+found"}
"""What an empty file system, or a first start that was cut short, may have left."""


class DataDirectory:
    """Held by this process until `close`."""

    __slots__ = ("_lock_descriptor", "path")

    def __init__(self, path: Path, lock_descriptor: int) -> None:
        """See `open`."""
        self.path = path
        self._lock_descriptor = lock_descriptor

    @classmethod
    def open(cls, path: Path) -> DataDirectory:
        """Takes the directory for this process; makes it if it is missing.

        Raises DataDirectoryError if another process has it, if its format is newer, if it holds
        something that is not kvraft's or lacks its log, or if the file system refuses.
        """
        try:
            create_directory(path)
            descriptor = _lock(path)
            try:
                _check_format(path)
                create_directory(path / "log")
                create_directory(path / "state")
                fsync_directory(path)
                directory = cls(path, descriptor)
                if not directory.is_initialised and any(directory.state_directory.iterdir()):
                    raise DataDirectoryError(
                        f"{path} holds a state and no log: part of it was removed, and with it the node's "
                        "votes. Put the log back, or move the whole directory away and re-seed the node"
                    )
            except BaseException:
                os.close(descriptor)
                raise
        except OSError as error:
            raise DataDirectoryError(f"the data directory {path} cannot be used: {error}") from error
        return directory

    @property
    def log_directory(self) -> Path:
        return self.path / "log"

    @property
    def state_directory(self) -> Path:
        return self.path / "state"

    @property
    def is_initialised(self) -> bool:
        """Whether a node lives here: its log has been created. Raises OSError."""
        # (`Path.glob` finds nothing in a directory that it may not read.)
        return any(_SEGMENT.fullmatch(name) for name in os.listdir(self.log_directory))

    def space(self) -> DiskSpace:
        """How much room its file system has. Raises OSError."""
        statistics = os.statvfs(self.path)
        return DiskSpace(
            total_bytes=statistics.f_blocks * statistics.f_frsize,
            free_bytes=statistics.f_bavail * statistics.f_frsize,
        )

    def close(self) -> None:
        """Lets another process have the directory."""
        os.close(self._lock_descriptor)


def fsync_directory(path: Path) -> None:
    """Makes the names in a directory durable: files made, renamed and removed. Raises OSError."""
    with opened_directory(path) as descriptor:
        os.fsync(descriptor)


@contextlib.contextmanager
def opened_directory(path: Path) -> Iterator[int]:
    """The descriptor of a directory, for fsync; for those who must not find that there is none left when it
    is too late. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def create_directory(path: Path) -> None:
    """Makes a directory, and those above it, durable and private (0700), unless it exists. Raises
    OSError."""
    if path.is_dir():
        return
    create_directory(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    fsync_directory(path)
    fsync_directory(path.parent)


def _lock(path: Path) -> int:
    """The descriptor that holds the lock; the kernel lets go of it even if the process is killed."""
    descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(descriptor, _OWNER_BYTES, 0).decode(errors="replace").strip()
        os.close(descriptor)
        raise DataDirectoryError(
            f"the data directory {path} is in use by process {owner or 'unknown'}; stop it first, or "
            "give this node a directory of its own"
        ) from None
    with contextlib.suppress(OSError):  # on a full disk as well: whose it is the lock alone decides
        os.pwrite(descriptor, f"{os.getpid()}\n".ljust(_OWNER_BYTES).encode(), 0)
    return descriptor


def _check_format(path: Path) -> None:
    try:
        text = (path / _FORMAT).read_text(errors="replace").strip()
    except FileNotFoundError:
        _write_format(path)
        return
    if not (text.isascii() and text.isdigit()):
        raise DataDirectoryError(f"{path / _FORMAT} holds {text[:40]!r} and not the number of a format")
    if int(text) != FORMAT_VERSION:
        raise DataDirectoryError(
            f"the data directory {path} is of format {text}, and this program knows format {FORMAT_VERSION}: "
            "start the version of kvraft that made it"
        )


def _write_format(path: Path) -> None:
    foreign = sorted({entry.name for entry in path.iterdir()} - _FOREIGN_ALLOWED)
    if foreign:
        raise DataDirectoryError(
            f"{path} holds {', '.join(foreign[:5])} but no {_FORMAT}, so it is not kvraft's: give the node "
            "an empty directory"
        )
    temporary = path / _FORMAT_TEMPORARY
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, f"{FORMAT_VERSION}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(temporary, path / _FORMAT)
    fsync_directory(path)
