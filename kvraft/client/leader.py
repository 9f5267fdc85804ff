"""Where the leader is: any node serves, but each detour costs."""

from __future__ import annotations

from kvraft.client.background import BackgroundTask
from kvraft.client.errors import KvraftError
from kvraft.client.failover import Failover
from kvraft.client.method import Method
from kvraft.v1 import cluster_pb2, common_pb2

_STATUS = Method("/kvraft.v1.ClusterService/Status", cluster_pb2.StatusResponse.FromString)
ASK_S = 1.0


class LeaderFinder:
    """Asks a node that is not the leader where the leader serves, once for each leader."""

    __slots__ = ("_asked", "_asked_at", "_asking", "_failover", "_found")

    def __init__(self, failover: Failover) -> None:
        self._failover = failover
        self._asked: tuple[int, int] | None = None
        """Term and leader."""
        self._asking = BackgroundTask("kvraft-find-leader", self._ask, self._ended)
        self._asked_at = ""
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
        if len(self._failover.addresses) > 1 and not self._asking.is_running:
            self._asked = leader
            self._asked_at = address
            self._asking.want()

    def move(self) -> bool:
        """Goes to the leader, if it was found elsewhere."""
        found, self._found = self._found, None
        if found is None:
            return False
        self._failover.use(found)
        return True

    def close(self) -> None:
        """Asks no more."""
        self._asking.cancel()

    async def _ask(self) -> None:
        assert self._asked is not None
        (_, leader_id), address = self._asked, self._asked_at
        try:
            status = await self._failover.attempt(_STATUS, cluster_pb2.StatusRequest(), ASK_S)
        except KvraftError:
            return
        for member in status.members:
            if member.id == leader_id and member.client_address in self._failover.addresses:
                self._found = member.client_address if member.client_address != address else None

    def _ended(self, failure: BaseException | None) -> None:
        """Who was interrupted asks again at the next occasion."""
        if failure is not None:
            self._asked = None
