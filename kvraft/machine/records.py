"""What a row of the key-value space holds. A disk format: every node must write the same bytes."""

from __future__ import annotations

import struct
from dataclasses import dataclass

# create revision, modification revision, version; then the value.
HEADER = struct.Struct(">QQQ")


@dataclass(frozen=True, slots=True)
class KvRecord:
    """A value and its history in three numbers."""

    value: bytes
    create_revision: int
    mod_revision: int
    version: int

    @classmethod
    def decode(cls, row: bytes) -> KvRecord:
        create_revision, mod_revision, version = HEADER.unpack_from(row)
        return cls(row[HEADER.size :], create_revision, mod_revision, version)


def encode_next(previous: bytes | None, value: bytes, revision: int) -> bytes:
    """The row that replaces `previous` (None: there was none) at `revision`."""
    if previous is None:
        return HEADER.pack(revision, revision, 1) + value
    create_revision, _, version = HEADER.unpack_from(previous)
    return HEADER.pack(create_revision, revision, version + 1) + value


def mod_revision(row: bytes | None) -> int:
    """The revision that last wrote the row; 0 if there is none."""
    return 0 if row is None else int(HEADER.unpack_from(row)[1])
