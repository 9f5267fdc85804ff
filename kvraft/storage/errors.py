"""What can go wrong with a disk, told apart in this one place.

*Fatal*: what is on the disk is unknown, or is not what was written (EIO, a failed fsync, a wrong checksum).
The node that meets it logs the message, stops serving and exits; the other nodes go on.

*Retriable* (`ExhaustedError`): something has run out, room, quota or file descriptors, and nothing that
anybody was promised depends on the call that failed. It is made again until it works; the node lives on
meanwhile. It is raised only where the whole of what failed is written again, never for an fsync alone:
after a failed one the kernel calls pages clean that never reached the disk, and the next one succeeds and
means nothing.
"""

from __future__ import annotations

import errno

_EXHAUSTION = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
)


class StorageError(Exception):
    """A read, write or fsync failed. What reached the disk is unknown; never retried."""


class ExhaustedError(StorageError):
    """Room, quota, file descriptors or memory have run out. Nothing has changed that counts; the same call
    may work later."""


class CorruptionError(StorageError):
    """Stored bytes are not the bytes that were written.

    The message says in which file, at which offset or key, and how to re-seed the node.
    """


class DataDirectoryError(Exception):
    """The data directory cannot be used: taken by another process, of another cluster or
    node, or of a newer format. Nothing was changed."""


def is_exhaustion(error: OSError) -> bool:
    """Whether something has run out, of which there may be more later."""
    return error.errno in _EXHAUSTION


def storage_error(error: OSError, message: str) -> StorageError:
    """What a failed call amounts to whose whole work is done again if it is tried again."""
    return ExhaustedError(message) if is_exhaustion(error) else StorageError(message)
