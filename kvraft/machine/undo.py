"""Takes back what a command did to the key-value space.

`KvSpace` records every change with what was there before; played backwards, the record leaves the
state as it was, row by row. A command that may fail after it has begun costs nothing more than
others as long as it does not fail.
"""

from __future__ import annotations

from kvraft.machine import keys, leases
from kvraft.machine.records import attached_lease
from kvraft.machine.space import KvSpace


def undo(space: KvSpace) -> None:
    """The space is as it was before the command, and nothing was changed."""
    state = space.state
    while space.changes:
        row_key, row, previous = space.changes.pop()
        if previous is not None:
            state.put(row_key, previous, row)
        else:
            assert row is not None, "an absent key was deleted"
            state.delete(row_key, row)
        _move_back(space, keys.kv_user_key(row_key), row, previous)


def _move_back(space: KvSpace, key: bytes, row: bytes | None, previous: bytes | None) -> None:
    attached_to = 0 if row is None else attached_lease(row)
    attached_before = 0 if previous is None else attached_lease(previous)
    if attached_to == attached_before:
        return
    if attached_to:
        leases.detach(space.state, attached_to, key)
    if attached_before:
        leases.attach(space.state, attached_before, key)
