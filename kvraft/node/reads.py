"""Reads of this node's own clients, until the state is fresh enough to answer them.

Linearizable reads that wait together share one read index (dissertation 6.4): from this node if it
leads, else from its leader. A lost question is asked anew under a new id; asking twice harms nobody.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from kvraft import errors
from kvraft.errors import RequestError
from kvraft.node.settings import NodeSettings
from kvraft.raft.types import Index

OnFresh = Callable[[RequestError | None], None]
"""Called once, in the owner's thread: None when the state may be read *now*."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A linearizable read and when it came."""

    accepted_ms: int
    on_fresh: OnFresh


@dataclass(frozen=True, slots=True)
class _Asked:
    asked_ms: int
    readers: list[Reader]


@dataclass(order=True, slots=True)
class _Waiting:
    until: int
    number: int
    deadline_ms: int = field(compare=False)
    readers: list[Reader] = field(compare=False)


class Reads:
    """The bookkeeping of reads."""

    __slots__ = ("_asked", "_by_index", "_by_revision", "_new", "_next_id", "_settings", "in_flight")

    def __init__(self, settings: NodeSettings, first_read_id: int) -> None:
        """`first_read_id` must differ at every start: a leader may still answer an earlier life."""
        self._settings = settings
        self._next_id = first_read_id
        self._new: list[Reader] = []
        self._asked: dict[int, _Asked] = {}
        self._by_index: list[_Waiting] = []
        self._by_revision: list[_Waiting] = []
        self.in_flight = 0
        """Reads accepted and not yet answered."""

    @property
    def has_new(self) -> bool:
        return bool(self._new)

    @property
    def waits(self) -> bool:
        """Whether a read waits for what this node has not applied."""
        return bool(self._by_index or self._by_revision)

    def accept(self, reader: Reader) -> None:
        """Takes a linearizable read."""
        self.in_flight += 1
        self._new.append(reader)

    def wait_for_revision(self, revision: int, reader: Reader) -> None:
        """Takes a read that must see at least `revision`."""
        self.in_flight += 1
        deadline_ms = reader.accepted_ms + self._settings.revision_timeout_ms
        heapq.heappush(self._by_revision, _Waiting(revision, self._take_id(), deadline_ms, [reader]))

    def take_question(self, now_ms: int) -> int:
        """The id under which a read index is asked for all new reads."""
        read_id = self._take_id()
        self._asked[read_id] = _Asked(now_ms, self._new)
        self._new = []
        return read_id

    def answered(self, read_id: int, index: Index) -> None:
        """The reads of this question may run once `index` is applied."""
        asked = self._asked.pop(read_id, None)
        if asked is not None:
            deadline_ms = asked.asked_ms + self._settings.revision_timeout_ms
            heapq.heappush(self._by_index, _Waiting(index, self._take_id(), deadline_ms, asked.readers))

    def refused(self, read_id: int) -> None:
        """No read index was given; the reads are asked about again."""
        asked = self._asked.pop(read_id, None)
        if asked is not None:
            self._new = asked.readers + self._new

    def run(self, applied_index: Index, revision: int) -> None:
        """Runs every read whose time has come. The callbacks read the state before they return."""
        for heap, reached in ((self._by_index, applied_index), (self._by_revision, revision)):
            while heap and heap[0].until <= reached:
                for reader in heapq.heappop(heap).readers:
                    self._answer(reader, None)

    def expire(self, now_ms: int, leaderless_ms: int, revision: int) -> None:
        """Asks lost questions again and answers those who have waited too long."""
        for read_id, asked in list(self._asked.items()):
            if now_ms - asked.asked_ms >= self._settings.read_retry_ms:
                self.refused(read_id)
        leaderless = leaderless_ms >= self._settings.leaderless_timeout_ms
        limit_ms = self._settings.admission_timeout_ms
        late = [reader for reader in self._new if leaderless or now_ms - reader.accepted_ms >= limit_ms]
        if late:
            self._new = [] if leaderless else [r for r in self._new if now_ms - r.accepted_ms < limit_ms]
        if leaderless:
            # Nobody is left to send the entries that they wait for.
            late.extend(reader for waiting in self._by_index for reader in waiting.readers)
            self._by_index = []
        for reader in late:
            self._answer(reader, errors.no_leader(now_ms - reader.accepted_ms))
        for waiting in _take_expired(self._by_index, now_ms):
            for reader in waiting.readers:
                self._answer(reader, errors.read_index_not_reached(now_ms - reader.accepted_ms))
        for waiting in _take_expired(self._by_revision, now_ms):
            for reader in waiting.readers:
                self._answer(reader, errors.revision_not_reached(waiting.until, revision))

    def fail_all(self, error: RequestError) -> None:
        """Answers everybody with `error`."""
        readers = self._new
        for asked in self._asked.values():
            readers.extend(asked.readers)
        for waiting in (*self._by_index, *self._by_revision):
            readers.extend(waiting.readers)
        self._new, self._by_index, self._by_revision = [], [], []
        self._asked.clear()
        for reader in readers:
            self._answer(reader, error)

    def _answer(self, reader: Reader, error: RequestError | None) -> None:
        self.in_flight -= 1
        reader.on_fresh(error)

    def _take_id(self) -> int:
        self._next_id = (self._next_id + 1) % (1 << 63)
        return self._next_id


def _take_expired(heap: list[_Waiting], now_ms: int) -> list[_Waiting]:
    """Takes those out of a heap whose deadline has come."""
    expired = [waiting for waiting in heap if waiting.deadline_ms <= now_ms]
    if expired:
        heap[:] = [waiting for waiting in heap if waiting.deadline_ms > now_ms]
        heapq.heapify(heap)
    return expired
