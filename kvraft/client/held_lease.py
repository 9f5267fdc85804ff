"""A lease that is kept alive for as long as a block of code runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from kvraft.client.errors import ClientClosed, KvraftError, LeaseLost, LeaseNotFound, OutcomeUnknown

if TYPE_CHECKING:
    from kvraft.client.lease import Leases

_RENEWALS_PER_TTL = 3
_ATTEMPTS_PER_TTL = 6
_PAUSE_S_MAX = 0.2


class HeldLease:
    """Grants a lease at entry, renews it every third of its life, and revokes it at exit.

    Leader changes and nodes that fail are met by asking another endpoint until the lease may have ended.
    Then, or when the cluster says that it has, `lost` is set and nothing is renewed any more. The lease is
    counted from the moment its last renewal was *sent*, so `lost` comes rather too early than too late;
    but a process that is paused learns of it only when it goes on.

    Entering raises KvraftError. Leaving raises none: a lease that cannot be revoked ends by itself.
    """

    __slots__ = ("_alive_until_s", "_keeping", "_lease_id", "_leases", "_on_lost", "lost", "ttl_s")

    def __init__(self, leases: Leases, ttl_s: float) -> None:
        self._leases = leases
        self._lease_id = 0
        self._alive_until_s = 0.0
        self._keeping: asyncio.Task[None] | None = None
        self._on_lost: Callable[[], None] | None = None
        self.ttl_s = ttl_s
        self.lost = asyncio.Event()
        """Set when the lease has ended, or may have."""

    @property
    def lease_id(self) -> int:
        """What `put(..., lease_id=)` takes."""
        assert self._lease_id, "the lease is granted when the block is entered"
        return self._lease_id

    def when_lost(self, callback: Callable[[], None]) -> None:
        """Calls this, once, when `lost` is set; in the event loop, so it must not block."""
        self._on_lost = callback

    def check(self) -> None:
        """Raises LeaseLost if the lease is lost."""
        if self.lost.is_set():
            raise LeaseLost(f"lease {self._lease_id} was not renewed in time and has ended, or may have")

    async def __aenter__(self) -> Self:
        await self.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.end()

    async def begin(self) -> None:
        """Grants the lease. Raises KvraftError."""
        assert self._keeping is None, "a lease is held once"
        clock = asyncio.get_running_loop().time
        sent_s = clock()
        try:
            granted = await self._leases.grant(self.ttl_s)
        except OutcomeUnknown:
            # If it was granted it ends by itself; another one takes its place.
            sent_s = clock()
            granted = await self._leases.grant(self.ttl_s)
        self._lease_id = granted.lease_id
        self._alive_until_s = sent_s + self.ttl_s
        self._keeping = asyncio.create_task(self._keep(), name=f"lease {self._lease_id}")
        self._keeping.add_done_callback(self._kept)

    async def end(self) -> None:
        """Revokes the lease, which has begun."""
        keeping = self._keeping
        assert keeping is not None
        keeping.cancel()
        await asyncio.wait((keeping,))
        if not self.lost.is_set():
            with contextlib.suppress(KvraftError, ClientClosed):
                await self._leases.revoke(self._lease_id)
        if not keeping.cancelled():
            with contextlib.suppress(ClientClosed):
                keeping.result()  # raises what it ended with

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self.ttl_s / _RENEWALS_PER_TTL)
            if not await self._renew():
                return

    def _kept(self, keeping: asyncio.Task[None]) -> None:
        """Nothing renews the lease any more: it is lost, unless the block has ended."""
        if keeping.cancelled():
            return
        self.lost.set()
        if self._on_lost is not None:
            self._on_lost()

    async def _renew(self) -> bool:
        """False: the lease has ended, or it could not be renewed as long as it was certain to live."""
        clock = asyncio.get_running_loop().time
        attempt_s = self.ttl_s / _ATTEMPTS_PER_TTL
        while (left_s := self._alive_until_s - clock()) > 0:
            sent_s = clock()
            try:
                await self._leases.try_keep_alive(self._lease_id, timeout_s=min(attempt_s, left_s))
            except LeaseNotFound:
                return False
            except KvraftError:
                await asyncio.sleep(min(_PAUSE_S_MAX, attempt_s / 5))
            else:
                self._alive_until_s = sent_s + self.ttl_s
                return True
        return False
