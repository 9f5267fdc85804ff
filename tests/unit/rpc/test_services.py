"""Which services the client port has, and that every stream begins with its headers."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
from collections.abc import AsyncIterator, Callable, Iterator

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import kvraft.v1
from kvraft.members import loopback_members
from kvraft.rpc.client_port import ClientPort
from kvraft.rpc.cluster_service import ClusterServicer
from kvraft.rpc.header import ResponseHeaders
from kvraft.rpc.services import Services
from kvraft.storage.interfaces import Identity
from kvraft.storage.memory_log import MemoryLog
from tests.unit.rpc.fake_node import CLUSTER_ID, FakeNode

PATIENCE_S = 20
IDENTITY = Identity(cluster_id=CLUSTER_ID, cluster_name="test", node_id=1, initial_voters=(1, 2, 3))
PEERS_OWN = "kvraft.v1.RaftService"


def files() -> Iterator[FileDescriptor]:
    """Of the whole contract."""
    for module in pkgutil.iter_modules(kvraft.v1.__path__):
        if module.name.endswith("_pb2"):
            yield importlib.import_module(f"kvraft.v1.{module.name}").DESCRIPTOR


SERVICES = {
    service.full_name: service
    for file in (*files(), health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR)
    for service in file.services_by_name.values()
    if service.full_name != PEERS_OWN
}
BIDIRECTIONAL = [
    method
    for service in SERVICES.values()
    for method in service.methods
    if method.client_streaming and method.server_streaming
]


class Port:
    """A client port over a node without a log, and a channel to it."""

    def __init__(self, port: ClientPort, channel: grpc.aio.Channel) -> None:
        self.port = port
        self.channel = channel

    async def reflected(self) -> list[str]:
        """The names of the services that reflection lists."""
        stub = reflection_pb2_grpc.ServerReflectionStub(self.channel)
        requests = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        async for answer in stub.ServerReflectionInfo(requests):
            return [service.name for service in answer.list_services_response.service]
        raise AssertionError("no answer")

    async def health(self, service: str) -> health_pb2.HealthCheckResponse:
        request = health_pb2.HealthCheckRequest(service=service)
        answer: health_pb2.HealthCheckResponse = await health_pb2_grpc.HealthStub(self.channel).Check(request)
        return answer


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def port(runner: asyncio.Runner) -> Iterator[Port]:
    async def start() -> tuple[grpc.aio.Server, Port]:
        node = FakeNode()
        headers = ResponseHeaders(node, CLUSTER_ID)
        members = loopback_members(3, base_port=7001)
        cluster = ClusterServicer(
            node,
            headers,
            MemoryLog(IDENTITY),
            cluster_name="test",
            members=members,
            election_timeout_ms=600,
        )
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        client_port = ClientPort(server, node=node, headers=headers, cluster=cluster)
        number = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return server, Port(client_port, grpc.aio.insecure_channel(f"127.0.0.1:{number}"))

    server, port = runner.run(start())
    yield port
    runner.run(port.channel.close())
    runner.run(server.stop(None))


def test_reflection_lists_every_service_of_the_contract(runner: asyncio.Runner, port: Port) -> None:
    assert set(runner.run(port.reflected())) == set(SERVICES)


def test_health_knows_every_service_of_the_contract(runner: asyncio.Runner, port: Port) -> None:
    ours = [name for name in SERVICES if name.startswith("kvraft.")]
    assert "kvraft.v1.MessageService" in ours
    for serving in (True, False):
        runner.run(port.port.set_health(serving=serving))
        for name in ("", *ours):
            assert runner.run(port.health(name)).status == (1 if serving else 2)


@pytest.mark.parametrize("method", BIDIRECTIONAL, ids=lambda method: method.full_name)
def test_a_stream_begins_with_its_headers_before_the_caller_has_sent_anything(
    runner: asyncio.Runner, port: Port, method: MethodDescriptor
) -> None:
    async def nothing() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    async def headers() -> None:
        path = f"/{method.containing_service.full_name}/{method.name}"
        call = port.channel.stream_stream(path)(nothing())
        await call.initial_metadata()
        call.cancel()

    runner.run(asyncio.wait_for(headers(), PATIENCE_S))


async def _write_nothing(_: bytes, __: object) -> None:
    await asyncio.Event().wait()


async def _yield_nothing(_: bytes, __: object) -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


@pytest.mark.parametrize("behavior", [_write_nothing, _yield_nothing])
def test_an_answer_of_many_messages_begins_with_its_headers_before_the_first(
    runner: asyncio.Runner, behavior: Callable[..., object]
) -> None:
    async def headers() -> None:
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        services = Services(server)
        handler = grpc.unary_stream_rpc_method_handler(behavior)
        services.add_registered_method_handlers("test.Quiet", {"Watch": handler})
        assert services.names == ["test.Quiet"]
        number = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{number}") as channel:
            call = channel.unary_stream("/test.Quiet/Watch")(b"")
            await call.initial_metadata()
            call.cancel()
        await server.stop(None)

    runner.run(asyncio.wait_for(headers(), PATIENCE_S))
