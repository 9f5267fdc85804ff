"""`client.lease` for code without an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Protocol

from kvraft.client.held_lease import HeldLease
from kvraft.client.lease import Leases
from kvraft.client.sync.blocking import Blocking, BlockingBlock, LoopThread, blocking


class _Losable(Protocol):
    @property
    def lost(self) -> asyncio.Event: ...
    def when_lost(self, callback: Callable[[], None]) -> None: ...


class SyncLost(threading.Event):
    """Set when something that was held is lost, or may be; by the clock, as `HeldLease.lost`."""

    def __init__(self, held: _Losable) -> None:
        super().__init__()
        self._lost = held.lost
        held.when_lost(self.set)

    def is_set(self) -> bool:
        return super().is_set() or self._lost.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set() or super().wait(timeout) or self.is_set()


class SyncHeldLease(BlockingBlock[HeldLease]):
    """A lease that is kept alive by the thread of the client while its block runs, as `HeldLease`."""

    __slots__ = ("lost",)

    def __init__(self, lease: HeldLease, thread: LoopThread) -> None:
        super().__init__(lease, thread)
        self.lost: threading.Event = SyncLost(lease)
        """Set when the lease has ended, or may have."""

    @property
    def ttl_s(self) -> float:
        """How long it lives after each renewal."""
        return self._service.ttl_s

    @property
    def lease_id(self) -> int:
        """What `put(..., lease_id=)` takes."""
        return self._service.lease_id

    @property
    def is_lost(self) -> bool:
        """Whether the lease has ended while it was held, or may have. By the clock."""
        return self._service.is_lost

    def when_lost(self, callback: Callable[[], None]) -> None:
        """Calls this, once, when `lost` is set; in the client's thread, so it must not block."""
        self._service.when_lost(callback)

    def check(self) -> None:
        """Raises LeaseLost if the lease is lost, or not held any more."""
        self._service.check()

    begin = blocking(HeldLease.begin)
    end = blocking(HeldLease.end)


class SyncLeases(Blocking[Leases]):
    """`client.lease`: the methods of `Leases`, blocking."""

    __slots__ = ()

    grant = blocking(Leases.grant)
    keep_alive = blocking(Leases.keep_alive)
    try_keep_alive = blocking(Leases.try_keep_alive)
    revoke = blocking(Leases.revoke)
    get = blocking(Leases.get)
    list = blocking(Leases.list)

    def hold(self, ttl_s: float = 10.0) -> SyncHeldLease:
        """A lease that is kept alive while a `with` block runs."""
        return SyncHeldLease(self._service.hold(ttl_s), self._thread)
