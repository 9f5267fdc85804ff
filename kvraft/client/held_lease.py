"""A lease that is kept alive for as long as a block of code runs.

    the clock    tells whether it is lost: `until`, the moment up to which it is certain to live
    a timer      looks when it is to be renewed, and tells `lost` when the time is over
    a task       is one attempt to renew it; another follows however it ends, also if it was cancelled

So nothing that becomes of tasks or of the event loop (a blocked loop, a paused process, `task.cancel()` of
all tasks) makes a lease look held that may have ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from kvraft.client.errors import ClientClosed, KvraftError, LeaseLost, LeaseNotFound, OutcomeUnknown
from kvraft.client.releases import Releases

if TYPE_CHECKING:
    from kvraft.client.lease import Leases

_RENEWALS_PER_TTL = 3
_ATTEMPTS_PER_TTL = 6
_PAUSE_S_MAX = 0.2
CLOCK_MARGIN = 1e-3
"""Of the time to live, by which it is counted shorter: the nodes' clocks may run as much faster. (NTP
corrects by half of that at most.)"""

# Goes on while the machine sleeps, as the nodes' clocks do; where there is none, the monotonic one.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def elapsed_s() -> float:
    """Returns seconds that never go back, since an arbitrary moment."""
    return time.clock_gettime(_CLOCK)


def loss_of(lease_id: int) -> LeaseLost:
    """Returns the error that tells of the loss."""
    return LeaseLost(f"lease {lease_id} was not renewed in time and has ended, or may have")


class Lost(asyncio.Event):
    """Set when the lease has ended, or may have. `is_set` looks at the clock, so it tells the truth also
    before the event loop has come to set it."""

    def __init__(self, lease: HeldLease) -> None:
        super().__init__()
        self._lease = lease

    def is_set(self) -> bool:
        return super().is_set() or self._lease.is_lost

    async def wait(self) -> Literal[True]:
        if not self.is_set():
            await super().wait()
        return True


class HeldLease:
    """Grants a lease at entry, renews it every third of its life, and revokes it at exit.

    Leader changes and nodes that fail are met by asking another endpoint until the lease may have ended.
    Then, or when the cluster says that it has, `lost` is set and nothing is renewed any more. The lease is
    counted from the moment its last renewal was *sent*, so `lost` comes rather too early than too late;
    but a process that is paused learns of it only when it goes on.

    Entering raises KvraftError. Leaving raises LeaseLost if the lease was lost in the meantime and no other
    error is under way, and nothing else: a lease that cannot be revoked ends by itself.
    """

    __slots__ = (
        "_clock",
        "_failure",
        "_is_held",
        "_is_lost",
        "_lease_id",
        "_leases",
        "_on_lost",
        "_releases",
        "_renew_at_s",
        "_renewal",
        "_timer",
        "_until_s",
        "lost",
        "ttl_s",
    )

    def __init__(self, leases: Leases, releases: Releases, ttl_s: float) -> None:
        self._leases = leases
        self._releases = releases
        self._clock: Callable[[], float] = elapsed_s
        self._lease_id = 0
        self._is_held = False
        self._is_lost = False
        self._until_s = 0.0
        """It is certain to live until then."""
        self._renew_at_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._renewal: asyncio.Task[None] | None = None
        """The attempt that is under way."""
        self._failure: BaseException | None = None
        """A bug that ended the renewals."""
        self._on_lost: list[Callable[[], None]] = []
        self.ttl_s = ttl_s
        self.lost: asyncio.Event = Lost(self)
        """Set when the lease has ended, or may have."""

    @property
    def lease_id(self) -> int:
        """What `put(..., lease_id=)` takes."""
        assert self._lease_id, "the lease is granted when the block is entered"
        return self._lease_id

    @property
    def is_lost(self) -> bool:
        """Whether the lease has ended while it was held, or may have. By the clock; for any thread."""
        if self._is_held and self._clock() >= self._until_s:
            self._is_lost = True
        return self._is_lost

    def when_lost(self, callback: Callable[[], None]) -> None:
        """Calls this, once, when `lost` is set; in the event loop, so it must not block."""
        self._on_lost.append(callback)

    def check(self) -> None:
        """Raises LeaseLost if the lease is lost, or not held any more."""
        if self.is_lost:
            raise loss_of(self._lease_id)
        if self._lease_id and not self._is_held:
            raise LeaseLost(f"lease {self._lease_id} is not held any more: it was given back")

    async def __aenter__(self) -> Self:
        await self.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.end()
        if error is None and self.is_lost:
            raise loss_of(self._lease_id)

    async def begin(self) -> None:
        """Grants the lease. Raises KvraftError."""
        assert not self._lease_id, "a lease is held once"
        granting = asyncio.create_task(self._grant(), name="kvraft-grant")
        try:
            sent_s, self._lease_id = await asyncio.shield(granting)
        except asyncio.CancelledError:
            self._releases.begin(lambda: self._give_back(granting))
            raise
        self._is_held = True
        self._releases.hold(self, self._abandon)
        self._lives_since(sent_s)
        self._look()

    async def _grant(self) -> tuple[float, int]:
        """Returns when the lease was asked for, and its id. Raises KvraftError."""
        sent_s = self._clock()
        try:
            granted = await self._leases.grant(self.ttl_s)
        except OutcomeUnknown:
            # If it was granted it ends by itself; another one takes its place.
            sent_s = self._clock()
            granted = await self._leases.grant(self.ttl_s)
        return sent_s, granted.lease_id

    async def _give_back(self, granting: asyncio.Task[tuple[float, int]]) -> None:
        """Revokes a lease for which nobody waits any more when it is granted."""
        await asyncio.wait((granting,))
        if not granting.cancelled() and granting.exception() is None:
            _, self._lease_id = granting.result()
            await self._revoke()

    async def end(self) -> None:
        """Revokes the lease, also if this is cancelled. Raises nothing; where the lease is lost, or was given
        back before, does nothing."""
        if self._stop() and not self._is_lost:
            await self._releases.run(self._revoke)
        if self._failure is not None:
            raise self._failure

    def _abandon(self) -> None:
        """Revokes the lease, which is lost for its block: the client is closed."""
        if self._stop() and not self._is_lost:
            self._releases.begin(self._revoke)
        self._lose()

    # --- the clock ------------------------------------------------------------------------------

    def _lives_since(self, sent_s: float) -> None:
        """It was granted or renewed by what was sent at this moment."""
        self._until_s = sent_s + self.ttl_s * (1 - CLOCK_MARGIN)
        self._renew_at_s = sent_s + self.ttl_s / _RENEWALS_PER_TTL

    def _look(self) -> None:
        """Does what is due, and comes again when the next thing is."""
        if self._timer is not None:
            self._timer.cancel()
        if not self._is_held:
            return
        if self.is_lost:
            self._lose()
            return
        loop = asyncio.get_running_loop()
        if self._renewal is None and self._clock() >= self._renew_at_s:
            self._renewal = loop.create_task(self._renew(), name=f"lease {self._lease_id}")
            self._renewal.add_done_callback(self._renewed)
        due_s = self._until_s if self._renewal is not None else min(self._until_s, self._renew_at_s)
        self._timer = loop.call_later(max(0.0, due_s - self._clock()), self._look)

    async def _renew(self) -> None:
        """One attempt. Raises KvraftError."""
        sent_s = self._clock()
        timeout_s = min(self.ttl_s / _ATTEMPTS_PER_TTL, self._until_s - sent_s)
        await self._leases.try_keep_alive(self._lease_id, timeout_s=timeout_s)
        if not self._is_lost:  # what somebody was told stays so
            self._lives_since(sent_s)

    def _renewed(self, renewal: asyncio.Task[None]) -> None:
        """The attempt has ended, somehow."""
        self._renewal = None
        if not self._is_held:
            return
        error = None if renewal.cancelled() else renewal.exception()
        if isinstance(error, LeaseNotFound | ClientClosed):
            self._lose()
        elif error is not None and not isinstance(error, KvraftError):
            self._failure = error
            self._lose()
        else:
            if error is not None or renewal.cancelled():
                self._renew_at_s = self._clock() + min(_PAUSE_S_MAX, self.ttl_s / _ATTEMPTS_PER_TTL / 5)
            self._look()

    # --- the end --------------------------------------------------------------------------------

    def _stop(self) -> bool:
        """It is not held any more; whether it was lost until now stays known. Returns whether it was held."""
        self._is_lost = self.is_lost
        was_held, self._is_held = self._is_held, False
        self._releases.let_go(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._renewal is not None:
            self._renewal.cancel()
        return was_held

    def _lose(self) -> None:
        """Tells that it is lost."""
        self._is_lost = True
        self._releases.let_go(self)
        if self._timer is not None:
            self._timer.cancel()
        self.lost.set()
        callbacks, self._on_lost = self._on_lost, []
        for callback in callbacks:
            callback()

    async def _revoke(self) -> None:
        # It ends by itself if this fails.
        with contextlib.suppress(KvraftError, ClientClosed):
            await self._leases.revoke(self._lease_id)
