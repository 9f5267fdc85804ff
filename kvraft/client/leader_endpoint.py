"""Where the leader serves, for what only the leader does."""

from __future__ import annotations

import grpc.aio

from kvraft.client.endpoint import Endpoint
from kvraft.client.failover import Failover
from kvraft.client.method import Method
from kvraft.v1 import cluster_pb2

_STATUS = Method("/kvraft.v1.ClusterService/Status", cluster_pb2.StatusResponse.FromString, writes=False)
ASK_S = 1.0


class LeaderEndpoint:
    """Asks the endpoints who leads, and remembers the answer until it proves wrong."""

    __slots__ = ("_elsewhere", "_failover", "_found")

    def __init__(self, failover: Failover) -> None:
        self._failover = failover
        self._found: Endpoint | None = None
        self._elsewhere: dict[str, Endpoint] = {}
        """Leaders that are none of the endpoints the client was given."""

    async def find(self) -> Endpoint | None:
        """Where it is, as far as any endpoint knows."""
        if self._found is None:
            self._found = await self._ask()
        return self._found

    def lost(self, endpoint: Endpoint) -> None:
        """It does not lead any more, or does not work."""
        if self._found is endpoint:
            self._found = None

    async def close(self) -> None:
        """Disconnects from those it has found by itself."""
        for endpoint in self._elsewhere.values():
            await endpoint.close()

    async def _ask(self) -> Endpoint | None:
        known: str | None = None
        given = self._failover.endpoints
        for endpoint in given:
            try:
                status = await endpoint.unary(_STATUS, cluster_pb2.StatusRequest(), ASK_S)
            except grpc.aio.AioRpcError:
                continue
            header = status.header
            if header.leader_id and header.leader_id == header.member_id:
                return endpoint
            for member in status.members:
                if member.id == header.leader_id and member.client_address:
                    known = member.client_address
        for endpoint in given:
            if endpoint.address == known:
                return endpoint
        if known is None:
            return None
        if known not in self._elsewhere:
            self._elsewhere[known] = Endpoint(known)
        return self._elsewhere[known]
