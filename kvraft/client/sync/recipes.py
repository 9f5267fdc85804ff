"""Locks, elections and barriers for code without an event loop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from kvraft.client.recipes import Barrier, Election, Leadership, Lock
from kvraft.client.sync.blocking import Blocking, BlockingBlock, LoopThread, blocking
from kvraft.client.sync.iterating import blocking_iteration
from kvraft.client.sync.lease import SyncLost

HeldT = TypeVar("HeldT", bound=Lock | Leadership)


class _SyncHeld(BlockingBlock[HeldT]):
    """What a lock and a leadership have in common, kept alive by the thread of the client."""

    __slots__ = ("lost",)

    def __init__(self, held: HeldT, thread: LoopThread) -> None:
        super().__init__(held, thread)
        self.lost: threading.Event = SyncLost(held)
        """Set when somebody else has it, or may have: stop."""

    @property
    def fencing_token(self) -> int:
        """Greater than that of everybody who held it earlier. Raises LeaseLost if it is lost."""
        return self._service.fencing_token

    @property
    def key(self) -> bytes:
        """Exists as long as it is held: what a transaction compares that must not be late."""
        return self._service.key

    @property
    def lease_id(self) -> int:
        """Keys attached to it are deleted when it is given back or lost."""
        return self._service.lease_id

    def when_lost(self, callback: Callable[[], None]) -> None:
        """Calls this, once, when `lost` is set; in the client's thread, so it must not block."""
        self._service.when_lost(callback)

    def check(self) -> None:
        """Raises LeaseLost if it is lost, or not held any more."""
        self._service.check()


class SyncLock(_SyncHeld[Lock]):
    """A fair lock of a name, as `Lock`: `with client.lock("nightly-report") as lock`."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """Of the lock."""
        return self._service.name


class SyncLeadership(_SyncHeld[Leadership]):
    """Being elected, as `Leadership`."""

    __slots__ = ()

    resign = blocking(Leadership.resign)


class SyncElection(Blocking[Election]):
    """An election of a name, as `Election`."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """Of the election."""
        return self._service.name

    def campaign(self, value: bytes, *, ttl_s: float = 10.0) -> SyncLeadership:
        """Waits until this candidate leads, as `Election.campaign`."""
        leadership = self._thread.run(lambda: self._service.campaign(value, ttl_s=ttl_s))
        return SyncLeadership(leadership, self._thread)

    leader = blocking(Election.leader)
    observe = blocking_iteration(Election.observe)


class SyncBarrier(Blocking[Barrier]):
    """A barrier of a name, as `Barrier`."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """Of the barrier."""
        return self._service.name

    hold = blocking(Barrier.hold)
    release = blocking(Barrier.release)
    wait = blocking(Barrier.wait)
