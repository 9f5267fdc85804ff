"""The client for asyncio."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from kvraft.client.failover import Failover
from kvraft.client.lazily import lazily
from kvraft.client.pipeline import Pipeline
from kvraft.client.releases import Releases

if TYPE_CHECKING:
    from kvraft.client.admin import Admin
    from kvraft.client.cluster import Cluster
    from kvraft.client.contacts import Contacts
    from kvraft.client.groups import Groups
    from kvraft.client.kv import Kv
    from kvraft.client.lease import Leases
    from kvraft.client.messages import Messages
    from kvraft.client.recipes import Barrier, Election, Lock
    from kvraft.client.sessions import Sessions


class Client:
    """A client of one cluster, for one event loop.

    `endpoints` is "host:port,host:port,...", some or all of the nodes; `timeout_s` is what a call
    may take with all its repetitions. Connects with the first call. Raises ValueError.
    """

    def __init__(self, endpoints: str, *, timeout_s: float = 5.0) -> None:
        self._failover = Failover(endpoints, timeout_s)
        self._pipeline = Pipeline(self._failover)
        self._releases = Releases(timeout_s)

    @lazily
    def kv(self) -> Kv:
        """Keys and values."""
        from kvraft.client.kv import Kv

        return Kv(self._failover, self._pipeline)

    @lazily
    def lease(self) -> Leases:
        """Leases."""
        from kvraft.client.lease import Leases

        return Leases(self._failover, self._pipeline, self._releases)

    @lazily
    def contacts(self) -> Contacts:
        """Contacts and blocked users."""
        from kvraft.client.contacts import Contacts

        return Contacts(self._failover, self._pipeline)

    @lazily
    def groups(self) -> Groups:
        """Groups and their members."""
        from kvraft.client.groups import Groups

        return Groups(self._failover, self._pipeline)

    @lazily
    def sessions(self) -> Sessions:
        """Devices, sessions and presence."""
        from kvraft.client.sessions import Sessions

        return Sessions(self._failover, self._pipeline, self.lease, self._releases)

    @lazily
    def messages(self) -> Messages:
        """Messages and queues."""
        from kvraft.client.messages import Messages

        return Messages(self._failover, self._pipeline, self.sessions, self._releases)

    @lazily
    def admin(self) -> Admin:
        """Users as a whole."""
        from kvraft.client.admin import Admin

        return Admin(self._failover, self._pipeline)

    @lazily
    def cluster(self) -> Cluster:
        """What the nodes say about themselves."""
        from kvraft.client.cluster import Cluster

        return Cluster(self._failover)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The addresses, as given."""
        return self._failover.addresses

    def lock(self, name: str, *, ttl_s: float = 10.0) -> Lock:
        """A lock among all clients, lost when it is not renewed for `ttl_s`. Raises ValueError."""
        from kvraft.client.recipes import Lock

        return Lock(self.kv, self.lease, name, ttl_s)

    def election(self, name: str) -> Election:
        """An election among all clients. Raises ValueError."""
        from kvraft.client.recipes import Election

        return Election(self.kv, self.lease, name)

    def barrier(self, name: str) -> Barrier:
        """A barrier for all clients. Raises ValueError."""
        from kvraft.client.recipes import Barrier

        return Barrier(self.kv, self._releases, name)

    async def close(self) -> None:
        """Gives back what is held (leases, locks, leaderships, sessions of gateways), ends the calls under
        way and disconnects. May be repeated."""
        if self._failover.is_closed:
            return
        if "messages" in self.__dict__:
            await self.messages.close()
        await self._releases.close()
        await self._pipeline.close()
        await self._failover.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
