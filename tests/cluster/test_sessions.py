"""Sessions of real nodes: alive as long as their gateway is, gone soon after, also across a failover."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pytest

from kvraft.client import Client, SessionEventKind
from tests.cluster.harness import PATIENCE_S, Cluster

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SESSIONS = 10_000
AT_ONCE = 1_000
TTL_S = 2.0
USERS = [f"user-{number:05}" for number in range(SESSIONS)]


class Ends:
    """What a watch of a lease is told, and when."""

    def __init__(self) -> None:
        self.times_s: dict[str, float] = {}
        self.revisions: set[int] = set()
        self.others: list[str] = []

    async def watch(self, client: Client, lease_id: int, from_revision: int) -> None:
        """Until every session has ended."""
        async for event in client.sessions.watch(lease_id=lease_id, from_revision=from_revision):
            user_id = event.session.user_id
            if event.kind is not SessionEventKind.EXPIRED or user_id in self.times_s:
                self.others.append(f"{event.kind} {user_id} at {event.revision}")
            self.times_s[user_id] = time.monotonic()
            self.revisions.add(event.revision)
            if len(self.times_s) == SESSIONS:
                return


async def connect_everybody(endpoints: str) -> tuple[int, int]:
    """A gateway that opens all sessions and then dies: the lease, and the revision after the last session."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", GATEWAY, endpoints), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    line = await process.stdout.readline()
    process.kill()  # it renews no more, and revokes nothing
    await process.wait()
    lease_id, epoch = map(int, line.split())
    return lease_id, epoch + 1


GATEWAY = """
import asyncio, sys
from tests.cluster.test_sessions import hold_everybody
asyncio.run(hold_everybody(sys.argv[1]))
"""


async def hold_everybody(endpoints: str) -> None:
    """In a process of its own: opens all sessions, prints the lease and the last epoch, and keeps them."""
    client = Client(endpoints, timeout_s=PATIENCE_S)
    gateway = client.sessions.gateway("10.0.0.7:443", ttl_s=TTL_S)
    await gateway.begin()
    epoch = 0
    for begin in range(0, SESSIONS, AT_ONCE):
        opened = await asyncio.gather(
            *(gateway.open(user_id, "phone") for user_id in USERS[begin : begin + AT_ONCE])
        )
        epoch = max(epoch, *(session.epoch for session in opened))
    assert not gateway.lost.is_set(), "the gateway could not keep its lease: the test proves nothing"
    print(gateway.lease_id, epoch, flush=True)
    await gateway.lost.wait()


def test_ten_thousand_sessions_end_with_their_gateway_and_none_earlier(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster, cluster.client() as client:
            for begin in range(0, SESSIONS, AT_ONCE):
                users = USERS[begin : begin + AT_ONCE]
                await asyncio.gather(*(client.sessions.register_device(each, "phone") for each in users))

            for leader_dies in (False, True):
                lease_id, from_revision = await connect_everybody(cluster.endpoints)
                ends = Ends()
                async with cluster.client(*await cluster.followers()) as watcher:
                    watching = asyncio.create_task(ends.watch(watcher, lease_id, from_revision))
                    renewed_s = time.monotonic()
                    await client.lease.keep_alive(lease_id)
                    answered_s = time.monotonic()
                    if leader_dies:
                        doomed = await cluster.leader()
                        await cluster.kill(doomed)
                    async with asyncio.timeout(PATIENCE_S):
                        await watching

                assert not ends.others, ends.others[:5]
                assert min(ends.times_s.values()) - renewed_s >= TTL_S
                assert max(ends.times_s.values()) - answered_s <= TTL_S + 2.0
                assert len(ends.revisions) == 1, "they end together"
                assert (await client.sessions.list(lease_id=lease_id)).sessions == ()
                seen = await client.sessions.presence("viewer", [USERS[0], USERS[-1]])
                assert [each.online for each in seen.presences] == [False, False]
            cluster.start(doomed)
            await cluster.assert_equal_states()

    asyncio.run(story())
