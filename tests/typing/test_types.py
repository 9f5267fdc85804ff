"""What mypy makes of the public names, in the code of an application."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

HERE = Path(__file__).parent
ERROR = re.compile(r"^rejected\.py:(\d+): error: .*\[([a-z-]+)\]$", re.MULTILINE)
EXPECTED = re.compile(r"  # error: ([a-z-]+)$")


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What mypy says of both files, strictly, without the configuration of this project and from another
    folder than its root: as the code of an application is checked."""
    pytest.importorskip("mypy", reason="mypy is not installed: it comes with the extra `dev`")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context"]
    result = subprocess.run(
        [
            *command,
            "--config-file=",
            f"--cache-dir={tmp_path_factory.mktemp('mypy')}",
            "accepted.py",
            "rejected.py",
        ],
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.stderr == ""
    return result.stdout


@pytest.mark.slow
def test_what_applications_write_is_accepted(checked: str) -> None:
    others = [
        line for line in checked.splitlines() if ": error:" in line and not line.startswith("rejected.py")
    ]
    assert others == []


@pytest.mark.slow
def test_mistakes_are_found_each_on_its_line(checked: str) -> None:
    lines = (HERE / "rejected.py").read_text().splitlines()
    expected = {
        (number, match[1]) for number, line in enumerate(lines, start=1) if (match := EXPECTED.search(line))
    }
    assert len(expected) == 33
    # A set: one mistake may be several errors.
    assert {(int(line), code) for line, code in ERROR.findall(checked)} == expected


@pytest.mark.slow
def test_the_wheel_says_that_it_has_types(tmp_path: Path) -> None:
    """Without the marker (PEP 561) a type checker takes every name of the package as `Any`."""
    pytest.importorskip("hatchling", reason="hatchling is not installed: it comes with the extra `dev`")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=HERE.parents[1], capture_output=True, timeout=60, check=True)
    [wheel] = tmp_path.glob("*.whl")
    assert "kvraft/py.typed" in ZipFile(wheel).namelist()
