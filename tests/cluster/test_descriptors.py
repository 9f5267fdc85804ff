"""A node of whose connections clients take all they can get."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from pathlib import Path

import pytest

from kvraft.client import KvraftError
from tests.cluster.harness import Cluster, eventually

LIMIT = 400
"""Files that a node may have open."""
FLOOD = 1_000


def flood(address: str) -> list[socket.socket]:
    """Connections on which nothing is ever said."""
    host, port = address.split(":")
    sockets = []
    for _ in range(FLOOD):
        with contextlib.suppress(OSError):
            sockets.append(socket.create_connection((host, int(port)), timeout=5))
    return sockets


@pytest.mark.slow
def test_idle_connections_take_nothing_from_a_node_and_from_a_client_that_is_connected(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with Cluster(tmp_path, nodes=1) as cluster:
            await cluster.kill(1)
            cluster.start(1, open_files=LIMIT)
            await cluster.leader()
            async with cluster.client() as connected:
                await connected.kv.put(b"before", b"x")
                sockets = await asyncio.to_thread(flood, cluster.members[1].client_address)
                sockets += await asyncio.to_thread(flood, cluster.members[1].peer_address)
                try:
                    await connected.kv.put(b"meanwhile", b"x" * 100_000)
                    assert _open_files(cluster.processes[1].pid) < LIMIT
                finally:
                    for each in sockets:
                        each.close()
                await connected.kv.put(b"after", b"x")

            async def can_connect() -> bool:
                async with cluster.client(timeout_s=2) as another:
                    try:
                        return (await another.kv.get(b"after")).kv is not None
                    except KvraftError:
                        return False

            await eventually(can_connect, "a new client is served")
            cluster.processes[1].terminate()
            assert await cluster.ended(1) == 0
            assert "Too many open files" not in cluster.log(1)

    asyncio.run(scenario())


def _open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))
