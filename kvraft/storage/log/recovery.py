"""Reading a log back after a stop, orderly or not, and deciding what its end means.

Every record of every segment is checked: its checksums, its sequence number, its chain to the record
before. One append is one record in one synchronous write, and the next one starts after that.
So a power cut can leave at most one record unfinished, the last, and only as zeros where bytes should
be. That is a *torn tail*: nobody was told that this write is durable, so it is cut off, and
reported. Whatever else is not as it was written is *corruption*: acknowledged data may be lost, and
the log refuses to open. In the order of the tests:

1. A segment that is not the last one: its records must lead to the next segment's first one, and
   zeros must follow them. A segment gets its name only after its first record is durable, so a
   segment without one is corrupt as well, even the last.
2. In the last segment, only zeros follow the records: a clean end.
3. The next header is broken: corruption if an intact record with this or a later sequence number
   follows anywhere in the segment, or if the header's last byte is there; else torn.
4. The next header is intact, its body is not: corruption if anything but zeros follows the record;
   torn if its last byte or a sector is zero that was not zero when it was written; else corruption.

What cannot be told from a torn tail: bytes of the very last record that were written and later became
zeros, namely its header's last byte, its own last byte, or a sector. Nor can the loss of the last
record as a whole, or of the newest segments, be told from never having been written. A flipped
bit is not among these; it is always noticed. (A byte that appears in the unused zeros after the last record
looks like the start of a write and is cut as torn, which loses nothing.)
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from kvraft.raft.types import Index, Term
from kvraft.storage.errors import CorruptionError, StorageError
from kvraft.storage.interfaces import Identity, LogWrite
from kvraft.storage.log.contents import MalformedContentsError, decode_start, decode_write
from kvraft.storage.log.held import HeldLog
from kvraft.storage.log.record import (
    ALIGNMENT_BYTES,
    FORMAT_VERSION,
    HEADER_BYTES,
    MAGIC,
    Header,
    Kind,
    intact_body,
    is_body_unfinished,
    is_chained,
    is_header_unfinished,
    parse_header,
)
from kvraft.storage.log.segment import Segment, segment_paths

_ZEROS = bytes(1 << 20)
_START_BYTES_MAX = 64 << 10
"""More than the first record of a segment has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """A log as it was found. Nothing was changed yet."""

    held: HeldLog
    next_sequence: int
    chain: bytes
    """Of the last record."""
    last_offset: int
    """Where the last record begins, in the last segment."""
    end_offset: int
    """Where the next record belongs, in the last segment."""
    torn_bytes: int
    """From `end_offset` up to the last byte that an unfinished write left behind."""


def recover(directory: Path) -> Recovery:
    """Reads the log in `directory`, which has at least one segment. Raises CorruptionError where it is
    not what was written, StorageError where it is of a newer format, OSError."""
    paths = segment_paths(directory)
    assert paths, f"{directory} holds no log"
    reader = _Reader(paths[0][0])
    for sequence, path in paths:
        reader.read_segment(sequence, path, is_last=path == paths[-1][1])
    return reader.result()


def read_identity(directory: Path) -> Identity | None:
    """Whose log lies in a directory, by its first segment; None if there is none, or none that tells. Raises
    OSError."""
    for _, path in segment_paths(directory)[:1]:
        with path.open("rb") as file:
            data = memoryview(file.read(_START_BYTES_MAX))
        header = parse_header(data, 0)
        body = None if header is None else intact_body(header, data, 0)
        if header is not None and body is not None and header.kind == Kind.SEGMENT_START:
            with contextlib.suppress(MalformedContentsError):
                return decode_start(body[: header.length_bytes]).identity
    return None


def corruption(path: Path, offset: int, what: str) -> CorruptionError:
    """`what` is wrong with the record at `offset`; and what to do about it."""
    return CorruptionError(
        f"the log is corrupt: {path}, offset {offset}: {what}. Nothing was changed. Entries that this "
        "node acknowledged may be lost, so it must not go on from here. The other nodes hold them: while "
        "a majority of the cluster is up, keep this node stopped, move its data directory away (do not "
        "delete it yet), and re-seed the node with an empty one from a snapshot of the leader"
    )


class _Reader:
    """Reads the segments in order."""

    __slots__ = ("_chain", "_end_offset", "_held", "_last_offset", "_next_sequence", "_torn_bytes")

    def __init__(self, first_sequence: int) -> None:
        self._next_sequence = first_sequence
        self._held: HeldLog | None = None
        self._chain = b""
        self._last_offset = self._end_offset = self._torn_bytes = 0

    def result(self) -> Recovery:
        assert self._held is not None
        return Recovery(
            held=self._held,
            next_sequence=self._next_sequence,
            chain=self._chain,
            last_offset=self._last_offset,
            end_offset=self._end_offset,
            torn_bytes=self._torn_bytes,
        )

    def read_segment(self, sequence: int, path: Path, *, is_last: bool) -> None:
        if sequence != self._next_sequence:
            raise corruption(
                path,
                0,
                f"the segment before it ends with record {self._next_sequence - 1}{self._held_text()}, so "
                f"records {self._next_sequence}..{sequence - 1} are missing",
            )
        data = memoryview(path.read_bytes())
        self._read_start(path, data)
        self._end_offset = self._read_records(path, data)
        self._torn_bytes = self._judge_end(path, data, is_last=is_last)

    def _read_start(self, path: Path, data: memoryview) -> None:
        header = parse_header(data, 0)
        body = None if header is None else intact_body(header, data, 0)
        if header is None or body is None:
            raise corruption(path, 0, f"the segment's first record is broken{self._held_text()}")
        if header.version > FORMAT_VERSION:
            raise self._newer_format(path, header)
        if header.kind != Kind.SEGMENT_START or header.sequence != self._next_sequence:
            raise corruption(
                path, 0, f"record {header.sequence} of kind {header.kind} does not belong at its start"
            )
        try:
            start = decode_start(body[: header.length_bytes])
        except MalformedContentsError as error:
            raise corruption(path, 0, f"its first record has unreadable contents: {error}") from error
        if start.segment_bytes != len(data):
            raise corruption(
                path, 0, f"the file has {len(data)} bytes and was made with {start.segment_bytes}"
            )
        if self._held is None:
            self._held = HeldLog(start)
        elif start != self._held.start_of_next_segment(start.segment_bytes, self._chain):
            raise corruption(path, 0, f"it does not follow the segment before it{self._held_text()}")
        if not is_chained(header, data, 0, start.previous_chain):
            raise corruption(path, 0, "the chain of its first record does not match")
        self._held.segments.append(Segment(path, len(data)))
        self._advance(header, 0)

    def _read_records(self, path: Path, data: memoryview) -> int:
        """Returns where the intact records end."""
        offset = self._end_offset
        while offset + HEADER_BYTES <= len(data):
            header = parse_header(data, offset)
            body = None if header is None else intact_body(header, data, offset)
            if header is None or body is None:
                break
            if header.version > FORMAT_VERSION:
                raise self._newer_format(path, header)
            if (
                header.sequence != self._next_sequence
                or header.kind != Kind.WRITE
                or not is_chained(header, data, offset, self._chain)
            ):
                raise corruption(
                    path,
                    offset,
                    f"record {header.sequence} of kind {header.kind} is whole, but is not record "
                    f"{self._next_sequence} of this log{self._held_text()}",
                )
            try:
                write, previous_term = decode_write(body[: header.length_bytes])
                self._apply(write, previous_term, offset)
            except MalformedContentsError as error:
                raise corruption(
                    path, offset, f"record {header.sequence} has unreadable contents: {error}"
                ) from error
            offset = self._advance(header, offset)
        return offset

    def _apply(self, write: LogWrite, previous_term: Term, offset: int) -> None:
        assert self._held is not None
        if write.entries:
            before = Index(write.entries[0].index - 1)
            snapshot = write.installed_snapshot
            last_index = self._held.last_index if snapshot is None else snapshot.metadata.index
            if not (0 if snapshot is None else last_index) <= before <= last_index:
                raise MalformedContentsError(f"entry {before + 1} cannot follow entry {last_index}")
            if (
                snapshot is None
                and before >= self._held.base_index
                and self._held.term(before) != previous_term
            ):
                raise MalformedContentsError(
                    f"entry {before} is of term {self._held.term(before)}, not {previous_term}"
                )
        self._held.apply(write, previous_term, offset)

    def _judge_end(self, path: Path, data: memoryview, *, is_last: bool) -> int:
        """The bytes of a torn tail; 0 if there is none."""
        offset = self._end_offset
        used = _used_bytes(data, offset)
        if used == offset:
            return 0
        broken = f"record {self._next_sequence} is broken{self._held_text()}"
        if not is_last:
            raise corruption(path, offset, f"{broken}, and later segments follow")
        header = parse_header(data, offset)
        if header is None:
            later = _find_record(data, offset + ALIGNMENT_BYTES, self._next_sequence)
            if later is not None:
                raise corruption(path, offset, f"{broken}, and an intact record follows at {later}")
            if not is_header_unfinished(data, offset):
                raise corruption(path, offset, f"{broken}: its header was changed")
        elif header.sequence != self._next_sequence or offset + header.size_bytes > len(data):
            raise corruption(path, offset, f"{broken}: its header does not belong here")
        elif used > offset + header.size_bytes:
            raise corruption(path, offset, f"{broken}, and something was written after it")
        elif not is_body_unfinished(header, data, offset):
            raise corruption(path, offset, f"{broken}: its body was changed")
        return used - offset

    def _advance(self, header: Header, offset: int) -> int:
        self._next_sequence += 1
        self._chain = header.chain
        self._last_offset = offset
        self._end_offset = offset + header.size_bytes
        return self._end_offset

    def _held_text(self) -> str:
        return "" if self._held is None else f" (everything up to entry {self._held.last_index} is intact)"

    def _newer_format(self, path: Path, header: Header) -> StorageError:
        return StorageError(
            f"{path}: record {header.sequence} is of format {header.version}, and this program knows formats "
            f"up to {FORMAT_VERSION}: start the version of kvraft that wrote it, or a newer one"
        )


def _used_bytes(data: memoryview, start: int) -> int:
    """Where the zeros begin that reach to the end of `data`; `start` if there is nothing else."""
    end = len(data)
    while end > start:
        piece = min(len(_ZEROS), end - start)
        if data[end - piece : end] != _ZEROS[:piece]:
            return end - piece + len(bytes(data[end - piece : end]).rstrip(b"\0"))
        end -= piece
    return start


def _find_record(data: memoryview, start: int, sequence: int) -> int | None:
    """Where at or after `start` an intact record begins whose number is `sequence` or later."""
    raw = data.obj
    assert isinstance(raw, bytes)
    offset = raw.find(MAGIC, start)
    while offset >= 0:
        if offset % ALIGNMENT_BYTES == 0:
            header = parse_header(data, offset)
            if (
                header is not None
                and header.sequence >= sequence
                and intact_body(header, data, offset) is not None
            ):
                return offset
        offset = raw.find(MAGIC, offset + 1)
    return None
