"""Groups as applications use them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from kvraft.client import (
    STALE,
    Aborted,
    AlreadyExists,
    Client,
    FailedPrecondition,
    Group,
    GroupMember,
    GroupRole,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    SyncClient,
    UserGroup,
)
from tests.fakes.one_node import OneNode, one_node
from tests.unit.client.test_contacts import PATIENCE_S, register

USERS = ("ada", "bob", "cyd", "dan")


def with_client(scenario: Callable[[OneNode, Client], Awaitable[None]]) -> None:
    async def run() -> None:
        async with (
            asyncio.timeout(PATIENCE_S),
            one_node() as served,
            Client(served.endpoints, timeout_s=2) as client,
        ):
            await register(served, *USERS)
            await scenario(served, client)

    asyncio.run(run())


def test_a_group_from_its_creation_to_its_end() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        served.node.wall_ms = 1_900_000_000_000
        created = await client.groups.create("g", "ada", member_ids=["bob"], title="Title", data=b"x")
        joined = created.header.revision
        assert created.group == Group(
            "g", "Title", b"x", 2, datetime.fromtimestamp(1_900_000_000, UTC), str(joined), joined
        )
        updated = await client.groups.update("g", title="New", etag=created.group.etag, actor_id="ada")
        assert (updated.group.title, updated.group.data) == ("New", b"x")
        assert (await client.groups.update("g", data=b"y")).group.data == b"y"
        added = await client.groups.add("g", ["cyd", "bob"])
        assert (added.added, added.group.member_count) == (1, 3)
        await client.groups.set_role("g", "bob", GroupRole.ADMIN, actor_id="ada")
        assert (await client.groups.get("g", consistency=STALE)).group.member_count == 3

        members = [each async for each in client.groups.all_members("g")]
        assert members == [
            GroupMember("ada", GroupRole.OWNER, joined),
            GroupMember("bob", GroupRole.ADMIN, joined),
            GroupMember("cyd", GroupRole.MEMBER, added.header.revision),
        ]
        page = await client.groups.members("g", page_size=2)
        assert page.members == tuple(members[:2])
        page = await client.groups.members("g", page_size=2, page_token=page.next_page_token)
        assert (page.members, page.next_page_token) == (tuple(members[2:]), "")
        assert (await client.groups.remove("g", ["cyd", "dan"], actor_id="bob")).removed == 1
        assert (await client.groups.delete("g", actor_id="ada")).deleted
        assert not (await client.groups.delete("g")).deleted

    with_client(scenario)


def test_the_groups_of_a_user() -> None:
    async def scenario(_served: OneNode, client: Client) -> None:
        first = await client.groups.create("a", "ada", member_ids=["bob"])
        second = await client.groups.create("b", "bob")

        assert [each async for each in client.groups.all_of_user("bob")] == [
            UserGroup("a", GroupRole.MEMBER, first.header.revision),
            UserGroup("b", GroupRole.OWNER, second.header.revision),
        ]
        page = await client.groups.of_user("bob", page_size=1)
        assert [each.group_id for each in page.groups] == ["a"]
        assert [each async for each in client.groups.all_of_user("dan")] == []

    with_client(scenario)


def test_failures_have_their_classes() -> None:
    async def scenario(_served: OneNode, client: Client) -> None:
        groups = client.groups
        await groups.create("g", "ada", member_ids=["bob"])

        for work, kind, reason in (
            (groups.create("g", "bob"), AlreadyExists, "GROUP_EXISTS"),
            (groups.create("h", "eve"), NotFound, "USER_NOT_FOUND"),
            (groups.get("h"), NotFound, "GROUP_NOT_FOUND"),
            (groups.update("g", title="x", etag="1"), Aborted, "ETAG_MISMATCH"),
            (groups.add("g", ["cyd"], actor_id="bob"), PermissionDenied, "NOT_ADMIN"),
            (groups.add("g", ["cyd"], actor_id="cyd"), PermissionDenied, "NOT_MEMBER"),
            (groups.remove("g", ["ada"]), FailedPrecondition, "LAST_OWNER"),
            (groups.set_role("g", "cyd", GroupRole.ADMIN), NotFound, "MEMBER_NOT_FOUND"),
            (groups.add("g", []), InvalidArgument, "INVALID_ARGUMENT"),
        ):
            with pytest.raises(kind) as failed:
                await work
            assert (failed.value.reason, failed.value.applied) == (reason, "no")
        with pytest.raises(ValueError, match="nothing is to be set"):
            await groups.update("g")

    with_client(scenario)


def test_a_thousand_members() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        user_ids = [f"{number:04}" for number in range(1_000)]
        await register(served, *user_ids)
        created = await client.groups.create("g", user_ids[0], member_ids=user_ids[1:])

        assert created.group.member_count == 1_000
        assert [each.user_id async for each in client.groups.all_members("g")] == user_ids
        with pytest.raises(ResourceExhausted) as full:
            await client.groups.add("g", ["ada"])
        assert full.value.reason == "GROUP_FULL"
        assert (await client.groups.remove("g", user_ids)).removed == 1_000

    with_client(scenario)


def test_the_same_without_an_event_loop() -> None:
    def blocking(endpoints: str) -> None:
        with SyncClient(endpoints) as client:
            client.groups.create("g", "ada", member_ids=["bob"])
            client.groups.set_role("g", "bob", GroupRole.OWNER)
            assert [each.role for each in client.groups.all_members("g")] == [GroupRole.OWNER] * 2
            assert [each.group_id for each in client.groups.all_of_user("bob")] == ["g"]

    async def scenario(served: OneNode, _client: Client) -> None:
        await asyncio.to_thread(blocking, served.endpoints)

    with_client(scenario)
