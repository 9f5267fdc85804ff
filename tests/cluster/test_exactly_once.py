"""Counters that any write lost or applied twice would show, while leaders die."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.cluster.harness import Cluster

CALLERS = 64
EACH = 157
"""More than 10,000 in all."""


class Progress:
    """How far the callers have come; an event at each third of the way."""

    def __init__(self) -> None:
        self.count = 0
        self.milestones = {CALLERS * EACH * share // 3: asyncio.Event() for share in (1, 2)}

    def advance(self) -> None:
        self.count += 1
        if self.count in self.milestones:
            self.milestones[self.count].set()


async def _kill_leaders(cluster: Cluster, progress: Progress) -> None:
    """Twice, a third and two thirds into the work, and each comes back."""
    for milestone in progress.milestones.values():
        await milestone.wait()
        leader = await cluster.leader()
        await cluster.kill(leader)
        cluster.start(leader)


@pytest.mark.slow
def test_increments_by_compare_and_set_are_exact_while_two_leaders_die(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster, cluster.client() as client:
            progress = Progress()
            killer = asyncio.create_task(_kill_leaders(cluster, progress))

            async def count_up(caller: int) -> None:
                key, revision = b"counter/%02d" % caller, 0
                for number in range(1, EACH + 1):
                    written = await client.kv.compare_and_set(key, b"%d" % number, expected_revision=revision)
                    assert written.succeeded, (key, number, written)
                    revision = written.header.revision
                    progress.advance()

            await asyncio.gather(*map(count_up, range(CALLERS)))
            await killer
            for caller in range(CALLERS):
                counter = (await client.kv.get(b"counter/%02d" % caller)).kv
                assert counter is not None
                assert int(counter.value) == counter.version == EACH
            await cluster.assert_equal_states()

    asyncio.run(story())


@pytest.mark.slow
def test_numbered_puts_are_applied_once_while_two_leaders_die(tmp_path: Path) -> None:
    """A put is not idempotent for the version: one applied twice shows."""

    async def story() -> None:
        async with Cluster(tmp_path) as cluster, cluster.client() as client:
            progress = Progress()
            killer = asyncio.create_task(_kill_leaders(cluster, progress))

            async def put_on(caller: int) -> None:
                for number in range(EACH):
                    await client.kv.put(b"key/%02d" % caller, b"%d" % number)
                    progress.advance()

            began_s = time.monotonic()
            await asyncio.gather(*map(put_on, range(CALLERS)))
            await killer
            for caller in range(CALLERS):
                kept = (await client.kv.get(b"key/%02d" % caller)).kv
                assert kept is not None
                assert kept.version == EACH, kept
            await cluster.assert_equal_states()
            print(f"{progress.count} puts in {time.monotonic() - began_s:.1f} s with two leaders killed")

    asyncio.run(story())
