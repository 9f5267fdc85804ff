"""What is inside the records, as bytes: a disk format, versioned by the record around it.

Integers are little-endian and unsigned.

    start of a segment  cluster id 8, node id 8, size of the segment file 8, last index 8, last
                        term 8, chain of the record before 16, then: name, node ids, hard state,
                        flags 1 (1: installed snapshot, 4: diverged), installed snapshot if flagged
    write               flags 1 (1: installed snapshot, 2: hard state, 4: diverged), each if flagged, then
                        first index 8, term of the entry before it 8, count 4, the heads of all
                        entries, the data of all entries
    head of an entry    term 8, kind 1, length of the data 4
    hard state          term 8, voted for 8 (0: nobody)
    installed snapshot  index 8, term 8, generation 8, node ids of voters, node ids of learners
    name                length 2, UTF-8
    node ids            count 2, 8 each
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from kvraft.raft.configuration import Configuration
from kvraft.raft.types import Entry, EntryKind, HardState, Index, NodeId, SnapshotMetadata, Standing, Term
from kvraft.storage.interfaces import Identity, InstalledSnapshot, LogWrite

_START = struct.Struct("<QQQQQ16s")
_COUNT = struct.Struct("<H")
_FLAGS = struct.Struct("<B")
_HARD_STATE = struct.Struct("<QQ")
_SNAPSHOT = struct.Struct("<QQQ")
_ENTRIES = struct.Struct("<QQI")
_HEAD = struct.Struct("<QBI")
_HAS_SNAPSHOT = 1
_HAS_HARD_STATE = 2
_STANDING_FLAGS = {Standing.MEMBER: 0, Standing.DIVERGED: 4}
"""Of the hard state, whose bytes have no place for it."""
_STANDINGS = {flag: standing for standing, flag in _STANDING_FLAGS.items()}
_STANDING_MASK = sum(_STANDING_FLAGS.values())
_KINDS = {kind.value: kind for kind in EntryKind}


class MalformedContentsError(Exception):
    """Checksums hold, and yet these bytes are not what this format writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentStart:
    """Everything that the segments before would have told, so that they can be dropped."""

    identity: Identity
    segment_bytes: int
    """Size of the file: a copy that was cut short is noticed."""
    last_index: Index
    """Of the log when the segment was started: its entries follow this one or overwrite it."""
    last_term: Term
    previous_chain: bytes
    hard_state: HardState
    installed_snapshot: InstalledSnapshot | None


def encode_start(start: SegmentStart) -> bytes:
    """Raises ValueError for an identity that does not fit the format."""
    identity, snapshot = start.identity, start.installed_snapshot
    name = identity.cluster_name.encode()
    try:
        return b"".join(
            (
                _START.pack(
                    identity.cluster_id,
                    identity.node_id,
                    start.segment_bytes,
                    start.last_index,
                    start.last_term,
                    start.previous_chain,
                ),
                _COUNT.pack(len(name)),
                name,
                _encode_node_ids(identity.initial_voters),
                _encode_hard_state(start.hard_state),
                _FLAGS.pack(
                    (0 if snapshot is None else _HAS_SNAPSHOT) | _STANDING_FLAGS[start.hard_state.standing]
                ),
                b"" if snapshot is None else _encode_snapshot(snapshot),
            )
        )
    except struct.error as error:
        raise ValueError(f"{identity} does not fit the format of the log: {error}") from error


def decode_start(contents: memoryview) -> SegmentStart:
    """Raises MalformedContentsError."""
    cursor = _Cursor(contents)
    cluster_id, node_id, segment_bytes, last_index, last_term, previous_chain = cursor.unpack(_START)
    (name_length,) = cursor.unpack(_COUNT)
    try:
        name = cursor.take(name_length).decode()
    except UnicodeDecodeError as error:
        raise MalformedContentsError(f"the cluster's name is not UTF-8: {error}") from error
    identity = Identity(
        cluster_id=cluster_id,
        cluster_name=name,
        node_id=node_id,
        initial_voters=cursor.node_ids(),
    )
    hard_state = cursor.hard_state()
    (flags,) = cursor.unpack(_FLAGS)
    _check_flags(flags, _HAS_SNAPSHOT | _STANDING_MASK)
    hard_state = replace(hard_state, standing=_standing(flags))
    start = SegmentStart(
        identity=identity,
        segment_bytes=segment_bytes,
        last_index=Index(last_index),
        last_term=Term(last_term),
        previous_chain=previous_chain,
        hard_state=hard_state,
        installed_snapshot=cursor.snapshot() if flags & _HAS_SNAPSHOT else None,
    )
    cursor.finish()
    return start


def encode_write(write: LogWrite, previous_term: Term) -> bytes:
    """`previous_term` is the term of the entry before the first one written: with it a log whose
    older segments are gone still knows what its oldest entry follows. 0 if there are no entries."""
    snapshot, hard_state, entries = write.installed_snapshot, write.hard_state, write.entries
    flags = 0 if snapshot is None else _HAS_SNAPSHOT
    if hard_state is not None:
        flags |= _HAS_HARD_STATE | _STANDING_FLAGS[hard_state.standing]
    parts = [_FLAGS.pack(flags)]
    if snapshot is not None:
        parts.append(_encode_snapshot(snapshot))
    if hard_state is not None:
        parts.append(_encode_hard_state(hard_state))
    parts.append(_ENTRIES.pack(entries[0].index if entries else 0, previous_term, len(entries)))
    pack = _HEAD.pack
    parts.extend([pack(entry.term, entry.kind.value, len(entry.data)) for entry in entries])
    parts.extend([entry.data for entry in entries])
    return b"".join(parts)


def decode_write(contents: memoryview) -> tuple[LogWrite, Term]:
    """The write and its `previous_term`. Raises MalformedContentsError."""
    cursor = _Cursor(contents)
    (flags,) = cursor.unpack(_FLAGS)
    known = _HAS_SNAPSHOT | _HAS_HARD_STATE
    _check_flags(flags, known | _STANDING_MASK if flags & _HAS_HARD_STATE else known)
    snapshot = cursor.snapshot() if flags & _HAS_SNAPSHOT else None
    hard_state = None
    if flags & _HAS_HARD_STATE:
        hard_state = replace(cursor.hard_state(), standing=_standing(flags))
    first_index, previous_term, count = cursor.unpack(_ENTRIES)
    heads = cursor.take(count * _HEAD.size)
    try:
        entries = tuple(
            [
                Entry(Index(index), Term(term), _KINDS[kind], cursor.take(length))
                for index, (term, kind, length) in enumerate(_HEAD.iter_unpack(heads), first_index)
            ]
        )
    except KeyError as error:
        raise MalformedContentsError(f"no entry is of kind {error}") from error
    cursor.finish()
    write = LogWrite(installed_snapshot=snapshot, hard_state=hard_state, entries=entries)
    return write, Term(previous_term)


def _encode_node_ids(node_ids: Sequence[int]) -> bytes:
    return _COUNT.pack(len(node_ids)) + struct.pack(f"<{len(node_ids)}Q", *node_ids)


def _encode_hard_state(hard_state: HardState) -> bytes:
    return _HARD_STATE.pack(hard_state.term, hard_state.voted_for or 0)


def _encode_snapshot(snapshot: InstalledSnapshot) -> bytes:
    metadata = snapshot.metadata
    return b"".join(
        (
            _SNAPSHOT.pack(metadata.index, metadata.term, snapshot.generation),
            _encode_node_ids(metadata.configuration.voters),
            _encode_node_ids(metadata.configuration.learners),
        )
    )


def _standing(flags: int) -> Standing:
    standing = _STANDINGS.get(flags & _STANDING_MASK)
    if standing is None:
        raise MalformedContentsError(f"no standing has the flags {flags:#x}")
    return standing


def _check_flags(flags: int, known: int) -> None:
    if flags & ~known:
        raise MalformedContentsError(f"unknown flags {flags:#x}")


class _Cursor:
    """Reads along, and notices an end that comes too early or too late."""

    __slots__ = ("_contents", "_offset")

    def __init__(self, contents: memoryview) -> None:
        self._contents = contents
        self._offset = 0

    def take(self, length: int) -> bytes:
        start = self._offset
        self._offset += length
        if self._offset > len(self._contents):
            raise MalformedContentsError(f"{length} bytes expected at {start} of {len(self._contents)}")
        return bytes(self._contents[start : self._offset])

    def unpack(self, layout: struct.Struct) -> tuple[Any, ...]:
        return layout.unpack(self.take(layout.size))

    def node_ids(self) -> tuple[NodeId, ...]:
        (count,) = self.unpack(_COUNT)
        return tuple(NodeId(node_id) for (node_id,) in struct.iter_unpack("<Q", self.take(count * 8)))

    def hard_state(self) -> HardState:
        term, voted_for = self.unpack(_HARD_STATE)
        return HardState(Term(term), NodeId(voted_for) if voted_for else None)

    def snapshot(self) -> InstalledSnapshot:
        index, term, generation = self.unpack(_SNAPSHOT)
        try:
            configuration = Configuration(self.node_ids(), self.node_ids())
        except ValueError as error:
            raise MalformedContentsError(f"no configuration: {error}") from error
        metadata = SnapshotMetadata(index=Index(index), term=Term(term), configuration=configuration)
        return InstalledSnapshot(metadata=metadata, generation=generation)

    def finish(self) -> None:
        if self._offset != len(self._contents):
            raise MalformedContentsError(f"{len(self._contents) - self._offset} bytes too many")
