"""`client.lease` for code without an event loop."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from kvraft.client.held_lease import HeldLease
from kvraft.client.lease import Leases
from kvraft.client.sync.blocking import Blocking, LoopThread, blocking


class SyncHeldLease:
    """A lease that is kept alive by the thread of the client while its block runs, as `HeldLease`."""

    __slots__ = ("_lease", "_thread", "lost")

    def __init__(self, lease: HeldLease, thread: LoopThread) -> None:
        self._lease = lease
        self._thread = thread
        self.lost = threading.Event()
        """Set when the lease has ended, or may have."""
        lease.when_lost(self.lost.set)

    @property
    def lease_id(self) -> int:
        """What `put(..., lease_id=)` takes."""
        return self._lease.lease_id

    def __enter__(self) -> Self:
        self._thread.run(self._lease.begin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.run(self._lease.end)


class SyncLeases(Blocking[Leases]):
    """`client.lease`: the methods of `Leases`, blocking."""

    __slots__ = ()

    grant = blocking(Leases.grant)
    keep_alive = blocking(Leases.keep_alive)
    revoke = blocking(Leases.revoke)
    get = blocking(Leases.get)
    list = blocking(Leases.list)

    def hold(self, ttl_s: float = 10.0) -> SyncHeldLease:
        """A lease that is kept alive while a `with` block runs."""
        return SyncHeldLease(self._service.hold(ttl_s), self._thread)
