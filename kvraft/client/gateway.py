"""A process that holds the connections of devices, and with one lease all their sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from kvraft.client.arguments import checked
from kvraft.client.held_lease import HeldLease
from kvraft.client.releases import Releases
from kvraft.client.session_results import OpenMode, Session

if TYPE_CHECKING:
    from kvraft.client.sessions import Sessions


@checked
class Gateway:
    """Holds a lease while its block runs, and opens sessions that end with it.

    When the gateway dies, its sessions end within the time to live and 2 s; when the block is left they end
    with the lease, which is revoked: watches see EXPIRED. `lost` is set when the lease has ended, or may
    have: the devices are to be let go then, since other gateways may have them already.

    Entering raises KvraftError. Leaving raises LeaseLost if the lease was lost in the meantime and no other
    error is under way, and nothing else.
    """

    __slots__ = ("_lease", "_releases", "_sessions", "address")

    def __init__(self, sessions: Sessions, lease: HeldLease, releases: Releases, address: str) -> None:
        self._sessions = sessions
        self._releases = releases
        self._lease = lease
        self.address = address

    @property
    def lost(self) -> asyncio.Event:
        """Set when the lease has ended, or may have."""
        return self._lease.lost

    @property
    def lease_id(self) -> int:
        """What `client.sessions.watch(lease_id=...)` takes."""
        return self._lease.lease_id

    def check(self) -> None:
        """Raises LeaseLost if the lease is lost, or not held any more."""
        self._lease.check()

    def when_lost(self, callback: Callable[[], None]) -> None:
        """Calls this, once, when `lost` is set; in the event loop, so it must not block."""
        self._lease.when_lost(callback)

    async def open(
        self, user_id: str, device_id: str, *, mode: OpenMode = OpenMode.TAKE_OVER, info: bytes = b""
    ) -> Session:
        """Opens the session of a device here, by default in the place of the one it has. Raises LeaseLost
        when the lease is lost, and what `Sessions.open` does."""
        self._lease.check()
        opened = await self._sessions.open(
            user_id, device_id, self.lease_id, gateway_address=self.address, mode=mode, info=info
        )
        return opened.session

    async def close(self, session: Session) -> bool:
        """Closes a session of this gateway, also if this is cancelled. False: it has ended, or is another
        gateway's by now."""
        closed = await self._releases.run(
            lambda: self._sessions.close(session.user_id, session.device_id, session.epoch)
        )
        return closed.closed

    async def __aenter__(self) -> Self:
        await self.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._lease.__aexit__(kind, error, trace)

    async def begin(self) -> None:
        """Grants the lease. Raises KvraftError."""
        await self._lease.begin()

    async def end(self) -> None:
        """Revokes the lease, and with it the sessions, also if this is cancelled."""
        await self._lease.end()
