"""Three nodes as child processes, each what `kvraft serve` is."""

from __future__ import annotations

import asyncio
import subprocess
import time
from pathlib import Path

from kvraft.child_nodes import start_node
from kvraft.client import Client, KvraftError, Role, Status
from kvraft.members import loopback_members

NODES = 3
PATIENCE_S = 30.0
"""How long anything may take, on however slow a machine."""
STOP_S = 20.0
"""After SIGTERM; then SIGKILL."""
_POLL_S = 0.05


class NodesError(Exception):
    """The nodes did not do in time what they should."""


class Nodes:
    """The processes, their data, and what they say about themselves."""

    def __init__(self, data_directory: Path) -> None:
        self._directory = data_directory
        self._members = loopback_members(NODES)
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def node_ids(self) -> list[int]:
        return list(self._members)

    @property
    def endpoints(self) -> str:
        """Of all nodes, running or not."""
        return ",".join(member.client_address for member in self._members.values())

    def client(self, node_id: int) -> Client:
        """A client that knows of one node only."""
        return Client(self._members[node_id].client_address, timeout_s=PATIENCE_S)

    def start(self, node_id: int) -> None:
        """Starts a node that does not run, with the data it had."""
        self._processes[node_id] = start_node(
            node_id=node_id, cluster_name="demo", directory=self._directory, members=self._members
        )

    def kill(self, node_id: int) -> None:
        """kill -9."""
        self._processes[node_id].kill()
        self._processes[node_id].wait()

    def stop(self) -> None:
        """Stops every node in order, and kills what does not stop."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    async def leader(self) -> Status:
        """Waits for a leader. Raises NodesError."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            leaders = [each for each in await self._statuses() if each.role is Role.LEADER]
            if leaders:
                return max(leaders, key=lambda each: each.header.term)
            await asyncio.sleep(_POLL_S)
        raise NodesError(f"no leader within {PATIENCE_S:.0f} s; the nodes' logs are in {self._directory}")

    async def digests(self) -> dict[int, int]:
        """Waits until all nodes have applied the same; each one's digest of its state there. Raises
        NodesError."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            statuses = await self._statuses()
            if len(statuses) == NODES and len({each.applied_index for each in statuses}) == 1:
                return {each.header.member_id: each.state_digest for each in statuses}
            await asyncio.sleep(_POLL_S)
        raise NodesError(f"the nodes did not catch up in {PATIENCE_S:.0f} s; see {self._directory}")

    async def _statuses(self) -> list[Status]:
        """Of the nodes that answer."""
        running = [each for each, process in self._processes.items() if process.poll() is None]

        async def ask(node_id: int) -> Status | None:
            async with Client(self._members[node_id].client_address, timeout_s=1.0) as client:
                try:
                    return await client.cluster.status()
                except KvraftError:
                    return None

        answers = await asyncio.gather(*map(ask, running))
        return [answer for answer in answers if answer is not None]
