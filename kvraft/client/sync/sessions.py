"""`client.sessions` for code without an event loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from kvraft.client.gateway import Gateway
from kvraft.client.session_watch import SessionEvent, SessionEventBatch
from kvraft.client.sessions import Sessions
from kvraft.client.sync.blocking import Blocking, BlockingBlock, LoopThread, blocking
from kvraft.client.sync.iterating import BlockingWatch, blocking_stream
from kvraft.client.sync.lease import SyncLost


class SyncSessionWatch(BlockingWatch[SessionEventBatch, SessionEvent]):
    """Iterates over what happens to sessions and blocks until something does: as `SessionWatch`. Any thread
    may `close` it."""

    __slots__ = ()


class SyncGateway(BlockingBlock[Gateway]):
    """A gateway whose lease is kept alive by the thread of the client while its block runs, as `Gateway`."""

    __slots__ = ("lost",)

    def __init__(self, gateway: Gateway, thread: LoopThread) -> None:
        super().__init__(gateway, thread)
        self.lost: threading.Event = SyncLost(gateway)
        """Set when the lease has ended, or may have."""

    @property
    def address(self) -> str:
        """Where the gateway is."""
        return self._service.address

    @property
    def lease_id(self) -> int:
        """What `client.sessions.watch(lease_id=...)` takes."""
        return self._service.lease_id

    def when_lost(self, callback: Callable[[], None]) -> None:
        """Calls this, once, when `lost` is set; in the client's thread, so it must not block."""
        self._service.when_lost(callback)

    def check(self) -> None:
        """Raises LeaseLost if the lease is lost, or not held any more."""
        self._service.check()

    open = blocking(Gateway.open)
    close = blocking(Gateway.close)
    begin = blocking(Gateway.begin)
    end = blocking(Gateway.end)


class SyncSessions(Blocking[Sessions]):
    """`client.sessions`: the methods of `Sessions`, blocking."""

    __slots__ = ()

    register_device = blocking(Sessions.register_device)
    list_devices = blocking(Sessions.list_devices)
    remove_device = blocking(Sessions.remove_device)
    open = blocking(Sessions.open)
    close = blocking(Sessions.close)
    revoke = blocking(Sessions.revoke)
    get = blocking(Sessions.get)
    list = blocking(Sessions.list)
    all = blocking_stream(Sessions.all)
    presence = blocking(Sessions.presence)

    def watch(
        self, *, user_ids: Sequence[str] = (), lease_id: int = 0, from_revision: int = 0
    ) -> SyncSessionWatch:
        """Watches the sessions of users, or of a lease, as `Sessions.watch`."""
        watch = self._service.watch(user_ids=user_ids, lease_id=lease_id, from_revision=from_revision)
        return SyncSessionWatch(watch, self._thread)

    def gateway(self, address: str, ttl_s: float = 10.0) -> SyncGateway:
        """A gateway, whose sessions live as long as a `with` block runs and its process lives."""
        return SyncGateway(self._service.gateway(address, ttl_s), self._thread)
