"""Audit entries: what was done with a user's data as a whole, and when; of the user only a digest.

A row is the entry's number, 8 bytes big-endian, and the entry. The numbers are contiguous, so the first and
the last one tell how many there are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from hashlib import sha256

from kvraft.machine.users import keys
from kvraft.machine.users.space import UserSpace
from kvraft.storage.interfaces import StateReader
from kvraft.v1 import admin_pb2

ENTRIES_MAX = 100_000
"""Beyond it the oldest one goes."""

_NUMBER = struct.Struct(">Q")


def record(space: UserSpace, action: admin_pb2.AuditEntry.Action, user_id: str, note: str) -> None:
    """Adds the entry of this revision."""
    entry = admin_pb2.AuditEntry(
        revision=space.revision,
        action=action,
        user_id_sha256=sha256(user_id.encode()).digest(),
        note=note,
    )
    entry.time.FromMilliseconds(space.clock_ms)
    number = 1
    for _, last in space.state.scan(*keys.AUDIT, reverse=True):
        number = _number(last) + 1
        break
    space.put(
        keys.audit_key(space.revision),
        _NUMBER.pack(number) + entry.SerializeToString(deterministic=True),
        None,
    )
    row_key, first = next(iter(space.state.scan(*keys.AUDIT)))
    if number - _number(first) >= ENTRIES_MAX:
        space.delete(row_key, first)


def decode(row: bytes) -> admin_pb2.AuditEntry:
    """The entry of a row. Raises google.protobuf.message.DecodeError."""
    return admin_pb2.AuditEntry.FromString(row[_NUMBER.size :])


def erasures_after(state: StateReader, revision: int) -> Iterator[tuple[int, int]]:
    """Revision and replicated time, in milliseconds, of the erasures after a revision."""
    for _, row in state.scan(keys.audit_key(revision + 1), keys.AUDIT[1]):
        entry = decode(row)
        if entry.action == admin_pb2.AuditEntry.ACTION_ERASE_USER:
            yield entry.revision, entry.time.ToMilliseconds()


def _number(row: bytes) -> int:
    return int(_NUMBER.unpack_from(row)[0])
