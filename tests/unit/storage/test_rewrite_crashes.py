"""A node that makes its files anew may die at any call: what it finds then is whole, and it goes on."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from kvraft.raft.configuration import Configuration
from kvraft.raft.types import Index, NodeId, SnapshotMetadata, Term
from kvraft.storage.interfaces import Cleaned, InstalledSnapshot
from kvraft.storage.log import SegmentedLog
from kvraft.storage.state import (
    FIRST_GENERATION,
    LayeredState,
    discard_state,
    open_state,
    state_beside,
)
from tests.unit.storage.log_samples import (
    SEGMENT_BYTES,
    Crash,
    CrashAt,
    all_entries,
    create,
    entry,
    write,
)

SECRET = b"the-secret-of-erin"
FLUSHED = 5
LAST = 7


def prepare(directory: Path) -> None:
    """A node that has applied and flushed all but the last two entries of its log."""
    log = create(directory / "log")
    log.append(write(1, FLUSHED, data=SECRET * 20))
    log.append(write(FLUSHED + 1, LAST))
    log.close()
    state = open_state(directory / "state", FIRST_GENERATION, voters=(1,))
    state.put(b"erased", SECRET * 300, None)
    flush(state, FLUSHED - 1)
    state.delete(b"erased", SECRET * 300)
    for number in range(50):
        state.put(b"kept%d" % number, bytes(100), None)
    flush(state, FLUSHED)
    state.close()


def flush(state: LayeredState, index: int) -> None:
    state.mark_applied(Index(index), Term(1))
    state.begin_cleaned(Cleaned(revision=0, time_ms=0))
    assert state.freeze()
    state.flush()
    state.flush_done()


def start(directory: Path) -> tuple[SegmentedLog, LayeredState]:
    log = SegmentedLog.open(directory / "log", segment_bytes=SEGMENT_BYTES)
    installed = log.recovered.installed_snapshot
    generation = FIRST_GENERATION if installed is None else installed.generation
    return log, open_state(directory / "state", generation)


def make_anew(directory: Path) -> None:
    """What a node does, from its start to the end of the job."""
    log, state = start(directory)
    try:
        replaced = int(min(path.name for path in (directory / "state").iterdir()))
        state.begin_rewrite(lambda: state_beside(directory / "state"), Cleaned(revision=9, time_ms=1))
        assert state.freeze()
        state.flush()
        state.flush_done()
        assert state.rewrite is not None
        assert state.rewrite.is_complete
        generation = state.rewrite.generation
        metadata = SnapshotMetadata(
            index=state.flushed.index, term=state.flushed.term, configuration=Configuration((NodeId(1),))
        )
        log.rebase(InstalledSnapshot(metadata=metadata, generation=generation))
        state.exchange(9, 2)
        discard_state(directory / "state", replaced)
        log._spares.wait()
    finally:
        state.close()  # writes nothing: a process may open its files only once
        with contextlib.suppress(Crash):
            log.close()


def holds(directory: Path, what: bytes) -> list[str]:
    return [str(path) for path in directory.rglob("*") if path.is_file() and what in path.read_bytes()]


def test_a_crash_at_any_call_leaves_a_node_that_finishes_the_job(tmp_path: Path) -> None:
    generations = set()
    nth = 0
    while True:
        directory = tmp_path / str(nth)
        prepare(directory)
        assert holds(directory / "log", SECRET)
        assert holds(directory / "state", SECRET)
        with pytest.MonkeyPatch.context() as monkeypatch:
            crash = CrashAt(monkeypatch, nth)
            with contextlib.suppress(Crash):
                make_anew(directory)

        log, state = start(directory)
        recovered = log.recovered
        assert recovered.base_index <= state.applied.index == FLUSHED <= recovered.last_index == LAST
        assert state.verify() == 50
        assert all_entries(log, FLUSHED + 1, LAST) == [entry(FLUSHED + 1), entry(LAST)]
        assert len(list((directory / "state").iterdir())) == 1
        generations.add(recovered.installed_snapshot is not None)
        state.close()
        log.close()

        make_anew(directory)
        assert not holds(directory, SECRET)
        if not crash.reached:
            break
        nth += 1
    assert generations == {False, True}
    assert nth > 15
