"""The nouns of figure 2: ids, terms, indexes, entries, and what must survive a crash."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NewType

from kvraft.raft.configuration import Configuration, NodeId

__all__ = [
    "INDEX_MAX",
    "TERM_MAX",
    "Entry",
    "EntryKind",
    "HardState",
    "Index",
    "NodeId",
    "SnapshotMetadata",
    "Standing",
    "Term",
]

Term = NewType("Term", int)
"""A term, "logical clock" of the paper (5.1). 0 before the first election."""

Index = NewType("Index", int)
"""A position in the log. The first entry has index 1; 0 is "before the log"."""

TERM_MAX = Term(1 << 62)
"""No term is higher: far beyond what elections reach, and far below what 8 bytes hold, so that nothing
that is computed from a term overflows where it is sent or stored."""

INDEX_MAX = Index(1 << 62)
"""No log is longer."""


class EntryKind(Enum):
    """What an entry is. The values are a disk format."""

    NOOP = 1
    """The empty entry a new leader commits first (paper section 8)."""
    COMMAND = 2
    """Opaque to the algorithm."""
    CONFIGURATION = 3
    """A serialised `Configuration`; in force from the moment it is appended (dissertation 4.1)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A log entry: "each entry contains command for state machine, and term when entry was
    received by leader (first index is 1)"."""

    index: Index
    term: Term
    kind: EntryKind
    data: bytes

    @property
    def size_bytes(self) -> int:
        """What the entry counts against byte limits: its data and a flat share for the rest."""
        return len(self.data) + 32


class Standing(Enum):
    """What a node may do in the cluster, beside what its role allows."""

    MEMBER = "member"
    """Everything."""
    DIVERGED = "diverged"
    """Its state is not what its log leads to; the log itself is right. It replicates and votes, so that
    commits need no other node, but it does not lead: until another state is installed."""


@dataclass(frozen=True, slots=True)
class HardState:
    """ "Persistent state on all servers (updated on stable storage before responding to RPCs)",
    less the log."""

    term: Term
    """latest term server has seen (initialized to 0 on first boot, increases monotonically)"""
    voted_for: NodeId | None
    """candidateId that received vote in current term (or None)"""
    standing: Standing = Standing.MEMBER


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotMetadata:
    """What a state includes (figure 13): everything up to and with entry `index`."""

    index: Index
    term: Term
    configuration: Configuration
