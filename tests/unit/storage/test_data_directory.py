"""One process at a time, one format, and either initialised or not."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kvraft.storage.data_directory import DataDirectory
from kvraft.storage.errors import DataDirectoryError
from kvraft.storage.log import SegmentedLog
from tests.unit.storage.log_samples import IDENTITY, SEGMENT_BYTES, Crash, CrashAt, create

_NOBODY = 65_534


def test_a_missing_directory_is_made_and_private(tmp_path: Path) -> None:
    path = tmp_path / "var" / "node"
    directory = DataDirectory.open(path)
    assert not directory.is_initialised
    for made in (tmp_path / "var", path, directory.log_directory, directory.state_directory):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
    for made in (path / "LOCK", path / "FORMAT"):
        assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert (path / "FORMAT").read_text() == "3\n"
    directory.close()


def test_it_is_initialised_when_its_log_has_been_created(tmp_path: Path) -> None:
    directory = DataDirectory.open(tmp_path / "node")
    create(directory.log_directory).close()
    assert directory.is_initialised
    directory.close()
    directory = DataDirectory.open(tmp_path / "node")
    assert directory.is_initialised
    directory.close()


HOLDER = """
import sys
from pathlib import Path
from kvraft.storage.data_directory import DataDirectory
DataDirectory.open(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    path = tmp_path / "node"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(DataDirectoryError, match=f"in use by process {holder.pid};"):
            DataDirectory.open(path)
        holder.kill()
    DataDirectory.open(path).close()


def test_closing_lets_another_have_it(tmp_path: Path) -> None:
    directory = DataDirectory.open(tmp_path)
    with pytest.raises(DataDirectoryError, match=f"in use by process {os.getpid()}"):
        DataDirectory.open(tmp_path)
    directory.close()
    DataDirectory.open(tmp_path).close()


@pytest.mark.parametrize("text", ["2", "4"])
def test_another_format_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "FORMAT").write_text(f"{text}\n")
    with pytest.raises(
        DataDirectoryError,
        match=rf"is of format {text}, and .* format 3: start the version of kvraft that made it",
    ):
        DataDirectory.open(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["FORMAT", "LOCK"]


@pytest.mark.parametrize("text", ["", "one", "-1", "1\n2", "²"])
def test_an_unreadable_format_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "FORMAT").write_text(text)
    with pytest.raises(DataDirectoryError, match="not the number of a format"):
        DataDirectory.open(tmp_path)


def test_somebody_elses_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(DataDirectoryError, match=r"holds thesis\.tex but no FORMAT"):
        DataDirectory.open(tmp_path)


def test_a_node_without_its_log_is_refused(tmp_path: Path) -> None:
    """It could vote a second time in a term."""
    directory = DataDirectory.open(tmp_path)
    create(directory.log_directory).close()
    (directory.state_directory / "1").mkdir()
    directory.close()
    DataDirectory.open(tmp_path).close()
    next(directory.log_directory.iterdir()).unlink()
    with pytest.raises(DataDirectoryError, match="holds a state and no log"):
        DataDirectory.open(tmp_path)


def test_the_root_of_an_empty_file_system_will_do(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    DataDirectory.open(tmp_path).close()


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "node").touch()
    with pytest.raises(DataDirectoryError, match="cannot be used"):
        DataDirectory.open(tmp_path / "node")


def test_a_log_that_may_not_be_listed_is_not_taken_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new one would be begun over it, without the votes that were cast."""
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o755)
    directory = DataDirectory.open(Path("node"))
    create(directory.log_directory).close()
    directory.close()
    directory.log_directory.chmod(stat.S_IWUSR | stat.S_IXUSR)
    with (
        without_privileges(directory.path),
        pytest.raises(DataDirectoryError, match="Permission denied: 'node/log'"),
    ):
        DataDirectory.open(directory.path)


@contextmanager
def without_privileges(path: Path) -> Iterator[None]:
    """Gives everything from a (relative) path on to a user who has none, and acts as this user; whoever has
    none anyway stays as he is."""
    if os.geteuid() != 0:
        yield
        return
    for each in (path, *path.rglob("*")):
        os.chown(each, _NOBODY, _NOBODY)
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_the_space_is_what_the_file_system_says(tmp_path: Path) -> None:
    directory = DataDirectory.open(tmp_path)
    statistics = os.statvfs(tmp_path)
    assert abs(directory.space().free_bytes - statistics.f_bavail * statistics.f_frsize) < 1 << 30
    directory.close()


def test_a_crash_during_the_first_start_leaves_it_complete_or_not_initialised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = set()
    for nth in range(100):
        path = tmp_path / str(nth) / "node"
        with monkeypatch.context() as patch:
            crash = CrashAt(patch, nth)
            try:
                directory = DataDirectory.open(path)
                create(directory.log_directory).close()
            except Crash:
                pass
            else:
                directory.close()
        _release_locks(path)
        directory = DataDirectory.open(path)
        outcomes.add(directory.is_initialised)
        if directory.is_initialised:
            log = SegmentedLog.open(directory.log_directory, segment_bytes=SEGMENT_BYTES)
        else:
            log = create(directory.log_directory)
        assert log.identity == IDENTITY
        log.close()
        directory.close()
        if not crash.reached:
            assert nth > 15
            assert outcomes == {False, True}
            return
    raise AssertionError("the first start never ended")


def _release_locks(path: Path) -> None:
    """Closes the LOCK that a crash in this very process has left open."""
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue
        if target == str(path / "LOCK"):
            os.close(int(name))
