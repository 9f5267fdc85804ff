"""Child nodes and their parent: they end with it, by whatever end, and have none of its settings."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.test_dev import free_base_port

PATIENCE_S = 60
pytestmark = pytest.mark.slow

TEST_RUN = """
import sys, time
from kvraft.testing import LocalCluster
with LocalCluster(nodes=3) as cluster:
    cluster.pause(2)
    print(cluster.log(1).split("path=")[1].split("/node1")[0], flush=True)
    time.sleep(600)
"""


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S} s: {what}"
        time.sleep(0.05)


def nodes_in(directory: str) -> list[int]:
    """Process ids of the nodes whose data lies there."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
        if any(word.startswith(f"--data-dir={directory}/node".encode()) for word in words):
            found.append(int(path.parent.name))
    return found


@contextmanager
def running(*words: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """A process that is killed in the end if the test has not ended it."""
    command = [sys.executable, *words]
    env = os.environ | variables
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_a_cluster_whose_test_run_was_killed(number: signal.Signals) -> None:
    """Also of a node that could not end by itself, as the test had stopped it."""
    settings = {"KVRAFT_CLUSTER_NAME": "!", "KVRAFT_DISK_RESERVE_BYTES": "x", "http_proxy": "127.0.0.1:9"}
    with running("-c", TEST_RUN, **settings) as process:
        assert process.stdout is not None
        directory = process.stdout.readline().strip()
        assert len(nodes_in(directory)) == 3
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == -number
        until(lambda: not nodes_in(directory), "no node is left")
        until(lambda: not Path(directory).exists(), "the directory is gone")


FORKING = """
import os, signal
from kvraft.child_nodes import TemporaryDirectory
with TemporaryDirectory("kvraft-") as directory:
    child = os.fork()
    if not child:
        signal.pause()
    print(child, directory, flush=True)
    signal.pause()
"""


def test_what_was_forked_from_a_killed_process_keeps_none_of_its_children() -> None:
    """As a worker of multiprocessing that nobody has told to end."""
    with running("-c", FORKING) as process:
        assert process.stdout is not None
        forked, directory = process.stdout.readline().split()
        try:
            process.kill()
            until(lambda: not Path(directory).exists(), "the directory is gone")
        finally:
            os.kill(int(forked), signal.SIGKILL)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGHUP, 0), (signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_the_nodes_of_dev_end_with_it(number: signal.Signals, code: int, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(
        "-m",
        "kvraft",
        "dev",
        "--nodes=1",
        f"--data-dir={data}",
        f"--base-port={free_base_port(2)}",
        KVRAFT_NODE_ID="!",
    ) as process:
        assert process.stdout is not None
        assert any("elected leader" in line for line in process.stdout)
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == code
        until(lambda: not nodes_in(str(data)), "no node is left")
    assert "stopped" in (tmp_path / "data" / "node1.log").read_text().splitlines()[-1]


def test_a_node_that_nobody_reads_serves_and_stops(tmp_path: Path) -> None:
    """Its stderr is a pipe that is full from the beginning."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"." * 4_096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    port = free_base_port(2)
    command = [sys.executable, "-m", "kvraft", "serve", "--node-id=1", "--cluster-name=c"]
    flags = [f"--data-dir={tmp_path / 'data'}", f"--member=1=127.0.0.1:{port},127.0.0.1:{port + 1}"]
    with subprocess.Popen([*command, *flags], stderr=writer) as process:
        try:
            until(lambda: _listens(port), "it serves")
            process.terminate()
            assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()
    os.close(reader)
    os.close(writer)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
