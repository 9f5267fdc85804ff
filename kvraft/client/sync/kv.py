"""`client.kv` for code without an event loop."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from kvraft.client.kv import Kv
from kvraft.client.sync.blocking import Blocking, blocking
from kvraft.client.sync.iterating import blocking_stream

if TYPE_CHECKING:
    from kvraft.client.sync.watch import SyncWatch
    from kvraft.client.watch import Watch

P = ParamSpec("P")
ServiceT = TypeVar("ServiceT")


def blocking_watch(
    method: Callable[Concatenate[ServiceT, P], Watch],
) -> Callable[Concatenate[Blocking[ServiceT], P], SyncWatch]:
    @functools.wraps(method)
    def watch(self: Blocking[ServiceT], /, *args: P.args, **kwargs: P.kwargs) -> SyncWatch:
        from kvraft.client.sync.watch import SyncWatch

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
