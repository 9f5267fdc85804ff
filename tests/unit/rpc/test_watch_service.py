"""The Watch call, through a real channel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc.aio
import pytest

from kvraft.errors import Reason, RequestError
from kvraft.node import watching
from kvraft.node.settings import NodeSettings
from kvraft.rpc import watch_responses
from kvraft.rpc.calls import Calls
from kvraft.rpc.header import ResponseHeaders
from kvraft.rpc.watch_service import WatchService
from kvraft.storage.errors import StorageError
from kvraft.storage.state.history import History
from kvraft.v1 import command_pb2, kv_pb2
from tests.unit.rpc.conftest import Service
from tests.unit.rpc.fake_node import put_rows

PUT, DELETE = kv_pb2.EVENT_KIND_PUT, kv_pb2.EVENT_KIND_DELETE


class Stream:
    """A client's hand on one Watch call."""

    def __init__(self, call: Any, service: Service) -> None:
        self._call = call
        self._service = service

    async def send(self, **request: Any) -> None:
        await self._call.write(kv_pb2.WatchRequest(**request))

    async def create(self, watch_id: int, **create: Any) -> kv_pb2.WatchResponse:
        """Creates a watch and waits for the answer."""
        await self.send(create={"watch_id": watch_id, **create})
        return await self.read()

    async def read(self) -> kv_pb2.WatchResponse:
        response = await asyncio.wait_for(self._call.read(), 10)
        assert response is not grpc.aio.EOF, "the stream ended"
        return response

    async def ends(self) -> grpc.StatusCode:
        assert await asyncio.wait_for(self._call.read(), 10) is grpc.aio.EOF
        return await self._call.code()

    async def done_writing(self) -> None:
        await self._call.done_writing()

    async def put(self, key: bytes, value: bytes = b"v") -> int:
        return await self._write(command_pb2.Command(put={"key": key, "value": value}))

    async def delete(self, key: bytes) -> int:
        return await self._write(command_pb2.Command(delete={"key": key}))

    async def _write(self, command: command_pb2.Command) -> int:
        answer = await self._service.node.write(command.SerializeToString(), grows_state=True)
        return answer.revision


def watching_story(service: Service, story: Callable[[Stream], Awaitable[None]]) -> None:
    async def run() -> None:
        call = service.kv.Watch()
        await story(Stream(call, service))
        call.cancel()

    service.runner.run(run())


def of(response: kv_pb2.WatchResponse) -> list[tuple[int, bytes, int]]:
    return [(event.kind, event.kv.key, event.kv.mod_revision) for event in response.events]


def test_changes_come_as_they_are_made(service: Service) -> None:
    async def story(stream: Stream) -> None:
        created = await stream.create(7, range={"start": b"key", "end": b"key\0"})
        assert (created.watch_id, created.created, created.header.revision) == (7, True, 0)
        await stream.put(b"other")
        assert await stream.put(b"key", b"one") == 2
        first = await stream.read()
        assert (first.watch_id, first.header.revision, of(first)) == (7, 2, [(PUT, b"key", 2)])
        assert first.events[0].kv.value == b"one"
        assert not first.events[0].HasField("previous")
        await stream.delete(b"key")
        second = await stream.read()
        assert of(second) == [(DELETE, b"key", 3)]
        assert second.events[0].kv == kv_pb2.KeyValue(key=b"key", mod_revision=3)

    watching_story(service, story)


def test_the_past_comes_first_then_the_present(service: Service) -> None:
    put_rows(service.node, 3)  # revision 1

    async def story(stream: Stream) -> None:
        for number in range(3):
            await stream.put(b"key%d" % number)
        assert (await stream.create(1, start_revision=2)).created
        assert of(await stream.read()) == [(PUT, b"key%d" % n, n + 2) for n in range(3)]
        await stream.put(b"now")
        assert of(await stream.read()) == [(PUT, b"now", 5)]

    watching_story(service, story)


def test_a_revision_that_is_not_there_yet_is_waited_for(service: Service) -> None:
    async def story(stream: Stream) -> None:
        assert (await stream.create(1, start_revision=3)).created
        for _ in range(3):
            await stream.put(b"key")
        assert of(await stream.read()) == [(PUT, b"key", 3)]

    watching_story(service, story)


def test_previous_values_and_kinds_as_asked_for(service: Service) -> None:
    async def story(stream: Stream) -> None:
        await stream.create(1, previous=True, exclude=[PUT])
        await stream.put(b"key", b"old")
        await stream.delete(b"key")
        response = await stream.read()
        assert of(response) == [(DELETE, b"key", 2)]
        assert response.events[0].previous.value == b"old"

    watching_story(service, story)


def test_many_watches_on_one_stream_and_one_of_them_canceled(service: Service) -> None:
    async def story(stream: Stream) -> None:
        await stream.create(1, range={"prefix": b"a"})
        await stream.create(2, range={"start": b"ab", "end": b"ac"})
        await stream.put(b"abc")
        assert {(await stream.read()).watch_id for _ in range(2)} == {1, 2}
        await stream.send(cancel={"watch_id": 1})
        canceled = await stream.read()
        assert (canceled.watch_id, canceled.canceled.reason) == (1, "CANCELED")
        assert canceled.canceled.resume_revision == 2
        await stream.put(b"abd")
        assert (await stream.read()).watch_id == 2

    watching_story(service, story)


def test_what_one_watch_gets_wrong_does_not_end_the_others(service: Service) -> None:
    async def story(stream: Stream) -> None:
        await stream.create(1)
        refused = await stream.create(2, range={"prefix": b"a", "start": b"b"})
        assert (refused.watch_id, refused.created) == (2, False)
        assert refused.canceled.reason == "INVALID_ARGUMENT"
        assert "range.prefix" in refused.canceled.message
        assert (await stream.create(3, exclude=[9])).canceled.reason == "INVALID_ARGUMENT"
        await stream.put(b"key")
        assert (await stream.read()).watch_id == 1

    watching_story(service, story)


def test_an_id_in_use_and_an_empty_request_end_the_stream(service: Service) -> None:
    async def twice(stream: Stream) -> None:
        await stream.create(1)
        await stream.send(create={"watch_id": 1})
        with pytest.raises(grpc.aio.AioRpcError, match=r"create\.watch_id is 1"):
            await stream.read()

    watching_story(service, twice)

    async def empty(stream: Stream) -> None:
        await stream.send()
        with pytest.raises(grpc.aio.AioRpcError, match="request is empty"):
            await stream.read()

    watching_story(service, empty)


def test_a_stream_has_a_limited_number_of_watches(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "STREAM_WATCHES_MAX", 2)

    async def story(stream: Stream) -> None:
        assert (await stream.create(1)).created
        assert (await stream.create(2)).created
        assert (await stream.create(3)).canceled.reason == "TOO_MANY_WATCHES"
        await stream.send(cancel={"watch_id": 1})
        await stream.read()
        assert (await stream.create(3)).created

    watching_story(service, story)


def test_a_start_older_than_the_history_is_told_what_is_there(service: Service) -> None:
    node = service.node
    put_rows(node, 3)
    # As after the installation of a snapshot: the history begins behind what it brought.
    node.state.history = History(None)
    node.state.history.begin(41, NodeSettings().history_limits)
    node.replica.watches.replace_state(node.state, 41)

    async def story(stream: Stream) -> None:
        response = await stream.create(1, start_revision=41)
        assert (response.created, response.canceled.reason) == (False, "COMPACTED")
        assert response.canceled.oldest_revision == 42
        assert (await stream.create(1, start_revision=42)).created

    watching_story(service, story)


def test_a_disk_that_fails_under_the_history_stops_the_node(service: Service) -> None:
    failure = StorageError("checksum of a secret")

    async def story(stream: Stream) -> None:
        await stream.put(b"key")
        service.node.state.failure = failure
        assert (await stream.create(1, start_revision=1)).created
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await stream.read()
        assert failed.value.code() is grpc.StatusCode.INTERNAL
        assert "secret" not in (failed.value.details() or "")
        assert service.node.failures == [failure]

    watching_story(service, story)


def test_a_large_revision_comes_in_fragments(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_responses, "RESPONSE_BYTES_MAX", 1_000)

    async def story(stream: Stream) -> None:
        await stream.create(1)
        keys = put_rows(service.node, 10, value=bytes(300))
        await stream.put(b"after")
        got, fragments = [], []
        while not got or got[-1] != b"after":
            response = await stream.read()
            got += [event.kv.key for event in response.events]
            fragments.append((response.header.revision, response.fragment))
        assert got == [*keys, b"after"]
        assert fragments[:-1] == [(1, True)] * (len(fragments) - 1)
        assert fragments[-1] == (2, False)
        assert len(fragments) > 2

    watching_story(service, story)


def test_progress_when_asked_for(service: Service) -> None:
    async def story(stream: Stream) -> None:
        await stream.create(1, range={"prefix": b"nothing"})
        await stream.put(b"key")
        await stream.send(progress={})
        response = await stream.read()
        assert (response.watch_id, response.header.revision, len(response.events)) == (1, 1, 0)

    watching_story(service, story)


def test_a_node_that_stops_says_where_to_go_on(service: Service) -> None:
    async def story(stream: Stream) -> None:
        await stream.create(1)
        await stream.put(b"key")
        service.node.replica.watches.shut_down()
        assert of(await stream.read()) == [(PUT, b"key", 1)]
        canceled = await stream.read()
        assert (canceled.canceled.reason, canceled.canceled.resume_revision) == ("SHUTTING_DOWN", 2)
        assert await stream.ends() is grpc.StatusCode.OK

    watching_story(service, story)


def test_a_stream_ends_when_nothing_more_is_asked_for_and_no_watch_is_left(service: Service) -> None:
    async def story(stream: Stream) -> None:
        await stream.create(1)
        await stream.done_writing()
        await stream.put(b"key")
        assert of(await stream.read()) == [(PUT, b"key", 1)]
        service.node.replica.watches.shut_down()
        assert (await stream.read()).canceled.reason == "SHUTTING_DOWN"
        assert await stream.ends() is grpc.StatusCode.OK

    watching_story(service, story)


class SlowReader:
    """A call whose client takes a message only when it may."""

    def __init__(self) -> None:
        self.taken: asyncio.Queue[kv_pb2.WatchResponse] = asyncio.Queue()
        self.may_take = asyncio.Event()
        self.may_take.set()
        Calls().enter(self)  # type: ignore[arg-type]

    def peer(self) -> str:
        return "ipv4:127.0.0.1:1"

    def add_done_callback(self, _: object) -> None:
        """It has no end."""

    async def write(self, response: bytes) -> None:
        await self.may_take.wait()
        self.taken.put_nowait(kv_pb2.WatchResponse.FromString(response))


async def _requests(*creates: dict[str, Any]) -> AsyncIterator[kv_pb2.WatchRequest]:
    for create in creates:
        yield kv_pb2.WatchRequest(create=create)
    await asyncio.Event().wait()


def test_a_stream_that_is_not_read_is_told_where_to_go_on(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        node, reader = service.node, SlowReader()
        end = watching.WatchStream.end

        def read_on_after(stream: watching.WatchStream, *why: Any) -> None:
            end(stream, *why)
            reader.may_take.set()

        monkeypatch.setattr(watching.WatchStream, "end", read_on_after)
        server = WatchService(node, ResponseHeaders(node, 1), reader_timeout_s=0.02)
        serving = asyncio.create_task(server.serve(_requests({"watch_id": 1}), reader))
        assert (await reader.taken.get()).created
        reader.may_take.clear()
        put_rows(node, 2)
        await serving
        assert len((await reader.taken.get()).events) == 2
        canceled = (await reader.taken.get()).canceled
        assert (canceled.reason, canceled.resume_revision) == ("SLOW_CONSUMER", 2)

    service.runner.run(story())


def test_a_stream_that_is_not_read_at_all_is_cut_off(service: Service) -> None:
    async def story() -> None:
        node, reader = service.node, SlowReader()
        server = WatchService(node, ResponseHeaders(node, 1), reader_timeout_s=0.02)
        reader.may_take.clear()
        with pytest.raises(RequestError) as cut_off:
            await server.serve(_requests({"watch_id": 1}), reader)
        assert cut_off.value.reason is Reason.SLOW_READER
        assert node.replica.watches.share.taken == 0

    service.runner.run(story())


def test_quiet_watches_that_want_it_are_told_how_far_they_are(service: Service) -> None:
    async def story() -> None:
        node, reader = service.node, SlowReader()
        server = WatchService(node, ResponseHeaders(node, 1), reader_timeout_s=10, progress_interval_s=0.02)
        creates = [{"watch_id": 1, "progress_notify": True, "range": {"prefix": b"x"}}, {"watch_id": 2}]
        serving = asyncio.create_task(server.serve(_requests(*creates), reader))
        for _ in creates:
            assert (await reader.taken.get()).created
        put_rows(node, 1)
        events = await reader.taken.get()
        assert (events.watch_id, len(events.events)) == (2, 1)
        progress = await reader.taken.get()
        assert (progress.watch_id, progress.header.revision, len(progress.events)) == (1, 1, 0)
        serving.cancel()
        await asyncio.wait((serving,))

    service.runner.run(story())
