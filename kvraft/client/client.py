"""The client for asyncio."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from kvraft.client.arguments import checked
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
    from kvraft.client.receive_stream import ReceiveStream
    from kvraft.client.recipes import Barrier, Election, Lock
    from kvraft.client.sessions import Sessions


class _Shared:
    """What a client and those that it made with another timeout have in common."""

    def __init__(self, failover: Failover) -> None:
        self._failover = failover

    @lazily
    def receive_stream(self) -> ReceiveStream:
        """Over which all devices receive."""
        from kvraft.client.receive_stream import ReceiveStream

        return ReceiveStream(self._failover)

    async def close(self) -> None:
        """Ends what receives."""
        if "receive_stream" in self.__dict__:
            await self.receive_stream.close()


@checked
class Client:
    """A client of one cluster, for one event loop.

    `endpoints` is "host:port,host:port,...", or a list of such, some or all of the nodes; `timeout_s` is
    what a call may take with all its repetitions, `with_timeout` makes it another. Connects with the first
    call. Without `register` writes have no numbers, and the cluster keeps nothing of the client: for programs
    that write once or twice. A write whose answer is lost is not sent again then, but of unknown outcome.

    It belongs to the process that made it and to the event loop of its first call: in another one every call
    raises RuntimeError. A process that was forked from one that had used a client can have none.
    Raises TypeError, ValueError, RuntimeError.
    """

    def __init__(
        self, endpoints: str | Sequence[str], *, timeout_s: float = 5.0, register: bool = True
    ) -> None:
        self._failover = Failover(endpoints, timeout_s)
        self._pipeline = Pipeline(self._failover, registers=register)
        self._releases = Releases(timeout_s)
        self._shared = _Shared(self._failover)

    def with_timeout(self, timeout_s: float) -> Self:
        """The same client for calls that may take another time, over the same connections:
        `await client.with_timeout(0.5).kv.get(b"key")`. It costs a few microseconds; keep it where it is used
        often. Closing either closes both. Raises ValueError."""
        other = object.__new__(type(self))
        other._failover = self._failover.with_timeout(timeout_s)
        other._pipeline = self._pipeline.with_timeout(timeout_s)
        other._releases = self._releases
        other._shared = self._shared
        return other

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

        return Messages(
            self._failover, self._pipeline, self.sessions, self._shared.receive_stream, self._releases
        )

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
        way and disconnects. May be repeated. In a forked process, or after the end of
        its event loop, there is nothing left to disconnect. Raises RuntimeError in another event loop while
        its own runs."""
        binding = self._failover.binding
        if binding.is_closed:
            return
        if binding.is_gone:
            binding.close()
            return
        binding.check()
        await self._shared.close()
        await self._releases.close()
        await self._pipeline.close()
        await self._failover.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
