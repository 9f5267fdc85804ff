"""The real services over a node without a log or peers, in the event loop of the test: what a client sees of
leases and keys is what the machine does, at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType

import grpc.aio

from kvraft.members import MemberAddresses
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
from kvraft.storage.interfaces import Identity
from kvraft.storage.memory_log import MemoryLog
from kvraft.v1 import (
    admin_pb2_grpc,
    client_pb2_grpc,
    cluster_pb2_grpc,
    command_pb2,
    contact_pb2_grpc,
    group_pb2_grpc,
    kv_pb2_grpc,
    lease_pb2_grpc,
    message_pb2_grpc,
    pipeline_pb2_grpc,
    session_pb2_grpc,
)
from tests.unit.rpc.fake_node import CLUSTER_ID, FakeNode

IDENTITY = Identity(cluster_id=CLUSTER_ID, cluster_name="test", node_id=1, initial_voters=(1, 2, 3))


class OneNode:
    """The node and the addresses it is served at."""

    def __init__(self, members: Mapping[int, MemberAddresses]) -> None:
        self.node = FakeNode()
        self.members = members
        """What the node tells of the addresses of all."""
        self.servers: list[grpc.aio.Server] = []
        self.addresses: list[str] = []

    @property
    def endpoints(self) -> str:
        return ",".join(self.addresses)

    async def serve(self) -> None:
        """At one more address."""
        headers = ResponseHeaders(self.node, CLUSTER_ID)
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        gate = Gate(server)
        kv_pb2_grpc.add_KvServiceServicer_to_server(KvServicer(self.node, headers), gate)
        client_pb2_grpc.add_ClientServiceServicer_to_server(ClientServicer(self.node, headers), gate)
        pipeline_pb2_grpc.add_PipelineServiceServicer_to_server(PipelineServicer(self.node, headers), gate)
        cluster = ClusterServicer(
            self.node,
            headers,
            MemoryLog(IDENTITY),
            cluster_name="test",
            members=self.members,
            election_timeout_ms=600,
        )
        cluster_pb2_grpc.add_ClusterServiceServicer_to_server(cluster, gate)
        admin_pb2_grpc.add_AdminServiceServicer_to_server(AdminServicer(self.node, headers), gate)
        contact_pb2_grpc.add_ContactServiceServicer_to_server(ContactServicer(self.node, headers), gate)
        group_pb2_grpc.add_GroupServiceServicer_to_server(GroupServicer(self.node, headers), gate)
        message_pb2_grpc.add_MessageServiceServicer_to_server(MessageServicer(self.node, headers), gate)
        lease_pb2_grpc.add_LeaseServiceServicer_to_server(
            LeaseServicer(self.node, headers, wall_ms=lambda: self.node.wall_ms), gate
        )
        session_pb2_grpc.add_SessionServiceServicer_to_server(SessionServicer(self.node, headers), gate)
        self.addresses.append(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
        self.servers.append(server)
        await server.start()

    async def expire(self, *lease_ids: int) -> None:
        """Their time is over, and the leader has found out."""
        self.node.wall_ms += 1_000_000
        command = command_pb2.Command(expire={"term": 1, "lease_ids": lease_ids})
        await self.node.write(command.SerializeToString(), grows_state=False)


@asynccontextmanager
async def one_node(
    addresses: int = 1, *, members: Mapping[int, MemberAddresses] = MappingProxyType({})
) -> AsyncIterator[OneNode]:
    """Served for as long as it is entered."""
    served = OneNode(members)
    for _ in range(addresses):
        await served.serve()
    try:
        yield served
    finally:
        for server in served.servers:
            await server.stop(None)
