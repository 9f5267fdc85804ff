"""The services of a fake node behind a real gRPC server, called through a real channel."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from kvraft.members import loopback_members
from kvraft.rpc.client_service import ClientServicer
from kvraft.rpc.cluster_service import ClusterServicer
from kvraft.rpc.gate import Gate
from kvraft.rpc.header import ResponseHeaders
from kvraft.rpc.kv_service import KvServicer
from kvraft.rpc.lease_service import LeaseServicer
from kvraft.rpc.pipeline_service import PipelineServicer
from kvraft.rpc.users.admin_service import AdminServicer
from kvraft.rpc.users.contact_service import ContactServicer
from kvraft.rpc.users.group_service import GroupServicer
from kvraft.rpc.users.message_service import MessageServicer
from kvraft.rpc.users.session_service import SessionServicer
from kvraft.v1 import (
    admin_pb2_grpc,
    client_pb2_grpc,
    cluster_pb2_grpc,
    contact_pb2_grpc,
    group_pb2_grpc,
    kv_pb2_grpc,
    lease_pb2_grpc,
    message_pb2_grpc,
    pipeline_pb2_grpc,
    session_pb2_grpc,
)
from tests.unit.rpc.fake_node import CLUSTER_ID, FakeNode
from tests.unit.rpc.whole_port import port, runner

__all__ = ["port", "runner"]

MESSAGE_BYTES_MAX = (4 << 20) + (64 << 10)
READER_TIMEOUT_S = 0.2
OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
]


class Failed(Exception):
    """A call ended with a status: what a client can learn from it."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        super().__init__(f"{error.code().name}: {error.details()}")
        self.code = error.code()
        self.message = error.details()
        self.reason = self.applied = self.field = self.retry_after_ms = None
        status = rpc_status.from_call(error)
        assert status is not None, error
        for packed in status.details:
            info = error_details_pb2.ErrorInfo()
            retry = error_details_pb2.RetryInfo()
            bad = error_details_pb2.BadRequest()
            if packed.Unpack(info):
                assert info.domain == "kvraft"
                self.reason, self.applied = info.reason, info.metadata["applied"]
            elif packed.Unpack(retry):
                self.retry_after_ms = retry.retry_delay.ToMilliseconds()
            elif packed.Unpack(bad):
                (violation,) = bad.field_violations
                self.field = violation.field
                assert violation.description == self.message


class Service:
    """A client's hand on the services, and the node behind them."""

    def __init__(
        self, runner: asyncio.Runner, node: FakeNode, channel: grpc.aio.Channel, gate: Gate, address: str
    ) -> None:
        self.runner = runner
        self.node = node
        self.channel = channel
        self.gate = gate
        self.address = address
        self.kv = kv_pb2_grpc.KvServiceStub(channel)
        self.lease = lease_pb2_grpc.LeaseServiceStub(channel)
        self.cluster = cluster_pb2_grpc.ClusterServiceStub(channel)
        self.admin = admin_pb2_grpc.AdminServiceStub(channel)
        self.contact = contact_pb2_grpc.ContactServiceStub(channel)
        self.group = group_pb2_grpc.GroupServiceStub(channel)
        self.message = message_pb2_grpc.MessageServiceStub(channel)
        self.session = session_pb2_grpc.SessionServiceStub(channel)
        self.client = client_pb2_grpc.ClientServiceStub(channel)
        self.pipeline = pipeline_pb2_grpc.PipelineServiceStub(channel)

    def call(self, method: Callable[[Any], Awaitable[Any]], request: Any) -> Any:
        """The answer, or for a stream the list of answers. Raises Failed."""

        async def call() -> Any:
            answering = method(request)
            try:
                if hasattr(answering, "__aiter__"):
                    return [response async for response in answering]
                return await answering
            except grpc.aio.AioRpcError as error:
                raise Failed(error) from None

        return self.runner.run(call())


@pytest.fixture
def service() -> Iterator[Service]:
    with asyncio.Runner() as runner:
        node = FakeNode()
        server, channel, gate, address = runner.run(_serve(node))
        yield Service(runner, node, channel, gate, address)
        runner.run(_stop(server, channel))


async def _serve(node: FakeNode) -> tuple[grpc.aio.Server, grpc.aio.Channel, Gate, str]:
    headers = ResponseHeaders(node, CLUSTER_ID)
    server = grpc.aio.server(options=OPTIONS)
    gate = Gate(server)
    kv_pb2_grpc.add_KvServiceServicer_to_server(
        KvServicer(node, headers, reader_timeout_s=READER_TIMEOUT_S), gate
    )
    lease_pb2_grpc.add_LeaseServiceServicer_to_server(
        LeaseServicer(node, headers, wall_ms=lambda: node.wall_ms), gate
    )
    admin_pb2_grpc.add_AdminServiceServicer_to_server(
        AdminServicer(node, headers, reader_timeout_s=READER_TIMEOUT_S), gate
    )
    contact_pb2_grpc.add_ContactServiceServicer_to_server(ContactServicer(node, headers), gate)
    group_pb2_grpc.add_GroupServiceServicer_to_server(GroupServicer(node, headers), gate)
    message_pb2_grpc.add_MessageServiceServicer_to_server(MessageServicer(node, headers), gate)
    session_pb2_grpc.add_SessionServiceServicer_to_server(SessionServicer(node, headers), gate)
    client_pb2_grpc.add_ClientServiceServicer_to_server(ClientServicer(node, headers), gate)
    pipeline_pb2_grpc.add_PipelineServiceServicer_to_server(
        PipelineServicer(node, headers, reader_timeout_s=READER_TIMEOUT_S), gate
    )
    cluster_pb2_grpc.add_ClusterServiceServicer_to_server(
        ClusterServicer(
            node,
            headers,
            _Log(),
            cluster_name="test",
            members=loopback_members(3, base_port=7001),
            election_timeout_ms=600,
        ),
        gate,
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    address = f"127.0.0.1:{port}"
    return server, grpc.aio.insecure_channel(address, options=OPTIONS), gate, address


async def _stop(server: grpc.aio.Server, channel: grpc.aio.Channel) -> None:
    await channel.close()
    await server.stop(None)


class _Log:
    size_bytes = 64 << 20
