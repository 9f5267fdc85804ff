"""User data under one command: what it reads, writes and touches."""

from __future__ import annotations

from enum import IntEnum

from kvraft.machine.space import KvSpace
from kvraft.storage.interfaces import StateTransaction

ROW_WORK = 3
"""What writing a row of user data costs."""


class SessionEnd(IntEnum):
    """Why a session ended. The values are a format of the history."""

    CLOSED = 1
    REVOKED = 2
    EXPIRED = 3
    REMOVED = 4
    """With its device."""


class Touched:
    """What an entry did that a node tells to those who wait for it."""

    __slots__ = ("erased", "queues", "sessions")

    def __init__(self) -> None:
        self.queues: dict[tuple[str, str], None] = {}
        """(user, device) of each queue that changed, in order."""
        self.sessions: dict[tuple[str, str], SessionEnd | None] = {}
        """(user, device) of each session that began (None) or ended."""
        self.erased = False
        """Whether a user was erased."""


class UserSpace:
    """The rows of user data while one command is applied, which gets `revision` if it changes something.

    Commands look before they write (`kvraft.machine.users`): there is nothing to take back."""

    __slots__ = ("_bodies", "_written", "clock_ms", "looked_at", "revision", "space", "state", "touched")

    def __init__(self, space: KvSpace, clock_ms: int, touched: Touched) -> None:
        self.space = space
        """Where what can be watched is recorded."""
        self.state: StateTransaction = space.state
        self.revision = space.revision
        self.clock_ms = clock_ms
        self.touched = touched
        self.looked_at = 0
        """Rows that a command looked at besides those it wrote, where they may be many."""
        self._written = 0
        self._bodies = 0

    @property
    def changed(self) -> bool:
        """Whether anything was written."""
        return self._written > 0

    @property
    def work(self) -> int:
        """What it has cost so far: a row of user data is mostly decoded before it is written."""
        return self.looked_at + ROW_WORK * self._written

    def new_body_id(self) -> int:
        """Of a body that this command adds: by its revision, and its number among those of the command."""
        self._bodies += 1
        return self.revision << 16 | self._bodies

    def get(self, row_key: bytes) -> bytes | None:
        return self.state.get(row_key)

    def put(self, row_key: bytes, row: bytes, previous: bytes | None) -> None:
        """Writes a row that holds `previous` (None: there is none)."""
        self.state.put(row_key, row, previous)
        self._written += 1

    def delete(self, row_key: bytes, previous: bytes) -> None:
        """Deletes a row, which holds `previous`."""
        self.state.delete(row_key, previous)
        self._written += 1
