"""Where the leader serves, for what only the leader does."""

from __future__ import annotations

import asyncio

import grpc.aio

from kvraft.client.endpoint import Endpoint
from kvraft.client.failover import Failover
from kvraft.client.method import Method
from kvraft.v1 import cluster_pb2, kv_pb2

_GET = Method("/kvraft.v1.KvService/Get", kv_pb2.GetResponse.FromString)
_STATUS = Method("/kvraft.v1.ClusterService/Status", cluster_pb2.StatusResponse.FromString)
ASK_S = 1.0
ELECTION_S = 2.0
"""How long an election may take until it is asked again."""
_ANY_KEY = b"\x00"


class LeaderEndpoint:
    """Asks the endpoints who leads, and remembers the answer until it proves wrong."""

    __slots__ = ("_elsewhere", "_failover", "_found", "_term")

    def __init__(self, failover: Failover) -> None:
        self._failover = failover
        self._found: Endpoint | None = None
        self._term = 0
        """In which it was found to lead."""
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

    async def is_superseded(self) -> bool:
        """Whether another endpoint follows the leader of a later term. The one that was found may hang, and
        then does not say so itself."""
        others = [endpoint for endpoint in self._failover.endpoints if endpoint is not self._found]
        statuses = await asyncio.gather(*map(_status, others))
        return any(status and status.header.term > self._term for status in statuses)

    async def close(self) -> None:
        """Disconnects from those it has found by itself."""
        for endpoint in self._elsewhere.values():
            await endpoint.close()

    async def _ask(self) -> Endpoint | None:
        """An endpoint that leads, as soon as one is known to; else where the leader says that it is."""
        given = self._failover.endpoints
        asked = [asyncio.create_task(self._ask_one(endpoint)) for endpoint in given]
        elsewhere: tuple[int, str] | None = None  # the latest term that was told of, and its leader's address
        try:
            for answered in asyncio.as_completed(asked):
                status = await answered
                if status is None:
                    continue
                address, term = status
                for endpoint in given:
                    if endpoint.address == address:
                        self._term = term
                        return endpoint
                # Perhaps an address that only the nodes can reach, of one that was given under another.
                elsewhere = max(elsewhere or (term, address), (term, address))
        finally:
            for task in asked:
                task.cancel()
            await asyncio.wait(asked)
        if elsewhere is None:
            return None
        self._term, address = elsewhere
        if address not in self._elsewhere:
            self._elsewhere[address] = Endpoint(address)
        return self._elsewhere[address]

    async def _ask_one(self, endpoint: Endpoint) -> tuple[str, int] | None:
        """Where the leader serves, as this endpoint knows it, and in which term."""
        try:
            # A linearizable read is answered as soon as somebody leads: until then the node keeps it. The
            # status alone would have to be asked for again and again while an election lasts, and name the
            # leader that died.
            patience_s = min(ELECTION_S, self._failover.timeout_s)
            await endpoint.unary(_GET, kv_pb2.GetRequest(key=_ANY_KEY), patience_s)
        except grpc.aio.AioRpcError:
            return None
        status = await _status(endpoint)
        if status is None:
            return None
        leader_id, term = status.header.leader_id, status.header.term
        if leader_id == status.header.member_id:
            return endpoint.address, term
        addresses = [member.client_address for member in status.members if member.id == leader_id]
        return (addresses[0], term) if addresses and addresses[0] else None


async def _status(endpoint: Endpoint) -> cluster_pb2.StatusResponse | None:
    """How it is, if it tells and knows a leader."""
    try:
        status = await endpoint.unary(_STATUS, cluster_pb2.StatusRequest(), ASK_S)
    except grpc.aio.AioRpcError:
        return None
    return status if status.header.leader_id else None
