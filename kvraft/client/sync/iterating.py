"""Iterators for code without an event loop over what the asyncio client gives one by one."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar

from kvraft.client.errors import ClientClosed
from kvraft.client.sync.blocking import Blocking, LoopThread

P = ParamSpec("P")
ServiceT = TypeVar("ServiceT")
ItemT = TypeVar("ItemT")
ItemT_co = TypeVar("ItemT_co", covariant=True)


class SyncIterator(Generic[ItemT]):
    """Iterates, and blocks until there is something; `with` closes it at the end of its block.

    `close` may be called from any thread: an iteration under way then ends, as if nothing more came. Closing
    the client ends it with ClientClosed.
    """

    def __init__(self, thread: LoopThread, pages: AsyncGenerator[tuple[ItemT, ...], None]) -> None:
        self._thread = thread
        self._pages = pages
        self._ready: deque[ItemT] = deque()
        self._turn = threading.Lock()
        self._step: asyncio.Task[Any] | None = None
        self._is_closed = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ItemT:
        with self._turn:
            while not self._is_closed:
                if self._ready:
                    return self._ready.popleft()
                # A thread hand-over per page, not per item.
                self._ready.extend(self._next_page())
        raise StopIteration

    def close(self) -> None:
        """Ends the iteration in good order, whichever thread is at it. May be repeated."""
        if not self._is_closed:
            self._is_closed = True
            with contextlib.suppress(ClientClosed):
                self._thread.run(self._end)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # Left early, by `break`: it lets go now, and not when the client is closed.
        if not self._is_closed and self._thread.alive:
            if self._thread.is_this:
                self._thread.call(lambda: asyncio.ensure_future(self._end()))
            else:
                self.close()

    def _next_page(self) -> tuple[ItemT, ...]:
        """Empty at the end."""
        try:
            page = self._thread.run(self._read)
        except BaseException:
            if self._is_closed:
                return ()
            self.close()
            raise
        if page is None:
            self._is_closed = True
            return ()
        return page

    async def _read(self) -> tuple[ItemT, ...] | None:
        self._step = asyncio.current_task()
        return await anext(self._pages, None)

    async def _end(self) -> None:
        if self._step is not None and not self._step.done():
            self._step.cancel()
            await asyncio.wait((self._step,))
        await self._pages.aclose()


async def one_by_one(items: AsyncIterator[ItemT]) -> AsyncGenerator[tuple[ItemT, ...], None]:
    """Pages of one."""
    try:
        async for item in items:
            yield (item,)
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()


class _Paged(Protocol[ItemT_co]):
    """What is read in pages: a range of any size, a list."""

    def pages(self) -> AsyncGenerator[tuple[ItemT_co, ...], None]: ...


def blocking_stream(
    method: Callable[Concatenate[ServiceT, P], _Paged[ItemT]],
) -> Callable[Concatenate[Blocking[ServiceT], P], SyncIterator[ItemT]]:
    """The method, which returns a SyncIterator."""

    @functools.wraps(method)
    def iterate(self: Blocking[ServiceT], /, *args: P.args, **kwargs: P.kwargs) -> SyncIterator[ItemT]:
        return SyncIterator(self._thread, method(self._service, *args, **kwargs).pages())

    return iterate


def blocking_iteration(
    method: Callable[Concatenate[ServiceT, P], AsyncIterator[ItemT]],
) -> Callable[Concatenate[Blocking[ServiceT], P], SyncIterator[ItemT]]:
    """The method, which is an asynchronous generator, as one that returns a SyncIterator."""

    @functools.wraps(method)
    def iterate(self: Blocking[ServiceT], /, *args: P.args, **kwargs: P.kwargs) -> SyncIterator[ItemT]:
        return SyncIterator(self._thread, one_by_one(method(self._service, *args, **kwargs)))

    return iterate


class _Batch(Protocol[ItemT_co]):
    @property
    def events(self) -> tuple[ItemT_co, ...]: ...


BatchT = TypeVar("BatchT", bound=_Batch[Any])


BatchT_co = TypeVar("BatchT_co", bound=_Batch[Any], covariant=True)


class _Watched(Protocol[BatchT_co]):
    def batches(self) -> AsyncGenerator[BatchT_co, None]: ...


class Closing:
    """What can be iterated over more than once; `close` ends all of it, and `with` does at the end."""

    __slots__ = ("_is_closed", "_iterators")

    def __init__(self) -> None:
        self._iterators: list[SyncIterator[Any]] = []
        self._is_closed = False

    def _opened(self, iterator: SyncIterator[ItemT]) -> SyncIterator[ItemT]:
        self._iterators = [each for each in self._iterators if not each._is_closed]
        self._iterators.append(iterator)
        if self._is_closed:
            iterator.close()
        return iterator

    def close(self) -> None:
        """Ends every iteration, whichever thread is at it. May be repeated."""
        self._is_closed = True
        for iterator in self._iterators:
            iterator.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class BlockingWatch(Closing, Generic[BatchT, ItemT]):
    """A watch: iterates over events, or over the batches of revisions."""

    __slots__ = ("_thread", "_watch")

    def __init__(self, watch: _Watched[BatchT], thread: LoopThread) -> None:
        super().__init__()
        self._watch = watch
        self._thread = thread

    def __iter__(self) -> Iterator[ItemT]:
        return self._opened(SyncIterator(self._thread, _events(self._watch)))

    def batches(self) -> SyncIterator[BatchT]:
        """The same, one item for each revision that changed something."""
        return self._opened(SyncIterator(self._thread, one_by_one(self._watch.batches())))


async def _events(watch: _Watched[Any]) -> AsyncGenerator[tuple[Any, ...], None]:
    async with aclosing(watch.batches()) as batches:
        async for batch in batches:
            yield batch.events
