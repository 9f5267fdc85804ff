"""What the client port serves: every service of the contract but the peers' own, health and reflection."""

from __future__ import annotations

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from kvraft.node.node import Node
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


class ClientPort:
    """The services of a server for clients, and what its health service says of each."""

    def __init__(
        self, server: grpc.aio.Server, *, node: Node, headers: ResponseHeaders, cluster: ClusterServicer
    ) -> None:
        """Adds them; the server is not started yet."""
        self.gate = Gate(server, lambda: node.replica.refusal)
        """Where its calls enter."""
        kv_pb2_grpc.add_KvServiceServicer_to_server(KvServicer(node, headers), self.gate)
        client_pb2_grpc.add_ClientServiceServicer_to_server(ClientServicer(node, headers), self.gate)
        pipeline_pb2_grpc.add_PipelineServiceServicer_to_server(PipelineServicer(node, headers), self.gate)
        lease_pb2_grpc.add_LeaseServiceServicer_to_server(LeaseServicer(node, headers), self.gate)
        session_pb2_grpc.add_SessionServiceServicer_to_server(SessionServicer(node, headers), self.gate)
        contact_pb2_grpc.add_ContactServiceServicer_to_server(ContactServicer(node, headers), self.gate)
        group_pb2_grpc.add_GroupServiceServicer_to_server(GroupServicer(node, headers), self.gate)
        message_pb2_grpc.add_MessageServiceServicer_to_server(MessageServicer(node, headers), self.gate)
        admin_pb2_grpc.add_AdminServiceServicer_to_server(AdminServicer(node, headers), self.gate)
        cluster_pb2_grpc.add_ClusterServiceServicer_to_server(cluster, self.gate)
        self.service_names = tuple(self.gate.names)
        """kvraft's own, by full name."""
        self._health = health_aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.gate)
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(
            reflection.aio.ReflectionServicer((*self.gate.names, reflection.SERVICE_NAME)), self.gate
        )

    async def set_health(self, *, serving: bool) -> None:
        """What the health service says from now on, of the server as a whole and of each service."""
        status = (
            health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        )
        for service in ("", *self.service_names):
            await self._health.set(service, status)

    async def stop_serving(self) -> None:
        """Health says NOT_SERVING from now on, whatever it is told."""
        await self._health.enter_graceful_shutdown()
