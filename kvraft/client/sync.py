"""The client for code without an event loop: the asyncio client in a thread of its own.

Each method is the asyncio method itself, wrapped: same arguments, same results, same errors,
known to type checkers and editors, and nothing written twice.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import closing
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

from kvraft.client.client import Client
from kvraft.client.cluster import Cluster
from kvraft.client.held_lease import HeldLease
from kvraft.client.kv import Kv
from kvraft.client.lease import Leases
from kvraft.client.results import KeyValue
from kvraft.client.stream import RangeStream
from kvraft.client.watch import Event, EventBatch, Watch

P = ParamSpec("P")
ResultT = TypeVar("ResultT")
ServiceT = TypeVar("ServiceT")


class _LoopThread:
    """Runs coroutines in an event loop of its own thread."""

    __slots__ = ("_loop", "_thread")

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        # A daemon, so that a client that was not closed does not keep the process alive.
        self._thread = threading.Thread(target=self._loop.run_forever, name="kvraft-client", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return not self._loop.is_closed()

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        if not self.alive:
            work.close()
            raise RuntimeError("the client is closed")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        finally:
            # Interrupted (Ctrl-C): nobody waits for the call any more. Otherwise without effect.
            future.cancel()

    def stop(self) -> None:
        self.run(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class _Blocking(Generic[ServiceT]):
    """A service of the asyncio client, to be called from any thread."""

    __slots__ = ("_service", "_thread")

    def __init__(self, service: ServiceT, thread: _LoopThread) -> None:
        self._service = service
        self._thread = thread


def _blocking(
    method: Callable[Concatenate[ServiceT, P], Coroutine[Any, Any, ResultT]],
) -> Callable[Concatenate[_Blocking[ServiceT], P], ResultT]:
    @functools.wraps(method)
    def call(self: _Blocking[ServiceT], /, *args: P.args, **kwargs: P.kwargs) -> ResultT:
        return self._thread.run(method(self._service, *args, **kwargs))

    return call


def _blocking_stream(
    method: Callable[Concatenate[ServiceT, P], RangeStream],
) -> Callable[Concatenate[_Blocking[ServiceT], P], Iterator[KeyValue]]:
    @functools.wraps(method)
    def iterate(self: _Blocking[ServiceT], /, *args: P.args, **kwargs: P.kwargs) -> Iterator[KeyValue]:
        pages = method(self._service, *args, **kwargs).pages()

        async def next_page() -> tuple[KeyValue, ...] | None:
            return await anext(pages, None)

        async def close() -> None:
            await pages.aclose()

        try:
            # A thread hand-over per page, not per key.
            while page := self._thread.run(next_page()):
                yield from page
        except GeneratorExit:
            # The caller left early, so the pages are at a pause and can be closed.
            if self._thread.alive:
                self._thread.run(close())
            raise

    return iterate


class SyncWatch:
    """Iterates over changes and blocks until there is one: as `Watch`."""

    __slots__ = ("_thread", "_watch")

    def __init__(self, watch: Watch, thread: _LoopThread) -> None:
        self._watch = watch
        self._thread = thread

    def __iter__(self) -> Iterator[Event]:
        with closing(self.batches()) as batches:
            for batch in batches:
                yield from batch.events

    def batches(self) -> Generator[EventBatch, None, None]:
        """The same, one item for each revision that changed something."""
        batches = self._watch.batches()

        async def next_batch() -> EventBatch:
            return await anext(batches)

        async def close() -> None:
            await batches.aclose()

        try:
            while True:
                yield self._thread.run(next_batch())
        except GeneratorExit:
            # The caller left early, so the batches are at a pause and can be closed.
            if self._thread.alive:
                self._thread.run(close())
            raise


def _blocking_watch(
    method: Callable[Concatenate[ServiceT, P], Watch],
) -> Callable[Concatenate[_Blocking[ServiceT], P], SyncWatch]:
    @functools.wraps(method)
    def watch(self: _Blocking[ServiceT], /, *args: P.args, **kwargs: P.kwargs) -> SyncWatch:
        return SyncWatch(method(self._service, *args, **kwargs), self._thread)

    return watch


class SyncKv(_Blocking[Kv]):
    """`client.kv`: the methods of `Kv`, blocking."""

    __slots__ = ()

    put = _blocking(Kv.put)
    get = _blocking(Kv.get)
    delete = _blocking(Kv.delete)
    delete_range = _blocking(Kv.delete_range)
    range = _blocking(Kv.range)
    count = _blocking(Kv.count)
    stream_range = _blocking_stream(Kv.stream_range)
    watch = _blocking_watch(Kv.watch)
    compare_and_set = _blocking(Kv.compare_and_set)
    compare_and_delete = _blocking(Kv.compare_and_delete)
    batch_write = _blocking(Kv.batch_write)
    txn = _blocking(Kv.txn)


class SyncCluster(_Blocking[Cluster]):
    """`client.cluster`: the methods of `Cluster`, blocking."""

    __slots__ = ()

    status = _blocking(Cluster.status)
    status_of_all = _blocking(Cluster.status_of_all)


class SyncHeldLease:
    """A lease that is kept alive by the thread of the client while its block runs, as `HeldLease`."""

    __slots__ = ("_lease", "_thread", "lost")

    def __init__(self, lease: HeldLease, thread: _LoopThread) -> None:
        self._lease = lease
        self._thread = thread
        self.lost = threading.Event()
        """Set when the lease has ended, or may have."""
        lease.when_lost(self.lost.set)

    @property
    def lease_id(self) -> int:
        """What `put(..., lease_id=)` takes."""
        return self._lease.lease_id

    def __enter__(self) -> Self:
        self._thread.run(self._lease.begin())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.run(self._lease.end())


class SyncLeases(_Blocking[Leases]):
    """`client.lease`: the methods of `Leases`, blocking."""

    __slots__ = ()

    grant = _blocking(Leases.grant)
    keep_alive = _blocking(Leases.keep_alive)
    revoke = _blocking(Leases.revoke)
    get = _blocking(Leases.get)
    list = _blocking(Leases.list)

    def hold(self, ttl_s: float = 10.0) -> SyncHeldLease:
        """A lease that is kept alive while a `with` block runs."""
        return SyncHeldLease(self._service.hold(ttl_s), self._thread)


class SyncClient:
    """A client of one cluster, for any number of threads. Arguments as for `Client`."""

    __slots__ = ("_client", "_thread", "cluster", "kv", "lease")

    kv: SyncKv
    lease: SyncLeases
    cluster: SyncCluster

    def __init__(self, endpoints: str, *, timeout_s: float = 5.0) -> None:
        self._client = Client(endpoints, timeout_s=timeout_s)
        self._thread = _LoopThread()
        self.kv = SyncKv(self._client.kv, self._thread)
        self.lease = SyncLeases(self._client.lease, self._thread)
        self.cluster = SyncCluster(self._client.cluster, self._thread)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The addresses, as given."""
        return self._client.endpoints

    def close(self) -> None:
        """Ends the calls under way, disconnects, and ends the thread. May be repeated."""
        if self._thread.alive:
            self._thread.run(self._client.close())
            self._thread.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
