"""What the client port says to clients that break the rules of gRPC, and what one of them may cost."""

from __future__ import annotations

import asyncio
import gc
import types
from collections.abc import Awaitable, Callable

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from kvraft.node.sharing import Share
from kvraft.v1 import kv_pb2, pipeline_pb2
from tests.hostile.http2 import HEADERS, RST_STREAM, Connection, message
from tests.unit.rpc.conftest import Failed, Service
from tests.unit.rpc.fake_node import put_rows
from tests.unit.rpc.whole_port import SERVICES, Port

METHODS = [method for service in SERVICES.values() for method in service.methods]
NONSENSE = b"\x0a\xff\xff\xff\xff\x0f nonsense"
PATIENCE_S = 20


def path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


async def outcome(channel: grpc.aio.Channel, called: str, *bodies: bytes) -> grpc.aio.AioRpcError:
    """What a call of raw bytes ends with."""

    async def requests():  # type: ignore[no-untyped-def]
        for body in bodies:
            yield body

    async with asyncio.timeout(PATIENCE_S):
        call = channel.stream_stream(called)(requests())
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await call.read()
    return failed.value


def info(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    status = rpc_status.from_call(error)
    assert status is not None, error
    found = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(found)
    return found


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
@pytest.mark.parametrize("bodies", [(NONSENSE,), ()], ids=["nonsense", "nothing"])
def test_what_is_no_request_is_refused_by_name(
    runner: asyncio.Runner, port: Port, method: MethodDescriptor, bodies: tuple[bytes, ...]
) -> None:
    if not bodies and method.client_streaming:
        return  # may well ask for nothing
    channel = port.channel
    error = runner.run(outcome(channel, path(method), *bodies))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, error
    assert (info(error).reason, info(error).metadata["applied"]) == ("INVALID_ARGUMENT", "no")


@pytest.mark.parametrize(
    "called", ["/kvraft.v1.KvService/Nothing", "/kvraft.v1.RaftService/RequestVote", "/nothing/Nothing", "/"]
)
def test_a_method_that_is_not_served_is_certainly_not_applied(
    runner: asyncio.Runner, port: Port, called: str
) -> None:
    error = runner.run(outcome(port.channel, called, b""))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert (info(error).reason, info(error).metadata["applied"]) == ("UNIMPLEMENTED", "no")


def test_what_came_before_nonsense_on_a_pipeline_is_answered(service: Service) -> None:
    put = pipeline_pb2.PipelineRequest(tag=7, writes={"commands": [{"put": {"key": b"k", "value": b"v"}}]})

    async def requests():  # type: ignore[no-untyped-def]
        yield put.SerializeToString()
        yield NONSENSE

    async def story() -> None:
        call = service.channel.stream_stream("/kvraft.v1.PipelineService/Pipeline")(requests())
        answer = pipeline_pb2.PipelineResponse.FromString(await call.read())
        assert (answer.tag, answer.results[0].revision) == (7, 1)
        with pytest.raises(grpc.aio.AioRpcError):
            await call.read()
        assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT

    service.runner.run(story())


# --- answers that nobody takes ---------------------------------------------------------------------


def untaken(service: Service, story: Callable[[Connection], Awaitable[None]]) -> None:
    """A connection that gives no stream a window for its answers."""

    async def run() -> None:
        with Connection(service.address, window_bytes=0) as connection:
            await story(connection)

    service.runner.run(run())


async def frames(connection: Connection, kind: int, count: int) -> None:
    """Waits for so many."""
    seen = 0
    while seen < count:
        frame = await asyncio.to_thread(connection.receive)
        assert frame is not None
        seen += frame.kind == kind


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - of the server's, which tells nobody
            await asyncio.sleep(0.005)


def test_answers_that_are_not_taken_are_bounded_and_others_are_served(service: Service) -> None:
    (key,) = put_rows(service.node, 1, value=b"v" * 100_000)
    get = kv_pb2.GetRequest(key=key)
    held = service.gate.calls.answer_bytes = Share(1_000_000)

    async def story(connection: Connection) -> None:
        for _ in range(50):
            connection.open("/kvraft.v1.KvService/Get", get.SerializeToString(), end=True)
        await frames(connection, HEADERS, 50)
        assert 400_000 < held.taken <= 500_000
        assert (await service.kv.Get(get)).kv.value == b"v" * 100_000
        connection.send(b"".join(connection.reset(number) for number in range(1, 100, 2)))
        await until(lambda: not held.taken)

    untaken(service, story)
    assert not service.gate.calls.under_way.taken


def test_a_write_whose_answer_is_not_kept_says_that_its_outcome_is_not_told(service: Service) -> None:
    put_rows(service.node, 1, value=b"v" * 100_000, prefix=b"k")
    service.gate.calls.answer_bytes = Share(100_000)
    put = kv_pb2.PutRequest(key=b"k000000", value=b"new", return_previous=True)
    with pytest.raises(Failed) as failed:
        service.call(service.kv.Put, put)
    assert (failed.value.reason, failed.value.applied) == ("ANSWER_TOO_LARGE", "unknown")
    assert service.call(service.kv.Get, kv_pb2.GetRequest(key=b"k000000")).kv.value == b"new"


def test_a_pipeline_makes_no_answers_while_many_wait(service: Service) -> None:
    keys = put_rows(service.node, 3, value=b"v" * (1 << 20))
    read = pipeline_pb2.PipelineRequest(tag=1, reads={"keys": keys}).SerializeToString()
    held = service.gate.calls.answer_bytes

    async def story(connection: Connection) -> None:
        number = connection.open("/kvraft.v1.PipelineService/Pipeline")
        connection.send(b"".join(connection.data(number, message(read)) for _ in range(60)))
        await until(lambda: held.taken > 0)
        for _ in range(20):
            await asyncio.sleep(0.005)
            assert held.taken < 8 << 20

    untaken(service, story)
    service.runner.run(until(lambda: not held.taken))


def test_a_connection_that_takes_nothing_is_ended(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    (key,) = put_rows(service.node, 1, value=b"v" * 100_000)
    monkeypatch.setattr("kvraft.rpc.calls.PATIENCE_S", 0.05)
    monkeypatch.setattr("kvraft.rpc.calls.IDLE_BYTES_MAX", 150_000)
    get = kv_pb2.GetRequest(key=key).SerializeToString()

    async def story(connection: Connection) -> None:
        for _ in range(2):
            connection.open("/kvraft.v1.KvService/Get", get, end=True)
        while await asyncio.to_thread(connection.receive) is not None:
            pass
        await until(lambda: not service.gate.calls.answer_bytes.taken)

    untaken(service, story)
    assert service.call(service.kv.Get, kv_pb2.GetRequest(key=key)).kv.key == key


def test_a_call_beyond_its_connections_share_is_refused_before_its_request(service: Service) -> None:
    service.gate.calls.under_way = Share(6)

    async def story(connection: Connection) -> None:
        for _ in range(4):
            connection.open("/kvraft.v1.KvService/Put")
        await frames(connection, RST_STREAM, 1)
        assert service.gate.calls.under_way.taken == 3
        await service.kv.Put(kv_pb2.PutRequest(key=b"k", value=b"v"))

    untaken(service, story)


# --- what calls leave behind -----------------------------------------------------------------------


def kept_frames(service: Service, called: Callable[[], object]) -> list[str]:
    """The node's functions whose frames, with all that is in them, are there after a call without a
    collection."""
    gc.collect()
    gc.disable()
    before = frames_of_the_node()
    try:
        called()
        service.call(service.kv.Get, kv_pb2.GetRequest(key=b"k"))  # gRPC keeps the call that came last
        service.runner.run(until(lambda: not service.gate.calls.under_way.taken))
        return [frame.f_code.co_name for key, frame in frames_of_the_node().items() if key not in before]
    finally:
        gc.enable()


def frames_of_the_node() -> dict[int, types.FrameType]:
    """All of its functions' that are there now, by their identity; other tests may have left some."""
    frames = [each for each in gc.get_objects() if isinstance(each, types.FrameType)]
    return {id(each): each for each in frames if "/kvraft/" in each.f_code.co_filename}


REFUSED = {
    "by a handler": ("/kvraft.v1.KvService/Put", kv_pb2.PutRequest(value=b"v" * 1_000).SerializeToString()),
    "on a stream": ("/kvraft.v1.PipelineService/Pipeline", NONSENSE),
    "of another kind": ("/kvraft.v1.KvService/StreamRange", NONSENSE),
    "as nonsense": ("/kvraft.v1.KvService/Put", NONSENSE),
    "by its method": ("/kvraft.v1.KvService/Nothing", b""),
}


@pytest.mark.parametrize(("called", "body"), REFUSED.values(), ids=REFUSED)
def test_a_refused_call_is_let_go_of_without_a_collection(service: Service, called: str, body: bytes) -> None:
    kept = kept_frames(service, lambda: service.runner.run(outcome(service.channel, called, body)))
    assert set(kept) <= {"letting_go"}  # that of the door itself, which holds nothing any more
