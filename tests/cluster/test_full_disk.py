"""Nodes on disks that are really full: small file systems in memory, of each node its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kvraft.client import Client, KeyRange, KvraftError, ResourceExhausted
from tests.cluster.harness import Cluster, eventually

MIB = 1 << 20
DISK_BYTES = 48 * MIB
FLAGS = (f"--segment-bytes={MIB}", f"--disk-reserve-bytes={12 * MIB}", "--flush-interval-ms=200")
VALUE = os.urandom(100_000)
ALL = KeyRange.prefix(b"")


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[Path]:
    """A directory in which the data directory of each of three nodes is a file system of its own."""
    mounted: list[Path] = []
    for node_id in (1, 2, 3):
        path = tmp_path / f"node{node_id}"
        path.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", path],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            break
        mounted.append(path)
    try:
        if len(mounted) < 3:
            pytest.skip(
                f"no small disk was filled: no file system can be mounted here: {done.stderr.strip()}"
            )
        yield tmp_path
    finally:
        for path in mounted:
            subprocess.run(["umount", "--lazy", path], check=True)


def free_bytes(path: Path) -> int:
    statistics = os.statvfs(path)
    return statistics.f_bavail * statistics.f_frsize


async def fill(client: Client, prefix: bytes) -> list[bytes]:
    """Writes until there is no space: the keys that were acknowledged."""
    keys: list[bytes] = []
    for number in range(10_000):
        key = b"%s/%06d" % (prefix, number)
        refused: KvraftError | None = None
        try:
            await client.kv.put(key, VALUE)
        except KvraftError as error:
            refused = error
        if refused is not None:
            assert (refused.reason, refused.applied) == ("NO_SPACE", "no"), refused
            return keys
        keys.append(key)
    raise AssertionError("the disk never becomes full")


async def writes_resume(client: Client) -> None:
    async def accepted() -> bool:
        with contextlib.suppress(KvraftError):
            await client.kv.put(b"again", VALUE)
            return True
        return False

    await eventually(accepted, "writes resume")


async def assert_kept(cluster: Cluster, keys: list[bytes]) -> None:
    for node_id in cluster.node_ids:
        assert cluster.processes[node_id].poll() is None, cluster.log(node_id)[-2000:]
        async with cluster.client(node_id) as client:
            found = {kv.key: kv.value async for kv in client.kv.stream_range(ALL)}
        lost = [key for key in keys if found.get(key) != VALUE]
        assert not lost, f"node {node_id} has lost {lost[:5]}"
    await cluster.assert_equal_states()


@contextlib.contextmanager
def taken(*paths: Path) -> Iterator[None]:
    """Another program takes what is left of these file systems."""
    for path in paths:
        with (path / "taken").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(1 << 16)) == 1 << 16:
                pass
            while file.write(bytes(512)):
                pass
    try:
        yield
    finally:
        for path in paths:
            (path / "taken").unlink()


@contextlib.asynccontextmanager
async def full_cluster(directory: Path) -> AsyncIterator[tuple[Cluster, Client, list[bytes]]]:
    async with Cluster(directory, flags=FLAGS) as cluster, cluster.client() as client:
        yield cluster, client, await fill(client, b"first")


@pytest.mark.slow
def test_a_full_disk_takes_deletes_and_then_writes_again_with_no_operator(disks: Path) -> None:
    async def story() -> None:
        async with full_cluster(disks) as (cluster, client, written):
            keys = written
            assert len(keys) > 100
            for turn in range(2):
                gone, keys = keys[: len(keys) * 3 // 4], keys[len(keys) * 3 // 4 :]
                for key in gone:
                    assert (await client.kv.delete(key)).deleted
                await writes_resume(client)
                more = await fill(client, b"turn%d" % turn)
                assert len(more) > len(gone) // 2, "what was deleted left no room"
                keys += more
            await assert_kept(cluster, keys)
            for path in map(cluster.data_directory, cluster.node_ids):
                assert free_bytes(path) > 2 * MIB, "the reserve was eaten up"

    asyncio.run(story())


@pytest.mark.slow
def test_when_something_else_takes_the_rest_of_a_disk_its_node_lives_on(disks: Path) -> None:
    async def story() -> None:
        async with full_cluster(disks) as (cluster, client, keys):
            paths = [cluster.data_directory(each) for each in cluster.node_ids]
            with taken(*paths):
                for key in keys[:60]:
                    try:
                        await client.kv.delete(key)
                        keys.remove(key)
                    except KvraftError as error:
                        if error.applied != "no":
                            keys.remove(key)
                await asyncio.sleep(1)  # flushes come and meet the full disk
            await writes_resume(client)
            await assert_kept(cluster, keys)
            with taken(*paths):
                await cluster.kill(*cluster.node_ids)
                for node_id in cluster.node_ids:
                    cluster.start(node_id)
                await cluster.leader()
                await assert_kept(cluster, keys)
            await writes_resume(client)
            await assert_kept(cluster, keys)

    asyncio.run(story())


@pytest.mark.slow
def test_a_follower_without_room_for_a_snapshot_lives_on_and_catches_up_when_there_is_some(
    disks: Path,
) -> None:
    async def story() -> None:
        flags = (*FLAGS, f"--log-retained-bytes={MIB}")
        async with Cluster(disks, flags=flags) as cluster:
            (victim, other) = await cluster.followers()
            async with cluster.client(await cluster.leader(), other) as client:
                await go_on_without_room(cluster, client, victim)

    asyncio.run(story())


async def go_on_without_room(cluster: Cluster, client: Client, victim: int) -> None:
    keys: list[bytes] = []

    def has_ended() -> bool:
        return cluster.processes[victim].poll() is not None

    async def is_asked() -> bool:
        for _ in range(20):
            key = b"key/%06d" % (len(keys) % 50)
            with contextlib.suppress(ResourceExhausted):  # until the history is trimmed
                await client.kv.put(key, VALUE)
                keys.append(key)
        return "no room for a snapshot" in cluster.log(victim) or has_ended()

    with taken(cluster.data_directory(victim)):
        await eventually(is_asked, "the log no longer reaches back to the follower's end")
        assert not has_ended(), cluster.log(victim)[-2000:]
    await assert_kept(cluster, keys)
