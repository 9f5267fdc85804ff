"""Followers that were away, damaged disks, foreign directories: what a node does when it starts."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from kvraft import exit_codes
from kvraft.client import STALE, AlarmKind, Client, KvraftError, Unavailable
from kvraft.node.settings import NodeSettings
from kvraft.storage.state import FIRST_GENERATION, open_state
from tests.cluster.harness import Cluster, eventually

SMALL_LOG = ["--segment-bytes=65536", "--log-retained-bytes=65536", "--flush-interval-ms=100"]
"""So that a follower that is away for a moment finds its place in the log gone."""


async def _write(client: Client, count: int, *, size_bytes: int = 1_000, prefix: bytes = b"key") -> None:
    for first in range(0, count, 50):
        numbers = range(first, min(first + 50, count))
        await asyncio.gather(
            *(client.kv.put(b"%s/%06d" % (prefix, n), b"%06d" % n * (size_bytes // 6)) for n in numbers)
        )


async def _await_log_gone(cluster: Cluster, index: int) -> None:
    async def gone() -> bool:
        others = [s for s in await cluster.statuses() if s.first_log_index > index + 1]
        return len(others) == len(cluster.members) - 1

    await eventually(gone, "the log that the stopped follower needs is dropped by the others")


def test_a_follower_whose_log_is_gone_catches_up_by_snapshot(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path, flags=SMALL_LOG) as cluster, cluster.client() as client:
            await _write(client, 100)
            away = (await cluster.followers())[0]
            (status,) = await cluster.statuses(away)
            await cluster.kill(away)
            async with cluster.client(*(each for each in cluster.node_ids if each != away)) as rest:
                await _write(rest, 1_000, prefix=b"later")
                await _await_log_gone(cluster, status.last_log_index)
            cluster.start(away)
            await cluster.assert_equal_states()
            assert "snapshot received" in cluster.log(away)
            await _write(client, 100, prefix=b"after")
            await cluster.assert_equal_states()

    asyncio.run(story())


def test_a_snapshot_that_is_cut_off_is_sent_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path, flags=SMALL_LOG) as cluster, cluster.client() as client:
            away = (await cluster.followers())[0]
            (status,) = await cluster.statuses(away)
            await cluster.kill(away)
            async with cluster.client(*(each for each in cluster.node_ids if each != away)) as rest:
                await _write(rest, 300, size_bytes=200_000)
                await _await_log_gone(cluster, status.last_log_index)
            cluster.start(away)

            async def receiving() -> bool:
                return "receiving snapshot" in cluster.log(away)

            await eventually(receiving, "the transfer begins")
            await cluster.kill(away)
            assert "snapshot received" not in cluster.log(away)
            cluster.start(away)
            await cluster.assert_equal_states()
            assert "snapshot received" in cluster.log(away)
            await _write(client, 10, prefix=b"after")
            await cluster.assert_equal_states()

    asyncio.run(story())


def _flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes((byte ^ 0x10,)))


def test_a_flipped_byte_in_the_log_stops_the_node_and_only_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster, cluster.client() as client:
            await client.kv.put(b"needle", b"the value whose bytes are looked for in the log")
            await _write(client, 50)
            victim = (await cluster.followers())[0]
            await cluster.kill(victim)
            segment = next((cluster.data_directory(victim) / "log").glob("*.log"))
            _flip(segment, segment.read_bytes().index(b"the value whose bytes"))
            cluster.start(victim)
            assert await cluster.ended(victim) == exit_codes.CORRUPTION
            assert segment.name in cluster.log(victim)
            await client.kv.put(b"the others", b"go on")

    asyncio.run(story())


def test_a_flipped_byte_in_the_state_stops_the_node_that_reads_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster, cluster.client() as client:
            await client.kv.put(b"needle", b"the value whose bytes are looked for in the state")
            await cluster.assert_equal_states()
            victim = (await cluster.followers())[0]
            cluster.signal(victim, signal.SIGTERM)
            assert await cluster.ended(victim) == exit_codes.OK
            (file,) = (cluster.data_directory(victim) / "state").rglob("data.mdb")
            _flip(file, file.read_bytes().index(b"the value whose bytes"))
            cluster.start(victim)

            async def asked() -> bool:
                async with cluster.client(victim, timeout_s=1.0) as reader:
                    try:
                        answer = await reader.kv.get(b"needle")
                    except KvraftError:  # it starts still, or died while it answered
                        return cluster.processes[victim].poll() is not None
                    raise AssertionError(f"a damaged value was served: {answer}")

            await eventually(asked, "the node that reads the damaged value ends")
            assert await cluster.ended(victim) == exit_codes.CORRUPTION
            assert "data.mdb" in cluster.log(victim)
            await client.kv.put(b"the others", b"go on")
            assert (await client.kv.get(b"needle")).kv is not None

    asyncio.run(story())


def _put_offline(directory: Path, key: bytes, value: bytes) -> None:
    """Changes the state of a node that is stopped, with its checksums and its digest: as a bug would that
    made the same entries another state."""
    state = open_state(directory / "state", FIRST_GENERATION, voters=(1, 2, 3))
    applied = state.applied
    state.history.begin(0, NodeSettings().history_limits)
    state.put(key, value, state.get(key))
    state.mark_applied(applied.index, applied.term)
    assert state.freeze(trims_history=True)
    state.flush()
    state.close()


@pytest.mark.parametrize("is_leader", [False, True])
def test_a_node_whose_state_differs_neither_leads_nor_answers(tmp_path: Path, *, is_leader: bool) -> None:
    async def story() -> None:
        async with Cluster(tmp_path, flags=["--election-timeout-ms=1000"]) as cluster:
            async with cluster.client() as client:
                await _write(client, 20)
                await cluster.assert_equal_states()
            victim = await cluster.leader() if is_leader else (await cluster.followers())[0]
            others = [each for each in cluster.node_ids if each != victim]
            await cluster.kill(*others)
            cluster.signal(victim, signal.SIGTERM)
            assert await cluster.ended(victim) == exit_codes.OK
            _put_offline(cluster.data_directory(victim), b"\xff a row that no command wrote", b"here only")
            for node_id in (victim, *others):
                cluster.start(node_id)

            async def is_named() -> bool:
                own = await cluster.statuses(victim)
                return (AlarmKind.DIVERGED, victim) in {
                    (alarm.kind, alarm.member_id) for status in own for alarm in status.alarms
                }

            await eventually(is_named, "the node says that its state differs")
            assert await cluster.leader() != victim
            await _is_fenced(cluster, victim)
            await cluster.kill(victim)
            cluster.start(victim)
            await eventually(is_named, "it remembers")
            await _is_fenced(cluster, victim)
            async with cluster.client() as client:  # of all nodes: the others answer
                await client.kv.put(b"the others", b"go on")
                assert (await client.kv.get(b"the others")).kv is not None

    asyncio.run(story())


async def _is_fenced(cluster: Cluster, node_id: int) -> None:
    """Not even what asks for no freshness is answered."""
    async with cluster.client(node_id, timeout_s=2.0) as client:
        with pytest.raises(Unavailable) as refused:
            await client.kv.get(b"key/000001", consistency=STALE)
        assert refused.value.reason == "DIVERGED"


def test_a_node_is_seeded_anew_as_the_manual_says(tmp_path: Path) -> None:
    """Each step of "Re-seeding" in docs/operations.md, on a healthy cluster that goes on being written to."""

    async def story() -> None:
        async with Cluster(tmp_path) as cluster, cluster.client() as client:
            await _write(client, 100)
            await cluster.assert_equal_states()
            victim = (await cluster.followers())[0]
            leader = await cluster.leader()
            cluster.signal(victim, signal.SIGTERM)
            assert await cluster.ended(victim) == exit_codes.OK
            cluster.data_directory(victim).rename(tmp_path / "aside")
            cluster.start(victim)

            async def is_told() -> bool:
                return "lost acknowledged data" in cluster.log(victim)

            await eventually(is_told, "its log says that the leader counts on what it had")
            await client.kv.put(b"meanwhile", b"the others go on")
            cluster.signal(leader, signal.SIGTERM)
            assert await cluster.ended(leader) == exit_codes.OK
            cluster.start(leader)
            await cluster.assert_equal_states()
            assert all(process.poll() is None for process in cluster.processes.values())
            await _write(client, 50, prefix=b"after")
            await cluster.assert_equal_states()
            assert (await client.kv.get(b"meanwhile")).kv is not None

    asyncio.run(story())


def test_a_torn_last_write_is_cut_off_and_reported(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster, cluster.client() as client:
            await _write(client, 50)
            victim = (await cluster.followers())[0]
            await cluster.kill(victim)
            segment = next((cluster.data_directory(victim) / "log").glob("*.log"))
            end = len(segment.read_bytes().rstrip(b"\0"))
            with segment.open("r+b") as file:
                file.seek(-(-end // 64) * 64)
                file.write(b"\x01" * 40)  # the beginning of a record that never came to its end
            cluster.start(victim)
            await cluster.assert_equal_states()
            assert "unfinished last write" in cluster.log(victim)

    asyncio.run(story())


def test_a_node_whose_disk_forgot_what_it_acknowledged_says_so_and_counts_for_nothing(tmp_path: Path) -> None:
    """The last record is cut as if it had never been whole, though it was, and was acknowledged: no disk
    may do that, and no log alone can see it. The leader, which counted on it, can."""

    async def story() -> None:
        async with Cluster(tmp_path) as cluster, cluster.client() as client:
            await _write(client, 50)
            await cluster.assert_equal_states()
            victim = (await cluster.followers())[0]
            await cluster.kill(victim)
            segment = next((cluster.data_directory(victim) / "log").glob("*.log"))
            end = len(segment.read_bytes().rstrip(b"\0"))
            with segment.open("r+b") as file:
                file.seek(end - 5)
                file.write(bytes(5))
            cluster.start(victim)

            async def is_told() -> bool:
                return "lost acknowledged data" in cluster.log(victim)

            await eventually(is_told, "the node says so")
            await client.kv.put(b"the others", b"go on")
            assert cluster.processes[victim].poll() is None

    asyncio.run(story())


def test_a_data_directory_of_another_node_is_refused_and_left_alone(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster, cluster.client() as client:
            await _write(client, 10)
            first, second = await cluster.followers()
            await cluster.kill(first, second)
            cluster.data_directory(first).rename(tmp_path / "kept")
            cluster.data_directory(second).rename(cluster.data_directory(first))
            cluster.start(first)
            assert await cluster.ended(first) == exit_codes.DATA_DIRECTORY_REFUSED
            assert f"node {second}" in cluster.log(first)
            cluster.data_directory(first).rename(cluster.data_directory(second))
            (tmp_path / "kept").rename(cluster.data_directory(first))
            for node_id in (first, second):
                cluster.start(node_id)
            await cluster.assert_equal_states()

    asyncio.run(story())


def test_a_second_process_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster:
            running = cluster.processes[1]
            cluster.start(1)
            assert await cluster.ended(1) == exit_codes.DATA_DIRECTORY_REFUSED
            assert str(running.pid) in cluster.log(1)
            cluster.processes[1] = running
            await cluster.assert_equal_states()

    asyncio.run(story())


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster:
            victim, other = await cluster.followers()
            await cluster.kill(victim)
            cluster.members[victim], kept = cluster.members[other], cluster.members[victim]
            cluster.start(victim)
            assert await cluster.ended(victim) in (exit_codes.ADDRESS_IN_USE, exit_codes.USAGE)
            cluster.members[victim] = kept
            cluster.start(victim)
            await cluster.assert_equal_states()

    asyncio.run(story())


def test_sigterm_hands_over_and_keeps_everything(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster:
            async with cluster.client() as client:
                await _write(client, 50)
            leader = await cluster.leader()
            cluster.signal(leader, signal.SIGTERM)
            assert await cluster.ended(leader) == exit_codes.OK
            assert "stopped" in cluster.log(leader)
            cluster.start(leader)
            await cluster.assert_equal_states()

    asyncio.run(story())
