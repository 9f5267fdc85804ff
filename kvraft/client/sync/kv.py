"""`client.kv` for code without an event loop."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Concatenate, ParamSpec, TypeVar

from kvraft.client.kv import Kv
from kvraft.client.sync.blocking import Blocking, LoopThread, blocking, blocking_stream, in_turn
from kvraft.client.watch import Event, EventBatch, Watch

P = ParamSpec("P")
ServiceT = TypeVar("ServiceT")


class SyncWatch:
    """Iterates over changes and blocks until there is one: as `Watch`."""

    __slots__ = ("_thread", "_watch")

    def __init__(self, watch: Watch, thread: LoopThread) -> None:
        self._watch = watch
        self._thread = thread

    def __iter__(self) -> Iterator[Event]:
        with closing(self.batches()) as batches:
            for batch in batches:
                yield from batch.events

    def batches(self) -> Generator[EventBatch, None, None]:
        """The same, one item for each revision that changed something."""
        return in_turn(self._watch.batches(), self._thread)


def blocking_watch(
    method: Callable[Concatenate[ServiceT, P], Watch],
) -> Callable[Concatenate[Blocking[ServiceT], P], SyncWatch]:
    @functools.wraps(method)
    def watch(self: Blocking[ServiceT], /, *args: P.args, **kwargs: P.kwargs) -> SyncWatch:
        return SyncWatch(method(self._service, *args, **kwargs), self._thread)

    return watch


class SyncKv(Blocking[Kv]):
    """`client.kv`: the methods of `Kv`, blocking."""

    __slots__ = ()

    put = blocking(Kv.put)
    get = blocking(Kv.get)
    delete = blocking(Kv.delete)
    delete_range = blocking(Kv.delete_range)
    range = blocking(Kv.range)
    count = blocking(Kv.count)
    stream_range = blocking_stream(Kv.stream_range)
    watch = blocking_watch(Kv.watch)
    compare_and_set = blocking(Kv.compare_and_set)
    compare_and_delete = blocking(Kv.compare_and_delete)
    batch_write = blocking(Kv.batch_write)
    txn = blocking(Kv.txn)
