"""What happened to a node's data directory, and what the node promised, in one order.

An effect stands where its system call began: from then on it may be on the disk. A sync stands where its call
ended: from then on what it covers is on the disk. An answer stands where it began to leave.
Inodes are numbers, so that a file keeps its identity through renames.
"""

from __future__ import annotations

from dataclasses import dataclass

ROOT = 0
"""The directory that holds the data directory. Durable, and empty in the beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """Bytes into a file."""

    moment: int
    ended: int
    file: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize:
    """ftruncate, fallocate, O_TRUNC."""

    moment: int
    ended: int
    file: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A name for a new file or directory."""

    moment: int
    ended: int
    directory: int
    name: str
    inode: int
    is_directory: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlink:
    """A name goes: unlink, rmdir."""

    moment: int
    ended: int
    directory: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rename:
    """A name replaces another one of its directory, in one step."""

    moment: int
    ended: int
    directory: int
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """fsync or fdatasync of a file or directory: covers what had ended before it began."""

    moment: int
    began: int
    inode: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteSync:
    """The end of a `Write` with O_DSYNC or RWF_DSYNC: durable itself, others are not."""

    moment: int
    written: int
    """The moment of the `Write`."""
    file: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A write was acknowledged to a client, by whichever node."""

    moment: int
    revision: int
    term: int
    leader: int


Name = Link | Unlink | Rename
Effect = Write | Resize | Name
Event = Effect | Sync | WriteSync | Answer
