"""The next write of the log: what several turns owe the disk, as one record and one synchronous write.

Only a snapshot is ever held back, because the state is not exchanged under a flush, which may take
seconds. What does not depend on the log goes on meanwhile: the term and the vote, and every message
that promises no more than these.
"""

from __future__ import annotations

from typing import TypeGuard

from kvraft.raft.messages import AppendEntriesAccepted, Message
from kvraft.raft.ready import Ready
from kvraft.raft.types import Entry, HardState, Index
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
        """The log begins anew after the snapshot; entries collected so far are dropped with it, and so
        is what was promised of them."""
        self.snapshot = snapshot
        self.entries.clear()
        self.messages = [message for message in self.messages if not _promises_entries(message)]

    def add(self, ready: Ready) -> None:
        """What a `Ready` wants durable. Its entries replace collected ones at the same indexes."""
        if ready.hard_state is not None:
            self.hard_state = ready.hard_state
        self.messages.extend(ready.messages_after_persist)
        if ready.entries:
            first = ready.entries[0].index
            if self.entries and first <= self.entries[-1].index:
                del self.entries[max(0, first - self.entries[0].index) :]
            self.entries.extend(ready.entries)
            self._drop_broken_promises(first)

    def take_hard_state(self) -> PendingWrite:
        """The part that depends on neither the snapshot nor the entries after it, as a write of its
        own; the rest stays. Order is kept where it matters: an entry is never durable before its term is.

        A granted vote is in it although the voter's log, with the snapshot, is not on disk yet: what the
        vote has to protect is what was accepted, and of the snapshot nothing is until it is durable."""
        write = PendingWrite()
        write.hard_state, self.hard_state = self.hard_state, None
        write.messages = [message for message in self.messages if not _promises_entries(message)]
        self.messages = [message for message in self.messages if _promises_entries(message)]
        return write

    def _drop_broken_promises(self, first: Index) -> None:
        """Forgets acceptances of an older leader's entries from `first` on, which are being overwritten.
        No majority can be missing them, or this leader would hold the same entries."""
        newest = max((message.term for message in self.messages if _promises_entries(message)), default=0)
        self.messages = [
            message
            for message in self.messages
            if not (_promises_entries(message) and message.term < newest and message.match_index >= first)
        ]


def _promises_entries(message: Message) -> TypeGuard[AppendEntriesAccepted]:
    """Whether the message is true only once the log is durable. All others promise the term and the
    vote; what a refusal says of the log is a hint, and who installs a snapshot is no candidate."""
    return isinstance(message, AppendEntriesAccepted)
