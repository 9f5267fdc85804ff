"""Leases as applications use them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from kvraft import errors
from kvraft.client import (
    STALE,
    AtLeast,
    Client,
    InvalidArgument,
    Lease,
    LeaseExists,
    LeaseLost,
    LeaseNotFound,
    Put,
    SyncClient,
    Unavailable,
)
from tests.cluster.harness import eventually
from tests.fakes.one_node import OneNode, one_node

TTL_S = 1.0
"""The shortest there is."""
PATIENCE_S = 10.0


def with_client(scenario: Callable[[OneNode, Client], Awaitable[None]], *, addresses: int = 1) -> None:
    async def run() -> None:
        async with (
            asyncio.timeout(PATIENCE_S),
            one_node(addresses) as served,
            Client(served.endpoints, timeout_s=0.5) as client,
        ):
            await scenario(served, client)

    asyncio.run(run())


def test_a_lease_is_granted_renewed_shown_and_revoked() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        granted = await client.lease.grant(5)
        lease_id = granted.lease_id
        assert granted.lease == Lease(lease_id, 5.0, 5.0, granted.header.revision)

        await client.kv.put(b"a", b"1", lease_id=lease_id)
        await client.kv.compare_and_set(b"b", b"2", expected_revision=0, lease_id=lease_id)
        await client.kv.batch_write([Put(b"c", b"3", lease_id)])
        served.node.wall_ms += 4_000

        shown = await client.lease.get(lease_id, keys=True, consistency=STALE)
        assert (shown.lease.remaining_s, shown.keys, shown.more_keys) == (1.0, (b"a", b"b", b"c"), False)
        not_asked = await client.lease.get(lease_id)
        assert (not_asked.keys, not_asked.more_keys) == (None, None)
        kv = (await client.kv.get(b"a")).kv
        assert kv is not None
        assert kv.lease_id == lease_id

        renewed = await client.lease.keep_alive(lease_id)
        assert renewed.ttl_s == 5.0
        fresh = await client.lease.get(lease_id, consistency=AtLeast(renewed.header.revision))
        assert fresh.lease.remaining_s == 5.0

        assert (await client.lease.revoke(lease_id)).deleted == 3
        assert (await client.kv.get(b"a")).kv is None

    with_client(scenario)


def test_leases_are_listed_in_pages() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        for lease_id in (3, 1, 2):
            await client.lease.grant(5, lease_id=lease_id)
        first = await client.lease.list(page_size=2)
        second = await client.lease.list(page_size=2, page_token=first.next_page_token)

        assert [lease.lease_id for lease in first.leases] == [1, 2]
        assert [lease.lease_id for lease in second.leases] == [3]
        assert second.next_page_token == ""

    with_client(scenario)


def test_what_is_wrong_is_told_by_class() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        await client.lease.grant(5, lease_id=9)
        with pytest.raises(LeaseExists) as exists:
            await client.lease.grant(5, lease_id=9)
        assert (exists.value.reason, exists.value.applied) == ("LEASE_EXISTS", "no")
        for call in (
            client.lease.keep_alive(8),
            client.lease.revoke(8),
            client.lease.get(8),
            client.kv.put(b"key", b"value", lease_id=8),
            client.kv.compare_and_set(b"key", b"value", expected_revision=0, lease_id=8),
        ):
            with pytest.raises(LeaseNotFound) as missing:
                await call
            assert (missing.value.reason, missing.value.applied) == ("LEASE_NOT_FOUND", "no")
        with pytest.raises(InvalidArgument, match="ttl_ms"):
            await client.lease.grant(0.5)

    with_client(scenario)


# --- held leases ----------------------------------------------------------------------------------


def test_a_held_lease_is_renewed_and_revoked_in_the_end() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        async with client.lease.hold(TTL_S) as lease:
            await client.kv.put(b"key", b"", lease_id=lease.lease_id)
            before = len(served.node.log)

            async def renewed_three_times() -> bool:
                return len(served.node.log) >= before + 3

            await eventually(renewed_three_times, "three renewals")
            assert not lease.lost.is_set()
            lease.check()
        assert (await client.kv.get(b"key")).kv is None
        with pytest.raises(LeaseNotFound):
            await client.lease.get(lease.lease_id)

    with_client(scenario)


def test_the_end_of_a_held_lease_is_noticed() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        called = asyncio.Event()
        with pytest.raises(LeaseLost):  # noqa: PT012 - at its end too
            async with client.lease.hold(TTL_S) as lease:
                lease.when_lost(called.set)
                await served.expire(lease.lease_id)
                await lease.lost.wait()
                assert called.is_set()
                with pytest.raises(LeaseLost):
                    lease.check()

    with_client(scenario)


def test_a_lease_that_cannot_be_renewed_counts_as_lost_when_its_time_is_over() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        clock = asyncio.get_running_loop().time
        with pytest.raises(LeaseLost):  # noqa: PT012 - at its end too
            async with client.lease.hold(TTL_S) as lease:
                entered_s = clock()
                served.node.refusal = errors.no_leader(600)
                await lease.lost.wait()
                assert TTL_S * 0.9 < clock() - entered_s < TTL_S * 1.5
                served.node.refusal = None

    with_client(scenario)


def test_a_short_trouble_is_survived() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        async with client.lease.hold(TTL_S) as lease:
            served.node.refusal = errors.no_leader(600)
            await asyncio.sleep(TTL_S * 0.6)
            served.node.refusal = None
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(lease.lost.wait(), TTL_S)

    with_client(scenario)


def test_another_endpoint_is_asked_when_one_is_gone() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        async with client.lease.hold(TTL_S) as lease:
            await served.servers[0].stop(None)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(lease.lost.wait(), 1.5 * TTL_S)

    with_client(scenario, addresses=2)


def test_entering_fails_where_no_lease_can_be_granted() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        served.node.refusal = errors.no_leader(600)
        with pytest.raises(Unavailable):
            await client.lease.hold(TTL_S).begin()

    with_client(scenario)


def test_leases_without_an_event_loop() -> None:
    def scenario(endpoints: str) -> int:
        with SyncClient(endpoints) as client:
            lease_id = client.lease.grant(5).lease_id
            assert client.lease.keep_alive(lease_id).ttl_s == 5.0
            assert client.lease.get(lease_id, keys=True).keys == ()
            assert len(client.lease.list().leases) == 1
            assert client.lease.revoke(lease_id).deleted == 0
            with client.lease.hold(TTL_S) as held:
                client.kv.put(b"key", b"", lease_id=held.lease_id)
                assert not held.lost.is_set()
            assert client.kv.get(b"key").kv is None
            with pytest.raises(LeaseLost), client.lease.hold(TTL_S) as held:  # noqa: PT012
                client.lease.revoke(held.lease_id)
                assert held.lost.wait(PATIENCE_S)
        return threading.active_count()

    async def run() -> None:
        async with one_node() as served:
            await asyncio.to_thread(scenario, served.endpoints)

    asyncio.run(run())
