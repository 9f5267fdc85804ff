"""A lock that its holder loses when it goes away."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from kvraft.client.kv import Kv
from kvraft.client.lease import Leases
from kvraft.client.recipes.place import Held, Place


class Lock(Held):
    """A fair lock of a name, among all clients of a cluster; entered once.

        async with client.lock("nightly-report", ttl_s=10) as lock:
            await write_report(fencing_token=lock.fencing_token)

    **It gives no mutual exclusion by itself**: a holder that was paused for longer than `ttl_s` goes on while
    the next one has the lock already. Send `fencing_token` with whatever the lock protects, and refuse
    there what is smaller than the greatest seen.

    Entering waits for its turn, for ever: use `asyncio.timeout` for less. It raises KvraftError. Leaving
    raises LeaseLost if the lock was lost in the meantime and no other error is under way; a block that is
    cancelled, also while it leaves, makes way at once.
    """

    __slots__ = ("name",)

    def __init__(self, kv: Kv, leases: Leases, name: str, ttl_s: float) -> None:
        """Raises ValueError if `name` cannot be one."""
        super().__init__(Place(kv, leases, kind="lock", name=name, value=b"", ttl_s=ttl_s))
        self.name = name

    async def __aenter__(self) -> Self:
        await self._place.take()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave(error)
