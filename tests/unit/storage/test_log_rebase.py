"""A log that begins anew after a snapshot of its own: what follows stays, the bytes of the rest are gone."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pytest

from kvraft.raft.types import Index
from kvraft.storage.interfaces import LogWrite
from kvraft.storage.log import SegmentedLog
from tests.unit.storage.log_samples import (
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

SECRET = b"the-secret-of-erin"


def holds(directory: Path, what: bytes) -> list[str]:
    return [path.name for path in directory.iterdir() if what in path.read_bytes()]


def filled(directory: Path) -> SegmentedLog:
    """Several segments of secrets, and two entries without."""
    log = create(directory)
    log.append(LogWrite(hard_state=hard_state(1, 2)))
    for index in range(1, 41):
        log.append(write(index, index, data=SECRET * 30))
    log.append(write(41, 42))
    assert len(segments(directory)) > 4
    return log


def wait_until_tidy(log: SegmentedLog) -> None:
    log._spares.wait()
    assert log.is_tidy


def test_entries_behind_the_snapshot_are_kept_and_no_file_holds_the_others(tmp_path: Path) -> None:
    log = filled(tmp_path)
    assert holds(tmp_path, SECRET)
    log.rebase(snapshot(40, 1))
    wait_until_tidy(log)
    assert not holds(tmp_path, SECRET)
    assert all_entries(log, 41, 42) == [entry(41), entry(42)]
    with pytest.raises(LookupError):
        all_entries(log, 40, 40)

    log = reopen(log, tmp_path)
    recovered = log.recovered
    assert (recovered.base_index, recovered.last_index) == (40, 42)
    assert recovered.hard_state == hard_state(1, 2)
    assert recovered.installed_snapshot == snapshot(40, 1)
    log.append(write(43, 43))
    assert all_entries(log, 41, 43) == [entry(41), entry(42), entry(43)]
    log.close()


def test_a_log_may_begin_anew_behind_its_last_entry_and_again(tmp_path: Path) -> None:
    log = filled(tmp_path)
    log.rebase(snapshot(42, 1))
    log.rebase(snapshot(42, 1, generation=3))
    log.append(write(43, 43))
    log = reopen(log, tmp_path)
    assert log.recovered.base_index == 42
    assert log.recovered.installed_snapshot == snapshot(42, 1, generation=3)
    assert all_entries(log, 43, 43) == [entry(43)]
    log.close()


def test_a_received_snapshot_leaves_nothing_of_before_in_the_files(tmp_path: Path) -> None:
    log = create(tmp_path)
    log.append(write(1, 1, data=SECRET))
    log.append(LogWrite(installed_snapshot=snapshot(9, 1)))
    wait_until_tidy(log)
    assert not holds(tmp_path, SECRET)
    log.close()


def test_more_entries_than_a_segment_holds_are_kept(tmp_path: Path) -> None:
    log = create(tmp_path)
    noise = random.Random(1).randbytes(600)
    for index in range(1, 21):
        log.append(write(index, index, data=noise))
    log.rebase(snapshot(2, 1))
    assert segments(tmp_path)[-1].stat().st_size > SEGMENT_BYTES
    log = reopen(log, tmp_path)
    assert all_entries(log, 3, 20) == [entry(index, data=noise) for index in range(3, 21)]
    log.close()


def test_a_crash_at_any_moment_leaves_the_log_before_or_after_and_the_next_opening_tidies_up(
    tmp_path: Path,
) -> None:
    outcomes = set()
    for nth in range(200):
        directory = tmp_path / f"log{nth}"
        log = filled(directory)
        log._spares.wait()
        with pytest.MonkeyPatch.context() as monkeypatch:
            crash = CrashAt(monkeypatch, nth)
            with contextlib.suppress(Crash):
                log.rebase(snapshot(40, 1))
                log._spares.wait()
        with contextlib.suppress(Crash, OSError):
            log.close()

        log = SegmentedLog.open(directory, segment_bytes=SEGMENT_BYTES)
        assert log.recovered.last_index == 42
        assert all_entries(log, 41, 42) == [entry(41), entry(42)]
        outcomes.add(log.recovered.base_index)
        if log.recovered.base_index == Index(40):
            wait_until_tidy(log)
            assert not holds(directory, SECRET)
        else:
            assert all_entries(log, 1, 40)
        log.close()
        if not crash.reached:
            break
    assert outcomes == {0, 40}
    assert nth > 10
