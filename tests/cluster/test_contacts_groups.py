"""Contacts, blocks and groups of real nodes: the same through every node, and after a leader is killed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc.aio
import pytest

from kvraft.client import (
    Aborted,
    AtLeast,
    Client,
    Contact,
    ContactUpdate,
    GroupRole,
    NotFound,
)
from kvraft.v1 import session_pb2, session_pb2_grpc
from tests.cluster.harness import Cluster

pytestmark = pytest.mark.slow


async def register(cluster: Cluster, *user_ids: str) -> None:
    async with grpc.aio.insecure_channel(cluster.members[1].client_address) as channel:
        stub = session_pb2_grpc.SessionServiceStub(channel)
        for user_id in user_ids:
            await stub.RegisterDevice(session_pb2.RegisterDeviceRequest(user_id=user_id, device_id="phone"))


class Copy:
    """A device's copy of the contacts of alice, which asks one node what changed."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.contacts: dict[str, Contact] = {}
        self.revision = 0

    async def sync(self) -> None:
        changes = await self.client.contacts.sync("alice", self.revision)
        for contact_id in changes.deleted:
            self.contacts.pop(contact_id, None)
        self.contacts.update((each.contact_id, each) for each in changes.changed)
        self.revision = changes.revision


def test_copies_at_every_node_follow_what_changes_while_a_leader_dies(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Cluster(tmp_path) as cluster, cluster.client() as client:
            await register(cluster, "alice")
            clients = [cluster.client(node_id) for node_id in cluster.node_ids]
            copies = [Copy(each) for each in clients]

            async def write(number: int) -> None:
                for turn in range(4):
                    updates = [
                        ContactUpdate(contact_id=f"{number}-{each}", display_name=f"{turn}")
                        for each in range(10)
                    ]
                    await client.contacts.update_many("alice", updates)
                    await client.contacts.delete("alice", f"{number}-{turn}")

            leader = await cluster.leader()
            async with asyncio.TaskGroup() as group:
                for number in range(8):
                    group.create_task(write(number))
                for copy in copies:
                    await copy.sync()
                await cluster.kill(leader)
            cluster.start(leader)
            for copy in copies:
                await copy.sync()

            listed = {each.contact_id: each async for each in client.contacts.all("alice")}
            # Each one's last turn has brought back all but the one that it deleted then.
            assert sorted(listed) == sorted(
                f"{number}-{each}" for number in range(8) for each in range(10) if each != 3
            )
            assert {each.display_name for each in listed.values()} == {"3"}
            for copy in copies:
                assert copy.contacts == listed
            for each in clients:
                await each.close()
            await cluster.assert_equal_states()

    asyncio.run(scenario())


def test_one_of_those_who_edit_at_the_same_time_wins(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Cluster(tmp_path) as cluster:
            await register(cluster, "alice")
            clients = [cluster.client(node_id) for node_id in cluster.node_ids]
            create = ContactUpdate(contact_id="bob", favorite=True, etag="0")
            results = await asyncio.gather(
                *(each.contacts.update("alice", create) for each in clients), return_exceptions=True
            )
            (won,) = [each for each in results if not isinstance(each, BaseException)]
            assert [type(each) for each in results if isinstance(each, BaseException)] == [Aborted] * 2
            for each in clients:
                shown = await each.contacts.get("alice", "bob")
                assert shown.contact == won.contact
                await each.close()

    asyncio.run(scenario())


def test_a_group_is_the_same_through_every_node(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Cluster(tmp_path) as cluster, cluster.client() as client:
            user_ids = [f"user-{number:02}" for number in range(20)]
            await register(cluster, *user_ids)
            await client.groups.create("g", user_ids[0], title="Title")
            # At the same time, through whichever node, and one of them twice.
            clients = [cluster.client(node_id) for node_id in cluster.node_ids]
            added = await asyncio.gather(
                *(
                    clients[number % 3].groups.add("g", [user_id])
                    for number, user_id in enumerate((*user_ids[1:], user_ids[1]))
                )
            )
            assert sum(each.added for each in added) == 19
            await client.contacts.block(user_ids[1], user_ids[2])
            changed = await client.groups.set_role("g", user_ids[1], GroupRole.OWNER, actor_id=user_ids[0])

            fresh = AtLeast(changed.header.revision)
            for each in clients:
                members = [member async for member in each.groups.all_members("g", consistency=fresh)]
                assert [member.user_id for member in members] == user_ids
                assert [member.role for member in members[:3]] == [
                    GroupRole.OWNER,
                    GroupRole.OWNER,
                    GroupRole.MEMBER,
                ]
                blocked = await each.contacts.blocked(user_ids[1], consistency=fresh)
                assert [other.user_id for other in blocked.blocked] == [user_ids[2]]
            assert (await clients[0].groups.remove("g", user_ids)).removed == 20
            with pytest.raises(NotFound, match="GROUP_NOT_FOUND"):
                await clients[1].groups.get("g")
            assert (await clients[2].groups.of_user(user_ids[0])).groups == ()
            for each in clients:
                await each.close()
            await cluster.assert_equal_states()

    asyncio.run(scenario())
