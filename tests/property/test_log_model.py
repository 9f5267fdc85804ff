"""Any sequence of writes, compactions and restarts leaves what a plain dict would hold, on disk and
in memory."""

from __future__ import annotations

import shutil
import tempfile
from itertools import groupby
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kvraft.raft.configuration import Configuration
from kvraft.raft.types import Entry, EntryKind, HardState, Index, NodeId, SnapshotMetadata, Term
from kvraft.storage.interfaces import Identity, InstalledSnapshot, LogStorage, LogWrite, RecoveredLog
from kvraft.storage.log import SegmentedLog
from kvraft.storage.memory_log import MemoryLog

SEGMENT_BYTES = 4096
IDENTITY = Identity(cluster_id=1, cluster_name="c", node_id=1, initial_voters=(1,))
UNLIMITED = 1 << 30

kinds = st.sampled_from(EntryKind)
batches = st.lists(
    st.tuples(st.integers(0, 2), kinds, st.sampled_from([b"", b"x", bytes(600), b"y" * 1500])),
    max_size=6,
)


class LogMachine(RuleBasedStateMachine):
    """The model and one log; how a log is made and opened again is for the subclasses."""

    log: LogStorage

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[int, Entry] = {}
        self.base_index, self.base_term, self.last_index = 0, 0, 0
        self.hard_state = HardState(Term(0), None)
        self.snapshot: InstalledSnapshot | None = None

    def reopened(self) -> LogStorage:
        raise NotImplementedError

    def term(self, index: int) -> int:
        return self.base_term if index == self.base_index else self.entries[index].term

    @rule(
        back=st.integers(0, 40),
        batch=batches,
        vote=st.none() | st.integers(1, 5),
        skip=st.none() | st.integers(1, 30),
    )
    def append(
        self, back: int, batch: list[tuple[int, EntryKind, bytes]], vote: int | None, skip: int | None
    ) -> None:
        """Overwrites up to `back` entries, or starts anew `skip` after the base."""
        hard_state = None
        if vote is not None:
            self.hard_state = hard_state = HardState(Term(self.hard_state.term + 1), NodeId(vote))
        snapshot = None
        if skip is not None and vote is not None:
            term = Term(self.term(self.last_index) + 1)
            index = Index(self.base_index + skip)
            metadata = SnapshotMetadata(
                index=index, term=term, configuration=Configuration((NodeId(1), NodeId(2)))
            )
            self.snapshot = snapshot = InstalledSnapshot(metadata=metadata, generation=index)
            self.entries.clear()
            self.base_index, self.base_term, self.last_index = index, term, index
        new = []
        if batch:
            self.last_index = max(self.base_index, self.last_index - back)
            self.entries = {index: entry for index, entry in self.entries.items() if index <= self.last_index}
            for rise, kind, data in batch:
                term = Term(self.term(self.last_index) + rise)
                self.last_index += 1
                self.entries[self.last_index] = Entry(Index(self.last_index), term, kind, data)
                new.append(self.entries[self.last_index])
        if snapshot or hard_state or new:
            self.log.append(LogWrite(installed_snapshot=snapshot, hard_state=hard_state, entries=tuple(new)))

    @precondition(lambda self: self.entries)
    @rule(share=st.floats(0, 1), retained_bytes=st.sampled_from([0, 3000, 3 * SEGMENT_BYTES]))
    def compact(self, share: float, retained_bytes: int) -> None:
        index = self.base_index + int(share * (self.last_index - self.base_index))
        base_index = self.log.plan_compaction(Index(index), retained_bytes)
        assert self.base_index <= base_index <= index
        self.log.compact(base_index)
        self.base_term = self.term(base_index)
        self.base_index = base_index
        self.entries = {index: entry for index, entry in self.entries.items() if index > base_index}

    @rule()
    def reopen(self) -> None:
        self.log = self.reopened()
        runs = groupby(self.entries.values(), key=lambda entry: entry.term)
        assert self.log.recovered == RecoveredLog(
            hard_state=self.hard_state,
            base_index=Index(self.base_index),
            base_term=Term(self.base_term),
            last_index=Index(self.last_index),
            term_starts=tuple((next(run).index, term) for term, run in runs),
            installed_snapshot=self.snapshot,
            torn_bytes=0,
        )

    @precondition(lambda self: self.entries)
    @rule(first=st.integers(0, 100), last=st.integers(0, 100), bytes_max=st.integers(0, 4000))
    def read_some(self, first: int, last: int, bytes_max: int) -> None:
        count = len(self.entries)
        low, high = sorted((self.base_index + 1 + first % count, self.base_index + 1 + last % count))
        expected: list[Entry] = []
        for index in range(low, high + 1):
            entry = self.entries[index]
            if expected and sum(found.size_bytes for found in expected) + entry.size_bytes > bytes_max:
                break
            expected.append(entry)
        assert self.log.entries(Index(low), Index(high), bytes_max) == expected

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        if self.entries:
            found = self.log.entries(Index(self.base_index + 1), Index(self.last_index), UNLIMITED)
            assert found == list(self.entries.values())
        for index in (self.base_index, self.last_index + 1):
            try:
                self.log.entries(Index(index), Index(index), UNLIMITED)
            except LookupError:
                continue
            raise AssertionError(f"entry {index} should not be held")


class SegmentedLogMachine(LogMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="kvraft-log-"))
        self.log = SegmentedLog.create(self.directory, IDENTITY, segment_bytes=SEGMENT_BYTES)

    def reopened(self) -> LogStorage:
        self.log.close()
        return SegmentedLog.open(self.directory, segment_bytes=SEGMENT_BYTES)

    def teardown(self) -> None:
        self.log.close()
        shutil.rmtree(self.directory)


class MemoryLogMachine(LogMachine):
    def __init__(self) -> None:
        super().__init__()
        self.log = MemoryLog(IDENTITY)

    def reopened(self) -> LogStorage:
        assert isinstance(self.log, MemoryLog)
        return self.log.reopened()


LIMITS = settings(max_examples=40, stateful_step_count=40)
TestSegmentedLog = SegmentedLogMachine.TestCase
TestSegmentedLog.settings = LIMITS
TestMemoryLog = MemoryLogMachine.TestCase
TestMemoryLog.settings = LIMITS
