"""`kvraft dev`, as somebody at a terminal meets it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kvraft import exit_codes

PATIENCE_S = 60


@contextmanager
def dev(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Three nodes on free ports, stopped in the end if the test has not."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "kvraft",
            "dev",
            f"--data-dir={directory}",
            f"--base-port={free_base_port(6)}",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def free_base_port(count: int) -> int:
    """The first of so many ports in a row that nobody has, below those that the kernel hands out."""
    for base_port in range(20_000, 32_000, count):
        try:
            for port in range(base_port, base_port + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return base_port
    raise AssertionError("no free ports")


def read_until(process: subprocess.Popen[str], *patterns: str) -> list[str]:
    """The lines up to the moment when each pattern was met by one of them."""
    assert process.stdout is not None
    lines: list[str] = []
    wanted = set(patterns)
    for line in process.stdout:
        lines.append(line)
        wanted -= {pattern for pattern in wanted if re.search(pattern, line)}
        if not wanted:
            return lines
    raise AssertionError(f"ended without {wanted}: {lines}")


@pytest.mark.slow
def test_a_cluster_lives_dies_in_part_and_stops(tmp_path: Path) -> None:
    with dev(tmp_path / "data") as process:
        lines = read_until(process, *(rf"^node{n}: started" for n in (1, 2, 3)), "elected leader in term")
        assert lines[0].startswith("export KVRAFT_ENDPOINTS=127.0.0.1:")
        leader = next(line for line in lines if "elected" in line).split(":")[0]

        os.kill(_pid_of(process, leader), signal.SIGKILL)
        lines = read_until(process, rf"^{leader}: died \(SIGKILL\)", "elected leader in term")
        assert not any(line.startswith(f"{leader}: elected") for line in lines)

        process.send_signal(signal.SIGINT)
        survivors = {"node1", "node2", "node3"} - {leader}
        read_until(process, *(rf"^{node}: stopped" for node in survivors))
        assert process.wait(PATIENCE_S) == exit_codes.OK

    with dev(tmp_path / "data") as process:
        read_until(process, rf"^{leader}: started", "elected leader in term")


def _pid_of(process: subprocess.Popen[str], node: str) -> int:
    """The child whose command line names this node."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    flag = f"--node-id={node.removeprefix('node')}".encode()
    (pid,) = [int(pid) for pid in children if flag in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")]
    return pid
