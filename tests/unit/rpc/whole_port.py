"""The whole client port over a node without a log, and what the contract says is served there."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
from collections.abc import Iterator

import grpc.aio
import pytest
from google.protobuf.descriptor import FileDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import kvraft.v1
from kvraft.members import loopback_members
from kvraft.rpc.client_port import ClientPort
from kvraft.rpc.cluster_service import ClusterServicer
from kvraft.rpc.header import ResponseHeaders
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
