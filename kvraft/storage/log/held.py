"""What the records of a log, read in order, amount to: which entries are held and where, the hard
state, the installed snapshot.

The same rules serve recovery, which tells it old records, and appending, which tells it new ones.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from kvraft.raft.types import HardState, Index, Term
from kvraft.storage.interfaces import Identity, InstalledSnapshot, LogWrite
from kvraft.storage.log.contents import SegmentStart
from kvraft.storage.log.segment import Segment


class HeldLog:
    """Entries base_index + 1 .. last_index, each in the segment whose record wrote it last."""

    __slots__ = (
        "_run_starts",
        "_run_terms",
        "base_index",
        "hard_state",
        "identity",
        "installed_snapshot",
        "last_index",
        "segments",
    )

    def __init__(self, start: SegmentStart) -> None:
        """`start` is that of the oldest segment."""
        self.identity: Identity = start.identity
        self.hard_state: HardState = start.hard_state
        self.installed_snapshot: InstalledSnapshot | None = start.installed_snapshot
        self.segments: list[Segment] = []
        """Oldest first; the last one is written to."""
        self.base_index = self.last_index = start.last_index
        self._run_starts: list[int] = [start.last_index]
        self._run_terms: list[Term] = [start.last_term]

    @property
    def base_term(self) -> Term:
        return self._run_terms[0]

    @property
    def last_term(self) -> Term:
        return self._run_terms[-1]

    @property
    def size_bytes(self) -> int:
        return sum(segment.size_bytes for segment in self.segments)

    def term(self, index: Index) -> Term:
        """Of the entry at base_index .. last_index."""
        assert self.base_index <= index <= self.last_index, (index, self.base_index, self.last_index)
        return self._run_terms[bisect_right(self._run_starts, index) - 1]

    def term_starts(self) -> tuple[tuple[Index, Term], ...]:
        """As `RecoveredLog.term_starts` wants them."""
        runs = dict(zip(self._run_starts, self._run_terms, strict=True))
        del runs[self.base_index]
        if self.last_index > self.base_index:
            runs.setdefault(self.base_index + 1, self.base_term)
        return tuple((Index(start), runs[start]) for start in sorted(runs))

    def start_of_next_segment(self, size_bytes: int, previous_chain: bytes) -> SegmentStart:
        return SegmentStart(
            identity=self.identity,
            segment_bytes=size_bytes,
            last_index=self.last_index,
            last_term=self.last_term,
            previous_chain=previous_chain,
            hard_state=self.hard_state,
            installed_snapshot=self.installed_snapshot,
        )

    def apply(self, write: LogWrite, previous_term: Term, offset: int) -> None:
        """The record of `write` is at `offset` of the last segment."""
        if write.installed_snapshot is not None:
            self.installed_snapshot = write.installed_snapshot
            metadata = write.installed_snapshot.metadata
            self._restart_after(metadata.index, metadata.term)
        if write.hard_state is not None:
            self.hard_state = write.hard_state
        if write.entries:
            first = write.entries[0].index
            if first <= self.base_index:
                # Only in recovery: what this record overwrote went with older segments.
                self._restart_after(Index(first - 1), previous_term)
            elif first <= self.last_index:
                self._truncate(first)
            self.segments[-1].first_indexes.append(first)
            self.segments[-1].offsets.append(offset)
            term = self.last_term
            for entry in write.entries:
                if entry.term != term:
                    term = entry.term
                    self._run_starts.append(entry.index)
                    self._run_terms.append(term)
            self.last_index = write.entries[-1].index

    def find(self, index: Index) -> tuple[Segment, int, Index]:
        """The segment and offset of the record that holds the entry, and the last entry that this
        record holds; what it says of later ones is overwritten. Raises LookupError."""
        if not self.base_index < index <= self.last_index:
            raise LookupError(
                f"entry {index} is not in the log, which holds {self.base_index + 1}..{self.last_index}"
            )
        last_index = self.last_index
        for segment in reversed(self.segments):
            starts = segment.first_indexes
            after = bisect_right(starts, index)
            if after < len(starts):
                last_index = Index(starts[after] - 1)
            if after:
                return segment, segment.offsets[after - 1], last_index
        raise AssertionError(f"entry {index} is held, but in no segment")

    def plan_drop(self, index: Index, retained_bytes: int) -> Index:
        """See `LogStorage.plan_compaction`."""
        base_index, size_bytes = self.base_index, self.size_bytes
        for segment, last_index in zip(self.segments[:-1], self._last_indexes(), strict=False):
            if last_index > index or size_bytes <= retained_bytes:
                break
            base_index = max(base_index, last_index)
            size_bytes -= segment.size_bytes
        return base_index

    def drop(self, base_index: Index) -> list[Segment]:
        """Takes out the oldest segments that hold no entry after `base_index`; never the last one."""
        count = 0
        for last_index in self._last_indexes()[:-1]:
            if last_index > base_index:
                break
            count += 1
            if last_index > self.base_index:
                self._forget_until(last_index)
        return self._take_oldest(count)

    def drop_all_but_last(self) -> list[Segment]:
        """Takes out the segments before the last one, which must hold every entry there is."""
        assert not any(segment.first_indexes for segment in self.segments[:-1])
        return self._take_oldest(len(self.segments) - 1)

    def _last_indexes(self) -> list[Index]:
        """For each segment, the last entry held by it or an older one."""
        last_indexes = []
        last_index = self.last_index
        for segment in reversed(self.segments):
            last_indexes.append(last_index)
            if segment.first_indexes:
                last_index = Index(segment.first_indexes[0] - 1)
        return last_indexes[::-1]

    def _take_oldest(self, count: int) -> list[Segment]:
        taken = self.segments[:count]
        del self.segments[:count]
        return taken

    def _truncate(self, index: Index) -> None:
        """Removes the entry at `index` and all that follow it."""
        for segment in reversed(self.segments):
            keep = bisect_left(segment.first_indexes, index)
            del segment.first_indexes[keep:]
            del segment.offsets[keep:]
            if keep:
                break
        keep = bisect_left(self._run_starts, index)
        del self._run_starts[keep:]
        del self._run_terms[keep:]
        self.last_index = Index(index - 1)

    def _forget_until(self, index: Index) -> None:
        """Entries up to and with `index` are no longer held."""
        term = self.term(index)
        keep = bisect_right(self._run_starts, index)
        self._run_starts[:keep] = [index]
        self._run_terms[:keep] = [term]
        self.base_index = index

    def _restart_after(self, index: Index, term: Term) -> None:
        """Forgets every entry: the log begins anew after (index, term)."""
        for segment in self.segments:
            del segment.first_indexes[:]
            del segment.offsets[:]
        self.base_index = self.last_index = index
        self._run_starts, self._run_terms = [index], [term]
