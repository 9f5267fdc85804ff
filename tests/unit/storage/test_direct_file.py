"""Files written past the page cache hold what was written, wherever a write begins and ends."""

from __future__ import annotations

import errno
import fcntl
import os
import random
from pathlib import Path

import pytest

from kvraft.storage.direct_file import BUFFER_BYTES, PAGE_BYTES, DirectFile


@pytest.fixture(params=["direct", "through the cache"])
def path(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file to be; on a file system with and without O_DIRECT."""
    if request.param == "through the cache":
        refuse_direct(monkeypatch)
    return tmp_path / "file"


def refuse_direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """As file systems do that have no O_DIRECT."""
    real_open = os.open

    def open_file(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument")
        return real_open(path, flags, mode)

    monkeypatch.setattr(os, "open", open_file)


def flags_of(file: DirectFile) -> int:
    return fcntl.fcntl(file._descriptor, fcntl.F_GETFL)


def test_writes_follow_each_other_at_any_offset(path: Path) -> None:
    chance = random.Random(1)
    expected = b""
    with DirectFile(path, create=True) as file:
        odd = [chance.randrange(1, 70_000) for _ in range(50)]
        for size_bytes in (1, 4095, 4096, 1, 8191, 1, 4097, *odd):
            data = chance.randbytes(size_bytes)
            file.write(len(expected), data)
            expected += data
            found = path.read_bytes()
            assert found == expected + bytes(-len(expected) % PAGE_BYTES)


def test_what_the_first_page_holds_stays(path: Path) -> None:
    with DirectFile(path, create=True) as file:
        file.write(0, b"a" * 5_000)
    with DirectFile(path) as file:  # which knows nothing of the page that it begins in
        file.write(5_000, b"b" * 10)
        file.write(4_100, b"c" * 10)
        file.write(100, b"d")
    begin = b"a" * 100 + b"d" + bytes(3_995)
    assert path.read_bytes() == begin + b"a" * 4 + b"c" * 10 + bytes(2 * PAGE_BYTES - 4_110)


def test_a_write_within_the_zeros_of_a_file_changes_nothing_else(path: Path) -> None:
    with DirectFile(path, create=True) as file:
        file.allocate(4 * PAGE_BYTES)
        file.write(PAGE_BYTES - 50, b"x" * 100)
        file.sync()
    expected = bytes(PAGE_BYTES - 50) + b"x" * 100
    assert path.read_bytes() == expected.ljust(4 * PAGE_BYTES, b"\0")


def test_large_writes_keep_no_large_buffer(path: Path) -> None:
    data = random.Random(2).randbytes(3 * BUFFER_BYTES + 77)
    with DirectFile(path, create=True) as file:
        file.write(0, b"before")
        file.write(6, data)
        file.write(6 + len(data), b"after")
        assert len(file._buffer) <= BUFFER_BYTES
    assert path.read_bytes().rstrip(b"\0") == b"before" + data + b"after"


def test_writes_are_direct_and_synchronous_where_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    real_open = os.open

    def open_file(path: Path, flags: int, mode: int = 0o777) -> int:
        asked.append(flags & (os.O_DIRECT | os.O_DSYNC))
        return real_open(path, flags & ~os.O_DIRECT, mode)  # this file system may not have it

    monkeypatch.setattr(os, "open", open_file)
    DirectFile(tmp_path / "file", create=True, synchronous=True).close()
    DirectFile(tmp_path / "file").close()
    assert asked == [os.O_DIRECT | os.O_DSYNC, os.O_DIRECT]


def test_without_direct_writes_a_file_is_synchronous_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_direct(monkeypatch)
    with DirectFile(tmp_path / "file", create=True, synchronous=True) as file:
        assert flags_of(file) & os.O_DSYNC == os.O_DSYNC


def test_errors_of_opening_are_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        DirectFile(tmp_path / "missing")


@pytest.mark.parametrize("step_bytes", [PAGE_BYTES, PAGE_BYTES + 512, 3 * PAGE_BYTES])
def test_a_write_that_is_cut_short_goes_on(
    path: Path, monkeypatch: pytest.MonkeyPatch, step_bytes: int
) -> None:
    real = os.pwrite
    data = random.Random(1).randbytes(5 * PAGE_BYTES + 100)
    with DirectFile(path, create=True) as file:
        file.write(0, b"before")
        monkeypatch.setattr(
            os, "pwrite", lambda descriptor, data, at: real(descriptor, data[:step_bytes], at)
        )
        file.write(6, data)
    assert path.read_bytes().rstrip(b"\0") == b"before" + data


def test_a_write_that_does_not_come_on_found_no_room(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is at a limit that ends within a page: no call ever says so."""
    with DirectFile(path, create=True) as file:
        monkeypatch.setattr(os, "pwrite", lambda descriptor, data, offset: len(data) - 512)
        with pytest.raises(OSError, match="only 3584 of 4096 bytes were written") as error:
            file.write(0, b"data")
    assert error.value.errno == errno.ENOSPC
