"""What a row of the key-value space holds. A disk format: every node must write the same bytes."""

from __future__ import annotations

import struct
from dataclasses import dataclass

# create revision, modification revision, version, lease; then the value.
HEADER = struct.Struct(">QQQQ")
_LEASE = slice(24, 32)


@dataclass(frozen=True, slots=True)
class KvRecord:
    """A value and its history in three numbers."""

    value: bytes
    create_revision: int
    mod_revision: int
    version: int
    lease_id: int = 0
    """The lease it is attached to; 0: none."""

    @classmethod
    def decode(cls, row: bytes) -> KvRecord:
        create_revision, mod_revision, version, lease_id = HEADER.unpack_from(row)
        return cls(row[HEADER.size :], create_revision, mod_revision, version, lease_id)


def encode_next(previous: bytes | None, value: bytes, revision: int, lease_id: int) -> tuple[bytes, int]:
    """The row that replaces `previous` (None: there was none) at `revision`, and the lease that the key was
    attached to before (0: none)."""
    if previous is None:
        return HEADER.pack(revision, revision, 1, lease_id) + value, 0
    create_revision, _, version, lease_before = HEADER.unpack_from(previous)
    return HEADER.pack(create_revision, revision, version + 1, lease_id) + value, lease_before


def mod_revision(row: bytes | None) -> int:
    """The revision that last wrote the row; 0 if there is none."""
    return 0 if row is None else int(HEADER.unpack_from(row)[1])


def attached_lease(row: bytes) -> int:
    """The lease the row is attached to; 0: none."""
    return int.from_bytes(row[_LEASE], "big")
