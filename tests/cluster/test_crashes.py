"""kill -9 and SIGSTOP under load: every acknowledged write stays, no read goes back in time."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from tests.cluster.harness import Cluster, Load

WRITES = 400


def test_the_leader_is_killed_under_load(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster:
            async with Load(cluster) as load:
                for _ in range(2):
                    await load.more(WRITES)
                    leader = await cluster.leader()
                    await cluster.kill(leader)
                    await cluster.leader(among=[each for each in cluster.node_ids if each != leader])
                    await load.more(WRITES)
                    cluster.start(leader)
                    await load.more(WRITES)
            await load.assert_nothing_lost()

    asyncio.run(story())


@pytest.mark.parametrize("killed", [2, 3])
def test_a_majority_is_killed_under_load(tmp_path: Path, killed: int) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster:
            async with Load(cluster) as load:
                await load.more(WRITES)
                victims = ([await cluster.leader(), *await cluster.followers()])[:killed]
                await cluster.kill(*victims)
                for node_id in victims:
                    cluster.start(node_id)
                await load.more(WRITES)
            await load.assert_nothing_lost()

    asyncio.run(story())


def test_the_leader_is_frozen_for_ten_seconds_under_load(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster:
            async with Load(cluster) as load:
                await load.more(WRITES)
                leader = await cluster.leader()
                cluster.signal(leader, signal.SIGSTOP)
                thaw = asyncio.get_running_loop().call_later(10, cluster.signal, leader, signal.SIGCONT)
                await cluster.leader(among=[each for each in cluster.node_ids if each != leader])
                while not thaw.cancelled() and thaw.when() > asyncio.get_running_loop().time():
                    await load.more(1)
                await load.more(WRITES)
            await load.assert_nothing_lost()

    asyncio.run(story())
