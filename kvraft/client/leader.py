"""Where the leader is: any node serves, but each detour costs."""

from __future__ import annotations

import asyncio

from kvraft.client.errors import KvraftError
from kvraft.client.failover import Failover
from kvraft.client.method import Method
from kvraft.v1 import cluster_pb2, common_pb2

_STATUS = Method("/kvraft.v1.ClusterService/Status", cluster_pb2.StatusResponse.FromString)
ASK_S = 1.0


class LeaderFinder:
    """Asks a node that is not the leader where the leader serves, once for each leader."""

    __slots__ = ("_asked", "_asking", "_failover", "_found")

    def __init__(self, failover: Failover) -> None:
        self._failover = failover
        self._asked: tuple[int, int] | None = None
        """Term and leader."""
        self._asking: asyncio.Task[None] | None = None
        self._found: str | None = None

    @property
    def is_elsewhere(self) -> bool:
        """Whether the leader is another of the endpoints."""
        return self._found is not None

    def heard(self, header: common_pb2.ResponseHeader, address: str) -> None:
        """An answer came from `address`."""
        leader = (header.term, header.leader_id)
        if header.leader_id in (0, header.member_id) or leader == self._asked:
            return
        if len(self._failover.addresses) > 1 and self._asking is None:
            self._asked = leader
            self._asking = asyncio.create_task(self._ask(header.leader_id, address))

    def move(self) -> bool:
        """Goes to the leader, if it was found elsewhere."""
        found, self._found = self._found, None
        if found is None:
            return False
        self._failover.use(found)
        return True

    def close(self) -> None:
        """Asks no more."""
        if self._asking is not None:
            self._asking.cancel()

    async def _ask(self, leader_id: int, address: str) -> None:
        try:
            status = await self._failover.attempt(_STATUS, cluster_pb2.StatusRequest(), ASK_S)
        except KvraftError:
            return
        finally:
            self._asking = None
        for member in status.members:
            if member.id == leader_id and member.client_address in self._failover.addresses:
                self._found = member.client_address if member.client_address != address else None
