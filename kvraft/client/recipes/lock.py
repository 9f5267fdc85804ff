"""A lock that its holder loses when it goes away."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from kvraft.client.kv import Kv
from kvraft.client.lease import Leases
from kvraft.client.recipes.place import Place


class Lock:
    """A fair lock of a name, among all clients of a cluster; entered once.

        async with client.lock("nightly-report", ttl_s=10) as lock:
            await write_report(fencing_token=lock.fencing_token)

    **It gives no mutual exclusion by itself**: a holder that was paused for longer than `ttl_s` goes on while
    the next one has the lock already. Send `fencing_token` with whatever the lock protects, and refuse
    there what is smaller than the greatest seen.

    Entering waits for its turn, for ever: use `asyncio.timeout` for less. It raises KvraftError. Leaving
    raises LeaseLost if the lock was lost in the meantime and no other error is under way.
    """

    __slots__ = ("_place", "name")

    def __init__(self, kv: Kv, leases: Leases, name: str, ttl_s: float) -> None:
        """Raises ValueError if `name` cannot be one."""
        self._place = Place(kv, leases, kind="lock", name=name, value=b"", ttl_s=ttl_s)
        self.name = name

    @property
    def fencing_token(self) -> int:
        """Greater than that of every earlier holder of the lock."""
        return self._place.revision

    @property
    def key(self) -> bytes:
        """Exists as long as the lock is held: what a transaction compares that must not be late."""
        return self._place.key

    @property
    def lease_id(self) -> int:
        """Keys attached to it are deleted when the lock is released or lost."""
        return self._place.lease.lease_id

    @property
    def lost(self) -> asyncio.Event:
        """Set when somebody else has the lock, or may have: stop."""
        return self._place.lease.lost

    async def __aenter__(self) -> Self:
        await self._place.take()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._place.leave()
        if error is None:
            self._place.lease.check()
