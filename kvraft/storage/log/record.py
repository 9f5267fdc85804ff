"""The frame of a record on disk: how bytes prove that they are whole, ours, and in their place.

A record is a header of 64 bytes and a body. It starts at a multiple of 64 and its size is a
multiple of 64, so that a header never straddles a sector of 512 bytes. Integers are little-endian.

    header   0   4  magic, "KVRL"
             4   1  version of the format, 1
             5   1  kind of the contents (`Kind`)
             6   2  zero
             8   4  length of the contents in bytes
            12   4  how many sectors inside the record are all zero, as it was written
            16   8  sequence number: 1 for the first record of a log, then rising by one for ever
            24   8  XXH3-64 of the body
            32  16  chain: BLAKE2b-128 of the chain of the record before, header bytes 0..31, and
                    XXH3-128 of the body
            48   7  zero
            55   8  XXH3-64 of header bytes 0..54
            63   1  0xA5
    body         contents, zeros up to the last byte, 0x5A

The checksums are quick and find what rots; each record can be checked on its own. The chain ties
a record to everything before it: a lost, repeated, reordered or misplaced write breaks it, and so
does whoever rewrites history without rewriting all that follows. (The body is chained by a quick hash of
its own: hashing every byte as if against an attacker, who could rewrite all that follows as well, was 2 %
of a busy node's time.)

A write that a power cut interrupted leaves zeros where it did not get to, because segments are
zero-filled beforehand. The constants make that visible: if the end of the header, the end of the
record or a whole sector that was not zero before is missing, the write never finished.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from hashlib import blake2b

from xxhash import xxh3_64_digest, xxh3_64_intdigest, xxh3_128_digest

FORMAT_VERSION = 1
ALIGNMENT_BYTES = 64
SECTOR_BYTES = 512
HEADER_BYTES = 64
CHAIN_BYTES = 16
FIRST_CHAIN = bytes(CHAIN_BYTES)
"""The chain before the first record of a log."""
MAGIC = b"KVRL"

_FIELDS = struct.Struct("<4sBBHIIQQ16s7x")
_CHAINED_BYTES = 32
_CHECKED_BYTES = _FIELDS.size
_HEADER_END = 0xA5
_TRAILER = b"\x5a"
_ZERO_SECTOR = bytes(SECTOR_BYTES)


class Kind(IntEnum):
    """What a record contains. The values are a disk format."""

    SEGMENT_START = 1
    """The first record of a segment, and only that."""
    WRITE = 2
    """A `LogWrite`."""


@dataclass(frozen=True, slots=True)
class Header:
    """A header that is as it was written; nothing is said of the body."""

    version: int
    kind: int
    length_bytes: int
    """Of the contents."""
    zero_sectors: int
    sequence: int
    body_checksum: int
    chain: bytes

    @property
    def size_bytes(self) -> int:
        """Of the whole record."""
        return record_bytes(self.length_bytes)


def record_bytes(length_bytes: int) -> int:
    """How long a record is whose contents have this length."""
    return -(-(HEADER_BYTES + length_bytes + len(_TRAILER)) // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def encode_record(
    kind: Kind, contents: bytes, *, sequence: int, previous_chain: bytes, offset: int
) -> tuple[bytes, bytes]:
    """The record to be written at `offset` of its file, and its chain."""
    padding = record_bytes(len(contents)) - HEADER_BYTES - len(contents) - len(_TRAILER)
    body = b"".join((contents, bytes(padding), _TRAILER))
    fields = (MAGIC, FORMAT_VERSION, kind, 0, len(contents))
    zero_sectors = count_zero_sectors(body, offset + HEADER_BYTES)
    body_checksum = xxh3_64_intdigest(body)
    unchained = _FIELDS.pack(*fields, zero_sectors, sequence, body_checksum, b"")
    chain = _chain(previous_chain, unchained, body)
    checked = _FIELDS.pack(*fields, zero_sectors, sequence, body_checksum, chain)
    return b"".join((checked, xxh3_64_digest(checked), bytes((_HEADER_END,)), body)), chain


def parse_header(data: memoryview, offset: int) -> Header | None:
    """The header at `offset`; None if there is none that is intact."""
    raw = data[offset : offset + HEADER_BYTES]
    if len(raw) < HEADER_BYTES or raw[:4] != MAGIC or raw[-1] != _HEADER_END:
        return None
    checked = raw[:_CHECKED_BYTES]
    if xxh3_64_digest(checked) != raw[_CHECKED_BYTES:-1]:
        return None
    _, version, kind, _, length, zero_sectors, sequence, body_checksum, chain = _FIELDS.unpack(checked)
    return Header(version, kind, length, zero_sectors, sequence, body_checksum, chain)


def intact_body(header: Header, data: memoryview, offset: int) -> memoryview | None:
    """The body of the record at `offset`; None if it is not what was written."""
    end = offset + header.size_bytes
    body = data[offset + HEADER_BYTES : end]
    if end > len(data) or xxh3_64_intdigest(body) != header.body_checksum:
        return None
    return body


def is_chained(header: Header, data: memoryview, offset: int, previous_chain: bytes) -> bool:
    """Whether the intact record at `offset` is the one written after the record with this chain."""
    body = data[offset + HEADER_BYTES : offset + header.size_bytes]
    return _chain(previous_chain, data[offset : offset + HEADER_BYTES], body) == header.chain


def is_header_unfinished(data: memoryview, offset: int) -> bool:
    """Whether the broken header at `offset` is one whose end never reached the disk."""
    return data[offset + HEADER_BYTES - 1] == 0


def is_body_unfinished(header: Header, data: memoryview, offset: int) -> bool:
    """Whether the broken body of the record at `offset` is one that never reached the disk whole."""
    end = offset + header.size_bytes
    return (
        data[end - 1] == 0
        or count_zero_sectors(data[offset + HEADER_BYTES : end], offset + HEADER_BYTES) > header.zero_sectors
    )


def count_zero_sectors(body: bytes | memoryview, offset: int) -> int:
    """How many sectors that lie wholly inside `body`, which starts at `offset` of its file, are zero."""
    first = -offset % SECTOR_BYTES
    starts = range(first, len(body) - SECTOR_BYTES + 1, SECTOR_BYTES)
    return sum(body[start : start + SECTOR_BYTES] == _ZERO_SECTOR for start in starts)


def _chain(previous_chain: bytes, header: bytes | memoryview, body: bytes | memoryview) -> bytes:
    chain = blake2b(previous_chain, digest_size=CHAIN_BYTES)
    chain.update(header[:_CHAINED_BYTES])
    chain.update(xxh3_128_digest(body))
    return chain.digest()
