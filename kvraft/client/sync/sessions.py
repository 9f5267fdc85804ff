"""`client.sessions` for code without an event loop."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from types import TracebackType
from typing import Self

from kvraft.client.gateway import Gateway
from kvraft.client.session_results import OpenMode, Session
from kvraft.client.session_watch import SessionEvent, SessionEventBatch, SessionWatch
from kvraft.client.sessions import Sessions
from kvraft.client.sync.blocking import Blocking, LoopThread, blocking, blocking_stream, in_turn


class SyncSessionWatch:
    """Iterates over what happens to sessions and blocks until something does: as `SessionWatch`."""

    __slots__ = ("_thread", "_watch")

    def __init__(self, watch: SessionWatch, thread: LoopThread) -> None:
        self._watch = watch
        self._thread = thread

    def __iter__(self) -> Iterator[SessionEvent]:
        with closing(self.batches()) as batches:
            for batch in batches:
                yield from batch.events

    def batches(self) -> Generator[SessionEventBatch, None, None]:
        """The same, one item for each revision at which something happened."""
        return in_turn(self._watch.batches(), self._thread)


class SyncGateway:
    """A gateway whose lease is kept alive by the thread of the client while its block runs, as `Gateway`."""

    __slots__ = ("_gateway", "_thread", "lost")

    def __init__(self, gateway: Gateway, thread: LoopThread) -> None:
        self._gateway = gateway
        self._thread = thread
        self.lost = threading.Event()
        """Set when the lease has ended, or may have."""
        gateway.when_lost(self.lost.set)

    @property
    def lease_id(self) -> int:
        """What `client.sessions.watch(lease_id=...)` takes."""
        return self._gateway.lease_id

    def open(
        self, user_id: str, device_id: str, *, mode: OpenMode = OpenMode.TAKE_OVER, info: bytes = b""
    ) -> Session:
        """Opens the session of a device here. Raises LeaseLost, and what `Sessions.open` does."""
        return self._thread.run(lambda: self._gateway.open(user_id, device_id, mode=mode, info=info))

    def close(self, session: Session) -> bool:
        """Closes a session of this gateway. False: it has ended, or is another gateway's by now."""
        return self._thread.run(lambda: self._gateway.close(session))

    def __enter__(self) -> Self:
        self._thread.run(self._gateway.begin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.run(self._gateway.end)


class SyncSessions(Blocking[Sessions]):
    """`client.sessions`: the methods of `Sessions`, blocking."""

    __slots__ = ()

    register_device = blocking(Sessions.register_device)
    list_devices = blocking(Sessions.list_devices)
    remove_device = blocking(Sessions.remove_device)
    open = blocking(Sessions.open)
    close = blocking(Sessions.close)
    revoke = blocking(Sessions.revoke)
    get = blocking(Sessions.get)
    list = blocking(Sessions.list)
    all = blocking_stream(Sessions.all)
    presence = blocking(Sessions.presence)

    def watch(
        self, *, user_ids: Sequence[str] = (), lease_id: int = 0, from_revision: int = 0
    ) -> SyncSessionWatch:
        """Watches the sessions of users, or of a lease, as `Sessions.watch`."""
        watch = self._service.watch(user_ids=user_ids, lease_id=lease_id, from_revision=from_revision)
        return SyncSessionWatch(watch, self._thread)

    def gateway(self, address: str, ttl_s: float = 10.0) -> SyncGateway:
        """A gateway, whose sessions live as long as a `with` block runs and its process lives."""
        return SyncGateway(self._service.gateway(address, ttl_s), self._thread)
