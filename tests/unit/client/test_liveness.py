"""The clock tells whether something is still held; and it is given back whoever is cancelled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress

import pytest

from kvraft.client import (
    Client,
    ClientClosed,
    Gateway,
    HeldLease,
    KeyRange,
    Leadership,
    LeaseLost,
    Lock,
    Put,
    held_lease,
)
from tests.cluster.harness import eventually
from tests.fakes.one_node import OneNode, one_node

TTL_S = 60.0
PATIENCE_S = 10.0


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(held_lease, "elapsed_s", clock)
    return clock


def with_client(scenario: Callable[[OneNode, Client], Awaitable[None]]) -> None:
    async def run() -> None:
        async with (
            asyncio.timeout(PATIENCE_S),
            one_node() as served,
            Client(served.endpoints, timeout_s=2.0) as client,
        ):
            served.node.lead()
            await client.sessions.register_device("bob", "phone")
            await scenario(served, client)

    asyncio.run(run())


Thing = HeldLease | Gateway | Lock | Leadership


@asynccontextmanager
async def lead(client: Client, ttl_s: float) -> AsyncGenerator[Leadership, None]:
    async with await client.election("e").campaign(b"v", ttl_s=ttl_s) as leadership:
        yield leadership


THINGS: dict[str, Callable[[Client, float], object]] = {
    "lease": lambda client, ttl_s: client.lease.hold(ttl_s),
    "gateway": lambda client, ttl_s: client.sessions.gateway("here", ttl_s),
    "lock": lambda client, ttl_s: client.lock("l", ttl_s=ttl_s),
    "leadership": lead,
}
each_thing = pytest.mark.parametrize("enter", THINGS.values(), ids=THINGS)


@each_thing
def test_a_blocked_loop_has_lost_it_by_the_clock(enter: Callable, clock: Clock) -> None:
    async def scenario(_: OneNode, client: Client) -> None:
        told: list[str] = []
        with pytest.raises(LeaseLost):  # noqa: PT012 - at the end of the block
            async with enter(client, TTL_S) as held:
                held.when_lost(lambda: told.append("lost"))
                clock.now_s += TTL_S  # nothing else has run meanwhile
                assert held.lost.is_set()
                with pytest.raises(LeaseLost):
                    held.check()
                if isinstance(held, Lock | Leadership):
                    with pytest.raises(LeaseLost):
                        held.fencing_token  # noqa: B018 - it raises
                if isinstance(held, Gateway):
                    with pytest.raises(LeaseLost):
                        await held.open("bob", "phone")
                async with asyncio.timeout(1):
                    await held.lost.wait()

    with_client(scenario)


@each_thing
def test_it_is_held_as_long_as_the_clock_says_so(enter: Callable, clock: Clock) -> None:
    async def scenario(_: OneNode, client: Client) -> None:
        async with enter(client, TTL_S) as held:
            clock.now_s += TTL_S * 0.99
            assert not held.lost.is_set()
            held.check()
        with pytest.raises(LeaseLost, match="given back"):
            held.check()

    with_client(scenario)


def test_a_lock_around_a_blocked_loop() -> None:
    async def scenario(_: OneNode, client: Client) -> None:
        with pytest.raises(LeaseLost):
            async with client.lock("l", ttl_s=1):
                time.sleep(1.1)  # noqa: ASYNC251 - it blocks the loop

    with_client(scenario)


@each_thing
def test_who_cancels_every_task_ends_no_renewals(enter: Callable) -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        async with enter(client, 1.0) as held:
            before, cancelled = len(served.node.log), 0

            async def renewed() -> bool:
                nonlocal cancelled
                for task in asyncio.all_tasks():
                    if task.get_name().startswith("lease ") and cancelled < 3:
                        task.cancel()
                        cancelled += 1
                return cancelled == 3 and len(served.node.log) > before + 2

            await eventually(renewed, "renewals after three cancelled ones")
            held.check()

    with_client(scenario)


@each_thing
def test_a_cancelled_release_is_sent_all_the_same(enter: Callable) -> None:
    async def scenario(_: OneNode, client: Client) -> None:
        entered = asyncio.Event()

        async def work() -> None:
            async with enter(client, TTL_S):
                entered.set()
                await asyncio.Event().wait()

        working = asyncio.create_task(work())
        await entered.wait()
        working.cancel()
        await asyncio.sleep(0)  # it leaves the block
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            if task is working or task.get_name() == "kvraft-release":
                task.cancel()
        with suppress(asyncio.CancelledError):
            await working

        async def is_given_back() -> bool:
            return (await client.lease.list()).leases == ()

        await eventually(is_given_back, "the revocation")
        assert (await client.kv.count(KeyRange())).count == 0

    with_client(scenario)


@each_thing
def test_a_client_that_is_closed_gives_back_what_is_held(enter: Callable) -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        other = Client(served.endpoints)
        with pytest.raises(LeaseLost):  # noqa: PT012 - at the end of the block
            async with enter(other, TTL_S) as held:
                await other.close()
                assert held.lost.is_set()
        assert (await client.lease.list()).leases == ()

    with_client(scenario)


def test_a_cancelled_release_outlives_its_block_until_the_client_is_closed() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        async def work() -> None:
            async with Client(served.endpoints) as own, own.lock("l", ttl_s=TTL_S):
                entered.set()
                await asyncio.Event().wait()

        entered = asyncio.Event()
        working = asyncio.create_task(work())
        await entered.wait()
        working.cancel()
        await asyncio.sleep(0)
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
        async with asyncio.timeout(2), client.lock("l"):
            pass

    with_client(scenario)


def test_a_watch_goes_on_behind_whole_revisions() -> None:
    async def scenario(_: OneNode, client: Client) -> None:
        await client.kv.batch_write([Put(b"a", b""), Put(b"b", b"")])
        await client.kv.put(b"c", b"")
        async with aclosing(client.kv.watch(KeyRange(), start_revision=1).batches()) as batches:
            first = await anext(batches)
        assert len(first.events) == 2
        again = client.kv.watch(KeyRange(), start_revision=first.resume_revision)
        async with aclosing(again.batches()) as batches:
            assert [event.kv.key for event in (await anext(batches)).events] == [b"c"]

    with_client(scenario)


def test_a_client_that_is_closed_ends_a_watch_with_an_error_and_no_cancellation() -> None:
    async def scenario(served: OneNode, _: Client) -> None:
        other = Client(served.endpoints)
        await other.kv.put(b"a", b"")
        async with aclosing(other.kv.watch(KeyRange(), start_revision=1).batches()) as batches:
            await anext(batches)
            waiting = asyncio.create_task(anext(batches))
            await asyncio.sleep(0.05)
            await other.close()
            with pytest.raises(ClientClosed):
                await waiting

    with_client(scenario)
