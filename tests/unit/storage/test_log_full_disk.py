"""An append that finds no room comes again, and leaves what it would have left at once."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import resource
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kvraft.storage.errors import ExhaustedError, StorageError
from kvraft.storage.log import SegmentedLog, spares
from tests.unit.storage.log_samples import (
    IDENTITY,
    SEGMENT_BYTES,
    CrashAt,
    all_entries,
    create,
    entry,
    reopen,
    segments,
    snapshot,
    write,
)

PATIENCE_S = 30
OUT_OF_ROOM = [errno.ENOSPC, errno.EDQUOT, errno.EFBIG]


def failing(number: int) -> Callable[..., Any]:
    def fail(*_: object) -> Any:
        raise OSError(number, os.strerror(number))

    return fail


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in segments(directory)}


class TornWrite:
    """Instead of `os.pwrite`: the first of a pair of calls is cut short after so many bytes, and the next one
    finds no room."""

    def __init__(self, kept_bytes: int, number: int) -> None:
        self._kept_bytes = kept_bytes
        self._number = number
        self._real = os.pwrite
        self._was_cut = False

    def __call__(self, descriptor: int, data: memoryview, offset: int) -> int:
        self._was_cut = not self._was_cut
        if not self._was_cut or not self._kept_bytes:
            raise OSError(self._number, os.strerror(self._number))
        return self._real(descriptor, data[: self._kept_bytes], offset)


@pytest.mark.parametrize("number", OUT_OF_ROOM)
@pytest.mark.parametrize("kept_bytes", [0, 4096, 3 * 4096])
def test_an_append_that_was_torn_comes_again_at_the_same_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept_bytes: int, number: int
) -> None:
    log = SegmentedLog.create(tmp_path / "torn", IDENTITY, segment_bytes=1 << 16)
    log.append(write(1, 2))
    before = contents(tmp_path / "torn")
    for turn in range(3):
        with monkeypatch.context() as full:
            full.setattr(os, "pwrite", TornWrite(kept_bytes, number))
            with pytest.raises(ExhaustedError, match="until there is room"):
                log.append(write(3, 3, data=b"x" * 15_000))
        assert (contents(tmp_path / "torn") == before) is (kept_bytes == 0)
        assert log.entries(entry(1).index, entry(2).index, 1 << 20) == [entry(1), entry(2)]
        shutil.copytree(tmp_path / "torn", tmp_path / f"cut{turn}")  # the power fails here
        cut = SegmentedLog.open(tmp_path / f"cut{turn}", segment_bytes=1 << 16)
        assert cut.recovered.last_index == 2
        cut.append(write(3, 4, term=2))
        cut.close()
    log.append(write(3, 3, data=b"x" * 15_000))
    log.append(write(4, 4))
    log.close()
    spared = SegmentedLog.create(tmp_path / "spared", IDENTITY, segment_bytes=1 << 16)
    for each in (write(1, 2), write(3, 3, data=b"x" * 15_000), write(4, 4)):
        spared.append(each)
    spared.close()
    assert contents(tmp_path / "torn") == contents(tmp_path / "spared")


class FullAt:
    """Nothing that changes the disk works from the nth change on: it is full."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, nth: int, number: int) -> None:
        self.met: str | None = None
        self._left = nth
        self._number = number
        for name in CrashAt.CHANGES:
            monkeypatch.setattr(os, name, self._counted(name, getattr(os, name)))

    def _counted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def change(*arguments: Any, **options: Any) -> Any:
            if self._left == 0 and name != "unlink":
                self.met = self.met or name
                raise OSError(self._number, os.strerror(self._number))
            self._left = max(0, self._left - 1)
            return real(*arguments, **options)

        return change


@pytest.mark.parametrize("number", OUT_OF_ROOM)
@pytest.mark.parametrize("installs", [False, True])
def test_a_segment_for_which_there_is_no_room_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installs: bool, number: int
) -> None:
    begins_next = write(4, 4, data=b"x" * 1000)
    if installs:
        begins_next = type(begins_next)(installed_snapshot=snapshot(3, 1), entries=begins_next.entries)
    for nth in itertools.count():
        directory = tmp_path / str(nth)
        log = create(directory)
        log.append(write(1, 3, data=b"x" * 1000))
        log._spares.wait()
        log._spares._ready = False
        with monkeypatch.context() as patch:
            full = FullAt(patch, nth, number)
            with contextlib.suppress(ExhaustedError, StorageError):
                log.append(begins_next)
        if full.met == "fsync":  # of the segment's name, after which nothing is known
            with pytest.raises(StorageError, match="may not be durable"):
                log.append(begins_next)
        elif full.met is not None:
            log.append(begins_next)
            assert all_entries(log, 4, 4) == [entry(4, data=b"x" * 1000)]
        log = reopen(log, directory)
        assert log.recovered.last_index == (3 if full.met == "fsync" else 4)
        log.close()
        if full.met is None:
            assert nth >= 5
            return


def test_a_segment_is_not_begun_without_a_descriptor_for_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = create(tmp_path)
    log.append(write(1, 3, data=b"x" * 1000))
    log._spares.wait()
    real_open = os.open

    def no_directory(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_DIRECTORY:
            raise OSError(errno.EMFILE, "Too many open files")
        return real_open(path, flags, mode)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", no_directory)
        with pytest.raises(ExhaustedError, match="Too many open files"):
            log.append(write(4, 4, data=b"x" * 1000))
    log.append(write(4, 4, data=b"x" * 1000))
    assert reopen(log, tmp_path).recovered.last_index == 4


@contextlib.contextmanager
def file_limit(size_bytes: int) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("limit_bytes", [SEGMENT_BYTES - 1, SEGMENT_BYTES])
def test_a_limit_of_file_sizes_is_waited_out(tmp_path: Path, limit_bytes: int) -> None:
    log = create(tmp_path)
    log.append(write(1, 1))
    large = write(2, 2, data=b"x" * 2 * SEGMENT_BYTES)
    with file_limit(limit_bytes):
        for _ in range(2):
            with pytest.raises(ExhaustedError, match="until there is room"):
                log.append(large)
        assert [path.name for path in tmp_path.glob("next*")] == [], "room is kept for nothing"
    log.append(large)
    assert reopen(log, tmp_path).recovered.last_index == 2


def test_a_full_disk_is_met_only_when_a_segment_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = create(tmp_path)
    index = 0
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", failing(errno.ENOSPC))
        while log.spare_failure is None:  # past the middle of the segment a spare is tried
            index += 1
            log.append(write(index, index))
            log._spares.wait()
        assert log.spare_failure.errno == errno.ENOSPC
        assert sorted(path.name for path in tmp_path.iterdir()) == [segments(tmp_path)[0].name]
    while len(segments(tmp_path)) < 2:  # space has come back: it is tried again before the end
        index += 1
        log.append(write(index, index))
    log._spares.wait()
    assert log.spare_failure is None
    monkeypatch.setattr(os, "posix_fallocate", failing(errno.ENOSPC))
    appended = index
    with pytest.raises(ExhaustedError, match="No space left"):  # noqa: PT012 - which append it is depends on the size of a segment
        for index in itertools.count(appended + 1):
            log.append(write(index, index))
            appended = index
    log = reopen(log, tmp_path)
    assert all_entries(log, 1, appended) == [entry(number) for number in range(1, appended + 1)]
    log.close()


def test_a_spare_that_failed_is_tried_again_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spares, "RETRY_S", 0.01)
    made, full = threading.Event(), iter([True, True])
    real_fill = spares.fill_with_zeros

    def fill(path: Path, size_bytes: int) -> None:
        if next(full, False):
            raise OSError(errno.ENOSPC, "No space left on device")
        real_fill(path, size_bytes)
        made.set()

    monkeypatch.setattr(spares, "fill_with_zeros", fill)
    log = create(tmp_path)
    log._spares.prepare()
    assert made.wait(PATIENCE_S)
    log._spares.wait()
    assert log.spare_failure is None
    assert (tmp_path / "spare.tmp").stat().st_size == SEGMENT_BYTES
    log.close()
