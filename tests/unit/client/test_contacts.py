"""Contacts and block lists as applications use them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from kvraft.client import (
    STALE,
    Aborted,
    AtLeast,
    BlockScope,
    Client,
    Contact,
    ContactUpdate,
    InvalidArgument,
    NotFound,
    OutOfRange,
    SyncClient,
)
from kvraft.client.listing import PAGE_SIZE
from kvraft.machine.users import contacts as machine
from kvraft.v1 import command_pb2, session_pb2
from tests.fakes.one_node import OneNode, one_node

PATIENCE_S = 10.0
Scenario = Callable[[OneNode, Client], Awaitable[None]]


async def register(served: OneNode, *user_ids: str) -> None:
    for user_id in user_ids:
        request = session_pb2.RegisterDeviceRequest(user_id=user_id, device_id="phone")
        command = command_pb2.Command(user_data={"register_device": request})
        await served.node.write(command.SerializeToString(), grows_state=True)


def with_client(scenario: Scenario) -> None:
    async def run() -> None:
        async with (
            asyncio.timeout(PATIENCE_S),
            one_node() as served,
            Client(served.endpoints, timeout_s=2) as client,
        ):
            await register(served, "alice")
            await scenario(served, client)

    asyncio.run(run())


def test_a_contact_is_created_changed_shown_and_deleted() -> None:
    async def scenario(_served: OneNode, client: Client) -> None:
        until = datetime(2030, 1, 31, 12, 30, tzinfo=UTC)
        created = await client.contacts.update(
            "alice",
            ContactUpdate(
                contact_id="bob", display_name="Bob", favorite=True, mute_until=until, data=b"x", etag="0"
            ),
        )
        revision = created.header.revision
        assert created.contact == Contact("bob", "Bob", True, until, b"x", str(revision), revision)

        changed = await client.contacts.update(
            "alice", ContactUpdate(contact_id="bob", mute_until=None, etag=created.contact.etag)
        )
        assert (changed.contact.display_name, changed.contact.mute_until) == ("Bob", None)
        for consistency in (STALE, AtLeast(changed.header.revision)):
            shown = await client.contacts.get("alice", "bob", consistency=consistency)
            assert shown.contact == changed.contact
        with pytest.raises(Aborted) as aborted:
            await client.contacts.delete("alice", "bob", etag=created.contact.etag)
        assert (aborted.value.reason, aborted.value.applied) == ("ETAG_MISMATCH", "no")
        assert (await client.contacts.delete("alice", "bob", etag=changed.contact.etag)).deleted
        assert not (await client.contacts.delete("alice", "bob")).deleted
        with pytest.raises(NotFound, match="CONTACT_NOT_FOUND"):
            await client.contacts.get("alice", "bob")
        with pytest.raises(NotFound, match="USER_NOT_FOUND"):
            await client.contacts.update("eve", ContactUpdate(contact_id="bob", favorite=True))

    with_client(scenario)


def test_an_update_that_is_wrong_is_refused_here_or_by_the_cluster() -> None:
    async def scenario(_served: OneNode, client: Client) -> None:
        with pytest.raises(ValueError, match="nothing is to be set"):
            await client.contacts.update("alice", ContactUpdate(contact_id="bob"))
        naive = datetime(2030, 1, 31)
        with pytest.raises(ValueError, match="time zone"):
            await client.contacts.update("alice", ContactUpdate(contact_id="bob", mute_until=naive))
        with pytest.raises(InvalidArgument, match="display_name"):
            await client.contacts.update("alice", ContactUpdate(contact_id="bob", display_name="x" * 257))

    with_client(scenario)


async def fill(client: Client, count: int) -> list[str]:
    contact_ids = [f"{number:05}" for number in range(count)]
    for start in range(0, count, 500):
        updates = [ContactUpdate(contact_id=each, favorite=True) for each in contact_ids[start : start + 500]]
        await client.contacts.update_many("alice", updates)
    return contact_ids


def test_lists_are_read_in_pages_or_whole() -> None:
    async def scenario(_served: OneNode, client: Client) -> None:
        contact_ids = await fill(client, 2 * PAGE_SIZE + 1)

        page = await client.contacts.list("alice", page_size=2)
        assert [each.contact_id for each in page.contacts] == contact_ids[:2]
        page = await client.contacts.list("alice", page_size=2, page_token=page.next_page_token)
        assert [each.contact_id for each in page.contacts] == contact_ids[2:4]
        assert [each.contact_id async for each in client.contacts.all("alice")] == contact_ids

    with_client(scenario)


def test_a_copy_follows_what_changes() -> None:
    async def scenario(_served: OneNode, client: Client) -> None:
        contact_ids = await fill(client, PAGE_SIZE + 1)
        first = await client.contacts.sync("alice")
        assert sorted(each.contact_id for each in first.changed) == contact_ids
        assert first.deleted == ()

        await client.contacts.update("alice", ContactUpdate(contact_id="bob", favorite=True))
        await client.contacts.delete("alice", contact_ids[0])
        await client.contacts.update("alice", ContactUpdate(contact_id=contact_ids[1], display_name="One"))
        second = await client.contacts.sync("alice", first.revision)

        assert [each.contact_id for each in second.changed] == ["bob", contact_ids[1]]
        assert second.deleted == (contact_ids[0],)
        assert second.revision == second.header.revision == first.revision + 3
        third = await client.contacts.sync("alice", second.revision, consistency=STALE)
        assert (third.changed, third.deleted, third.revision) == ((), (), second.revision)

    with_client(scenario)


def test_what_changes_while_a_copy_is_brought_up_to_date() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        contact_ids = await fill(client, 2 * PAGE_SIZE)
        revision = served.node.replica.machine.revision
        fresh = served.node.at_least

        async def change(wanted: int) -> None:
            # Before the second page, of what was in the first one and of what was not.
            served.node.at_least = fresh  # type: ignore[method-assign]
            await fresh(wanted)
            for contact_id in (contact_ids[0], contact_ids[-1]):
                await client.contacts.delete("alice", contact_id)
            await client.contacts.update("alice", ContactUpdate(contact_id=contact_ids[1], favorite=False))

        served.node.at_least = change  # type: ignore[method-assign]
        changes = await client.contacts.sync("alice")

        copy = {each.contact_id: each for each in changes.changed}
        assert [each async for each in client.contacts.all("alice")] == [copy[each] for each in sorted(copy)]
        assert changes.deleted == (contact_ids[0], contact_ids[-1])
        assert changes.revision == revision

    with_client(scenario)


def test_a_copy_that_is_too_old_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "DELETIONS_MAX", 1)

    async def scenario(_served: OneNode, client: Client) -> None:
        contact_ids = await fill(client, 3)
        first = await client.contacts.sync("alice")
        for contact_id in contact_ids[:2]:
            await client.contacts.delete("alice", contact_id)

        with pytest.raises(OutOfRange) as too_old:
            await client.contacts.sync("alice", first.revision)
        assert (too_old.value.reason, too_old.value.applied) == ("RESYNC_REQUIRED", "no")
        again = await client.contacts.sync("alice")
        assert [each.contact_id for each in again.changed] == contact_ids[2:]

    with_client(scenario)


@pytest.mark.parametrize("seed", range(5))
def test_copies_that_follow_while_others_write_equal_the_list(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(machine, "DELETIONS_MAX", 2)
    monkeypatch.setattr("kvraft.client.contacts.PAGE_SIZE", 2)
    chance = random.Random(seed)
    begun_again = 0

    async def scenario(_served: OneNode, client: Client) -> None:
        copy: dict[str, Contact] = {}
        revision = 0

        async def follow() -> None:
            nonlocal revision, begun_again
            try:
                changes = await client.contacts.sync("alice", revision)
            except OutOfRange:
                copy.clear()
                begun_again += 1
                changes = await client.contacts.sync("alice")
            for contact_id in changes.deleted:
                copy.pop(contact_id, None)
            copy.update((each.contact_id, each) for each in changes.changed)
            revision = changes.revision

        async def change() -> None:
            contact_id = chance.choice("abcdefghij")
            if chance.random() < 0.6:
                await client.contacts.update("alice", ContactUpdate(contact_id=contact_id, data=b"x"))
            else:
                await client.contacts.delete("alice", contact_id)

        for _ in range(30):
            await asyncio.gather(*(change() for _ in range(chance.randrange(12))), follow())
        await follow()
        assert copy == {each.contact_id: each async for each in client.contacts.all("alice")}

    with_client(scenario)
    assert begun_again


def test_blocks_begin_and_end() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        served.node.wall_ms = 1_900_000_000_000
        blocked = await client.contacts.block("alice", "eve")
        await client.contacts.block("alice", "mallory", scope=BlockScope.DIRECT_AND_GROUPS)
        assert blocked.header.revision == served.node.replica.machine.revision - 1

        found = [each async for each in client.contacts.all_blocked("alice")]
        assert [(each.user_id, each.scope) for each in found] == [
            ("eve", BlockScope.DIRECT),
            ("mallory", BlockScope.DIRECT_AND_GROUPS),
        ]
        assert found[0].block_time == datetime.fromtimestamp(1_900_000_000, UTC)
        page = await client.contacts.blocked("alice", page_size=1)
        page = await client.contacts.blocked("alice", page_size=1, page_token=page.next_page_token)
        assert ([each.user_id for each in page.blocked], page.next_page_token) == (["mallory"], "")
        assert (await client.contacts.unblock("alice", "eve")).unblocked
        assert not (await client.contacts.unblock("alice", "eve")).unblocked
        with pytest.raises(InvalidArgument, match="nobody blocks themselves"):
            await client.contacts.block("alice", "alice")

    with_client(scenario)


def test_the_same_without_an_event_loop() -> None:
    def blocking(endpoints: str) -> None:
        with SyncClient(endpoints) as client:
            updates = [ContactUpdate(contact_id=f"{number:05}", favorite=True) for number in range(500)]
            client.contacts.update_many("alice", updates)
            every = list(client.contacts.all("alice"))
            assert [each.contact_id for each in every] == [each.contact_id for each in updates]
            assert client.contacts.sync("alice").changed == tuple(every)
            early = client.contacts.all("alice")
            assert next(early) == every[0]
            early.close()
            client.contacts.block("alice", "eve")
            assert [each.user_id for each in client.contacts.all_blocked("alice")] == ["eve"]

    async def scenario(served: OneNode, _client: Client) -> None:
        await asyncio.to_thread(blocking, served.endpoints)

    with_client(scenario)
