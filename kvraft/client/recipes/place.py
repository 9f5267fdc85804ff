"""A place in a queue of those who want the same thing, one of whom has it: the first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kvraft.client.errors import LeaseLost, LeaseNotFound
from kvraft.client.held_lease import HeldLease, loss_of
from kvraft.client.keys import KeyRange
from kvraft.client.kv import Kv
from kvraft.client.lease import Leases
from kvraft.client.recipes.names import queue_prefix, queue_range
from kvraft.client.recipes.waiting import until_gone
from kvraft.client.results import KeyValue


class Place:
    """Taken once, at the end of the queue, and left once."""

    __slots__ = ("_kv", "_prefix", "_range", "key", "lease", "revision", "value")

    def __init__(self, kv: Kv, leases: Leases, *, kind: str, name: str, value: bytes, ttl_s: float) -> None:
        """Raises ValueError if `name` cannot be one."""
        self._kv = kv
        self._prefix = queue_prefix(kind, name)
        self._range = queue_range(kind, name)
        self.key = b""
        """Exists as long as the place is held."""
        self.lease: HeldLease = leases.hold(ttl_s)
        self.value = value
        self.revision = 0
        """Of the key: what orders the queue, and the fencing token."""

    async def take(self) -> None:
        """Goes to the end of the queue and waits for its turn, as long as it takes. Raises KvraftError:
        LeaseLost, or what a call raises when the cluster cannot be asked for so long."""
        await self.lease.begin()
        try:
            await self._enter()
            while (predecessor := await self._predecessor()) is not None:
                await self._until_gone(predecessor)
        except BaseException:
            await self.leave()
            raise

    async def leave(self) -> None:
        """Makes way, also if this is cancelled."""
        await self.lease.end()

    async def _enter(self) -> None:
        lease_id = self.lease.lease_id
        self.key = self._prefix + b"%016x" % lease_id
        try:
            taken = await self._kv.compare_and_set(
                self.key, self.value, expected_revision=0, lease_id=lease_id
            )
        except LeaseNotFound as error:
            raise _lost(lease_id) from error
        if not taken.succeeded:
            raise LeaseLost(f"{self.key!r} was written by somebody else; nothing was acquired")
        self.revision = taken.header.revision

    async def _predecessor(self) -> KeyValue | None:
        """The place right before this one; watching only that, not all of them, wakes one at a time."""
        before: KeyValue | None = None
        is_there = False
        async for kv in self._kv.stream_range(self._range, keys_only=True):
            if kv.key == self.key and kv.create_revision == self.revision:
                is_there = True
            elif kv.create_revision < self.revision and (
                before is None or kv.create_revision > before.create_revision
            ):
                before = kv
        if not is_there:
            raise _lost(self.lease.lease_id)
        self.lease.check()
        return before

    async def _until_gone(self, place: KeyValue) -> None:
        gone = asyncio.create_task(until_gone(self._kv, place.key, place.create_revision))
        lost = asyncio.create_task(self.lease.lost.wait())
        try:
            await asyncio.wait((gone, lost), return_when=asyncio.FIRST_COMPLETED)
            self.lease.check()
            await gone
        finally:
            gone.cancel()
            lost.cancel()
            await asyncio.wait((gone, lost))


class Held:
    """A place that is the first: what a lock and a leadership have in common. The clock tells, at each use,
    whether it is lost."""

    __slots__ = ("_place",)

    def __init__(self, place: Place) -> None:
        self._place = place

    @property
    def fencing_token(self) -> int:
        """Greater than that of everybody who held it earlier. Raises LeaseLost if it is lost."""
        if self._place.lease.is_lost:
            raise loss_of(self.lease_id)
        return self._place.revision

    @property
    def key(self) -> bytes:
        """Exists as long as it is held: what a transaction compares that must not be late."""
        return self._place.key

    @property
    def lease_id(self) -> int:
        """Keys attached to it are deleted when it is given back or lost."""
        return self._place.lease.lease_id

    @property
    def lost(self) -> asyncio.Event:
        """Set when somebody else has it, or may have: stop."""
        return self._place.lease.lost

    def when_lost(self, callback: Callable[[], None]) -> None:
        """Calls this, once, when `lost` is set; in the event loop, so it must not block."""
        self._place.lease.when_lost(callback)

    def check(self) -> None:
        """Raises LeaseLost if it is lost, or not held any more."""
        self._place.lease.check()

    async def _leave(self, error: BaseException | None) -> None:
        """The end of the block. Raises LeaseLost if it was lost and no other error is under way."""
        await self._place.leave()
        if error is None and self._place.lease.is_lost:
            raise loss_of(self.lease_id)


async def first_place(kv: Kv, keys: KeyRange) -> KeyValue | None:
    """The place at the head of a queue."""
    places = [each async for each in kv.stream_range(keys)]
    return min(places, key=lambda each: each.create_revision, default=None)


def _lost(lease_id: int) -> LeaseLost:
    return LeaseLost(f"lease {lease_id} ended while its holder waited for its turn; nothing was acquired")
