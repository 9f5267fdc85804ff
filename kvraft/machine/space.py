"""The key-value space under a command: every write of a key passes here, so that nothing is forgotten
that belongs to it, its place at its lease and the record of the change. Rows of other spaces that can be
watched are recorded here too: one list says what a revision changed, in order."""

from __future__ import annotations

from kvraft.machine import keys, leases
from kvraft.machine.records import attached_lease, encode_next
from kvraft.machine.work import COMMAND_WORK_MAX, PAGE_BYTES, TooMuchWorkError, of_row
from kvraft.storage.interfaces import Change, StateTransaction


class KvSpace:
    """The key-value space while one command is applied, which gets `revision` if it changes something."""

    __slots__ = ("changes", "revision", "state", "work")

    def __init__(self, state: StateTransaction, revision: int) -> None:
        self.state = state
        self.revision = revision
        self.work = 1
        """What the command has cost so far (`kvraft.machine.work`)."""
        self.changes: list[Change] = []
        """What watches are told, in the order in which it was done: by row key, whichever space it is of.
        Rows of the key-value space are what `records.KvRecord` decodes."""

    def spend(self, work: int) -> None:
        """The command costs so much more. Raises TooMuchWorkError; it then must be undone."""
        self.work += work
        if self.work > COMMAND_WORK_MAX:
            raise TooMuchWorkError

    def get(self, key: bytes) -> bytes | None:
        """The row of a key."""
        return self.state.get(keys.KV + key)

    def put(self, key: bytes, value: bytes, attach_to: int = 0) -> bytes | None:
        """Writes a key and answers the row it held before. The lease must exist."""
        state, row_key = self.state, keys.KV + key
        previous = state.get(row_key)
        if previous is not None and len(previous) > PAGE_BYTES:
            self.work += of_row(previous)
        row, attached_to = encode_next(previous, value, self.revision, attach_to)
        state.put(row_key, row, previous)
        if attach_to != attached_to:
            self._move(key, attached_to, attach_to)
        self.changes.append((row_key, row, previous))
        return previous

    def delete(self, key: bytes, row: bytes) -> None:
        """Deletes a key, which holds `row`."""
        row_key = keys.KV + key
        self.work += of_row(row)
        self.state.delete(row_key, row)
        lease_id = attached_lease(row)
        if lease_id:
            leases.detach(self.state, lease_id, key)
        self.changes.append((row_key, None, row))

    def record(self, row_key: bytes, row: bytes | None, previous: bytes | None) -> None:
        """Notes the change of a row of another space, which whoever calls has written; that space is then
        watched like the keys. A command that may be undone must not do this: `undo` knows only the rows of
        keys."""
        self.changes.append((row_key, row, previous))

    def _move(self, key: bytes, before: int, attach_to: int) -> None:
        """From one lease (0: none) to another."""
        if before:
            leases.detach(self.state, before, key)
        if attach_to:
            leases.attach(self.state, attach_to, key)
