"""What LMDB is trusted with and what not: crashes, failed writes, damaged bytes, foreign hands."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kvraft.raft.types import Index, Term
from kvraft.storage.errors import CorruptionError, DataDirectoryError, ExhaustedError, StorageError
from kvraft.storage.interfaces import HistoryLimits
from kvraft.storage.state import (
    FIRST_GENERATION,
    LayeredState,
    lmdb_engine,
    open_state,
    receive_state,
    state_beside,
)
from kvraft.storage.state.lmdb_engine import LmdbEngine

PAGE_BYTES = 4096
VALUE = random.Random(1).randbytes(40)


def open_first(directory: Path) -> LayeredState:
    return open_state(directory, FIRST_GENERATION, voters=(1, 2, 3))


def fill(state: LayeredState, **rows: bytes) -> None:
    """One entry that is flushed."""
    for name, value in rows.items():
        state.put(name.encode(), value, state.get(name.encode()))
    state.mark_applied(Index(state.applied.index + 1), Term(1))
    assert state.freeze()
    state.flush()
    state.flush_done()


def data_file(directory: Path) -> Path:
    return directory / "00000001" / "data.mdb"


def check(directory: Path) -> tuple[int, int]:
    """Opens a state and reads it all: its applied index and how many rows it has."""
    state = open_first(directory)
    try:
        return state.applied.index, state.verify()
    finally:
        state.close()


@contextlib.contextmanager
def full_disk(room_bytes: int) -> Iterator[None]:
    """No file of this process grows beyond this."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


# --- crashes ---------------------------------------------------------------------------------------


def test_a_killed_process_leaves_its_last_flush(tmp_path: Path) -> None:
    state = open_first(tmp_path / "state")
    fill(state, a=b"1", b=b"1")
    applied = state.applied
    state.put(b"a", b"2", b"1")
    state.mark_applied(Index(2), Term(1))
    assert state.freeze()
    view = state.view()
    shutil.copytree(tmp_path / "state", tmp_path / "killed")
    killed = open_first(tmp_path / "killed")
    assert killed.applied == applied
    assert list(killed.scan(b"", None)) == [(b"a", b"1"), (b"b", b"1")]
    assert killed.verify() == 2
    killed.close()
    view.close()
    state.close()


def test_a_second_opening_in_one_process_is_refused(tmp_path: Path) -> None:
    state = open_first(tmp_path)
    fill(state, a=b"1")
    with pytest.raises(StorageError, match="already open in this process"):
        open_first(tmp_path)
    assert state.get(b"a") == b"1"
    state.close()
    state.close()
    assert check(tmp_path) == (1, 1)


def test_files_are_private_to_their_owner(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        state = open_first(tmp_path / "state")
        state.history.begin(0, HistoryLimits(revisions_max=9, bytes_max=1 << 20, age_ms_max=9))
        state.history.record([(1, [(b"key", b"row", None)])], 0)
        fill(state, a=b"1")
        state.close()
    finally:
        os.umask(before)
    modes = {
        path.relative_to(tmp_path).as_posix(): path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")
    }
    assert modes == {
        "state": 0o700,
        "state/00000001": 0o700,
        "state/00000001/data.mdb": 0o600,
        "state/00000001/history": 0o700,
        "state/00000001/history/00000001.blocks": 0o600,
        "state/00000001/lock.mdb": 0o600,
    }


def test_the_file_format_does_not_follow_the_environment(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from kvraft.storage.state import open_state; "
        "open_state(pathlib.Path(sys.argv[1]), 1, voters=(1,)).close()"
    )
    environment = {**os.environ, "LMDB_DEFAULT_LIB_VERSION": "1"}
    subprocess.run([sys.executable, "-c", program, tmp_path], check=True, env=environment)
    version_of_lmdb_09 = 1
    assert int.from_bytes(data_file(tmp_path).read_bytes()[20:24], sys.byteorder) == version_of_lmdb_09
    assert check(tmp_path) == (0, 0)


def test_the_file_grows_for_an_open_view_and_no_more_once_it_is_closed(tmp_path: Path) -> None:
    state = open_first(tmp_path)

    def growth_bytes() -> int:
        before = state.disk_bytes
        for turn in range(5):
            fill(state, a=bytes((turn,)) * 100_000)
        return state.disk_bytes - before

    growth_bytes()
    assert growth_bytes() == 0
    view = state.view()
    assert growth_bytes() >= 4 * 100_000
    view.close()
    assert growth_bytes() == 0
    state.close()


# --- failed writes ---------------------------------------------------------------------------------


def test_a_flush_for_which_there_is_no_room_comes_again_and_nothing_is_lost(tmp_path: Path) -> None:
    state = open_first(tmp_path)
    fill(state, a=b"1")
    view = state.view()
    state.put(b"a", bytes(1 << 20), b"1")
    state.put(b"b", b"2", None)
    state.mark_applied(Index(2), Term(1))
    assert state.freeze()
    size_before = data_file(tmp_path).stat().st_size
    for _ in range(3):
        with full_disk(256 << 10), pytest.raises(ExhaustedError, match=r"data\.mdb.*until there is room"):
            state.flush()
        assert data_file(tmp_path).stat().st_size == size_before, "room is kept for nothing"
    state.flush_done()
    assert (state.flushed_index, state.get(b"b"), view.get(b"a")) == (1, b"2", b"1")
    state.view().close()
    state.put(b"c", b"3", None)
    state.mark_applied(Index(3), Term(1))
    state.flush()
    state.flush_done()
    assert (state.flushed_index, view.get(b"a"), state.get(b"c")) == (2, b"1", b"3")
    view.close()
    state.close()
    assert check(tmp_path) == (2, 2)


def test_memory_that_lmdb_writes_to_has_its_room_on_the_disk_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of it for which there is none would kill the process."""
    real_open = lmdb_engine.lmdb.open
    sizes: list[int] = []

    def open_environment(path: str, **options: Any) -> Any:
        lock = (Path(path) / "lock.mdb").stat()
        assert lock.st_blocks * 512 >= lock.st_size
        sizes.append(lock.st_size)
        environment = real_open(path, **options)
        sizes.append((Path(path) / "lock.mdb").stat().st_size)
        assert environment.info()["max_readers"] == lmdb_engine.READERS_MAX
        return environment

    monkeypatch.setattr(lmdb_engine.lmdb, "open", open_environment)
    open_first(tmp_path).close()
    assert len(set(sizes)) == 1
    with monkeypatch.context() as full:
        full.setattr(os, "posix_fallocate", no_room)
        for begin in (receive_state, state_beside):
            with pytest.raises(ExhaustedError, match="No space left"):
                begin(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["00000001"], "room is kept for nothing"


def test_a_write_that_was_cut_short_on_a_nearly_full_disk_comes_again_though_there_is_room_by_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LMDB says EIO of it, as of a broken disk."""
    file = data_file(tmp_path)
    open_first(tmp_path).close()
    error = lmdb_engine.lmdb.Error("mdb_txn_commit")
    error.code, error.reason = errno.EIO, "Input/output error"
    monkeypatch.setattr(lmdb_engine, "AMPLE_BYTES", 0)
    assert not isinstance(lmdb_engine._translated(error, file), ExhaustedError)
    monkeypatch.setattr(lmdb_engine, "AMPLE_BYTES", 1 << 62)
    assert isinstance(lmdb_engine._translated(error, file), ExhaustedError)


def no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_map_is_a_lack_of_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lmdb_engine, "MAP_BYTES", 64 * PAGE_BYTES)
    state = open_first(tmp_path)
    fill(state, a=b"1")
    state.put(b"b", bytes(1 << 20), None)
    state.mark_applied(Index(2), Term(1))
    assert state.freeze()
    for _ in range(2):
        with pytest.raises(ExhaustedError, match="MAP_FULL"):
            state.flush()
    state.close()
    assert check(tmp_path) == (1, 1)


def test_pages_of_deleted_rows_are_reusable(tmp_path: Path) -> None:
    state = open_first(tmp_path)
    fill(state, a=bytes(1 << 20), b=b"2")
    fill(state, b=b"3")
    before = state.usage
    assert before.rows_bytes > 1 << 20
    state.delete(b"a", bytes(1 << 20))
    state.mark_applied(Index(state.applied.index + 1), Term(1))
    assert state.freeze()
    state.flush()
    state.flush_done()
    after = state.usage
    assert after.reusable_bytes >= before.reusable_bytes + (1 << 20)
    assert after.rows_bytes < 100_000
    state.close()


def test_an_interrupted_write_is_a_failed_write(tmp_path: Path) -> None:
    def rows() -> Iterator[tuple[bytes, bytes]]:
        yield b"b", b"2"
        raise KeyboardInterrupt

    fill(state := open_first(tmp_path), a=b"1")
    applied = state.applied
    state.close()
    engine = LmdbEngine.open(data_file(tmp_path).parent)
    with pytest.raises(KeyboardInterrupt):
        engine.write(rows(), applied)
    for refused in (engine.reader, lambda: engine.write((), applied), lambda: engine.append(())):
        with pytest.raises(StorageError, match="a write failed before"):
            refused()
    engine.close()
    assert check(tmp_path) == (1, 1)


# --- damage ----------------------------------------------------------------------------------------


def flipped(raw: bytes, offset: int) -> bytes:
    return raw[:offset] + bytes((raw[offset] ^ 0x10,)) + raw[offset + 1 :]


@pytest.fixture
def raw(tmp_path: Path) -> bytes:
    """The data file of a state of three rows, at index 1."""
    state = open_first(tmp_path)
    fill(state, a=b"before", k=VALUE, z=b"after")
    state.close()
    return data_file(tmp_path).read_bytes()


def test_every_flipped_byte_of_a_row_is_found_by_every_read(tmp_path: Path, raw: bytes) -> None:
    (start,) = occurrences(raw, b"k" + VALUE)
    row = range(start, start + len(b"k" + VALUE) + 8)
    for offset in row:
        data_file(tmp_path).write_bytes(flipped(raw, offset))
        state = open_first(tmp_path)
        for reverse in (False, True):
            with pytest.raises(CorruptionError, match=r"is not what was written; .* re-seed"):
                list(state.scan(b"", None, reverse=reverse))
        with pytest.raises(CorruptionError):
            state.verify()
        if offset > start:  # else there is no such key any more
            with pytest.raises(CorruptionError, match="key 6b is not what was written"):
                state.get(b"k")
        assert state.get(b"a") == b"before"
        state.close()


def test_a_row_of_many_pages_is_checked_to_its_last_byte(tmp_path: Path) -> None:
    value = random.Random(2).randbytes(20_000)
    state = open_first(tmp_path)
    fill(state, k=value)
    state.close()
    raw = data_file(tmp_path).read_bytes()
    (start,) = occurrences(raw, value)
    for offset in (*range(start, start + len(value), 997), start + len(value) - 1, start + len(value) + 7):
        data_file(tmp_path).write_bytes(flipped(raw, offset))
        state = open_first(tmp_path)
        with pytest.raises(CorruptionError):
            state.get(b"k")
        state.close()


def test_every_flipped_byte_of_the_applied_index_is_found_at_the_start(tmp_path: Path, raw: bytes) -> None:
    start = raw.index(b'applied{"format": 1, "index": 1')
    end = raw.index(b"}", start) + 1 + 8
    for offset in range(start, end):
        data_file(tmp_path).write_bytes(flipped(raw, offset))
        with pytest.raises(CorruptionError, match=r"applied index is damaged or gone; .* re-seed"):
            open_first(tmp_path)


@pytest.mark.parametrize("table", [b"rows", b"meta"])
def test_a_lost_table_is_not_taken_for_an_empty_one(tmp_path: Path, raw: bytes, table: bytes) -> None:
    data_file(tmp_path).write_bytes(raw.replace(table, b"nope"))
    with pytest.raises(CorruptionError, match="damaged"):
        open_first(tmp_path)


def test_a_stale_row_is_found_by_the_digest(tmp_path: Path) -> None:
    state = open_first(tmp_path)
    old = bytes(len(VALUE))
    fill(state, a=b"1", k=old)
    stale = data_file(tmp_path).read_bytes()
    (place,) = occurrences(stale, b"k" + old)
    stale_row = stale[place : place + 1 + len(old) + 8]
    fill(state, k=VALUE)
    state.close()
    raw = data_file(tmp_path).read_bytes()
    (place,) = occurrences(raw, b"k" + VALUE)
    data_file(tmp_path).write_bytes(raw[:place] + stale_row + raw[place + len(stale_row) :])
    with pytest.raises(CorruptionError, match="digest of 2 rows"):
        check(tmp_path)


def test_a_file_cut_short_is_damage_and_does_not_kill_the_process(tmp_path: Path) -> None:
    state = open_first(tmp_path)
    fill(state, **{f"k{number:03}": VALUE * (1 + number % 200) for number in range(400)})
    state.close()
    raw = data_file(tmp_path).read_bytes()
    for length in range(0, len(raw), 7 * PAGE_BYTES + PAGE_BYTES // 2):
        data_file(tmp_path).write_bytes(raw[:length])
        with pytest.raises(CorruptionError):
            check(tmp_path)


def test_a_file_that_is_gone_is_damage(tmp_path: Path, raw: bytes) -> None:
    data_file(tmp_path).unlink()
    with pytest.raises(CorruptionError, match=r"data\.mdb is empty or gone; .* re-seed"):
        open_first(tmp_path)


def test_a_sound_file_may_lack_pages_at_its_end(tmp_path: Path) -> None:
    """LMDB does not write pages that were taken and freed in one transaction."""
    fill(state := open_first(tmp_path), a=b"1")
    applied = state.applied
    state.close()
    engine = LmdbEngine.open(data_file(tmp_path).parent)
    keys = [b"%06d" % number for number in range(3000)]
    engine.write([*((key, bytes(300)) for key in keys), *((key, None) for key in keys[::-1])], applied)
    assert data_file(tmp_path).stat().st_size < engine.disk_bytes
    engine.close()
    assert check(tmp_path) == (1, 1)


def test_a_newer_format_is_refused_and_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(lmdb_engine, "FORMAT_VERSION", 2)
        state = open_first(tmp_path)
        fill(state, a=b"1")
        state.close()
        expected = data_file(tmp_path).read_bytes()
    for _ in range(2):
        with pytest.raises(DataDirectoryError, match="is of format 2, and this program knows 1"):
            open_first(tmp_path)
    assert data_file(tmp_path).read_bytes() == expected


def occurrences(raw: bytes, part: bytes) -> list[int]:
    found = []
    place = raw.find(part)
    while place >= 0:
        found.append(place)
        place = raw.find(part, place + 1)
    return found
