"""Locks, elections and barriers: who has it, in which order, and that it is lost with its lease."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from kvraft.client import Client, KeyRange, Leader, LeaseLost
from tests.cluster.harness import eventually
from tests.fakes.one_node import OneNode, one_node

PATIENCE_S = 20.0


def with_client(scenario: Callable[[OneNode, Client], Awaitable[None]]) -> None:
    async def run() -> None:
        async with (
            asyncio.timeout(PATIENCE_S),
            one_node() as served,
            Client(served.endpoints) as client,
        ):
            await scenario(served, client)
            assert (await client.kv.count(KeyRange())).count == 0, "whatever was taken is given back"
            assert (await client.lease.list()).leases == ()

    asyncio.run(run())


def test_the_key_of_a_lock_is_attached_to_its_lease_and_tells_its_token() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        async with client.lock("name") as lock:
            kv = (await client.kv.get(lock.key)).kv
            assert kv is not None
            assert (kv.lease_id, kv.create_revision) == (lock.lease_id, lock.fencing_token)

    with_client(scenario)


async def until_places(client: Client, count: int) -> None:
    async def are_taken() -> bool:
        return (await client.kv.count(KeyRange.prefix(b"kvraft/"))).count == count

    await eventually(are_taken, f"{count} places in queues")


def test_a_lock_has_one_holder_at_a_time_in_the_order_of_asking() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        order: list[int] = []
        tokens: list[int] = []
        holders = 0

        async def work(number: int) -> None:
            nonlocal holders
            async with client.lock("name") as lock:
                assert holders == 0
                holders += 1
                order.append(number)
                tokens.append(lock.fencing_token)
                await asyncio.sleep(0.02)
                holders -= 1

        async with asyncio.TaskGroup() as tasks, client.lock("name"):
            for number in range(4):
                tasks.create_task(work(number))
                await until_places(client, number + 2)

        assert order == [0, 1, 2, 3]
        assert tokens == sorted(tokens)

    with_client(scenario)


def test_locks_of_other_names_are_other_locks() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        async with client.lock("a"), client.lock("a/b"), client.lock("ab"), client.lock("é"):
            pass

    with_client(scenario)


@pytest.mark.parametrize("name", ["", "a\x00b", "x" * 401])
def test_not_everything_is_a_name(name: str) -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        for make in (client.lock, client.election, client.barrier):
            with pytest.raises(ValueError, match="not a name"):
                make(name)

    with_client(scenario)


def test_a_lock_that_is_lost_is_told_and_passes_on() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        async def lose() -> None:
            async with client.lock("name", ttl_s=1) as lock:
                await served.expire(lock.lease_id)
                async with client.lock("name") as next_lock:
                    assert next_lock.fencing_token > lock.fencing_token
                await lock.lost.wait()

        with pytest.raises(LeaseLost):
            await lose()

    with_client(scenario)


def test_an_error_of_the_block_is_not_hidden_by_the_loss_of_the_lock() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        async def lose() -> None:
            async with client.lock("name", ttl_s=1) as lock:
                await served.expire(lock.lease_id)
                await lock.lost.wait()
                raise KeyError

        with pytest.raises(KeyError):
            await lose()

    with_client(scenario)


def test_who_gives_up_waiting_leaves_the_queue() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        async with client.lock("name"):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3), client.lock("name"):
                    pytest.fail("somebody else has it")
            await until_places(client, 1)

    with_client(scenario)


def test_who_loses_its_lease_while_it_waits_is_told() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        async with client.lock("name") as lock:

            async def wait() -> None:
                async with client.lock("name", ttl_s=1):
                    pytest.fail("somebody else has it")

            waiting = asyncio.create_task(wait())
            await until_places(client, 2)
            leases = (await client.lease.list()).leases
            await served.expire(*(lease.lease_id for lease in leases if lease.lease_id != lock.lease_id))
            with pytest.raises(LeaseLost):
                await waiting

    with_client(scenario)


def test_a_leader_is_elected_and_resigns() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        election = client.election("name")
        assert await election.leader() is None

        first = await election.campaign(b"first")
        assert await election.leader() == Leader(b"first", first.fencing_token)
        campaigning = asyncio.create_task(election.campaign(b"second"))
        await until_places(client, 2)
        assert not campaigning.done()
        await first.resign()
        await first.resign()
        async with await campaigning as second:
            assert second.fencing_token > first.fencing_token
            assert await election.leader() == Leader(b"second", second.fencing_token)
        assert await election.leader() is None

    with_client(scenario)


def test_a_leadership_that_is_lost_is_told() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        async def lose() -> None:
            async with await client.election("name").campaign(b"v", ttl_s=1) as leadership:
                await served.expire(leadership.lease_id)
                await leadership.lost.wait()

        with pytest.raises(LeaseLost):
            await lose()

    with_client(scenario)


def test_leaders_are_observed() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        election = client.election("name")
        seen = election.observe()
        assert await anext(seen) is None
        async with await election.campaign(b"one") as leadership:
            assert await anext(seen) == Leader(b"one", leadership.fencing_token)
        assert await anext(seen) is None

    with_client(scenario)


def test_a_barrier_holds_until_it_is_released() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        barrier = client.barrier("name")
        await barrier.wait()
        assert await barrier.hold()
        assert not await barrier.hold()
        waiting = asyncio.create_task(barrier.wait())
        await asyncio.sleep(0.2)
        assert not waiting.done()
        await barrier.release()
        await waiting

    with_client(scenario)


def test_a_barrier_opens_when_the_lease_of_its_holder_ends() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        barrier = client.barrier("name")
        async with client.lease.hold(5) as lease:
            assert await barrier.hold(lease_id=lease.lease_id)
        await barrier.wait()

    with_client(scenario)
