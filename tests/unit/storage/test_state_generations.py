"""A state is there whole or not at all: the first one, and every one that is received."""

from __future__ import annotations

import contextlib
import itertools
import threading
from pathlib import Path

import pytest

from kvraft.raft.configuration import Configuration
from kvraft.raft.types import Index, NodeId, SnapshotMetadata, Term
from kvraft.storage.errors import CorruptionError, DataDirectoryError, StorageError
from kvraft.storage.interfaces import Applied
from kvraft.storage.state import (
    FIRST_GENERATION,
    LayeredState,
    discard_state,
    discard_superseded,
    generations,
    open_received,
    open_state,
    receive_state,
)
from kvraft.storage.state.digest import row_hash
from tests.unit.storage.log_samples import Crash, CrashAt

METADATA = SnapshotMetadata(
    index=Index(7), term=Term(3), configuration=Configuration((NodeId(1), NodeId(2)), (NodeId(9),))
)
ROWS = [(b"a", b"1"), (b"b", b""), (b"k" * 511, bytes(5000))]


def digest_of(rows: list[tuple[bytes, bytes]]) -> int:
    return sum(row_hash(key, value) for key, value in rows) % 2**64


def open_first(directory: Path) -> LayeredState:
    return open_state(directory, FIRST_GENERATION, voters=(1, 2, 3))


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def receive(directory: Path, rows: list[tuple[bytes, bytes]]) -> int:
    receiver = receive_state(directory)
    receiver.write_rows(rows)
    receiver.finish(METADATA, digest_of(rows))
    return receiver.generation


def test_the_first_state_survives_a_crash_at_any_moment_of_its_creation(tmp_path: Path) -> None:
    crashes = 0
    while True:
        directory = tmp_path / f"state{crashes}"
        with pytest.MonkeyPatch.context() as monkeypatch:
            crash = CrashAt(monkeypatch, crashes)
            with contextlib.suppress(Crash):
                open_first(directory).close()
        state = open_first(directory)
        assert state.applied == Applied(index=Index(0), term=Term(0), voters=(1, 2, 3), learners=(), digest=0)
        assert state.verify() == 0
        state.close()
        assert names(directory) == ["00000001"]
        if not crash.reached:
            break
        crashes += 1
    assert crashes > 5


def test_a_first_state_that_a_power_cut_left_half_written_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "data.mdb").write_bytes(bytes(8192))
    open_first(tmp_path).close()
    assert names(tmp_path) == ["00000001"]


def test_voters_are_those_of_the_first_opening(tmp_path: Path) -> None:
    open_first(tmp_path).close()
    state = open_state(tmp_path, FIRST_GENERATION, voters=(8, 9))
    assert state.applied.voters == (1, 2, 3)
    state.close()


def test_a_start_deletes_every_other_state_and_nothing_else(tmp_path: Path) -> None:
    open_first(tmp_path).close()
    receive(tmp_path, ROWS)
    current = receive(tmp_path, ROWS)
    receive_state(tmp_path)
    (tmp_path / "lost+found").mkdir()
    open_state(tmp_path, current).close()
    assert names(tmp_path) == ["00000003", "lost+found"]


def test_a_state_that_the_log_names_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(DataDirectoryError, match=r"00000004 as the state, but it is not there; .* re-seed"):
        open_state(tmp_path, 4)
    with pytest.raises(DataDirectoryError, match="not there"):
        open_received(tmp_path, 4)


def test_a_received_state_is_what_was_sent(tmp_path: Path) -> None:
    open_first(tmp_path).close()
    receiver = receive_state(tmp_path)
    for row in ROWS:
        receiver.write_rows([row])
    receiver.write_rows([])
    receiver.finish(METADATA, digest_of(ROWS))
    state = open_received(tmp_path, receiver.generation)
    discard_superseded(tmp_path, receiver.generation)
    assert list(state.scan(b"", None)) == ROWS
    assert state.applied == Applied(
        index=Index(7), term=Term(3), voters=(1, 2), learners=(9,), digest=digest_of(ROWS)
    )
    assert state.flushed_index == 7
    assert state.verify() == 3
    state.close()
    assert names(tmp_path) == ["00000002"]


def test_a_large_state_arrives_in_many_transactions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generations, "COMMIT_BYTES", 1000)
    open_first(tmp_path).close()
    rows = [(b"%06d" % number, bytes(number % 400)) for number in range(2000)]
    receiver = receive_state(tmp_path)
    for first in range(0, len(rows), 7):
        receiver.write_rows(rows[first : first + 7])
    receiver.finish(METADATA, digest_of(rows))
    state = open_state(tmp_path, receiver.generation)
    assert list(state.scan(b"", None)) == rows
    state.close()


def test_an_empty_state_can_be_received(tmp_path: Path) -> None:
    state = open_state(tmp_path, receive(tmp_path, []))
    assert (state.applied.index, state.verify()) == (7, 0)
    state.close()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(b"b", b""), (b"a", b"")], "row 61 does not follow row 62"),
        ([(b"a", b"1"), (b"a", b"2")], "does not follow"),
        ([(b"", b"1")], "does not follow"),
        ([(b"k" * 512, b"1")], "a key has 512 bytes; the limit is 511"),
    ],
)
def test_rows_that_cannot_be_a_state_are_refused(
    tmp_path: Path, rows: list[tuple[bytes, bytes]], message: str
) -> None:
    receiver = receive_state(tmp_path)
    with pytest.raises(ValueError, match=message):
        receiver.write_rows(rows)
    receiver.abandon()
    *first, last = rows
    receiver = receive_state(tmp_path)
    receiver.write_rows(first)
    with pytest.raises(ValueError, match=message):
        receiver.write_rows([last])
    receiver.abandon()
    assert names(tmp_path) == []


def test_a_state_with_another_digest_is_refused(tmp_path: Path) -> None:
    receiver = receive_state(tmp_path)
    receiver.write_rows(ROWS)
    with pytest.raises(ValueError, match="the rows received have digest"):
        receiver.finish(METADATA, digest_of(ROWS) ^ 1)
    receiver.abandon()
    assert names(tmp_path) == []


def test_a_state_that_was_not_finished_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generations, "COMMIT_BYTES", 1)
    receiver = receive_state(tmp_path)
    receiver.write_rows(ROWS)
    receiver.write_rows([(b"z", b"")])
    copy = tmp_path / "00000009"
    copy.mkdir()
    (copy / "data.mdb").write_bytes((tmp_path / "00000002" / "data.mdb").read_bytes())
    receiver.abandon()
    with pytest.raises(CorruptionError, match="applied index is damaged or gone"):
        open_state(tmp_path, 9)


def test_a_finished_state_can_still_be_abandoned_or_discarded(tmp_path: Path) -> None:
    open_first(tmp_path).close()
    receiver = receive_state(tmp_path)
    receiver.write_rows(ROWS)
    receiver.finish(METADATA, digest_of(ROWS))
    receiver.abandon()
    receiver.abandon()
    assert names(tmp_path) == ["00000001"]
    discard_state(tmp_path, receive(tmp_path, ROWS))
    discard_state(tmp_path, 77)
    assert names(tmp_path) == ["00000001"]


def test_a_transfer_is_abandoned_while_a_thread_still_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generations, "COMMIT_BYTES", 10_000)
    open_first(tmp_path).close()
    receiver = receive_state(tmp_path)
    is_writing = threading.Event()
    ends: list[str] = []

    def write() -> None:
        try:
            for number in itertools.count():
                receiver.write_rows([(b"%08d" % number, bytes(2000))])
                is_writing.set()
        except StorageError as error:
            ends.append(str(error))

    thread = threading.Thread(target=write)
    thread.start()
    is_writing.wait()
    receiver.abandon()
    thread.join()
    assert "closed" in ends[0]
    assert names(tmp_path) == ["00000001"]


def test_a_disk_that_refuses_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="Not a directory"):
        receive_state(tmp_path / "file")
    with pytest.raises(StorageError, match="check the disk"):
        open_first(tmp_path / "file")


def test_what_arrives_just_now_is_not_superseded(tmp_path: Path) -> None:
    open_first(tmp_path).close()
    second = receive(tmp_path, ROWS)
    arriving = receive_state(tmp_path)
    arriving.write_rows(ROWS)
    discard_superseded(tmp_path, second)
    assert names(tmp_path) == ["00000002", "00000003"]
    arriving.finish(METADATA, digest_of(ROWS))
    state = open_received(tmp_path, arriving.generation)
    discard_superseded(tmp_path, arriving.generation)
    assert state.verify() == 3
    state.close()
    assert names(tmp_path) == ["00000003"]


def test_opening_a_received_state_deletes_nothing(tmp_path: Path) -> None:
    """Which takes long; it is done elsewhere, and may be cut off by a crash."""
    open_first(tmp_path).close()
    open_received(tmp_path, receive(tmp_path, ROWS)).close()
    assert names(tmp_path) == ["00000001", "00000002"]


def test_superseded_states_are_gone_after_a_crash_at_any_moment_of_their_deletion(tmp_path: Path) -> None:
    crashes = 0
    while True:
        directory = tmp_path / f"state{crashes}"
        open_first(directory).close()
        receive(directory, ROWS)
        current = receive(directory, ROWS)
        with pytest.MonkeyPatch.context() as monkeypatch:
            crash = CrashAt(monkeypatch, crashes)
            with contextlib.suppress(Crash):
                discard_superseded(directory, current)
        state = open_state(directory, current)
        assert state.verify() == 3
        state.close()
        assert names(directory) == ["00000003"]
        if not crash.reached:
            break
        crashes += 1
    assert crashes > 3


def test_views_of_an_exchanged_state_stay_good(tmp_path: Path) -> None:
    old = open_first(tmp_path)
    old.put(b"old", bytes(5000), None)
    old.mark_applied(Index(1), Term(1))
    assert old.freeze()
    old.flush()
    old.flush_done()
    old.put(b"older", b"memory", None)
    old.mark_applied(Index(2), Term(1))
    view = old.view()
    generation = receive(tmp_path, ROWS)
    old.close()
    state = open_received(tmp_path, generation)
    discard_superseded(tmp_path, generation)
    assert list(view.scan(b"", None)) == [(b"old", bytes(5000)), (b"older", b"memory")]
    assert list(state.scan(b"", None)) == ROWS
    state.close()
    view.close()
    assert names(tmp_path) == ["00000002"]
