"""The event loop in a thread of its own, and what wraps the methods of the asyncio client for it."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar

from kvraft.client.binding import Binding
from kvraft.client.errors import ClientClosed, KvraftError

P = ParamSpec("P")
ResultT = TypeVar("ResultT")
ServiceT = TypeVar("ServiceT")


class _Block(Protocol):
    async def __aenter__(self) -> Any: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


BlockT = TypeVar("BlockT", bound=_Block)


class LoopThread:
    """Runs coroutines in an event loop of its own thread."""

    __slots__ = ("_binding", "_guard", "_is_stopped", "_loop", "_thread", "_waiting", "is_closing")

    def __init__(self) -> None:
        self._binding = Binding()
        self._loop = asyncio.new_event_loop()
        self._guard = threading.Lock()
        self._waiting: set[Future[Any]] = set()
        """Of the threads that wait for something."""
        self._is_stopped = False
        self.is_closing = False
        """Whether the client is being closed: what ends meanwhile ends because of that."""
        # A daemon, so that a client that was not closed does not keep the process alive.
        self._thread = threading.Thread(target=self._loop.run_forever, name="kvraft-client", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether there is a thread: a fork does not copy it."""
        return not self._is_stopped and not self._binding.is_gone

    @property
    def is_this(self) -> bool:
        """Whether the caller runs in it."""
        return threading.get_ident() == self._thread.ident

    def run(self, begin: Callable[[], Coroutine[Any, Any, ResultT]]) -> ResultT:
        """What `begin` makes is made and awaited in the thread: a caller that is interrupted (Ctrl-C) at any
        moment leaves nothing behind. Raises ClientClosed, also when the client is closed meanwhile;
        RuntimeError in the thread itself, which would wait for itself."""
        if self.is_this:
            raise RuntimeError("a callback of the client must not call it: hand over to another thread")
        if not self._is_stopped:
            self._binding.check_process()
        done: Future[ResultT] = Future()
        tasks: list[asyncio.Task[ResultT]] = []

        async def work() -> ResultT:
            return await begin()

        def start() -> None:
            task = self._loop.create_task(work())
            tasks.append(task)
            task.add_done_callback(lambda task: _tell(task, done))

        with self._guard:
            if self._is_stopped:
                raise ClientClosed
            self._waiting.add(done)
            self._loop.call_soon_threadsafe(start)
        try:
            return done.result()
        except KvraftError as error:
            if self.is_closing and error.applied == "no":
                raise ClientClosed from error
            raise
        finally:
            with self._guard:
                self._waiting.discard(done)
                if not done.done() and not self._is_stopped:
                    self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])

    def call(self, action: Callable[[], object]) -> None:
        """Does something soon, after what was asked for before."""
        with self._guard:
            if self.alive:
                self._loop.call_soon_threadsafe(action)

    def stop(self) -> None:
        """Ends the thread, and with ClientClosed whatever other threads wait for. Raises ClientClosed if
        another thread has done it."""
        if self.is_this:
            raise RuntimeError("a callback of the client must not close it: hand over to another thread")
        with self._guard:
            if self._is_stopped:
                raise ClientClosed
            # From here on no call begins, so that all that have begun are ended.
            self._is_stopped = True
        asyncio.run_coroutine_threadsafe(self._end_all(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        for done in self._waiting:
            if not done.done():
                done.set_exception(ClientClosed())
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
    """Tells what became of a task. That it was cancelled is an affair of its loop: whoever waits in another
    thread learns why, that the client was closed."""
    if task.cancelled():
        done.set_exception(ClientClosed())
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


class BlockingBlock(Blocking[BlockT]):
    """Something with an `async with` block, to be entered with `with`."""

    __slots__ = ()

    def __enter__(self) -> Self:
        self._thread.run(self._service.__aenter__)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._thread.run(lambda: self._service.__aexit__(kind, error, trace))
        except ClientClosed:
            # It was given back when the client was closed. An error of the block says more.
            if error is None:
                raise
