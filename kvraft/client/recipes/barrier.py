"""A barrier: many wait until one opens it."""

from __future__ import annotations

from kvraft.client.arguments import checked
from kvraft.client.kv import Kv
from kvraft.client.recipes.names import named_key
from kvraft.client.recipes.waiting import until_gone
from kvraft.client.releases import Releases


@checked
class Barrier:
    """A barrier of a name, among all clients of a cluster."""

    __slots__ = ("_key", "_kv", "_releases", "name")

    def __init__(self, kv: Kv, releases: Releases, name: str) -> None:
        """Raises ValueError if `name` cannot be one."""
        self._kv = kv
        self._releases = releases
        self._key = named_key("barrier", name)
        self.name = name

    async def hold(self, *, lease_id: int = 0) -> bool:
        """Closes the barrier; False if it was closed already. With a lease it opens when that ends.
        Raises KvraftError."""
        result = await self._kv.compare_and_set(self._key, b"", expected_revision=0, lease_id=lease_id)
        return result.succeeded

    async def release(self) -> None:
        """Opens the barrier, if it is closed, also if this is cancelled: all who wait go on. Raises
        KvraftError."""
        await self._releases.run(lambda: self._kv.delete(self._key))

    async def wait(self) -> None:
        """Waits until the barrier is open. Raises KvraftError."""
        await until_gone(self._kv, self._key)
