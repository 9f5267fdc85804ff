"""The client for asyncio."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from kvraft.client.admin import Admin
from kvraft.client.cluster import Cluster
from kvraft.client.contacts import Contacts
from kvraft.client.failover import Failover
from kvraft.client.groups import Groups
from kvraft.client.kv import Kv
from kvraft.client.lease import Leases
from kvraft.client.messages import Messages
from kvraft.client.pipeline import Pipeline
from kvraft.client.recipes import Barrier, Election, Lock
from kvraft.client.sessions import Sessions


class Client:
    """A client of one cluster, for one event loop.

    `endpoints` is "host:port,host:port,...", some or all of the nodes; `timeout_s` is what a call
    may take with all its repetitions. Connects with the first call. Raises ValueError.
    """

    __slots__ = (
        "_failover",
        "_pipeline",
        "admin",
        "cluster",
        "contacts",
        "groups",
        "kv",
        "lease",
        "messages",
        "sessions",
    )

    kv: Kv
    lease: Leases
    contacts: Contacts
    groups: Groups
    messages: Messages
    sessions: Sessions
    admin: Admin
    cluster: Cluster

    def __init__(self, endpoints: str, *, timeout_s: float = 5.0) -> None:
        self._failover = Failover(endpoints, timeout_s)
        self._pipeline = Pipeline(self._failover)
        self.kv = Kv(self._failover, self._pipeline)
        self.lease = Leases(self._failover, self._pipeline)
        self.contacts = Contacts(self._failover, self._pipeline)
        self.groups = Groups(self._failover, self._pipeline)
        self.sessions = Sessions(self._failover, self._pipeline, self.lease)
        self.messages = Messages(self._failover, self._pipeline, self.sessions)
        self.admin = Admin(self._failover, self._pipeline)
        self.cluster = Cluster(self._failover)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The addresses, as given."""
        return self._failover.addresses

    def lock(self, name: str, *, ttl_s: float = 10.0) -> Lock:
        """A lock among all clients, lost when it is not renewed for `ttl_s`. Raises ValueError."""
        return Lock(self.kv, self.lease, name, ttl_s)

    def election(self, name: str) -> Election:
        """An election among all clients. Raises ValueError."""
        return Election(self.kv, self.lease, name)

    def barrier(self, name: str) -> Barrier:
        """A barrier for all clients. Raises ValueError."""
        return Barrier(self.kv, name)

    async def close(self) -> None:
        """Ends the calls under way and disconnects. May be repeated."""
        if self._failover.is_closed:
            return
        await self.messages.close()
        await self._pipeline.close()
        await self._failover.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
