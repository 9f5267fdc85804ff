"""Real nodes as child processes on free ports of this machine, in a temporary directory.

They are what `kvraft serve` is, with an election timeout for one machine and small log files, so that
they are up soon. Nothing is simulated: what is acknowledged is fsynced on a majority here as well.
"""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from kvraft.child_nodes import TemporaryDirectory, log_path, start_node
from kvraft.client import KvraftError, Role, Status, SyncClient
from kvraft.members import loopback_members

START_S = 20.0
"""How long a leader may take to be there, on however slow a machine."""
_FLAGS = ("--election-timeout-ms=300", "--heartbeat-interval-ms=60", "--segment-bytes=4194304")
_POLL_S = 0.02
_LOG_LINES = 10


class LocalClusterError(Exception):
    """The cluster did not come up; the message holds the last lines of the nodes' logs."""


class LocalCluster:
    """A cluster of `nodes` nodes, with ids from 1, for as long as it is entered.

    Enter it once. Its processes and what they leave on disk are gone at the end, also where this process is
    killed. No setting of this process (KVRAFT_ variables, proxies) reaches them.
    """

    def __init__(self, nodes: int = 3) -> None:
        if nodes < 1:
            raise ValueError(f"nodes is {nodes}: a cluster has at least one")
        self._members = loopback_members(nodes)
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._directory: TemporaryDirectory | None = None

    @property
    def endpoints(self) -> str:
        """For `Client` and `SyncClient`: "host:port,host:port,..."."""
        return ",".join(member.client_address for member in self._members.values())

    @property
    def node_ids(self) -> list[int]:
        """All of them, running or not."""
        return list(self._members)

    def endpoint(self, node_id: int) -> str:
        """Where one node serves clients."""
        return self._members[node_id].client_address

    def leader(self) -> int:
        """Waits for a leader and names it. Raises LocalClusterError."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            running = [each for each, process in self._processes.items() if process.poll() is None]
            for node_id in running:
                status = self._status(node_id)
                if status is not None and status.role is Role.LEADER and status.applied_index > 0:
                    return node_id
            if not running:
                break
            time.sleep(_POLL_S)
        raise LocalClusterError(f"no leader within {START_S:.0f} s\n{self._last_lines()}")

    def kill(self, *node_ids: int) -> None:
        """kill -9, as a power cut of one machine."""
        for node_id in node_ids:
            self._processes[node_id].kill()
        for node_id in node_ids:
            self._processes[node_id].wait()

    def pause(self, node_id: int) -> None:
        """Stops a node's clock (SIGSTOP): it hears and says nothing."""
        self._processes[node_id].send_signal(signal.SIGSTOP)

    def resume(self, node_id: int) -> None:
        """Lets a paused node go on."""
        self._processes[node_id].send_signal(signal.SIGCONT)

    def start(self, node_id: int) -> None:
        """Starts a node that was killed, with the data it had."""
        process = self._processes.get(node_id)
        if process is not None and process.poll() is None:
            raise ValueError(f"node {node_id} runs")
        self._close_pipe(node_id)
        self._processes[node_id] = start_node(
            node_id=node_id, cluster_name="local", directory=self._path, members=self._members, flags=_FLAGS
        )

    def log(self, node_id: int) -> str:
        """What a node has logged."""
        return log_path(self._path, node_id).read_text(errors="replace")

    def __enter__(self) -> Self:
        self._directory = TemporaryDirectory("kvraft-")
        try:
            for node_id in self._members:
                self.start(node_id)
            self.leader()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.wait()
        for node_id in self._processes:
            self._close_pipe(node_id)
        assert self._directory is not None
        self._directory.close()

    def _close_pipe(self, node_id: int) -> None:
        process = self._processes.get(node_id)
        if process is not None and process.stdin is not None:
            process.stdin.close()

    def _status(self, node_id: int) -> Status | None:
        with SyncClient(self.endpoint(node_id), timeout_s=1.0) as client:
            try:
                return client.cluster.status(self.endpoint(node_id))
            except KvraftError:
                return None

    @property
    def _path(self) -> Path:
        assert self._directory is not None, "enter the cluster first"
        return self._directory.path

    def _last_lines(self) -> str:
        lines = []
        for node_id in self._members:
            lines += [f"node {node_id}: {line}" for line in self.log(node_id).splitlines()[-_LOG_LINES:]]
        return "\n".join(lines)
