"""The log as the algorithm sees it (5.3): terms for every index held, recent payloads in memory.

The terms are kept as runs, since they change once an election and not once an entry: a
million entries of one leader are one pair of numbers. Payloads that have left memory are read
back from stable storage, which only a follower far behind ever asks for.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Protocol

from kvraft.raft.types import Entry, Index, Term


class LogReader(Protocol):
    """Stable storage, for entries that are no longer in memory."""

    def entries(self, first: Index, last: Index, bytes_max: int) -> list[Entry]:
        """first..last: at least one, then as many as fit `bytes_max`."""
        ...


class RaftLog:
    """Entries base_index + 1 .. last_index. The entry at base_index is known by its term only."""

    __slots__ = (
        "_cache",
        "_cache_bytes",
        "_cache_bytes_max",
        "_cache_first",
        "_handed_index",
        "_reader",
        "_run_starts",
        "_run_terms",
        "base_index",
        "base_term",
        "last_index",
        "persisted_index",
    )

    def __init__(
        self,
        *,
        base_index: Index,
        base_term: Term,
        last_index: Index,
        term_starts: Sequence[tuple[Index, Term]],
        reader: LogReader,
        cache_bytes_max: int,
    ) -> None:
        self.base_index = base_index
        self.base_term = base_term
        self.last_index = last_index
        self.persisted_index = last_index
        self._handed_index = last_index
        self._run_starts = [base_index, *(index for index, _ in term_starts)]
        self._run_terms = [base_term, *(term for _, term in term_starts)]
        self._reader = reader
        self._cache: dict[int, Entry] = {}
        self._cache_first = Index(last_index + 1)
        self._cache_bytes = 0
        self._cache_bytes_max = cache_bytes_max

    @property
    def first_index(self) -> Index:
        return Index(self.base_index + 1)

    @property
    def last_term(self) -> Term:
        return self._run_terms[-1]

    def term(self, index: Index) -> Term | None:
        """The term of the entry at `index`; None where the log neither holds nor remembers it."""
        if not self.base_index <= index <= self.last_index:
            return None
        return self._run_terms[bisect_right(self._run_starts, index) - 1]

    def is_up_to_date(self, last_index: Index, last_term: Term) -> bool:
        """5.4.1: "If the logs have last entries with different terms, then the log with the later
        term is more up-to-date. If the logs end with the same term, then whichever log is longer
        is more up-to-date." True if the other log is at least as up-to-date as this one."""
        return (last_term, last_index) >= (self.last_term, self.last_index)

    def find_hint(self, index: Index, term: Term) -> tuple[Index, Term]:
        """The last index at or before `index` whose term is at most `term`, with its term.

        Entries after it cannot match a log whose entry at `index` has that term, because terms
        only rise along a log. Below the base nothing is known: the answer is then (0, 0), which
        every log holds.
        """
        index = min(index, self.last_index)
        if index < self.base_index:
            return index, Term(0)
        run = bisect_right(self._run_starts, index) - 1
        while run >= 0 and self._run_terms[run] > term:
            index = Index(self._run_starts[run] - 1)
            run -= 1
        return (index, self._run_terms[run]) if run >= 0 else (index, Term(0))

    def append(self, entries: Sequence[Entry]) -> None:
        """Adds entries after the last one."""
        for entry in entries:
            assert entry.index == self.last_index + 1, (entry.index, self.last_index)
            assert entry.term >= self.last_term, (entry.term, self.last_term)
            if entry.term != self.last_term:
                self._run_starts.append(entry.index)
                self._run_terms.append(entry.term)
            self._cache[entry.index] = entry
            self._cache_bytes += entry.size_bytes
            self.last_index = entry.index

    def truncate(self, index: Index) -> None:
        """Removes the entry at `index` "and all that follow it"."""
        assert index > self.base_index, (index, self.base_index)
        for removed in range(max(index, self._cache_first), self.last_index + 1):
            self._cache_bytes -= self._cache.pop(removed).size_bytes
        self.last_index = Index(index - 1)
        while len(self._run_starts) > 1 and self._run_starts[-1] >= index:
            self._run_starts.pop()
            self._run_terms.pop()
        self._cache_first = min(self._cache_first, index)
        self.persisted_index = min(self.persisted_index, self.last_index)
        self._handed_index = min(self._handed_index, self.last_index)

    def reset(self, index: Index, term: Term) -> None:
        """Forgets everything: the log begins anew after a snapshot of (index, term)."""
        self.base_index = self.last_index = self.persisted_index = self._handed_index = index
        self.base_term = term
        self._run_starts, self._run_terms = [index], [term]
        self._cache.clear()
        self._cache_bytes = 0
        self._cache_first = Index(index + 1)

    def compact(self, index: Index) -> None:
        """Forgets the entries up to and with `index`, which must be durable."""
        if index <= self.base_index:
            return
        assert index <= self.persisted_index, (index, self.persisted_index)
        term = self.term(index)
        assert term is not None
        run = bisect_right(self._run_starts, index)
        self._run_starts = [index, *self._run_starts[run:]]
        self._run_terms = [term, *self._run_terms[run:]]
        self.base_index, self.base_term = index, term
        self._evict_before(Index(index + 1))

    def slice(self, first: Index, last: Index, bytes_max: int) -> list[Entry]:
        """first..last: at least one entry, then as many as fit `bytes_max`; [] if first > last."""
        assert self.base_index < first, (first, self.base_index)
        assert last <= self.last_index, (last, self.last_index)
        found: list[Entry] = []
        if first < self._cache_first and first <= last:
            found = self._reader.entries(first, min(last, Index(self._cache_first - 1)), bytes_max)
            first = Index(found[-1].index + 1)
            if first < self._cache_first:
                return found
        size = sum(entry.size_bytes for entry in found)
        for index in range(first, last + 1):
            entry = self._cache[index]
            size += entry.size_bytes
            if size > bytes_max and found:
                break
            found.append(entry)
        return found

    def take_new(self) -> tuple[Entry, ...]:
        """The entries not yet handed over for writing."""
        new = tuple(self._cache[index] for index in range(self._handed_index + 1, self.last_index + 1))
        self._handed_index = self.last_index
        return new

    def mark_persisted(self, index: Index, term: Term) -> None:
        """A write that ended with (index, term) is durable. Ignored if that entry was overwritten
        since: a late fsync must not vouch for what replaced it, nor, if that entry came back
        meanwhile, for what was not yet handed over again."""
        if self.term(index) == term and self.persisted_index < index <= self._handed_index:
            self.persisted_index = index

    def shrink_cache(self, applied_index: Index) -> None:
        """Lets old payloads go that are durable and applied, down to the limit."""
        until = min(self.persisted_index, applied_index)
        first = self._cache_first
        excess = self._cache_bytes - self._cache_bytes_max
        while excess > 0 and first <= until:
            excess -= self._cache[first].size_bytes
            first = Index(first + 1)
        self._evict_before(first)

    def _evict_before(self, first: Index) -> None:
        for index in range(self._cache_first, min(first, Index(self.last_index + 1))):
            self._cache_bytes -= self._cache.pop(index).size_bytes
        self._cache_first = max(self._cache_first, first)
