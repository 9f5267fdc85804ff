"""Leases of real nodes: alive as long as somebody keeps them so, gone soon after."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from kvraft.client import Client, KeyRange, LeaseLost, LeaseNotFound
from tests.cluster.harness import PATIENCE_S, Cluster, eventually

pytestmark = pytest.mark.slow
TTL_S = 6.0


def test_a_lease_that_is_kept_alive_outlives_three_leaders(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            Cluster(tmp_path) as cluster,
            cluster.client() as client,
            client.lease.hold(TTL_S) as lease,
        ):
            written = await client.kv.put(b"online", b"gateway", lease_id=lease.lease_id)
            for fault in ("killed", "frozen", "killed"):
                leader = await cluster.leader()
                if fault == "killed":
                    await cluster.kill(leader)
                else:
                    cluster.signal(leader, signal.SIGSTOP)
                await cluster.leader(among=[each for each in cluster.node_ids if each != leader])
                # Longer than the lease would live by itself.
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(lease.lost.wait(), TTL_S + 0.5)
                if fault == "killed":
                    cluster.start(leader)
                else:
                    cluster.signal(leader, signal.SIGCONT)
            kept = (await client.kv.get(b"online")).kv
            assert kept is not None
            assert (kept.create_revision, kept.lease_id) == (written.header.revision, lease.lease_id)

    asyncio.run(scenario())


def test_leases_that_nobody_keeps_alive_end_on_every_node(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Cluster(tmp_path) as cluster, cluster.client() as client:
            granted_s = time.monotonic()
            leases = [(await client.lease.grant(TTL_S)).lease_id for _ in range(150)]
            await asyncio.gather(*(client.kv.put(b"%d" % each, b"", lease_id=each) for each in leases))
            last_granted_s = time.monotonic()
            assert await _count(client) == 150

            async def all_ended() -> bool:
                return not await _count(client)

            await eventually(all_ended, "the end of the leases")
            ended_s = time.monotonic()
            assert ended_s - granted_s >= TTL_S
            assert ended_s - last_granted_s <= TTL_S + 2.0
            with pytest.raises(LeaseNotFound):
                await client.lease.keep_alive(leases[0])
            assert (await client.lease.list()).leases == ()
            await cluster.assert_equal_states()

    asyncio.run(scenario())


async def _count(client: Client) -> int:
    return (await client.kv.count(KeyRange())).count


def test_a_lock_passes_on_when_its_holder_dies(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Cluster(tmp_path) as cluster, cluster.client() as client:
            holder = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "kvctl", "--endpoints", cluster.endpoints),
                *(
                    "lock",
                    "--ttl",
                    "2",
                    "name",
                    "--",
                    "sh",
                    "-c",
                    "echo $KVRAFT_FENCING_TOKEN; exec sleep 60",
                ),
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
            assert holder.stdout is not None
            first = int(await holder.stdout.readline())
            os.killpg(holder.pid, signal.SIGKILL)  # it renews no more, and revokes nothing
            await holder.wait()

            async with asyncio.timeout(PATIENCE_S), client.lock("name", ttl_s=2) as second:
                assert second.fencing_token > first
            assert await _count(client) == 0

    asyncio.run(scenario())


def test_a_lock_passes_on_at_once_when_the_client_of_its_holder_is_closed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Cluster(tmp_path) as cluster, cluster.client() as client:
            closed = cluster.client()
            first = closed.lock("name", ttl_s=600)
            await first.__aenter__()
            await closed.close()
            assert first.lost.is_set()
            with pytest.raises(LeaseLost):
                await first.__aexit__(None, None, None)
            async with asyncio.timeout(PATIENCE_S), client.lock("name"):
                pass

    asyncio.run(scenario())


def test_a_lock_whose_holder_is_cancelled_twice_passes_on_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Cluster(tmp_path) as cluster, cluster.client() as holder, cluster.client() as waiter:
            entered = asyncio.Event()

            async def hold() -> None:
                async with holder.lock("name", ttl_s=60):
                    entered.set()
                    await asyncio.Event().wait()

            holding = asyncio.create_task(hold())
            await entered.wait()
            holding.cancel()
            await asyncio.sleep(0)
            holding.cancel()  # while it gives the lock back
            with pytest.raises(asyncio.CancelledError):
                await holding
            async with asyncio.timeout(PATIENCE_S), waiter.lock("name"):
                pass

    asyncio.run(scenario())
