"""One leader among many candidates."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from kvraft.client.arguments import checked
from kvraft.client.errors import Compacted
from kvraft.client.kv import Kv
from kvraft.client.lease import Leases
from kvraft.client.recipes.names import queue_range
from kvraft.client.recipes.place import Held, Place, first_place


@dataclass(frozen=True, slots=True)
class Leader:
    """Who leads, as others see it."""

    value: bytes
    """What it campaigned with."""
    fencing_token: int
    """Greater than that of every earlier leader of the election."""


class Leadership(Held):
    """Being elected: until it is resigned, by the end of the block or by `resign`, or lost.

    A leader that was paused may be one no longer without knowing it: send `fencing_token` with what it does,
    as with a lock.
    """

    async def resign(self) -> None:
        """Makes way for the next candidate, also if this is cancelled. May be repeated."""
        await self._place.leave()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raises LeaseLost if the leadership was lost in the meantime and no other error is under way."""
        await self._leave(error)


@checked
class Election:
    """An election of a name, among all clients of a cluster.

    async with await client.election("scheduler").campaign(b"host-3") as leadership:
        await schedule(leadership.fencing_token, until=leadership.lost)
    """

    __slots__ = ("_kv", "_leases", "_range", "name")

    def __init__(self, kv: Kv, leases: Leases, name: str) -> None:
        """Raises ValueError if `name` cannot be one."""
        self._kv = kv
        self._leases = leases
        self._range = queue_range("election", name)
        self.name = name

    async def campaign(self, value: bytes, *, ttl_s: float = 10.0) -> Leadership:
        """Waits until this candidate leads, in the order of the candidates; `value` is what others see.
        Raises KvraftError, LeaseLost if its own lease was lost while it waited."""
        place = Place(self._kv, self._leases, kind="election", name=self.name, value=value, ttl_s=ttl_s)
        await place.take()
        return Leadership(place)

    async def leader(self) -> Leader | None:
        """Who leads now, if anybody does. Raises KvraftError."""
        first = await first_place(self._kv, self._range)
        return None if first is None else Leader(first.value, first.create_revision)

    async def observe(self) -> AsyncIterator[Leader | None]:
        """Who leads, now and at each change, `None` where nobody does. Never ends by itself. Raises
        KvraftError."""
        seen: Leader | None = None
        is_first = True
        while True:
            # The watch begins before the look: a change in between is looked at twice, and none is missed.
            revision = (await self._kv.count(self._range)).header.revision
            leader = await self.leader()
            if is_first or leader != seen:
                is_first, seen = False, leader
                yield leader
            batches = self._kv.watch(self._range, start_revision=revision + 1).batches()
            with suppress(Compacted):
                async with aclosing(batches):
                    async for _ in batches:
                        leader = await self.leader()
                        if leader != seen:
                            seen = leader
                            yield leader
