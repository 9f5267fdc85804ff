"""kvctl with streams that are closed, full or broken, as a shell can start it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from kvctl.exit_codes import ExitCode
from tests.fakes.kv_server import FakeNode, FakeServer


def shell(server: FakeServer, line: str) -> subprocess.CompletedProcess[str]:
    """kvctl, as `$K`."""
    return subprocess.run(
        ["/bin/sh", "-c", line],
        env={**os.environ, "KVRAFT_ENDPOINTS": server.endpoint, "K": f"{sys.executable} -m kvctl"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        ("$K get k >&-", ExitCode.BROKEN_PIPE, ""),
        ("$K --version >&-", ExitCode.BROKEN_PIPE, ""),
        ("$K get k 2>&-", ExitCode.OK, ""),
        ("$K get absent 2>&-", ExitCode.NOT_FOUND, ""),
        ("$K get k <&- >&- 2>&-", ExitCode.BROKEN_PIPE, ""),
        ("$K put k <&-", ExitCode.USAGE, "stdin is closed"),
        ("$K txn <&-", ExitCode.USAGE, "stdin is closed"),
        ("$K msg import - <&-", ExitCode.USAGE, "stdin is closed"),
        ("$K del --prefix k <&-", ExitCode.OK, ""),
        ("$K get k >/dev/full", ExitCode.USAGE, "No space left"),
        ("$K get absent -o json >/dev/full", ExitCode.USAGE, "No space left"),
    ],
)
def test_streams(server: FakeServer, node: FakeNode, line: str, code: int, told: str) -> None:
    node.put(b"k", b"v")
    result = shell(server, line)
    assert result.returncode == code, result.stderr
    assert told in result.stderr
    assert "Traceback" not in result.stderr
    assert "Exception" not in result.stderr


def test_what_nobody_expected_is_exit_code_6_and_says_how_to_see_more(server: FakeServer) -> None:
    broken = (
        "import kvctl.commands.get as g; g.connect = lambda _: 1 / 0; from kvctl.__main__ import main; main()"
    )
    line = f"{sys.executable} -c '{broken}' get k"
    result = shell(server, line)
    assert result.returncode == ExitCode.INTERNAL
    assert "ZeroDivisionError: division by zero. With KVRAFT_DEBUG=1" in result.stderr
    assert "Traceback" not in result.stderr
    assert "Traceback" in shell(server, f"KVRAFT_DEBUG=1 {line}").stderr


def test_bytes_that_are_no_utf_8_are_values_but_no_ids(server: FakeServer, node: FakeNode) -> None:
    assert shell(server, "$K put \"$(printf 'k\\366')\" \"$(printf 'v\\366')\"").returncode == 0
    assert node.keys[b"k\xf6"].value == b"v\xf6"
    result = shell(server, "$K device add \"$(printf 'bj\\366rn')\" phone")
    assert result.returncode == ExitCode.USAGE
    assert "is not UTF-8 text" in result.stderr
