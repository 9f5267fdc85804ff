"""What a broken peer, or somebody in its name, says to a node: the cluster serves on, and every node starts
again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc

from kvraft.client import AlarmKind, Client
from kvraft.v1 import command_pb2, raft_pb2
from tests.cluster.forger import Forger
from tests.cluster.harness import Cluster, eventually

INVENTED = ((1 << 64) - 1, 1 << 63, 1 << 61)


async def _serves_and_starts_again(cluster: Cluster, client: Client) -> None:
    await client.kv.put(b"after", b"it")
    assert all(process.poll() is None for process in cluster.processes.values())
    await cluster.assert_equal_states()
    await cluster.kill(*cluster.node_ids)
    for node_id in cluster.node_ids:
        cluster.start(node_id)
    await client.kv.put(b"once more", b"started")
    assert (await client.kv.get(b"after")).kv is not None
    await cluster.assert_equal_states()


async def _names(cluster: Cluster, node_id: int, peer: int) -> None:
    """The status of a node names a peer that it refused, and its log has a line."""

    async def is_named() -> bool:
        (status,) = await cluster.statuses(node_id)
        return (AlarmKind.PEER_REFUSED, peer) in {(alarm.kind, alarm.member_id) for alarm in status.alarms}

    await eventually(is_named, f"node {node_id} names node {peer}")
    assert cluster.log(node_id).count(f"why=node {peer}") + cluster.log(node_id).count("why='node") >= 1


def test_invented_terms_are_neither_followed_nor_stored(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster, cluster.client() as client:
            await client.kv.put(b"before", b"it")
            forger = await Forger.of(cluster)
            leader = await cluster.leader()
            follower, other = (each for each in cluster.node_ids if each != leader)
            heartbeat = raft_pb2.AppendEntriesRequest.Heartbeat(round=1)
            for term in INVENTED:
                for pre_vote in (False, True):
                    code = await forger.vote(
                        other, follower, term=term, leadership_transfer=True, pre_vote=pre_vote
                    )
                    assert code is not grpc.StatusCode.OK
                for sender, target in ((leader, follower), (follower, leader)):
                    frame = raft_pb2.AppendEntriesRequest(term=term, heartbeat=heartbeat)
                    await forger.append(sender, target, frame)
                assert await forger.snapshot(leader, follower, term=term, index=1 << 20, of_term=1) is not (
                    grpc.StatusCode.OK
                )
            await _names(cluster, follower, other)
            assert (await cluster.statuses(follower))[0].header.term < 1_000
            await _serves_and_starts_again(cluster, client)

    asyncio.run(story())


def test_a_leaders_name_is_not_enough(tmp_path: Path) -> None:
    """A second leader in a term, a commit index beyond the log, entries that would overwrite what is
    committed, and states that are no successors."""

    async def story() -> None:
        async with Cluster(tmp_path) as cluster, cluster.client() as client:
            for number in range(20):
                await client.kv.put(b"%d" % number, b"it")
            await cluster.assert_equal_states()
            forger = await Forger.of(cluster)
            leader = await cluster.leader()
            follower, other = (each for each in cluster.node_ids if each != leader)
            term = (await cluster.statuses(leader))[0].header.term
            request = raft_pb2.AppendEntriesRequest
            beyond = request(term=term, heartbeat=request.Heartbeat(commit_index=1 << 40, round=1))
            entry = raft_pb2.LogEntry(index=2, term=term + 1, kind=raft_pb2.LOG_ENTRY_KIND_NOOP)
            overwriting = request(
                term=term + 1, append=request.Append(prev_log_index=1, prev_log_term=1, entries=[entry])
            )
            second = request(term=term, heartbeat=request.Heartbeat(round=1))
            assert await forger.append(other, leader, second) == []
            assert await forger.append(other, follower, second) == []
            await forger.append(leader, follower, beyond)
            await forger.append(leader, follower, overwriting)
            for index in (1 << 20, 1 << 62, (1 << 64) - 1):
                for of_term in (term, term + 1):
                    for said in (term, term + 1):
                        code = await forger.snapshot(
                            leader, follower, term=said, index=index, of_term=of_term
                        )
                        assert code is not grpc.StatusCode.OK
            await _names(cluster, follower, leader)
            await _serves_and_starts_again(cluster, client)
            for number in range(20):
                assert (await client.kv.get(b"%d" % number)).kv is not None

    asyncio.run(story())


def test_what_is_no_command_is_not_proposed(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster, cluster.client() as client:
            await client.kv.put(b"before", b"it")
            forger = await Forger.of(cluster)
            leader = await cluster.leader()
            follower = next(each for each in cluster.node_ids if each != leader)
            term = (await cluster.statuses(leader))[0].header.term
            long_key = command_pb2.Command(put={"key": b"k" * 2_000}).SerializeToString()
            for command in (b"", b"\xff\xff\xff", long_key):
                group = raft_pb2.ForwardRequest.Group(group_id=1, term=term, commands=[command])
                (answer,) = await forger.forward(follower, leader, raft_pb2.ForwardRequest(group=group))
                assert answer.refused.reason == raft_pb2.REFUSAL_REASON_INVALID
            await _names(cluster, leader, follower)
            await _serves_and_starts_again(cluster, client)

    asyncio.run(story())
