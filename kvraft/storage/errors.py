"""What can go wrong with a disk. Each is fatal for the node that meets it: it logs the
message, stops serving and exits; the other nodes go on."""

from __future__ import annotations


class StorageError(Exception):
    """A read, write or fsync failed. What reached the disk is unknown; never retried."""


class CorruptionError(StorageError):
    """Stored bytes are not the bytes that were written.

    The message says in which file, at which offset or key, and how to re-seed the node.
    """


class DataDirectoryError(Exception):
    """The data directory cannot be used: taken by another process, of another cluster or
    node, or of a newer format. Nothing was changed."""
