"""Leases as rows: what ends by itself, with every key attached to it.

A lease is in two places, under its id and under the time of its end; each of its keys has a row that says
so. A lease with more keys than may be deleted at once ends in steps: from the first of them on it does
not exist any more for anybody, its time of end is 0, which keeps it at the head of those that are to
end, and its rows go with the last of its keys.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from kvraft.machine import keys
from kvraft.storage.interfaces import StateReader, StateTransaction

_ATTACHED = b""
_BY_TIME = b""
# time to live, time of the end, revision that granted it
_ROW = struct.Struct(">QQQ")
_ENDING = 0


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease, in replicated time."""

    lease_id: int
    ttl_ms: int
    """How long it lives after each renewal."""
    expires_ms: int
    """When it may end, since the Unix epoch; 0: its end has begun."""
    create_revision: int

    @property
    def is_ending(self) -> bool:
        """Whether it exists only until the last of its keys is deleted."""
        return self.expires_ms == _ENDING

    @property
    def row(self) -> bytes:
        return _ROW.pack(self.ttl_ms, self.expires_ms, self.create_revision)


def find(state: StateReader, lease_id: int) -> Lease | None:
    """The lease as it is written, also one that is ending."""
    row = state.get(keys.lease_key(lease_id))
    return None if row is None else Lease(lease_id, *_ROW.unpack(row))


def get(state: StateReader, lease_id: int) -> Lease | None:
    """The lease, if it exists."""
    lease = find(state, lease_id)
    return None if lease is None or lease.is_ending else lease


def exists(state: StateReader, lease_id: int) -> bool:
    """Whether there is such a lease."""
    return get(state, lease_id) is not None


def scan(state: StateReader, after: int) -> Iterator[Lease]:
    """The leases whose ids are greater than `after`, by id."""
    for row_key, row in state.scan(*keys.lease_range(after)):
        lease = Lease(keys.lease_of_row(row_key), *_ROW.unpack(row))
        if not lease.is_ending:
            yield lease


def due(state: StateReader, clock_ms: int) -> Iterator[int]:
    """The leases that are to end, those whose end has begun first."""
    for row_key, _ in state.scan(*keys.lease_expiry_range(clock_ms)):
        yield keys.lease_of_expiry_row(row_key)


def attached(state: StateReader, lease_id: int) -> Iterator[bytes]:
    """The keys attached to a lease, in order."""
    for row_key, _ in state.scan(*keys.attached_range(lease_id)):
        yield keys.attached_user_key(row_key)


def add(state: StateTransaction, lease: Lease) -> None:
    """Writes a lease whose id is free."""
    state.put(keys.lease_key(lease.lease_id), lease.row, None)
    state.put(keys.lease_expiry_key(lease.expires_ms, lease.lease_id), _BY_TIME, None)


def move(state: StateTransaction, lease: Lease, expires_ms: int) -> None:
    """The lease is to end at another time."""
    if expires_ms == lease.expires_ms:
        return
    moved = replace(lease, expires_ms=expires_ms)
    state.put(keys.lease_key(lease.lease_id), moved.row, lease.row)
    state.delete(keys.lease_expiry_key(lease.expires_ms, lease.lease_id), _BY_TIME)
    state.put(keys.lease_expiry_key(expires_ms, lease.lease_id), _BY_TIME, None)


def begin_end(state: StateTransaction, lease: Lease) -> None:
    """From now on the lease exists only until the last of its keys is deleted."""
    move(state, lease, _ENDING)


def remove(state: StateTransaction, lease: Lease) -> None:
    """Deletes a lease without keys."""
    state.delete(keys.lease_key(lease.lease_id), lease.row)
    state.delete(keys.lease_expiry_key(lease.expires_ms, lease.lease_id), _BY_TIME)


def attach(state: StateTransaction, lease_id: int, key: bytes) -> None:
    """The key, which is attached to no lease, ends with this one."""
    state.put(keys.attached_key(lease_id, key), _ATTACHED, None)


def detach(state: StateTransaction, lease_id: int, key: bytes) -> None:
    """The key, which is attached to this lease, no longer ends with it."""
    state.delete(keys.attached_key(lease_id, key), _ATTACHED)
