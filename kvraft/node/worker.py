"""A thread for what blocks: the log's fsync, the flush of the state. Jobs run in order, one at a time;
each end is told in the event loop's thread."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_Job = Callable[[], None]


class Worker:
    """One thread and its queue."""

    __slots__ = ("_jobs", "_loop", "_on_failure", "_thread")

    def __init__(
        self, name: str, loop: asyncio.AbstractEventLoop, on_failure: Callable[[BaseException], None]
    ) -> None:
        """`on_failure` is told, in the loop, of a job that raised; the worker then takes no more."""
        self._loop = loop
        self._on_failure = on_failure
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def run(self, job: Callable[[], T], on_done: Callable[[T], None]) -> None:
        """Runs `job` in the thread, then `on_done(result)` in the loop. What either raises is a failure."""

        def work() -> None:
            result = job()
            self._loop.call_soon_threadsafe(tell, result)

        def tell(result: T) -> None:
            try:
                on_done(result)
            except Exception as error:  # noqa: BLE001 - the loop would only log it
                self._on_failure(error)

        self._jobs.put(work)

    def stop(self) -> None:
        """Waits for the jobs that were given."""
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except BaseException as error:  # noqa: BLE001 - whatever it is, the owner must learn of it
                self._loop.call_soon_threadsafe(self._on_failure, error)
                return
