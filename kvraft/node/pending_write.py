"""The next write of the log: what several turns owe the disk, as one record and one synchronous write."""

from __future__ import annotations

from kvraft.raft.messages import Message
from kvraft.raft.ready import Ready
from kvraft.raft.types import Entry, HardState
from kvraft.storage.interfaces import InstalledSnapshot


class PendingWrite:
    """Collected while the write before it is under way."""

    __slots__ = ("entries", "hard_state", "messages", "snapshot")

    def __init__(self) -> None:
        self.snapshot: InstalledSnapshot | None = None
        self.hard_state: HardState | None = None
        self.entries: list[Entry] = []
        self.messages: list[Message] = []
        """What may leave once this write is durable."""

    @property
    def is_durable_already(self) -> bool:
        """Whether there is nothing to write."""
        return self.snapshot is None and self.hard_state is None and not self.entries

    def install(self, snapshot: InstalledSnapshot) -> None:
        """The log begins anew after the snapshot; entries collected so far are dropped with it."""
        self.snapshot = snapshot
        self.entries.clear()

    def add(self, ready: Ready) -> None:
        """What a `Ready` wants durable. Its entries replace collected ones at the same indexes."""
        if ready.hard_state is not None:
            self.hard_state = ready.hard_state
        if ready.entries:
            first = ready.entries[0].index
            if self.entries and first <= self.entries[-1].index:
                del self.entries[max(0, first - self.entries[0].index) :]
            self.entries.extend(ready.entries)
        self.messages.extend(ready.messages_after_persist)
