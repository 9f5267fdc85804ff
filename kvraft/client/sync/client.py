"""The client for code without an event loop."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from kvraft.client.client import Client
from kvraft.client.errors import ClientClosed
from kvraft.client.lazily import lazily
from kvraft.client.sync.blocking import LoopThread

if TYPE_CHECKING:
    from kvraft.client.sync.admin import SyncAdmin
    from kvraft.client.sync.cluster import SyncCluster
    from kvraft.client.sync.contacts import SyncContacts
    from kvraft.client.sync.groups import SyncGroups
    from kvraft.client.sync.kv import SyncKv
    from kvraft.client.sync.lease import SyncLeases
    from kvraft.client.sync.messages import SyncMessages
    from kvraft.client.sync.recipes import SyncBarrier, SyncElection, SyncLock
    from kvraft.client.sync.sessions import SyncSessions


class SyncClient:
    """A client of one cluster, for any number of threads. Arguments as for `Client`."""

    def __init__(
        self, endpoints: str | Sequence[str], *, timeout_s: float = 5.0, register: bool = True
    ) -> None:
        self._client = Client(endpoints, timeout_s=timeout_s, register=register)
        self._thread = LoopThread()

    def with_timeout(self, timeout_s: float) -> Self:
        """The same client for calls that may take another time, as `Client.with_timeout`."""
        other = object.__new__(type(self))
        other._client = self._client.with_timeout(timeout_s)
        other._thread = self._thread
        return other

    @lazily
    def kv(self) -> SyncKv:
        """As `Client.kv`, blocking."""
        from kvraft.client.sync.kv import SyncKv

        return SyncKv(self._client.kv, self._thread)

    @lazily
    def lease(self) -> SyncLeases:
        """As `Client.lease`, blocking."""
        from kvraft.client.sync.lease import SyncLeases

        return SyncLeases(self._client.lease, self._thread)

    @lazily
    def contacts(self) -> SyncContacts:
        """As `Client.contacts`, blocking."""
        from kvraft.client.sync.contacts import SyncContacts

        return SyncContacts(self._client.contacts, self._thread)

    @lazily
    def groups(self) -> SyncGroups:
        """As `Client.groups`, blocking."""
        from kvraft.client.sync.groups import SyncGroups

        return SyncGroups(self._client.groups, self._thread)

    @lazily
    def sessions(self) -> SyncSessions:
        """As `Client.sessions`, blocking."""
        from kvraft.client.sync.sessions import SyncSessions

        return SyncSessions(self._client.sessions, self._thread)

    @lazily
    def messages(self) -> SyncMessages:
        """As `Client.messages`, blocking."""
        from kvraft.client.sync.messages import SyncMessages

        return SyncMessages(self._client.messages, self._thread)

    @lazily
    def admin(self) -> SyncAdmin:
        """As `Client.admin`, blocking."""
        from kvraft.client.sync.admin import SyncAdmin

        return SyncAdmin(self._client.admin, self._thread)

    @lazily
    def cluster(self) -> SyncCluster:
        """As `Client.cluster`, blocking."""
        from kvraft.client.sync.cluster import SyncCluster

        return SyncCluster(self._client.cluster, self._thread)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The addresses, as given."""
        return self._client.endpoints

    def lock(self, name: str, *, ttl_s: float = 10.0) -> SyncLock:
        """A lock among all clients, as `Client.lock`: `with client.lock("nightly-report") as lock`."""
        from kvraft.client.sync.recipes import SyncLock

        return SyncLock(self._client.lock(name, ttl_s=ttl_s), self._thread)

    def election(self, name: str) -> SyncElection:
        """An election among all clients, as `Client.election`."""
        from kvraft.client.sync.recipes import SyncElection

        return SyncElection(self._client.election(name), self._thread)

    def barrier(self, name: str) -> SyncBarrier:
        """A barrier for all clients, as `Client.barrier`."""
        from kvraft.client.sync.recipes import SyncBarrier

        return SyncBarrier(self._client.barrier(name), self._thread)

    def close(self) -> None:
        """Gives back what is held, ends the calls under way (of other threads with ClientClosed, a write
        that was sent with OutcomeUnknown), disconnects and ends the thread. May be repeated."""
        if self._thread.alive:
            self._thread.is_closing = True
            with contextlib.suppress(ClientClosed):  # another thread closes it too
                self._thread.run(self._client.close)
                self._thread.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
