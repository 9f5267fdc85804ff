"""A state that is copied into new files while it is used: nothing is lost, nothing deleted comes along."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvraft.raft.types import Index, Term
from kvraft.storage.interfaces import Cleaned, HistoryCompactedError
from kvraft.storage.state import (
    FIRST_GENERATION,
    LayeredState,
    MemoryEngine,
    RewriteTarget,
    open_received,
    open_state,
    rewrite,
    state_beside,
)
from tests.unit.storage.test_history import LIMITS

SECRET = b"the-secret-of-erin"
CLEANED = Cleaned(revision=5, time_ms=1_000)


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewrite, "COPY_BYTES_PER_FLUSH", 2_000)
    monkeypatch.setattr(rewrite, "COMMIT_BYTES", 1_000)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[LayeredState]:
    state = open_state(tmp_path, FIRST_GENERATION, voters=(1,))
    state.begin_cleaned(Cleaned(revision=0, time_ms=0))
    state.history.begin(0, LIMITS)
    yield state
    state.close()


def put(state: LayeredState, key: bytes, value: bytes) -> None:
    state.put(key, value, state.get(key))


def delete(state: LayeredState, key: bytes) -> None:
    row = state.get(key)
    assert row is not None
    state.delete(key, row)


def flush(state: LayeredState) -> None:
    state.mark_applied(Index(state.applied.index + 1), Term(1))
    assert state.freeze()
    state.flush()
    state.flush_done()


def rows_of(state: LayeredState) -> list[tuple[bytes, bytes]]:
    return list(state.scan(b"", None))


def rewritten(state: LayeredState, directory: Path) -> int:
    """Rewrites and exchanges; the new generation."""
    state.begin_rewrite(lambda: state_beside(directory), CLEANED)
    while not (state.rewrite is not None and state.rewrite.is_complete):
        assert state.freeze(), "a rewrite goes on without new entries"
        state.flush()
        state.flush_done()
    generation = state.rewrite.generation
    state.exchange(9, 2_000)
    return generation


def holds(directory: Path, what: bytes) -> list[str]:
    return [str(path) for path in directory.rglob("*") if path.is_file() and what in path.read_bytes()]


def test_deleted_bytes_stay_in_the_old_files_and_are_not_in_the_new_ones(
    state: LayeredState, tmp_path: Path
) -> None:
    for number in range(200):
        put(state, b"row%03d" % number, SECRET * 10 if number % 2 else b"kept")
    flush(state)
    for number in range(1, 200, 2):
        delete(state, b"row%03d" % number)
    flush(state)
    assert holds(tmp_path / "00000001", SECRET), "the test proves nothing: LMDB has dropped the bytes"

    before = rows_of(state)
    generation = rewritten(state, tmp_path)

    assert generation == 2
    assert not holds(tmp_path / "00000002", SECRET)
    assert rows_of(state) == before
    assert state.verify() == 100
    assert state.cleaned == Cleaned(revision=5, time_ms=2_000)


def test_what_is_written_during_the_copy_is_in_it_whether_before_or_behind_it(
    state: LayeredState, tmp_path: Path
) -> None:
    chance = random.Random(7)
    for number in range(300):
        put(state, b"row%03d" % number, bytes(20))
    flush(state)
    state.begin_rewrite(lambda: state_beside(tmp_path), CLEANED)
    flushes = 0
    while not (state.rewrite is not None and state.rewrite.is_complete) or flushes < 20:
        for _ in range(10):
            key = b"row%03d" % chance.randrange(400)
            if state.get(key) is not None and chance.random() < 0.5:
                delete(state, key)
            else:
                put(state, key, chance.randbytes(30))
        flush(state)
        flushes += 1
    expected = rows_of(state)
    put(state, b"not flushed", b"1")
    state.exchange(9, 2_000)

    assert rows_of(state) == [(b"not flushed", b"1"), *expected]
    flush(state)
    state.close()
    reopened = open_received(tmp_path, 2)
    assert rows_of(reopened) == [(b"not flushed", b"1"), *expected]
    assert reopened.verify() == len(expected) + 1
    assert reopened.cleaned == Cleaned(revision=5, time_ms=2_000)
    reopened.close()


def test_views_of_the_old_files_stay_good(state: LayeredState, tmp_path: Path) -> None:
    put(state, b"a", b"1")
    flush(state)
    view = state.view()
    rewritten(state, tmp_path)
    put(state, b"a", b"2")
    assert list(view.scan(b"", None)) == [(b"a", b"1")]
    view.close()
    assert rows_of(state) == [(b"a", b"2")]


def test_the_history_begins_anew_but_for_what_was_not_flushed(state: LayeredState, tmp_path: Path) -> None:
    put(state, b"a", SECRET)
    state.history.record([(4, [(b"a", SECRET, None)])], 1)
    flush(state)
    rewritten(state, tmp_path)
    state.history.record([(10, [(b"a", b"1", SECRET)])], 1)

    assert state.history.oldest_revision == 10
    with pytest.raises(HistoryCompactedError):
        state.read_history(4)
    assert state.read_history(10) == [(10, [(b"a", b"1", SECRET)])]
    flush(state)
    assert state.read_history(10) == [(10, [(b"a", b"1", SECRET)])]


def test_an_abandoned_copy_leaves_the_state_as_it_is(state: LayeredState, tmp_path: Path) -> None:
    put(state, b"a", b"1")
    flush(state)
    state.begin_rewrite(lambda: state_beside(tmp_path), CLEANED)
    flush(state)
    state.abandon_rewrite()
    put(state, b"b", b"2")
    flush(state)
    state.close()
    reopened = open_state(tmp_path, FIRST_GENERATION)
    assert rows_of(reopened) == [(b"a", b"1"), (b"b", b"2")]
    assert [path.name for path in tmp_path.iterdir()] == ["00000001"]
    reopened.close()


def test_keys_as_long_as_they_may_be_are_copied(state: LayeredState, tmp_path: Path) -> None:
    rows = [(bytes((letter,)) * 511, bytes(600)) for letter in b"abcdef"]
    for key, value in rows:
        put(state, key, value)
    flush(state)
    rewritten(state, tmp_path)
    assert rows_of(state) == rows


def test_an_empty_state_is_copied_by_the_first_flush() -> None:
    state = LayeredState(MemoryEngine(), voters=(1,))
    state.begin_cleaned(Cleaned(revision=0, time_ms=0))
    state.begin_rewrite(lambda: RewriteTarget(2, MemoryEngine(), lambda: None), CLEANED)
    flush(state)
    assert state.rewrite is not None
    assert state.rewrite.is_complete
