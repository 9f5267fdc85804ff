"""What the nodes say about themselves."""

from __future__ import annotations

import asyncio

from kvraft.client.arguments import checked
from kvraft.client.cluster_results import Status
from kvraft.client.errors import KvraftError
from kvraft.client.failover import Failover
from kvraft.client.method import Method
from kvraft.v1 import cluster_pb2

_STATUS = Method("/kvraft.v1.ClusterService/Status", cluster_pb2.StatusResponse.FromString)


@checked
class Cluster:
    """`client.cluster`. Answers come whether or not there is a leader."""

    __slots__ = ("_failover",)

    def __init__(self, failover: Failover) -> None:
        self._failover = failover

    async def status(self, endpoint: str | None = None) -> Status:
        """The state of the node at `endpoint`, asked once; `None`: of one that answers.

        Raises KvraftError, and ValueError if the client has no such endpoint.
        """
        request = cluster_pb2.StatusRequest()
        if endpoint is None:
            return Status.of(await self._failover.call(_STATUS, request))
        return Status.of(await self._failover.call_at(endpoint, _STATUS, request))

    async def status_of_all(self) -> dict[str, Status | KvraftError]:
        """Asks every endpoint at the same time; for one that does not answer, why."""

        async def ask(endpoint: str) -> Status | KvraftError:
            try:
                return await self.status(endpoint)
            except KvraftError as error:
                return error

        addresses = self._failover.addresses
        return dict(zip(addresses, await asyncio.gather(*map(ask, addresses)), strict=True))
