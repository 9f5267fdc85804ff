"""The client for asyncio."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from kvraft.client.cluster import Cluster
from kvraft.client.failover import Failover
from kvraft.client.kv import Kv


class Client:
    """A client of one cluster, for one event loop.

    `endpoints` is "host:port,host:port,...", some or all of the nodes; `timeout_s` is what a call
    may take with all its repetitions. Connects with the first call. Raises ValueError.
    """

    __slots__ = ("_failover", "cluster", "kv")

    kv: Kv
    cluster: Cluster

    def __init__(self, endpoints: str, *, timeout_s: float = 5.0) -> None:
        self._failover = Failover(endpoints, timeout_s)
        self.kv = Kv(self._failover)
        self.cluster = Cluster(self._failover)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The addresses, as given."""
        return self._failover.addresses

    async def close(self) -> None:
        """Ends the calls under way and disconnects."""
        await self._failover.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
