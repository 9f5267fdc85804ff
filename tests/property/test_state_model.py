"""Any sequence of entries, flushes, views and crashes leaves what a plain dict would hold, on LMDB and in
memory; and every view keeps the moment it was taken at."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kvraft.raft.types import Index, Term
from kvraft.storage.interfaces import StateReader, StateView
from kvraft.storage.state import FIRST_GENERATION, LayeredState, MemoryEngine, open_state, store
from kvraft.storage.state.digest import row_hash

Rows = dict[bytes, bytes]

KEYS = [b"\x00", b"\x00\x00", b"a", b"a\x00", b"aa", b"ab", b"b", b"b\xff", b"c", b"k" * 511, b"\xff" * 511]
keys = st.sampled_from(KEYS)
bounds = st.sampled_from([b"", *KEYS, b"a\xff", b"b" * 600, b"\xff" * 600])
values = st.sampled_from([b"", b"x", b"y" * 300, b"z" * 3000]) | st.binary(max_size=9)
entries = st.lists(st.tuples(keys, st.none() | values), max_size=6)


@dataclass(frozen=True)
class Moment:
    """What the state was at an index."""

    index: int
    rows: Rows


def digest_of(rows: Rows) -> int:
    return sum(row_hash(key, value) for key, value in rows.items()) % 2**64


def expected_scan(rows: Rows, start: bytes, end: bytes | None, *, reverse: bool) -> list[tuple[bytes, bytes]]:
    found = sorted((key, value) for key, value in rows.items() if start <= key and (end is None or key < end))
    return found[::-1] if reverse else found


class StateMachine(RuleBasedStateMachine):
    """The model and one state; how a state is opened again is for the subclasses."""

    def __init__(self) -> None:
        super().__init__()
        # Small, so that there are several frozen tables as well as joined ones.
        self.small_tables = patch.object(store, "SMALL_TABLE_ROWS", 4)
        self.small_tables.start()
        self.state = self.opened()
        self.index = 0
        self.rows: Rows = {}
        self.flushed = Moment(0, {})
        """What `flush_done` has told."""
        self.frozen: Moment | None = None
        self.is_written = False
        self.views: list[tuple[StateView, Moment]] = []

    def opened(self) -> LayeredState:
        raise NotImplementedError

    @rule(changes=entries)
    def apply(self, changes: list[tuple[bytes, bytes | None]]) -> None:
        for key, value in changes:
            previous = self.state.get(key)
            assert previous == self.rows.get(key)
            if value is not None:
                self.state.put(key, value, previous)
                self.rows[key] = value
            elif previous is not None:
                self.state.delete(key, previous)
                del self.rows[key]
        self.index += 1
        self.state.mark_applied(Index(self.index), Term(self.index // 3))

    @precondition(lambda self: self.frozen is None)
    @rule()
    def freeze(self) -> None:
        if self.state.freeze():
            self.frozen = Moment(self.index, dict(self.rows))
        else:
            assert self.index == self.flushed.index

    @precondition(lambda self: self.frozen is not None and not self.is_written)
    @rule()
    def flush(self) -> None:
        self.state.flush()
        self.is_written = True

    @precondition(lambda self: self.is_written)
    @rule()
    def flush_done(self) -> None:
        assert self.frozen is not None
        self.state.flush_done()
        self.flushed, self.frozen, self.is_written = self.frozen, None, False

    @precondition(lambda self: len(self.views) < 4)
    @rule()
    def take_view(self) -> None:
        self.views.append((self.state.view(), Moment(self.index, dict(self.rows))))

    @precondition(lambda self: self.views)
    @rule(number=st.integers(0, 3))
    def close_view(self, number: int) -> None:
        view, _ = self.views.pop(number % len(self.views))
        view.close()

    @rule(start=bounds, end=st.none() | bounds, reverse=st.booleans(), limit=st.none() | st.integers(0, 3))
    def scan(self, start: bytes, end: bytes | None, reverse: bool, limit: int | None) -> None:
        for reader, rows in self.readers():
            found = list(islice(reader.scan(start, end, reverse=reverse), limit))
            assert found == expected_scan(rows, start, end, reverse=reverse)[:limit]

    @rule(views_first=st.booleans())
    def crash(self, views_first: bool) -> None:
        """All that is in memory is gone; what was written is there even if nobody was told."""
        if views_first:
            self.close_views()
        self.state.close()
        self.close_views()
        if self.is_written:
            assert self.frozen is not None
            self.flushed = self.frozen
        self.frozen, self.is_written = None, False
        self.index, self.rows = self.flushed.index, dict(self.flushed.rows)
        self.state = self.opened()
        assert self.state.verify() == len(self.rows)

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        for reader, rows in self.readers():
            assert {key: reader.get(key) for key in KEYS} == {key: rows.get(key) for key in KEYS}
            assert list(reader.scan(b"", None)) == sorted(rows.items())
        for view, moment in self.views:
            assert view.applied.index == moment.index
            assert view.applied.digest == digest_of(moment.rows)
        assert self.state.applied.index == self.index
        assert self.state.applied.digest == digest_of(self.rows)
        assert self.state.flushed_index == self.flushed.index
        assert self.state.memory_bytes >= 0

    def readers(self) -> list[tuple[StateReader, Rows]]:
        return [(self.state, self.rows), *((view, moment.rows) for view, moment in self.views)]

    def close_views(self) -> None:
        for view, _ in self.views:
            view.close()
        self.views.clear()

    def teardown(self) -> None:
        self.close_views()
        self.state.close()
        self.small_tables.stop()


class LmdbStateMachine(StateMachine):
    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="kvraft-state-"))
        super().__init__()

    def opened(self) -> LayeredState:
        return open_state(self.directory, FIRST_GENERATION, voters=(1, 2, 3))

    def teardown(self) -> None:
        super().teardown()
        shutil.rmtree(self.directory)


class MemoryStateMachine(StateMachine):
    def __init__(self) -> None:
        self.engine = MemoryEngine()
        super().__init__()

    def opened(self) -> LayeredState:
        return LayeredState(self.engine, voters=(1, 2, 3))


LIMITS = settings(max_examples=40, stateful_step_count=40)
TestLmdbState = LmdbStateMachine.TestCase
TestLmdbState.settings = LIMITS
TestMemoryState = MemoryStateMachine.TestCase
TestMemoryState.settings = LIMITS
