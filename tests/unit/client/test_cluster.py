from __future__ import annotations

import asyncio

import pytest

from kvraft.client import Alarm, AlarmKind, Client, Member, Role, Status, Unavailable
from kvraft.v1 import cluster_pb2
from tests.fakes.kv_server import FakeNode, FakeServer, dead_endpoint

Pair = tuple[FakeServer, FakeServer]


def test_the_status_of_a_node(server: FakeServer, node: FakeNode) -> None:
    node.alarms.append(
        cluster_pb2.Alarm(kind=cluster_pb2.ALARM_KIND_NO_SPACE, member_id=2, message="free some disk")
    )
    node.alarms.append(cluster_pb2.Alarm(kind=99, member_id=3, message="from the future"))

    async def run() -> Status:
        async with Client(server.endpoint) as client:
            return await client.cluster.status()

    status = asyncio.run(run())
    assert (status.role, status.version, status.header.member_id) == (Role.LEADER, "9.8.7", 1)
    assert (status.commit_index, status.applied_index, status.last_log_index) == (41, 40, 42)
    assert status.state_digest == 0xFEDCBA9876543210
    assert status.members == (Member(1, "127.0.0.1:7001", "127.0.0.1:7101", False, 42, True),)
    assert status.alarms == (
        Alarm(AlarmKind.NO_SPACE, 2, "free some disk"),
        Alarm(AlarmKind.UNKNOWN, 3, "from the future"),
    )


def test_a_named_endpoint_is_asked_itself(pair: Pair) -> None:
    first, second = pair
    dead = dead_endpoint()

    async def run() -> None:
        async with Client(f"{dead},{first.endpoint},{second.endpoint}") as client:
            assert (await client.cluster.status()).header.member_id == 1
            assert (await client.cluster.status(second.endpoint)).header.member_id == 2
            with pytest.raises(Unavailable):
                await client.cluster.status(dead)
            with pytest.raises(ValueError, match="is not one of the client's endpoints"):
                await client.cluster.status("127.0.0.1:1")

    asyncio.run(run())


def test_all_endpoints_are_asked_and_the_dead_one_says_why(pair: Pair) -> None:
    first, second = pair
    dead = dead_endpoint()

    async def run() -> None:
        async with Client(f"{first.endpoint},{dead},{second.endpoint}") as client:
            answers = await client.cluster.status_of_all()
            assert list(answers) == [first.endpoint, dead, second.endpoint]
            leader, missing, follower = answers.values()
            assert isinstance(leader, Status)
            assert isinstance(follower, Status)
            assert (leader.role, follower.role) == (Role.LEADER, Role.FOLLOWER)
            assert isinstance(missing, Unavailable)

    asyncio.run(run())
