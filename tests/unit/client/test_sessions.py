"""Devices, sessions and presence as applications use them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import grpc.aio
import pytest

from kvraft.client import (
    AlreadyExists,
    AtLeast,
    Client,
    Compacted,
    FailedPrecondition,
    LeaseLost,
    NotFound,
    OpenMode,
    Presence,
    ResourceExhausted,
    Session,
    SessionEvent,
    SessionEventKind,
    SyncClient,
)
from kvraft.errors import Reason, RequestError
from kvraft.node.settings import NodeSettings
from kvraft.rpc.status import to_status
from kvraft.storage.state.history import History
from kvraft.v1 import common_pb2, session_pb2, session_pb2_grpc
from tests.fakes.one_node import OneNode, one_node

NOW_MS = 1_700_000_000_123
NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)
PATIENCE_S = 10.0


def with_client(scenario: Callable[[OneNode, Client], Awaitable[None]], *, addresses: int = 1) -> None:
    async def run() -> None:
        async with (
            asyncio.timeout(PATIENCE_S),
            one_node(addresses) as served,
            Client(served.endpoints, timeout_s=0.5) as client,
        ):
            served.node.wall_ms = NOW_MS
            await scenario(served, client)

    asyncio.run(run())


def test_devices_are_registered_listed_and_removed() -> None:
    async def scenario(_: OneNode, client: Client) -> None:
        phone = await client.sessions.register_device("alice", "phone", label="Alice's phone")
        assert phone.created
        assert (phone.device.label, phone.device.create_time) == ("Alice's phone", NOW)
        again = await client.sessions.register_device("alice", "phone", label="renamed")
        assert (again.created, again.device.label) == (False, "renamed")
        laptop = await client.sessions.register_device("alice", "laptop")

        listed = await client.sessions.list_devices("alice")
        assert [device.device_id for device in listed.devices] == ["phone", "laptop"]
        assert listed.device_set_revision == laptop.device_set_revision == laptop.header.revision
        assert listed.revoke_time is None

        removed = await client.sessions.remove_device("alice", "phone")
        assert (removed.purged_messages, removed.device_set_revision) == (0, removed.header.revision)
        with pytest.raises(FailedPrecondition, match="LAST_DEVICE"):
            await client.sessions.remove_device("alice", "laptop")
        with pytest.raises(NotFound, match="USER_NOT_FOUND"):
            await client.sessions.list_devices("bob")
        for number in range(5):
            await client.sessions.register_device("alice", f"device {number}")
        with pytest.raises(ResourceExhausted, match="TOO_MANY_DEVICES"):
            await client.sessions.register_device("alice", "one more")

    with_client(scenario)


def test_a_session_is_opened_found_taken_over_and_closed() -> None:
    async def scenario(_: OneNode, client: Client) -> None:
        await client.sessions.register_device("alice", "phone")
        lease_id = (await client.lease.grant(10)).lease_id
        first = await client.sessions.open(
            "alice", "phone", lease_id, gateway_address="10.0.0.7:443", info=b"tls"
        )
        epoch = first.header.revision
        assert first.session == Session("alice", "phone", epoch, lease_id, "10.0.0.7:443", b"tls", NOW)
        found = await client.sessions.get("alice", "phone", consistency=AtLeast(epoch))
        assert found.session == first.session
        with pytest.raises(AlreadyExists, match="SESSION_OPEN"):
            await client.sessions.open("alice", "phone", lease_id, mode=OpenMode.FAIL_IF_OPEN)

        second = await client.sessions.open("alice", "phone", lease_id)
        assert second.replaced_epoch == epoch
        assert not (await client.sessions.close("alice", "phone", epoch)).closed
        assert (await client.sessions.close("alice", "phone", second.session.epoch)).closed
        with pytest.raises(NotFound, match="SESSION_NOT_FOUND"):
            await client.sessions.get("alice", "phone")
        with pytest.raises(FailedPrecondition, match="LEASE_EXPIRED"):
            await client.sessions.open("alice", "phone", 77)

    with_client(scenario)


def test_who_logs_out_is_offline_and_was_seen_today() -> None:
    async def scenario(_: OneNode, client: Client) -> None:
        await client.sessions.register_device("alice", "phone")
        async with client.sessions.gateway("here", ttl_s=1) as gateway:
            await gateway.open("alice", "phone")
            answer = await client.sessions.presence("bob", ["alice", "nobody"])
            assert answer.presences == (
                Presence("alice", True, None),
                Presence("nobody", False, None),
            )
            revoked = await client.sessions.revoke("alice")
        assert (revoked.closed_sessions, revoked.revoke_time) == (1, NOW)
        (alice,) = (await client.sessions.presence("bob", ["alice"])).presences
        assert (alice.online, alice.last_seen_day) == (False, NOW.date())
        assert (await client.sessions.list_devices("alice")).revoke_time == NOW
        await client.sessions.revoke("alice", "phone")
        (phone,) = (await client.sessions.list_devices("alice")).devices
        assert phone.revoke_time == NOW

    with_client(scenario)


def test_sessions_are_listed_by_user_and_by_lease() -> None:
    async def scenario(_: OneNode, client: Client) -> None:
        async with client.sessions.gateway("here", ttl_s=1) as gateway:
            for number in range(5):
                await client.sessions.register_device(f"user{number}", "phone")
                await gateway.open(f"user{number}", "phone")
            page = await client.sessions.list(lease_id=gateway.lease_id, page_size=3)
            rest = await client.sessions.list(
                lease_id=gateway.lease_id, page_size=3, page_token=page.next_page_token
            )
            names = [session.user_id for session in (*page.sessions, *rest.sessions)]
            assert names == [f"user{number}" for number in range(5)]
            assert [s.user_id async for s in client.sessions.all(gateway.lease_id)] == names
            mine = await client.sessions.list(user_id="user3")
            assert [session.gateway_address for session in mine.sessions] == ["here"]
        assert (await client.sessions.list(user_id="user3")).sessions == ()
        with pytest.raises(ValueError, match="user_id or a lease_id"):
            await client.sessions.list()

    with_client(scenario)


class TestGateway:
    def test_it_opens_many_sessions_and_they_end_with_it(self) -> None:
        async def scenario(_: OneNode, client: Client) -> None:
            for user_id in ("alice", "bob"):
                await client.sessions.register_device(user_id, "phone")
            async with client.sessions.gateway("here", ttl_s=1) as gateway:
                alice, bob = await asyncio.gather(
                    gateway.open("alice", "phone"), gateway.open("bob", "phone", info=b"x")
                )
                assert (alice.gateway_address, alice.lease_id) == ("here", gateway.lease_id)
                assert bob.info == b"x"
                assert await gateway.close(bob)
                assert not await gateway.close(bob)
                assert not gateway.lost.is_set()
            with pytest.raises(NotFound):
                await client.sessions.get("alice", "phone")

        with_client(scenario)

    def test_one_that_has_lost_its_lease_opens_nothing_more(self) -> None:
        async def scenario(served: OneNode, client: Client) -> None:
            await client.sessions.register_device("alice", "phone")
            with pytest.raises(LeaseLost):  # noqa: PT012 - at its end too
                async with client.sessions.gateway("here", ttl_s=1) as gateway:
                    await gateway.open("alice", "phone")
                    await served.expire(gateway.lease_id)
                    await gateway.lost.wait()
                    with pytest.raises(LeaseLost):
                        await gateway.open("alice", "phone")

        with_client(scenario)

    def test_another_one_takes_the_session_over(self) -> None:
        async def scenario(_: OneNode, client: Client) -> None:
            await client.sessions.register_device("alice", "phone")
            async with (
                client.sessions.gateway("here", ttl_s=1) as here,
                client.sessions.gateway("there", ttl_s=1) as there,
            ):
                first = await here.open("alice", "phone")
                second = await there.open("alice", "phone")
                assert second.epoch > first.epoch
                assert not await here.close(first)
                found = await client.sessions.get("alice", "phone")
                assert found.session == second
                with pytest.raises(AlreadyExists):
                    await here.open("alice", "phone", mode=OpenMode.FAIL_IF_OPEN)

        with_client(scenario)


class TestWatch:
    def test_what_happens_comes_in_order_and_by_revision(self) -> None:
        async def scenario(_: OneNode, client: Client) -> None:
            for user_id in ("alice", "bob"):
                await client.sessions.register_device(user_id, "phone")
            lease = await client.lease.grant(10)
            start = lease.header.revision + 1
            first = await client.sessions.open("alice", "phone", lease.lease_id)
            await client.sessions.open("bob", "phone", lease.lease_id)
            second = await client.sessions.open("alice", "phone", lease.lease_id)
            await client.lease.revoke(lease.lease_id)

            watch = client.sessions.watch(user_ids=["alice"], from_revision=start)
            found: list[SessionEvent] = []
            async with aclosing(aiter(watch)) as events:
                async for event in events:
                    found.append(event)
                    if len(found) == 3:
                        break
            assert [event.kind for event in found] == ["OPENED", "REPLACED", "EXPIRED"]
            assert [event.session for event in found] == [first.session, second.session, second.session]
            assert [event.replaced_epoch for event in found] == [0, first.session.epoch, 0]

            batches = client.sessions.watch(lease_id=lease.lease_id, from_revision=start).batches()
            sizes = [len((await anext(batches)).events) for _ in range(4)]
            assert sizes == [1, 1, 1, 2]
            await batches.aclose()

        with_client(scenario)

    def test_it_goes_on_at_another_node_where_it_was(self) -> None:
        async def scenario(served: OneNode, client: Client) -> None:
            await client.sessions.register_device("alice", "phone")
            lease_id = (await client.lease.grant(10)).lease_id
            opened = await client.sessions.open("alice", "phone", lease_id)
            start = opened.header.revision
            batches = client.sessions.watch(user_ids=["alice"], from_revision=start).batches()
            assert (await anext(batches)).revision == start

            watching = asyncio.ensure_future(anext(batches))
            await served.servers[0].stop(None)
            assert (await client.sessions.revoke("alice")).closed_sessions == 1
            batch = await watching
            assert [event.kind for event in batch.events] == [SessionEventKind.REVOKED]
            await batches.aclose()

        with_client(scenario, addresses=2)

    def test_history_that_is_gone_everywhere_is_an_error_that_says_what_is_left(self) -> None:
        async def scenario(served: OneNode, client: Client) -> None:
            node = served.node
            node.state.history = History(None)
            node.state.history.begin(41, NodeSettings().history_limits)
            node.replica.watches.replace_state(node.state, 41)
            batches = client.sessions.watch(user_ids=["alice"], from_revision=7).batches()
            with pytest.raises(Compacted, match="List the sessions") as error:
                await anext(batches)
            assert error.value.oldest_revision == 42

        with_client(scenario, addresses=2)

    def test_a_node_that_lost_patience_with_it_is_left(self) -> None:
        async def scenario() -> None:
            servers = [grpc.aio.server() for _ in range(2)]
            nodes = [Impatient(), Impatient()]
            ports = []
            for server, node in zip(servers, nodes, strict=True):
                session_pb2_grpc.add_SessionServiceServicer_to_server(node, server)
                ports.append(server.add_insecure_port("127.0.0.1:0"))
                await server.start()
            async with Client(",".join(f"127.0.0.1:{port}" for port in ports), timeout_s=5) as client:
                batches = client.sessions.watch(user_ids=["alice"]).batches()
                assert [(await anext(batches)).revision for _ in range(3)] == [8, 9, 10]
                await batches.aclose()
            assert sorted([*nodes[0].asked, *nodes[1].asked]) == [0, 9, 10]
            assert all(node.asked for node in nodes)
            for server in servers:
                await server.stop(None)

        asyncio.run(scenario())

    def test_it_watches_users_or_a_lease(self) -> None:
        async def scenario(_: OneNode, client: Client) -> None:
            for wrong in ({}, {"user_ids": ["alice"], "lease_id": 1}):
                with pytest.raises(ValueError, match="user_ids or a lease_id"):
                    client.sessions.watch(**wrong)  # type: ignore[arg-type]

        with_client(scenario)


class Impatient(session_pb2_grpc.SessionServiceServicer):
    """A node that tells of one revision and lets go of whoever watches."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        """The first revisions that were wanted."""

    async def WatchSessions(  # noqa: N802 - gRPC names the methods
        self, request: session_pb2.WatchSessionsRequest, context: Any
    ) -> None:
        self.asked.append(request.from_revision)
        first = request.from_revision or 8
        header = common_pb2.ResponseHeader(member_id=1, leader_id=1, revision=first - 1)
        await context.write(session_pb2.WatchSessionsResponse(header=header))
        header.revision = first
        event = session_pb2.SessionEvent(kind=session_pb2.SessionEvent.KIND_OPENED, revision=first)
        await context.write(session_pb2.WatchSessionsResponse(header=header, events=[event]))
        status = to_status(RequestError(Reason.SLOW_CONSUMER, "the caller took nothing"))
        await context.abort(status.code, status.details, status.trailing_metadata)


def test_without_an_event_loop() -> None:
    async def scenario(served: OneNode, _: Client) -> None:
        await asyncio.to_thread(_blocking, served.endpoints)

    with_client(scenario)


def _blocking(endpoints: str) -> None:
    with SyncClient(endpoints) as client:
        registered = client.sessions.register_device("alice", "phone")
        events = iter(client.sessions.watch(user_ids=["alice"], from_revision=registered.header.revision + 1))
        with client.sessions.gateway("here", ttl_s=1) as gateway:
            assert isinstance(gateway.lost, threading.Event)
            session = gateway.open("alice", "phone")
            assert client.sessions.get("alice", "phone").session == session
            assert list(client.sessions.all(gateway.lease_id)) == [session]
            assert gateway.close(session)
        assert [next(events).kind, next(events).kind] == ["OPENED", "CLOSED"]
        events.close()  # type: ignore[attr-defined]
