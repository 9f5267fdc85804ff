"""Watches on real nodes: every change once and in order, through the deaths of leaders, the compaction of the
log, and a change of the node that serves them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kvraft.client import Client, Compacted, EventBatch, EventKind, KeyRange, KvraftError, Put
from tests.cluster.harness import PATIENCE_S, Cluster, eventually

SMALL_LOG = ["--segment-bytes=65536", "--log-retained-bytes=1048576", "--flush-interval-ms=100"]
"""So that the log is compacted, but a node that was away for a moment needs no snapshot, with which its
history would begin anew."""
WATCHED = KeyRange.prefix(b"watched/")


class Writes:
    """Batches of two keys, one after the other, each of which says which it is. A batch of unknown outcome is
    written again under the next number, so that the numbers rise whatever happened."""

    def __init__(self) -> None:
        self.acknowledged: dict[int, int] = {}
        """Revision of each number."""
        self._number = 0

    async def more(self, client: Client, count: int) -> None:
        wanted = len(self.acknowledged) + count
        while len(self.acknowledged) < wanted:
            self._number += 1
            number = b"%d" % self._number
            try:
                written = await client.kv.batch_write(
                    [
                        Put(b"watched/%d" % (self._number % 50), number),
                        Put(b"watched/last", number + bytes(4_000)),
                    ]
                )
            except KvraftError:
                continue
            self.acknowledged[self._number] = written.header.revision


async def follow(client: Client, start_revision: int, found: list[EventBatch]) -> None:
    async for batch in client.kv.watch(WATCHED, start_revision=start_revision).batches():
        found.append(batch)


def check(found: list[EventBatch], writes: Writes) -> None:
    revisions = [batch.revision for batch in found]
    assert revisions == sorted(set(revisions)), "a revision came twice, or out of order"
    numbers = {}
    for batch in found:
        first, last = batch.events
        assert (first.kind, last.kind, last.kv.key) == (EventKind.PUT, EventKind.PUT, b"watched/last")
        assert last.kv.value.rstrip(b"\0") == first.kv.value, "events of two writes in one revision"
        number = int(first.kv.value)
        assert number not in numbers.values(), "a write came twice"
        numbers[batch.revision] = number
    assert list(numbers.values()) == sorted(numbers.values())
    missed = {
        number: revision
        for number, revision in writes.acknowledged.items()
        if revision >= revisions[0] and numbers.get(revision) != number
    }
    assert not missed
    # Each write says how often its key was written: a gap would show.
    versions = [batch.events[1].kv.version for batch in found]
    assert versions == list(range(versions[0], versions[0] + len(versions)))


@pytest.mark.slow
def test_a_watch_outlives_two_leaders_and_the_log(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path, flags=SMALL_LOG) as cluster, cluster.client() as client:
            writes = Writes()
            await writes.more(client, 100)
            start = writes.acknowledged[50]
            follower, other = await cluster.followers()
            leader = next(each for each in cluster.node_ids if each not in (follower, other))
            found: dict[str, list[EventBatch]] = {"any": [], "follower": [], "leader": []}
            async with (
                cluster.client(follower) as by_follower,
                cluster.client(leader, other, follower) as by_leader,
                asyncio.TaskGroup() as tasks,
            ):
                # The second one has no other node to go to: it waits until its own is back, should that be
                # a leader by then that is killed.
                watches = [
                    tasks.create_task(follow(client, start, found["any"])),
                    tasks.create_task(follow(by_follower, start, found["follower"])),
                    tasks.create_task(follow(by_leader, start, found["leader"])),
                ]
                for _ in range(2):
                    await writes.more(client, 100)
                    doomed = await cluster.leader()
                    await cluster.kill(doomed)
                    await writes.more(client, 100)
                    cluster.start(doomed)
                    await cluster.assert_equal_states()
                await writes.more(client, 50)
                statuses = await cluster.statuses()
                assert all(status.first_log_index > 1 for status in statuses), "the log was never compacted"
                end = max(writes.acknowledged.values())

                async def all_there() -> bool:
                    return all(got and got[-1].revision >= end for got in found.values())

                await eventually(all_there, "every watch has come to the last write")
                for watch in watches:
                    watch.cancel()
            for got in found.values():
                assert got[0].revision == start
                check(got, writes)
            # And once more from the past, where the log no longer reaches, on every node.
            for node_id in cluster.node_ids:
                async with cluster.client(node_id) as alone:
                    again: list[EventBatch] = []
                    async with asyncio.timeout(PATIENCE_S):
                        async for batch in alone.kv.watch(WATCHED, start_revision=start).batches():
                            again.append(batch)
                            if batch.revision >= end:
                                break
                    assert [each.revision for each in again] == [each.revision for each in found["any"]]

    asyncio.run(story())


@pytest.mark.slow
def test_history_is_kept_as_long_as_configured_and_then_refused(tmp_path: Path) -> None:
    async def story() -> None:
        flags = [*SMALL_LOG, "--history-revisions-max=20"]
        async with Cluster(tmp_path, nodes=1, flags=flags) as cluster, cluster.client() as client:
            writes = Writes()
            oldest = 0

            async def trimmed() -> bool:
                nonlocal oldest
                await writes.more(client, 30)
                try:
                    async for _ in client.kv.watch(WATCHED, start_revision=1):
                        return False
                except Compacted as error:
                    oldest = error.oldest_revision
                    return True
                return False

            await eventually(trimmed, "the first revision is no longer kept")
            cluster.processes[1].kill()
            await asyncio.to_thread(cluster.processes[1].wait)
            cluster.start(1)
            found: list[EventBatch] = []
            async with asyncio.timeout(PATIENCE_S):
                async for batch in client.kv.watch(
                    WATCHED, start_revision=max(writes.acknowledged.values()) - 5
                ).batches():
                    found.append(batch)
                    if batch.revision == max(writes.acknowledged.values()):
                        break
            check(found, writes)
            assert oldest > 1

    asyncio.run(story())
