"""What signals do to a process, before anything was begun and while it stops."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

PATIENCE_S = 60
STOPPING = """
import os, signal, sys
from kvraft import log_output, signals
signals.handle()
log_output.take_over("stderr")
stopping = []
signals.on_stop(lambda: stopping.append(True))
os.kill(os.getpid(), signal.{first})
print("asked once", len(stopping), flush=True)
os.kill(os.getpid(), signal.{second})
print("still there", flush=True)
"""


def run(program: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [*words, sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)


@pytest.mark.parametrize("first", ["SIGTERM", "SIGINT", "SIGHUP"])
@pytest.mark.parametrize("second", ["SIGTERM", "SIGINT"])
def test_the_second_signal_ends_at_once_and_says_so(first: str, second: str) -> None:
    ended = run(STOPPING.format(first=first, second=second))
    assert ended.returncode == 128 + signal.Signals[second]
    assert ended.stdout == "asked once 1\n"
    assert ended.stderr.startswith(f"kvraft: {second} while it was stopping: ended at once")


def test_a_signal_before_anything_was_begun_ends_in_good_order() -> None:
    program = "import os, signal; from kvraft import signals; signals.handle(); os.kill(os.getpid(), {})"
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        assert run(program.format(int(number))).returncode == 0


def test_a_hangup_stays_ignored_where_it_was() -> None:
    program = (
        "import os, signal; from kvraft import signals; signals.handle(); os.kill(os.getpid(), 1); exit(9)"
    )
    assert run(program, "nohup").returncode == 9


@pytest.mark.parametrize("command", ["serve", "dev", "demo"])
def test_a_signal_is_heard_while_the_command_is_still_being_imported(command: str, tmp_path: Path) -> None:
    """The first process of a container would not be ended by it otherwise, nor ever."""
    words = [sys.executable, "-m", "kvraft", command, f"--data-dir={tmp_path / 'data'}"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not _catches(process.pid, signal.SIGTERM):
            assert process.poll() is None, "ended before it had a handler"
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
    assert not (tmp_path / "data").exists()


def test_nothing_of_the_program_is_imported_before_signals_are_handled() -> None:
    ended = run(
        "import sys, kvraft.__main__; print(*sorted(m for m in sys.modules if m.startswith('kvraft')))"
    )
    assert ended.stdout.split() == ["kvraft", "kvraft.__main__", "kvraft.signals", "kvraft.version"]


def _catches(pid: int, number: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (number - 1) & 1)
