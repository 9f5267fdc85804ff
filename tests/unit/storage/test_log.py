"""A log is what was written to it, before and after it is opened again."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import threading
from pathlib import Path

import pytest

from kvraft.raft.types import Entry, EntryKind, Index, Term
from kvraft.storage.errors import CorruptionError, DataDirectoryError, StorageError
from kvraft.storage.interfaces import Identity, LogWrite
from kvraft.storage.log import SegmentedLog
from tests.unit.storage.log_samples import (
    IDENTITY,
    SEGMENT_BYTES,
    Crash,
    CrashAt,
    all_entries,
    create,
    entry,
    hard_state,
    reopen,
    segments,
    snapshot,
    write,
)


def test_a_new_log_is_empty(tmp_path: Path) -> None:
    log = create(tmp_path / "log")
    assert log.identity == IDENTITY
    recovered = log.recovered
    assert recovered.hard_state == hard_state(0)
    assert (recovered.base_index, recovered.base_term, recovered.last_index) == (0, 0, 0)
    assert recovered.term_starts == ()
    assert recovered.installed_snapshot is None
    assert recovered.torn_bytes == 0
    with pytest.raises(LookupError, match="entry 1 is not in the log"):
        all_entries(log, 1, 1)
    log.close()


def test_files_are_private(tmp_path: Path) -> None:
    create(tmp_path / "a" / "log").close()
    modes = {
        path: stat.S_IMODE(path.stat().st_mode)
        for path in (tmp_path / "a", tmp_path / "a" / "log", *segments(tmp_path / "a" / "log"))
    }
    assert list(modes.values()) == [0o700, 0o700, 0o600]


def test_a_log_is_never_created_over_another(tmp_path: Path) -> None:
    create(tmp_path).close()
    with pytest.raises(DataDirectoryError, match="holds a log already"):
        create(tmp_path)


def test_opening_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataDirectoryError, match="holds no log"):
        SegmentedLog.open(tmp_path)
    with pytest.raises(StorageError, match="cannot open the log"):
        SegmentedLog.open(tmp_path / "missing")


def test_an_identity_too_long_for_the_format_is_refused(tmp_path: Path) -> None:
    identity = Identity(cluster_id=1, cluster_name="x" * 70_000, node_id=1, initial_voters=(1,))
    with pytest.raises(ValueError, match="does not fit"):
        SegmentedLog.create(tmp_path, identity)
    assert segments(tmp_path) == []


def test_an_identity_larger_than_a_segment_gets_a_larger_segment(tmp_path: Path) -> None:
    identity = Identity(cluster_id=1, cluster_name="x" * 5000, node_id=1, initial_voters=(1,))
    log = SegmentedLog.create(tmp_path, identity, segment_bytes=SEGMENT_BYTES)
    log.append(write(1, 50))
    log = reopen(log, tmp_path)
    assert log.identity == identity
    assert log.recovered.last_index == 50
    log.close()


def test_everything_of_a_write_is_there_after_reopening(tmp_path: Path) -> None:
    log = create(tmp_path)
    entries = tuple(
        Entry(Index(index), Term(term), kind, data)
        for index, (term, kind, data) in enumerate(
            [
                (1, EntryKind.NOOP, b""),
                (1, EntryKind.COMMAND, bytes(range(256))),
                (4, EntryKind.CONFIGURATION, b"c"),
                (4, EntryKind.COMMAND, bytes(1000)),
            ],
            start=1,
        )
    )
    log.append(LogWrite(hard_state=hard_state(4, 3), entries=entries))
    assert tuple(all_entries(log, 1, 4)) == entries
    log = reopen(log, tmp_path)
    assert log.recovered.hard_state == hard_state(4, 3)
    assert log.recovered.term_starts == ((1, 1), (3, 4))
    assert log.recovered.last_index == 4
    assert tuple(all_entries(log, 1, 4)) == entries
    log.close()


def test_entries_cross_records_and_segments(tmp_path: Path) -> None:
    log = create(tmp_path)
    for first in range(1, 200, 3):
        log.append(write(first, first + 2))
    assert len(segments(tmp_path)) > 3
    expected = [entry(index) for index in range(1, 202)]
    assert all_entries(log, 1, 201) == expected
    log = reopen(log, tmp_path)
    assert all_entries(log, 1, 201) == expected
    for first, last in ((2, 2), (5, 100), (101, 101), (199, 201)):
        assert all_entries(log, first, last) == expected[first - 1 : last]
    log.close()


def test_entries_stop_at_the_byte_limit_but_give_at_least_one(tmp_path: Path) -> None:
    log = create(tmp_path)
    log.append(write(1, 4, data=bytes(68)))
    log.append(write(5, 9, data=bytes(68)))
    for bytes_max, count in ((0, 1), (199, 1), (200, 2), (599, 5), (600, 6), (10_000, 9)):
        assert len(log.entries(Index(1), Index(9), bytes_max)) == count
    log.close()


def test_entries_not_held_are_a_lookup_error(tmp_path: Path) -> None:
    log = create(tmp_path)
    log.append(write(1, 5))
    for first, last in ((0, 3), (6, 6), (4, 6)):
        with pytest.raises(LookupError):
            all_entries(log, first, last)
    log.close()


def test_a_later_write_overwrites_the_tail(tmp_path: Path) -> None:
    log = create(tmp_path)
    log.append(write(1, 10))
    log.append(write(4, 5, term=2))
    expected = [entry(1), entry(2), entry(3), entry(4, 2), entry(5, 2)]
    assert all_entries(log, 1, 5) == expected
    with pytest.raises(LookupError):
        all_entries(log, 6, 6)
    log = reopen(log, tmp_path)
    assert log.recovered.last_index == 5
    assert log.recovered.term_starts == ((1, 1), (4, 2))
    assert all_entries(log, 1, 5) == expected
    log.close()


def test_overwriting_reaches_back_into_older_segments(tmp_path: Path) -> None:
    log = create(tmp_path)
    for index in range(1, 100):
        log.append(write(index, index))
    assert len(segments(tmp_path)) > 2
    log.append(write(5, 6, term=3))
    log = reopen(log, tmp_path)
    assert all_entries(log, 1, 6) == [entry(1), entry(2), entry(3), entry(4), entry(5, 3), entry(6, 3)]
    assert log.recovered.last_index == 6
    # Dropping the old segments leaves only the one whose start knows nothing of entry 4 being the last.
    assert log.plan_compaction(Index(4), 0) == 4
    log.compact(Index(4))
    log = reopen(log, tmp_path)
    assert len(segments(tmp_path)) == 1
    assert (log.recovered.base_index, log.recovered.base_term) == (4, 1)
    assert log.recovered.term_starts == ((5, 3),)
    assert all_entries(log, 5, 6) == [entry(5, 3), entry(6, 3)]
    log.close()


def test_a_gap_or_a_falling_term_is_against_our_own_laws(tmp_path: Path) -> None:
    log = create(tmp_path)
    log.append(write(1, 3, term=2))
    with pytest.raises(AssertionError):
        log.append(write(5, 5, term=2))
    with pytest.raises(AssertionError):
        log.append(write(4, 4, term=1))
    with pytest.raises(AssertionError):
        log.append(LogWrite())
    log.append(write(4, 4, term=2))
    assert reopen(log, tmp_path).recovered.last_index == 4


def test_a_record_larger_than_a_segment_gets_a_segment_of_its_size(tmp_path: Path) -> None:
    log = create(tmp_path)
    large = os.urandom(3 * SEGMENT_BYTES)
    log.append(write(1, 1))
    log.append(write(2, 2, data=large))
    log.append(write(3, 40))
    sizes = [path.stat().st_size for path in segments(tmp_path)]
    assert sizes[0] == SEGMENT_BYTES
    assert sizes[1] == 4 * SEGMENT_BYTES
    log = reopen(log, tmp_path)
    assert all_entries(log, 1, 3) == [entry(1), entry(2, data=large), entry(3)]
    log.close()


def test_segments_are_filled_up_to_the_last_byte(tmp_path: Path) -> None:
    """At every length of a record around what is left of a segment."""
    for length in range(3500, 3900, 16):
        directory = tmp_path / str(length)
        log = create(directory)
        log.append(write(1, 1, data=b"x" * length))
        log.append(write(2, 2))
        log = reopen(log, directory)
        assert all_entries(log, 1, 2) == [entry(1, data=b"x" * length), entry(2)]
        log.close()  # a first segment that holds nothing is deleted in the background
        assert all(path.stat().st_size % SEGMENT_BYTES == 0 for path in segments(directory))


def test_an_installed_snapshot_empties_the_log_and_keeps_the_hard_state(tmp_path: Path) -> None:
    log = create(tmp_path)
    log.append(LogWrite(hard_state=hard_state(2, 1)))
    for index in range(1, 100):
        log.append(write(index, index, term=2))
    log.append(LogWrite(installed_snapshot=snapshot(50, 3)))
    with pytest.raises(LookupError):
        all_entries(log, 40, 40)
    log = reopen(log, tmp_path)
    assert len(segments(tmp_path)) == 1
    recovered = log.recovered
    assert recovered.hard_state == hard_state(2, 1)
    assert recovered.installed_snapshot == snapshot(50, 3)
    assert (recovered.base_index, recovered.base_term, recovered.last_index) == (50, 3, 50)
    log.append(write(51, 52, term=3))
    log = reopen(log, tmp_path)
    assert all_entries(log, 51, 52) == [entry(51, 3), entry(52, 3)]
    log.close()


def test_a_snapshot_and_what_follows_it_are_one_write(tmp_path: Path) -> None:
    log = create(tmp_path)
    log.append(write(1, 3))
    log.append(
        LogWrite(
            installed_snapshot=snapshot(70, 4),
            hard_state=hard_state(5),
            entries=(entry(71, 5), entry(72, 5)),
        )
    )
    log = reopen(log, tmp_path)
    assert (log.recovered.base_index, log.recovered.base_term) == (70, 4)
    assert log.recovered.term_starts == ((71, 5),)
    assert log.recovered.hard_state == hard_state(5)
    assert all_entries(log, 71, 72) == [entry(71, 5), entry(72, 5)]
    log.close()


def test_compaction_drops_whole_segments_up_to_the_index(tmp_path: Path) -> None:
    log = create(tmp_path)
    log.append(LogWrite(hard_state=hard_state(3, 2)))
    for index in range(1, 201):
        log.append(write(index, index, term=1 + index // 60))
    before = len(segments(tmp_path))
    size_bytes = log.size_bytes
    base_index = log.plan_compaction(Index(150), 0)
    assert 100 < base_index <= 150
    log.compact(base_index)
    assert log.plan_compaction(Index(150), 0) == base_index
    with pytest.raises(LookupError):
        all_entries(log, base_index, 200)
    log = reopen(log, tmp_path)
    assert len(segments(tmp_path)) < before
    assert log.size_bytes < size_bytes
    assert log.recovered.hard_state == hard_state(3, 2)
    assert (log.recovered.base_index, log.recovered.base_term) == (base_index, 1 + base_index // 60)
    assert log.recovered.term_starts == ((base_index + 1, 1 + (base_index + 1) // 60), (180, 4))
    assert [found.index for found in all_entries(log, base_index + 1, 200)] == [*range(base_index + 1, 201)]
    log.close()


def test_compaction_leaves_what_is_to_be_retained_and_the_active_segment(tmp_path: Path) -> None:
    log = create(tmp_path)
    for index in range(1, 101):
        log.append(write(index, index))
    count = len(segments(tmp_path))
    assert log.plan_compaction(Index(100), count * SEGMENT_BYTES) == 0
    one_less = log.plan_compaction(Index(100), (count - 1) * SEGMENT_BYTES)
    assert 0 < one_less < log.plan_compaction(Index(100), 0) < 100
    assert log.plan_compaction(Index(one_less - 1), 0) == 0
    log.close()


def test_a_recycled_segment_brings_nothing_old_back(tmp_path: Path) -> None:
    log = create(tmp_path)
    index = 0
    for _ in range(60):
        for _ in range(10):
            index += 1
            log.append(write(index, index))
        log.compact(log.plan_compaction(Index(index - 1), 0))
        log._spares.wait()  # so that the next segment is the recycled file
        log = reopen(log, tmp_path) if index % 70 == 0 else log
    active = segments(tmp_path)[-1]
    assert int(active.stem, 16) > 500
    raw = active.read_bytes()
    first = log.recovered.base_index
    log = reopen(log, tmp_path)
    assert log.recovered.last_index == 600
    assert log.recovered.base_index >= first
    assert raw.rstrip(b"\0") == active.read_bytes().rstrip(b"\0")
    log.close()


def test_a_failed_write_kills_the_log_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = create(tmp_path)
    log.append(write(1, 1))
    calls = []

    def fail(descriptor: int, data: bytes, offset: int) -> int:
        calls.append(descriptor)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(StorageError, match="Input/output error"):
        log.append(write(2, 2))
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, offset: calls.append(descriptor))
    with pytest.raises(StorageError, match="Input/output error"):
        log.append(write(2, 2))
    assert len(calls) == 1
    assert all_entries(log, 1, 1) == [entry(1)]
    log.close()


def test_opening_makes_the_last_record_durable_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed write the page cache may hold what the disk does not."""
    log = create(tmp_path)
    log.append(write(1, 1))
    log.append(write(2, 2, data=b"the last one"))
    log.close()
    written: list[bytes] = []
    real_pwrite = os.pwrite

    def pwrite(descriptor: int, data: memoryview, offset: int) -> int:
        assert fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DSYNC
        written.append(bytes(data))
        return real_pwrite(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    before = segments(tmp_path)[0].read_bytes()
    SegmentedLog.open(tmp_path, segment_bytes=SEGMENT_BYTES).close()
    assert segments(tmp_path)[0].read_bytes() == before
    (rewritten,) = written
    assert b"the last one" in rewritten


def test_entries_are_read_beside_appending_and_compacting(tmp_path: Path) -> None:
    log = create(tmp_path)
    log.append(write(1, 50, data=b"x" * 100))
    written = [50]
    failures: list[BaseException] = []

    def append() -> None:
        try:
            for index in range(51, 600):
                log.append(write(index, index, data=b"x" * 100))
                written[0] = index
                log.compact(log.plan_compaction(Index(index - 100), 0))
        except BaseException as error:  # noqa: BLE001 - told to the test's own thread
            failures.append(error)

    writer = threading.Thread(target=append)
    writer.start()
    reads = 0
    while writer.is_alive():
        last = written[0]
        assert all_entries(log, last - 20, last) == list(write(last - 20, last, data=b"x" * 100).entries)
        reads += 1
    writer.join()
    assert failures == []
    assert reads > 0
    log.close()


def test_a_closed_log_takes_no_writes(tmp_path: Path) -> None:
    log = create(tmp_path)
    log.close()
    with pytest.raises(StorageError, match="is closed"):
        log.append(write(1, 1))


def test_what_rots_after_opening_is_noticed_when_it_is_read(tmp_path: Path) -> None:
    log = create(tmp_path)
    log.append(write(1, 1, data=b"a" * 100))
    log.append(write(2, 2, data=b"b" * 100))
    path = segments(tmp_path)[0]
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"bbb")] ^= 1
    path.write_bytes(raw)
    assert all_entries(log, 1, 1) == [entry(1, data=b"a" * 100)]
    with pytest.raises(CorruptionError, match=r"0001\.log, offset \d+: .*entry 2"):
        all_entries(log, 2, 2)
    log.close()


def test_a_crash_while_creating_leaves_no_log_or_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for nth in range(100):
        directory = tmp_path / str(nth) / "log"
        with monkeypatch.context() as patch:
            crash = CrashAt(patch, nth)
            with contextlib.suppress(Crash):
                create(directory).close()
        if not crash.reached:
            assert nth > 5
            return
        if segments(directory) if directory.exists() else []:
            log = SegmentedLog.open(directory, segment_bytes=SEGMENT_BYTES)
        else:
            log = create(directory)
        assert log.identity == IDENTITY
        log.append(write(1, 1))
        assert reopen(log, directory).recovered.last_index == 1
    raise AssertionError("creating a log never ended")


@pytest.mark.parametrize("spare_is_ready", [True, False])
def test_a_crash_while_beginning_a_segment_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spare_is_ready: bool
) -> None:
    for nth in range(100):
        directory = tmp_path / str(nth)
        log = create(directory)
        log.append(write(1, 3, data=b"x" * 1000))
        log._spares.wait()
        log._spares._ready = spare_is_ready
        with monkeypatch.context() as patch:
            crash = CrashAt(patch, nth)
            with contextlib.suppress(Crash):
                log.append(write(4, 4, data=b"x" * 1000))
        log = reopen(log, directory)
        last = log.recovered.last_index
        assert last == 4 or (crash.reached and last == 3)
        assert all_entries(log, 1, last) == list(write(1, last, data=b"x" * 1000).entries)
        log.append(write(last + 1, last + 5, data=b"y" * 500))
        log = reopen(log, directory)
        assert log.recovered.last_index == last + 5
        log.close()
        if not crash.reached:
            assert nth >= 5
            return
    raise AssertionError("beginning a segment never ended")


def test_a_crash_while_compacting_leaves_no_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for nth in range(100):
        directory = tmp_path / str(nth)
        log = create(directory)
        for index in range(1, 13):
            log.append(write(index, index, data=b"x" * 1000))
        log.append(write(9, 9, term=2))
        log._spares.wait()
        base_index = log.plan_compaction(Index(8), 0)
        assert base_index >= 6
        with monkeypatch.context() as patch:
            crash = CrashAt(patch, nth)
            log.compact(base_index)
            try:
                log._spares.wait()
            except Crash:
                log._spares._job = None
        log = reopen(log, directory)
        assert log.recovered.base_index <= base_index
        assert log.recovered.last_index == 9
        found = all_entries(log, base_index + 1, 9)
        assert found == [*write(base_index + 1, 8, data=b"x" * 1000).entries, entry(9, 2)]
        log.close()
        if not crash.reached:
            assert nth > 3
            return
    raise AssertionError("compacting never ended")


@pytest.mark.parametrize("nth", range(3))
def test_segments_whose_deletion_failed_go_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    log = create(tmp_path)
    for index in range(1, 13):
        log.append(write(index, index, data=b"x" * 1000))
        log._spares.wait()
    retired = segments(tmp_path)[:3]
    base_index = log.plan_compaction(Index(9), 0)
    fails = iter([False] * nth + [True])

    def fail_once(path: Path) -> None:
        if next(fails, False):
            raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("kvraft.storage.log.spares.fsync_directory", fail_once)
        log.compact(base_index)
        log._spares.wait()
    assert log.spare_failure is not None
    for index in range(13, 21):  # takes the spare and wants another one
        log.append(write(index, index, data=b"x" * 1000))
        log._spares.wait()
    assert log.spare_failure is None
    assert not [path for path in retired if path.exists()]
    log.close()
