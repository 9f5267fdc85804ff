"""WatchSessions, through a real channel."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc.aio
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from kvraft.errors import Reason, RequestError
from kvraft.node.settings import NodeSettings
from kvraft.node.sharing import Share
from kvraft.rpc import watch_responses
from kvraft.rpc.calls import Calls
from kvraft.rpc.header import ResponseHeaders
from kvraft.rpc.users.session_watch import SessionWatch
from kvraft.storage.errors import StorageError
from kvraft.storage.state.history import History
from kvraft.v1 import command_pb2, session_pb2, user_data_pb2
from tests.unit.rpc.conftest import Service

OPENED = session_pb2.SessionEvent.KIND_OPENED
REPLACED = session_pb2.SessionEvent.KIND_REPLACED
CLOSED = session_pb2.SessionEvent.KIND_CLOSED
REVOKED = session_pb2.SessionEvent.KIND_REVOKED
EXPIRED = session_pb2.SessionEvent.KIND_EXPIRED


class Story:
    """A client's hand on WatchSessions, and on what happens meanwhile."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._call: Any = None

    async def do(self, kind: str, **request: Any) -> Any:
        command = command_pb2.Command(user_data=user_data_pb2.UserDataCommand(**{kind: request}))
        return (await self._write(command)).result.response

    async def lease(self) -> int:
        answer = await self._write(command_pb2.Command(grant_lease={"ttl_ms": 10_000}))
        return answer.result.lease_id

    async def end_lease(self, lease_id: int) -> None:
        await self._write(command_pb2.Command(revoke_lease={"lease_id": lease_id}))

    async def device(self, user_id: str, device_id: str = "phone") -> None:
        await self.do("register_device", user_id=user_id, device_id=device_id)

    async def open(self, lease_id: int, user_id: str, device_id: str = "phone") -> int:
        response = await self.do("open_session", user_id=user_id, device_id=device_id, lease_id=lease_id)
        return response.session.epoch

    async def watch(self, **request: Any) -> session_pb2.WatchSessionsResponse:
        """The first response."""
        if self._call is not None:
            self._call.cancel()
        self._call = self._service.session.WatchSessions(session_pb2.WatchSessionsRequest(**request))
        return await self.read()

    async def read(self) -> session_pb2.WatchSessionsResponse:
        response = await asyncio.wait_for(self._call.read(), 10)
        assert response is not grpc.aio.EOF, "the stream ended"
        return response

    async def events(self, count: int) -> list[session_pb2.SessionEvent]:
        found: list[session_pb2.SessionEvent] = []
        while len(found) < count:
            found += (await self.read()).events
        assert len(found) == count
        return found

    async def fails(self) -> tuple[grpc.StatusCode, error_details_pb2.ErrorInfo]:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await asyncio.wait_for(self._call.read(), 10)
        status = rpc_status.from_call(failed.value)
        assert status is not None
        info = error_details_pb2.ErrorInfo()
        assert status.details[0].Unpack(info)
        return failed.value.code(), info

    async def _write(self, command: Message) -> Any:
        return await self._service.node.write(command.SerializeToString(), grows_state=True)

    def end(self) -> None:
        if self._call is not None:
            self._call.cancel()


def told(service: Service, story: Callable[[Story], Awaitable[None]]) -> None:
    async def run() -> None:
        hand = Story(service)
        await story(hand)
        hand.end()

    service.runner.run(run())


def brief(events: list[session_pb2.SessionEvent]) -> list[tuple[int, str, int]]:
    return [(event.kind, event.session.user_id, event.revision) for event in events]


def test_everything_that_happens_to_a_session_is_told_apart(service: Service) -> None:
    async def story(it: Story) -> None:
        for device_id in ("phone", "laptop"):
            await it.device("alice", device_id)
        lease_id = await it.lease()
        assert (await it.watch(user_ids=["alice"])).header.revision == 3

        first = await it.open(lease_id, "alice")
        second = await it.open(lease_id, "alice")
        await it.do("close_session", user_id="alice", device_id="phone", epoch=second)
        await it.open(lease_id, "alice")
        await it.do("revoke_sessions", user_id="alice")
        await it.open(lease_id, "alice")
        await it.do("remove_device", user_id="alice", device_id="phone")
        last = await it.open(lease_id, "alice", "laptop")
        await it.end_lease(lease_id)

        events = await it.events(9)
        kinds = [OPENED, REPLACED, CLOSED, OPENED, REVOKED, OPENED, CLOSED, OPENED, EXPIRED]
        assert brief(events) == [(kind, "alice", 4 + number) for number, kind in enumerate(kinds)]
        assert (events[0].session.epoch, events[0].replaced_epoch) == (first, 0)
        assert (events[1].session.epoch, events[1].replaced_epoch) == (second, first)
        assert events[2].session.epoch == second
        assert (events[8].session.device_id, events[8].session.epoch) == ("laptop", last)

    told(service, story)


def test_of_many_users_everything_comes_in_one_order_and_nothing_of_others(service: Service) -> None:
    async def story(it: Story) -> None:
        names = ["alice", "bob", "bobby", "carol"]
        for user_id in names:
            await it.device(user_id)
        lease_id = await it.lease()
        await it.watch(user_ids=["carol", "alice", "bob", "alice"])
        for user_id in ("bob", "bobby", "carol", "alice", "bob"):
            await it.open(lease_id, user_id)

        events = await it.events(4)
        assert [event.session.user_id for event in events] == ["bob", "carol", "alice", "bob"]
        await it.end_lease(lease_id)
        ended = await it.read()
        assert sorted(event.session.user_id for event in ended.events) == ["alice", "bob", "carol"]
        assert {event.revision for event in ended.events} == {ended.header.revision}

    told(service, story)


def test_a_watch_of_a_lease_sees_sessions_come_and_leave(service: Service) -> None:
    async def story(it: Story) -> None:
        await it.device("alice")
        await it.device("bob")
        mine, other = await it.lease(), await it.lease()
        await it.watch(lease_id=mine)
        await it.open(other, "bob")
        first = await it.open(mine, "alice")
        moved = await it.open(other, "alice")
        await it.open(mine, "alice")

        events = await it.events(3)
        assert [event.kind for event in events] == [OPENED, REPLACED, REPLACED]
        assert (events[1].session.epoch, events[1].session.lease_id) == (moved, other)
        assert [event.replaced_epoch for event in events] == [0, first, moved]
        await it.end_lease(mine)
        assert [event.kind for event in await it.events(1)] == [EXPIRED]

    told(service, story)


def test_a_watch_is_resumed_from_a_revision_without_a_gap(service: Service) -> None:
    async def story(it: Story) -> None:
        await it.device("alice")
        lease_id = await it.lease()
        for _ in range(5):
            await it.open(lease_id, "alice")  # revisions 3 to 7

        first = await it.watch(user_ids=["alice"], from_revision=5)
        assert (first.header.revision, len(first.events)) == (4, 0)
        assert [event.revision for event in await it.events(3)] == [5, 6, 7]
        await it.open(lease_id, "alice")
        assert [event.revision for event in await it.events(1)] == [8]

    told(service, story)


def test_a_revision_that_is_older_than_the_history_is_refused(service: Service) -> None:
    node = service.node
    node.state.history = History(None)
    node.state.history.begin(41, NodeSettings().history_limits)
    node.replica.watches.replace_state(node.state, 41)

    async def story(it: Story) -> None:
        with pytest.raises(grpc.aio.AioRpcError, match="revision 42"):
            await it.watch(user_ids=["alice"], from_revision=41)
        code, info = await it.fails()
        assert (code, info.reason) == (grpc.StatusCode.OUT_OF_RANGE, "COMPACTED")
        assert dict(info.metadata) == {"applied": "no", "oldest_revision": "42"}
        assert (await it.watch(user_ids=["alice"], from_revision=42)).header.revision == 41

    told(service, story)


def test_a_large_revision_comes_in_fragments(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_responses, "RESPONSE_EVENTS_MAX", 4)

    async def story(it: Story) -> None:
        lease_id = await it.lease()
        for number in range(10):
            await it.device(f"user{number}")
            await it.open(lease_id, f"user{number}")
        await it.watch(lease_id=lease_id)
        await it.end_lease(lease_id)
        responses = [await it.read() for _ in range(3)]
        assert [(len(each.events), each.fragment) for each in responses] == [(4, True), (4, True), (2, False)]
        assert {each.header.revision for each in responses} == {22}

    told(service, story)


def test_a_node_that_stops_sends_its_callers_to_another(service: Service) -> None:
    async def story(it: Story) -> None:
        await it.watch(user_ids=["alice"])
        service.node.replica.watches.shut_down()
        code, info = await it.fails()
        assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")

    told(service, story)


def test_a_node_watches_a_limited_number_of_users(service: Service) -> None:
    service.node.replica.watches.share = Share(6)

    async def story(it: Story) -> None:
        with pytest.raises(grpc.aio.AioRpcError, match="room for 6 watches"):
            await it.watch(user_ids=["a", "b", "c", "d"])
        code, info = await it.fails()
        assert (code, info.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        await it.watch(user_ids=["a", "b", "c"])
        assert service.node.replica.watches.share.taken == 3

    told(service, story)
    service.runner.run(asyncio.sleep(0.01))
    assert service.node.replica.watches.share.taken == 0


def test_a_disk_that_fails_under_the_history_stops_the_node(service: Service) -> None:
    failure = StorageError("checksum of a secret")

    async def story(it: Story) -> None:
        await it.device("alice")
        service.node.state.failure = failure
        await it.watch(user_ids=["alice"], from_revision=1)
        code, _ = await it.fails()
        assert code is grpc.StatusCode.INTERNAL
        assert service.node.failures == [failure]

    told(service, story)


class Caller:
    """Takes a response only when it may."""

    def __init__(self) -> None:
        self.taken: asyncio.Queue[session_pb2.WatchSessionsResponse] = asyncio.Queue()
        self.may_take = asyncio.Event()
        self.may_take.set()
        Calls().enter(self)  # type: ignore[arg-type]

    def peer(self) -> str:
        return "ipv4:127.0.0.1:1"

    def add_done_callback(self, _: object) -> None:
        """It has no end."""

    async def write(self, response: bytes) -> None:
        await self.may_take.wait()
        self.taken.put_nowait(session_pb2.WatchSessionsResponse.FromString(response))


def test_a_caller_that_does_not_read_is_told_so(service: Service) -> None:
    async def story(it: Story) -> None:
        caller = Caller()
        watch = SessionWatch(service.node, ResponseHeaders(service.node, 1), reader_timeout_s=0.02)
        request = session_pb2.WatchSessionsRequest(user_ids=["alice"])
        serving = asyncio.create_task(watch.serve(request, caller))  # type: ignore[arg-type]
        await caller.taken.get()
        caller.may_take.clear()
        await it.device("alice")
        await it.open(await it.lease(), "alice")
        with pytest.raises(RequestError) as failed:
            await serving
        assert failed.value.reason is Reason.SLOW_CONSUMER
        assert service.node.replica.watches.share.taken == 0

    told(service, story)


def test_a_quiet_watch_is_told_how_far_it_is(service: Service) -> None:
    async def story(it: Story) -> None:
        caller = Caller()
        watch = SessionWatch(
            service.node, ResponseHeaders(service.node, 1), reader_timeout_s=10, progress_interval_s=0.02
        )
        request = session_pb2.WatchSessionsRequest(user_ids=["alice"])
        serving = asyncio.create_task(watch.serve(request, caller))  # type: ignore[arg-type]
        await caller.taken.get()
        await it.device("bob")
        response = await asyncio.wait_for(caller.taken.get(), 10)
        while response.header.revision < 1:
            response = await asyncio.wait_for(caller.taken.get(), 10)
        assert len(response.events) == 0
        serving.cancel()
        await asyncio.wait((serving,))

    told(service, story)
