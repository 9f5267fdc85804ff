"""The event loop in a thread of its own, and what wraps the methods of the asyncio client for it."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator
from concurrent.futures import Future
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar

from kvraft.client.binding import Binding
from kvraft.client.errors import ClientClosed

P = ParamSpec("P")
ResultT = TypeVar("ResultT")
ServiceT = TypeVar("ServiceT")
ItemT = TypeVar("ItemT")
ItemT_co = TypeVar("ItemT_co", covariant=True)


class LoopThread:
    """Runs coroutines in an event loop of its own thread."""

    __slots__ = ("_binding", "_loop", "_thread")

    def __init__(self) -> None:
        self._binding = Binding()
        self._loop = asyncio.new_event_loop()
        # A daemon, so that a client that was not closed does not keep the process alive.
        self._thread = threading.Thread(target=self._loop.run_forever, name="kvraft-client", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether there is a thread: a fork does not copy it."""
        return not self._loop.is_closed() and not self._binding.is_gone

    def run(self, begin: Callable[[], Coroutine[Any, Any, ResultT]]) -> ResultT:
        """What `begin` makes is made and awaited in the thread: a caller that is interrupted (Ctrl-C) at any
        moment leaves nothing behind. Raises ClientClosed."""
        if self._loop.is_closed():
            raise ClientClosed
        self._binding.check_process()
        done: Future[ResultT] = Future()
        tasks: list[asyncio.Task[ResultT]] = []

        async def work() -> ResultT:
            return await begin()

        def start() -> None:
            task = self._loop.create_task(work())
            tasks.append(task)
            task.add_done_callback(lambda task: _tell(task, done))

        self._loop.call_soon_threadsafe(start)
        try:
            return done.result()
        finally:
            if not done.done():
                self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])

    def call(self, action: Callable[[], None]) -> None:
        """Does something soon, after what was asked for before."""
        if self.alive:
            self._loop.call_soon_threadsafe(action)

    def stop(self) -> None:
        self.run(self._end_all)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end_all(self) -> None:
        """Whatever is still under way."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._loop.shutdown_asyncgens()


def _tell(task: asyncio.Task[ResultT], done: Future[ResultT]) -> None:
    """What became of a task."""
    if task.cancelled():
        done.cancel()
        done.set_running_or_notify_cancel()
    elif (error := task.exception()) is not None:
        done.set_exception(error)
    else:
        done.set_result(task.result())


class Blocking(Generic[ServiceT]):
    """A service of the asyncio client, to be called from any thread."""

    __slots__ = ("_service", "_thread")

    def __init__(self, service: ServiceT, thread: LoopThread) -> None:
        self._service = service
        self._thread = thread


def blocking(
    method: Callable[Concatenate[ServiceT, P], Coroutine[Any, Any, ResultT]],
) -> Callable[Concatenate[Blocking[ServiceT], P], ResultT]:
    @functools.wraps(method)
    def call(self: Blocking[ServiceT], /, *args: P.args, **kwargs: P.kwargs) -> ResultT:
        return self._thread.run(lambda: method(self._service, *args, **kwargs))

    return call


class _Paged(Protocol[ItemT_co]):
    """What is read in pages: a range of any size, a list."""

    def pages(self) -> AsyncGenerator[tuple[ItemT_co, ...], None]: ...


def blocking_stream(
    method: Callable[Concatenate[ServiceT, P], _Paged[ItemT_co]],
) -> Callable[Concatenate[Blocking[ServiceT], P], Iterator[ItemT_co]]:
    @functools.wraps(method)
    def iterate(self: Blocking[ServiceT], /, *args: P.args, **kwargs: P.kwargs) -> Iterator[ItemT_co]:
        pages = method(self._service, *args, **kwargs).pages()

        async def next_page() -> tuple[ItemT_co, ...] | None:
            return await anext(pages, None)

        async def close() -> None:
            await pages.aclose()

        try:
            # A thread hand-over per page, not per key.
            while page := self._thread.run(next_page):
                yield from page
        except GeneratorExit:
            # The caller left early, so the pages are at a pause and can be closed.
            if self._thread.alive:
                self._thread.run(close)
            raise

    return iterate


def in_turn(batches: AsyncGenerator[ItemT, None], thread: LoopThread) -> Generator[ItemT, None, None]:
    """The items of a generator that lives in the thread."""

    async def next_batch() -> ItemT:
        return await anext(batches)

    async def close() -> None:
        await batches.aclose()

    try:
        while True:
            yield thread.run(next_batch)
    except GeneratorExit:
        # The caller left early, so the batches are at a pause and can be closed.
        if thread.alive:
            thread.run(close)
        raise
