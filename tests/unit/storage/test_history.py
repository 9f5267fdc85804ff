"""The history of a state: the same whether it is in memory, on its way to disk, there, or made again by a
replay after a crash; and never longer than it may be."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import lmdb
import pytest

from kvraft.raft.configuration import Configuration
from kvraft.raft.types import Index, SnapshotMetadata, Term
from kvraft.storage.errors import CorruptionError, ExhaustedError, StorageError
from kvraft.storage.interfaces import Change, HistoryCompactedError, HistoryLimits
from kvraft.storage.state import (
    FIRST_GENERATION,
    LayeredState,
    MemoryEngine,
    history,
    open_received,
    open_state,
    receive_state,
)
from kvraft.storage.state import block_files as block_files_module
from kvraft.storage.state.block_files import disk_bytes

LIMITS = HistoryLimits(revisions_max=1_000_000, bytes_max=1 << 30, age_ms_max=1 << 40)
Make = Callable[[], LayeredState]
Log = list[tuple[int, list[Change]]]


@pytest.fixture(params=["lmdb", "memory"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Opens what was flushed so far; a new state the first time."""
    engine = MemoryEngine()

    def make() -> LayeredState:
        if request.param == "memory":
            return LayeredState(engine, voters=(1,))
        return open_state(tmp_path, FIRST_GENERATION, voters=(1,))

    return make


@pytest.fixture
def state(reopen: Make) -> Iterator[LayeredState]:
    state = reopen()
    state.history.begin(0, LIMITS)
    yield state
    state.close()


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "BLOCK_CHANGES", 3)
    monkeypatch.setattr(history, "BLOCK_BYTES", 200)


def record(state: LayeredState, first: int, last: int, *, clock_ms: int = 0) -> Log:
    """One entry for each revision: puts, deletions, and every fifth a revision of seven changes."""
    log: Log = []
    for revision in range(first, last + 1):
        changes: list[Change] = [(b"key%d" % revision, b"row%d" % revision, None)]
        if revision % 3 == 0:
            changes = [(b"key%d" % (revision - 1), None, b"row%d" % (revision - 1))]
        elif revision % 5 == 0:
            changes = [(b"k%d" % number, b"", bytes(number)) for number in range(7)]
        state.history.record([(revision, changes)], clock_ms)
        state.mark_applied(Index(state.applied.index + 1), Term(1))
        log.append((revision, changes))
    return log


def flush(state: LayeredState) -> None:
    assert state.freeze()
    state.flush()
    state.flush_done()


def read(state: LayeredState, first: int) -> Log:
    """Slice by slice."""
    found: Log = []
    while revisions := state.read_history(found[-1][0] + 1 if found else first):
        found += [(revision, list(changes)) for revision, changes in revisions]
    return found


def test_history_is_the_same_in_memory_in_a_flush_and_on_disk(
    state: LayeredState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "SLICE_CHANGES", 4)
    log = record(state, 1, 20)

    def agrees() -> bool:
        return all(read(state, first) == log[first - 1 :] for first in range(1, len(log) + 2))

    assert agrees()
    assert state.freeze()
    log += record(state, 21, 30)
    assert agrees()
    state.flush()
    assert agrees()
    state.flush_done()
    assert agrees()
    log += record(state, 31, 40)
    flush(state)
    assert agrees()


def test_a_restart_has_what_was_flushed_and_a_replay_makes_the_rest(
    state: LayeredState, reopen: Make
) -> None:
    log = record(state, 1, 20)
    flush(state)
    record(state, 21, 30)
    state.close()  # as a crash would: nothing more is flushed
    again = reopen()
    again.history.begin(20, LIMITS)
    assert again.history.oldest_revision == 1
    assert read(again, 1) == log
    log += record(again, 21, 30)
    assert read(again, 1) == log
    flush(again)
    assert read(again, 7) == log[6:]
    again.close()


def test_a_flush_that_was_lost_lost_rows_and_history_alike(state: LayeredState, reopen: Make) -> None:
    state.put(b"row", b"1", None)
    log = record(state, 1, 5)
    flush(state)
    state.put(b"row", b"2", b"1")
    record(state, 6, 9)
    assert state.freeze()  # and never written
    state.close()
    again = reopen()
    again.history.begin(5, LIMITS)
    assert (again.get(b"row"), read(again, 1)) == (b"1", log)
    again.close()


def test_slices_are_bounded_and_never_cut_a_revision(
    state: LayeredState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "SLICE_CHANGES", 4)
    log = record(state, 1, 40)
    flush(state)
    log += record(state, 41, 60)
    first = 1
    while revisions := state.read_history(first):
        assert sum(len(changes) for _, changes in revisions[:-1]) < 4
        assert list(revisions) == log[first - 1 : first - 1 + len(revisions)]
        first = revisions[-1][0] + 1
    assert first == 61


def test_a_block_ends_with_the_change_that_fills_it(state: LayeredState) -> None:
    state.history.begin(0, LIMITS)
    log: Log = [(1, [(b"small", b"row", None)] * 4)]
    log += [(2, [(b"large", bytes(900), None), (b"small", None, b"row")])]
    log += [(3, [(b"medium", bytes(60), bytes(60))] * 5)]
    state.history.record(log, 0)
    state.mark_applied(Index(1), Term(1))
    flush(state)
    blocks = list(state._reader.history(history.first_key(1)))
    found = [
        [(revision, change[0]) for revision, change in history._changes_of(block, 1)] for block in blocks
    ]
    assert found == [
        [(1, b"small")] * 3,  # as many changes as a block has
        [(1, b"small"), (2, b"large")],  # as many bytes, and more
        [(2, b"small"), (3, b"medium"), (3, b"medium")],
        [(3, b"medium")] * 2,
        [(3, b"medium")],
    ]
    assert read(state, 1) == log
    assert read(state, 3) == log[2:]


def test_what_is_longer_than_allowed_goes_oldest_first(state: LayeredState) -> None:
    state.history.begin(0, HistoryLimits(revisions_max=10, bytes_max=1 << 30, age_ms_max=1 << 40))
    log = record(state, 1, 40)
    assert state.history.oldest_revision == 1, "what is not flushed stays"
    flush(state)
    oldest = state.history.oldest_revision
    assert 28 <= oldest <= 31, "whole blocks go"
    assert read(state, oldest) == log[oldest - 1 :]
    with pytest.raises(HistoryCompactedError) as error:
        state.read_history(oldest - 1)
    assert error.value.oldest_revision == oldest


def test_what_is_larger_than_allowed_goes(state: LayeredState) -> None:
    state.history.begin(0, HistoryLimits(revisions_max=1_000_000, bytes_max=100_000, age_ms_max=1 << 40))
    for first in range(1, 200, 20):
        record(state, first, first + 19)
        flush(state)
    assert len(read(state, state.history.oldest_revision)) < 60
    assert read(state, state.history.oldest_revision)[-1][0] == 200
    extent = state._floor.engine.history
    assert extent is not None
    blocks = list(state._reader.history(history.first_key(1)))
    assert extent.size_bytes == sum(map(disk_bytes, blocks)) <= 100_000


def test_what_is_older_than_allowed_goes(state: LayeredState) -> None:
    state.history.begin(0, HistoryLimits(revisions_max=1_000_000, bytes_max=1 << 30, age_ms_max=1_000))
    for first, clock_ms in ((1, 1_000), (11, 1_500), (21, 2_400)):
        record(state, first, first + 9, clock_ms=clock_ms)
        flush(state)
    assert state.history.oldest_revision == 11
    # Time passes also where no key changes.
    state.history.record([], 9_000)
    state.mark_applied(Index(state.applied.index + 1), Term(1))
    flush(state)
    assert state.history.oldest_revision == 31
    assert read(state, 31) == []


def test_what_was_trimmed_stays_trimmed(state: LayeredState, reopen: Make) -> None:
    state.history.begin(0, HistoryLimits(revisions_max=1, bytes_max=1 << 30, age_ms_max=1 << 40))
    record(state, 1, 20)
    flush(state)
    oldest = state.history.oldest_revision
    assert oldest > 1
    state.close()
    again = reopen()
    again.history.begin(20, LIMITS)
    assert again.history.oldest_revision == oldest
    again.close()


def test_memory_held_by_the_history_counts_until_it_is_flushed(state: LayeredState) -> None:
    state.history.record([(1, [(b"key", b"row", bytes(10_000))])], 0)
    state.mark_applied(Index(1), Term(1))
    assert 10_000 < state.memory_bytes < 11_000
    assert state.freeze()
    state.history.record([(2, [(b"key", None, bytes(500))])], 0)
    state.mark_applied(Index(2), Term(1))
    state.flush()
    state.flush_done()
    assert 500 < state.memory_bytes < 1_000


def test_a_received_state_has_history_from_its_revision_on(tmp_path: Path) -> None:
    open_state(tmp_path, FIRST_GENERATION, voters=(1,)).close()
    receiver = receive_state(tmp_path)
    receiver.finish(
        SnapshotMetadata(index=Index(7), term=Term(1), configuration=Configuration((1,))), digest=0
    )
    state = open_received(tmp_path, receiver.generation)
    state.history.begin(41, LIMITS)
    assert state.history.oldest_revision == 42
    log = record(state, 42, 50)
    flush(state)
    state.close()
    again = open_received(tmp_path, receiver.generation)
    again.history.begin(50, LIMITS)
    assert (again.history.oldest_revision, read(again, 42)) == (42, log)
    again.close()


@pytest.fixture
def on_disk(tmp_path: Path) -> Callable[[], LayeredState]:
    """Opens the state in `tmp_path`; its history has then begun."""

    def make() -> LayeredState:
        state = open_state(tmp_path, FIRST_GENERATION, voters=(1,))
        state.history.begin(0, LIMITS)
        return state

    return make


@pytest.fixture
def five(on_disk: Callable[[], LayeredState]) -> Log:
    """Revisions 1 to 5, which are on disk."""
    state = on_disk()
    log = record(state, 1, 5)
    flush(state)
    state.close()
    return log


def block_files(directory: Path) -> dict[str, int]:
    """Name and size of each."""
    return {path.name: path.stat().st_size for path in sorted((directory / "00000001" / "history").iterdir())}


def test_a_flipped_bit_in_the_history_is_noticed(
    tmp_path: Path, on_disk: Callable[[], LayeredState], five: Log
) -> None:
    path = tmp_path / "00000001" / "history" / "00000001.blocks"
    blocks = path.read_bytes()
    for place in (0, 20, 4096 + 3):
        path.write_bytes(blocks[:place] + bytes([blocks[place] ^ 1]) + blocks[place + 1 :])
        again = on_disk()
        with pytest.raises(CorruptionError, match=r"00000001\.blocks, offset \d+: these \d+ bytes"):
            read(again, 1)
        again.close()
    path.write_bytes(blocks)
    again = on_disk()
    assert read(again, 1) == five
    again.close()


@pytest.mark.usefixtures("five")
def test_a_file_of_the_history_that_is_gone_or_short_is_noticed(
    tmp_path: Path, on_disk: Callable[[], LayeredState]
) -> None:
    path = tmp_path / "00000001" / "history" / "00000001.blocks"
    path.write_bytes(path.read_bytes()[:4096])
    again = on_disk()
    with pytest.raises(CorruptionError, match=r"offset 4096"):
        read(again, 1)
    again.close()
    path.unlink()
    again = on_disk()
    with pytest.raises(CorruptionError, match=r"00000001\.blocks, offset 0"):
        read(again, 1)
    again.close()


@pytest.mark.usefixtures("five")
def test_a_flipped_bit_in_the_place_of_a_block_is_noticed(
    tmp_path: Path, on_disk: Callable[[], LayeredState]
) -> None:
    with lmdb.open(str(tmp_path / "00000001"), max_dbs=3) as environment:
        blocks = environment.open_db(b"history", create=False)
        with environment.begin(db=blocks, write=True) as transaction:
            key = history.first_key(1)
            entry = bytearray(transaction.get(key) or b"")
            entry[7] ^= 1
            transaction.put(key, bytes(entry))
    with pytest.raises(CorruptionError, match="is not what was written"):
        on_disk()


def test_each_start_writes_a_new_file_and_old_ones_go_when_nothing_in_them_is_kept(
    tmp_path: Path, on_disk: Callable[[], LayeredState]
) -> None:
    log: Log = []
    for start in range(3):
        state = on_disk()
        log += record(state, 10 * start + 1, 10 * start + 10)
        flush(state)
        assert read(state, 1) == log
        assert state.disk_bytes > sum(block_files(tmp_path).values()) > 0
        state.close()
    assert list(block_files(tmp_path)) == ["00000001.blocks", "00000002.blocks", "00000003.blocks"]
    state = open_state(tmp_path, FIRST_GENERATION, voters=(1,))
    state.history.begin(30, HistoryLimits(revisions_max=5, bytes_max=1 << 30, age_ms_max=1 << 40))
    record(state, 31, 31)
    flush(state)
    reader = state._floor.engine.reader()
    assert state.history.oldest_revision > 20
    assert "00000001.blocks" in block_files(tmp_path), "whoever reads the moment before still may"
    record(state, 32, 32)
    flush(state)
    assert list(block_files(tmp_path)) == ["00000003.blocks", "00000004.blocks"]
    assert read(state, state.history.oldest_revision)[-1][0] == 32
    reader.close()
    state.close()


def test_a_file_ends_when_it_is_large(
    tmp_path: Path, on_disk: Callable[[], LayeredState], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_files_module, "FILE_BYTES", 5 * 4096)
    state = on_disk()
    log = record(state, 1, 60)
    flush(state)
    sizes = block_files(tmp_path)
    assert len(sizes) > 3
    assert set(list(sizes.values())[:-1]) == {5 * 4096}
    assert read(state, 1) == log
    state.close()
    again = on_disk()
    assert read(again, 1) == log
    again.close()


def test_what_a_crash_left_behind_the_history_is_not_there(
    tmp_path: Path, on_disk: Callable[[], LayeredState], five: Log
) -> None:
    """Blocks that were written, and whose transaction was not."""
    directory = tmp_path / "00000001" / "history"
    with (directory / "00000001.blocks").open("ab") as file:
        file.write(bytes(range(256)) * 64)
    (directory / "00000002.blocks").write_bytes(bytes(4096))
    again = on_disk()
    assert list(block_files(tmp_path)) == ["00000001.blocks"]
    assert read(again, 1) == five
    five += record(again, 6, 9)
    flush(again)
    assert read(again, 1) == five
    again.close()


def failing(number: int) -> Callable[[int, memoryview, int], int]:
    def fail(descriptor: int, data: memoryview, offset: int) -> int:
        raise OSError(number, os.strerror(number))

    return fail


def test_an_error_while_the_history_is_written_kills_the_engine_and_loses_nothing(
    on_disk: Callable[[], LayeredState], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = on_disk()
    log = record(state, 1, 5)
    flush(state)
    record(state, 6, 9)
    assert state.freeze()
    with monkeypatch.context() as broken:
        broken.setattr(os, "pwrite", failing(errno.EIO))
        with pytest.raises(StorageError, match=r"history: .*Input/output error"):
            state.flush()
    with pytest.raises(StorageError, match="a write failed before"):
        state.flush()
    state.close()
    again = on_disk()
    assert (again.applied.index, read(again, 1)) == (5, log)
    again.close()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_history_for_which_there_is_no_room_is_not_written_and_who_asks_for_it_is_told(
    tmp_path: Path, on_disk: Callable[[], LayeredState], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    state = on_disk()
    record(state, 1, 5)
    flush(state)
    record(state, 6, 9)
    assert state.freeze()
    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", failing(number))
        with pytest.raises(ExhaustedError, match="history: "):
            state.flush()
        assert read(state, 1)  # until something takes its place
        state.flush()
    state.flush_done()
    with pytest.raises(HistoryCompactedError) as error:
        read(state, 9)
    assert error.value.oldest_revision == 10
    log = record(state, 10, 12)
    flush(state)
    assert read(state, 10) == log
    assert list(block_files(tmp_path)) == ["00000002.blocks"]
    state.close()
    again = on_disk()
    assert (again.applied.index, read(again, 10)) == (12, log)
    again.close()


def test_without_room_the_history_goes_and_is_not_written(
    tmp_path: Path, on_disk: Callable[[], LayeredState]
) -> None:
    state = on_disk()
    record(state, 1, 5)
    flush(state)
    state.history.limit_bytes(0)
    record(state, 6, 9)
    flush(state)
    assert state.freeze(trims_history=True)
    state.flush()
    state.flush_done()
    assert (list(block_files(tmp_path)), state.usage.history_bytes) == ([], 0)
    with pytest.raises(HistoryCompactedError):
        read(state, 9)
    state.history.limit_bytes(1 << 20)
    log = record(state, 10, 12)
    flush(state)
    assert read(state, 10) == log
    state.close()
