"""`kvraft demo`, as somebody meets it who has just installed kvraft."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
PATIENCE_S = 120


def demo(directory: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "kvraft", "demo", f"--data-dir={directory}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def processes_with(argument: str) -> list[str]:
    """Command lines of running processes that hold this."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_text(errors="replace").replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
        if argument in command:
            found.append(command)
    return found


def test_the_whole_story_is_told_and_every_promise_holds(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, output
    assert "BROKEN" not in output
    assert re.search(r"^all \d+ promises held$", output, re.MULTILINE), output
    # Plain text where there is no terminal, and the table is whole.
    assert "\x1b" not in output
    numbers = {
        name: [int(each.replace(",", "")) for each in row.split()]
        for name, row in re.findall(r"^ +(\w+'s \w+|all) +([\d, ]+)$", output, re.MULTILINE)
    }
    accepted = {
        "Alice's phone": 75,
        "Bob's phone": 1_075,
        "Bob's laptop": 1_100,
        "Carol's phone": 77,
        "Dave's phone": 75,
        "all": 2_402,
    }
    # Accepted, delivered, acknowledged; lost, duplicated, out of order, left.
    assert numbers == {name: [count] * 3 + [0] * 4 for name, count in accepted.items()}


def test_who_stops_it_stops_the_nodes_as_well(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        assert process.stdout is not None
        told = ""
        for line in process.stdout:
            told += line
            if "was elected leader" in line:
                assert len(processes_with(str(tmp_path))) == 1 + 3
                process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)
    assert process.returncode == 1
    assert "BROKEN the story comes to its end" in told
    assert not processes_with(str(tmp_path))
