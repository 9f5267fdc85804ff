"""What a node refuses while it runs: writes without disk space, peers that are not its peers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from kvraft.client import KeyRange, ResourceExhausted
from kvraft.v1 import raft_pb2, raft_pb2_grpc
from tests.cluster.harness import Cluster, eventually


def test_without_disk_space_writes_are_refused_and_reads_and_deletes_go_on(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster:
            async with cluster.client() as client:
                await client.kv.put(b"old", b"value")
            await cluster.kill(*cluster.node_ids)
            cluster.flags = [f"--disk-reserve-bytes={1 << 50}"]
            for node_id in cluster.node_ids:
                cluster.start(node_id)
            await cluster.leader()

            async def alarmed() -> bool:
                return all(status.alarms for status in await cluster.statuses())

            await eventually(alarmed, "every node raises the alarm")
            for node_id in cluster.node_ids:
                async with cluster.client(node_id) as client:
                    with pytest.raises(ResourceExhausted, match="disk is nearly full") as refused:
                        await client.kv.put(b"new", b"value")
                    assert (refused.value.reason, refused.value.applied) == ("NO_SPACE", "no")
                    assert (await client.kv.get(b"new")).kv is None
                    assert (await client.kv.get(b"old")).kv is not None
                    assert (await client.kv.delete_range(KeyRange.prefix(b"none"))).deleted == 0
            async with cluster.client() as client:
                assert (await client.kv.delete(b"old")).deleted

    asyncio.run(story())


def _envelope(cluster_id: int, sender: int, target: int) -> raft_pb2.Envelope:
    return raft_pb2.Envelope(cluster_id=cluster_id, sender_id=sender, target_id=target)


def test_strangers_are_refused_on_the_peer_port_and_change_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster:
            (status,) = await cluster.statuses(1)
            own = status.header.cluster_id
            strangers = {
                "another cluster": _envelope(own ^ 1, 2, 1),
                "another target": _envelope(own, 2, 3),
                "no member": _envelope(own, 9, 1),
                "itself": _envelope(own, 1, 1),
                "nobody": raft_pb2.Envelope(),
            }
            address = cluster.members[1].peer_address
            async with grpc.aio.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
                stub: Any = raft_pb2_grpc.RaftServiceStub(channel)
                for who, envelope in strangers.items():
                    request = raft_pb2.RequestVoteRequest(
                        envelope=envelope, term=1_000, last_log_index=1 << 40
                    )
                    with pytest.raises(grpc.aio.AioRpcError) as refused:
                        await stub.RequestVote(request, timeout=5)
                    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION, who
                for rpc, frame in (
                    (stub.AppendEntries, raft_pb2.AppendEntriesRequest(envelope=strangers["no member"])),
                    (stub.Forward, raft_pb2.ForwardRequest(envelope=strangers["another cluster"])),
                    (stub.InstallSnapshot, raft_pb2.InstallSnapshotRequest()),
                ):
                    call = rpc(iter([frame]), timeout=5)
                    assert await call.code() is grpc.StatusCode.FAILED_PRECONDITION
            after = await cluster.statuses()
            assert {each.header.term for each in after} == {status.header.term}

    asyncio.run(story())


def test_a_frame_no_correct_leader_sends_is_refused_and_the_node_goes_on(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster:
            victim, other = await cluster.followers()
            (status,) = await cluster.statuses(victim)
            gap = raft_pb2.AppendEntriesRequest.Append(
                prev_log_index=1,
                prev_log_term=1,
                entries=[raft_pb2.LogEntry(index=7, term=1, kind=raft_pb2.LOG_ENTRY_KIND_COMMAND)],
            )
            frames = [
                raft_pb2.AppendEntriesRequest(envelope=_envelope(status.header.cluster_id, other, victim)),
                raft_pb2.AppendEntriesRequest(term=status.header.term, append=gap),
            ]
            address = cluster.members[victim].peer_address
            async with grpc.aio.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
                stub: Any = raft_pb2_grpc.RaftServiceStub(channel)
                call = stub.AppendEntries(iter(frames), timeout=5)
                assert await call.code() is grpc.StatusCode.FAILED_PRECONDITION
                assert "cannot follow" in (await call.details())
            async with cluster.client(victim) as client:
                await client.kv.put(b"still", b"alive")
            await cluster.assert_equal_states()

    asyncio.run(story())
