"""A thread for what blocks: the log's fsync, the flush of the state. Jobs run in order, one at a time;
each end is told in the event loop's thread.

A job that finds the disk full is tried again until it works, and so long those that must not overtake it
wait; what tidies up runs meanwhile, since that is what makes room.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar

import structlog

from kvraft.storage.errors import ExhaustedError, StorageError

T = TypeVar("T")
_log = structlog.get_logger(__name__)

RETRY_S = 0.5


class _Job:
    """`work` raises what `retried` names where it is to be tried again."""

    __slots__ = ("is_in_order", "retried", "work")

    def __init__(
        self, work: Callable[[], None], retried: tuple[type[Exception], ...], *, is_in_order: bool
    ) -> None:
        self.work = work
        self.retried = retried
        self.is_in_order = is_in_order


class Worker:
    """One thread and its queue."""

    __slots__ = ("_jobs", "_loop", "_on_failure", "_postponed", "_stalled", "_thread", "_tried_s")

    def __init__(
        self, name: str, loop: asyncio.AbstractEventLoop, on_failure: Callable[[BaseException], None]
    ) -> None:
        """`on_failure` is told, in the loop, of a job that raised; the worker then takes no more."""
        self._loop = loop
        self._on_failure = on_failure
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._stalled: deque[_Job] = deque()
        """A job that found the disk full, and those that must not overtake it."""
        self._postponed: deque[_Job] = deque()
        """Others that are to be tried again."""
        self._tried_s = 0.0
        """When what waits was tried last."""
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    @property
    def is_stalled(self) -> bool:
        """Whether a job waits for room."""
        return bool(self._stalled)

    def run(self, job: Callable[[], T], on_done: Callable[[T], None]) -> None:
        """Runs `job` in the thread, then `on_done(result)` in the loop. What either raises is a failure, but
        for ExhaustedError of the job, which is tried again."""
        self._jobs.put(_Job(lambda: self._finish(job(), on_done), (ExhaustedError,), is_in_order=True))

    def tidy_up(self, job: Callable[[], T], on_done: Callable[[T], None]) -> None:
        """The same for a job that makes room, and that is no harm if it comes late: it overtakes those that
        wait for room, and is tried again after any StorageError."""
        self._jobs.put(_Job(lambda: self._finish(job(), on_done), (StorageError,), is_in_order=False))

    def stop(self) -> None:
        """Waits for the jobs that were given, but not for room."""
        self._jobs.put(None)
        self._thread.join()

    def _finish(self, result: T, on_done: Callable[[T], None]) -> None:
        def tell() -> None:
            try:
                on_done(result)
            except Exception as error:  # noqa: BLE001 - the loop would only log it
                self._on_failure(error)

        self._loop.call_soon_threadsafe(tell)

    def _work(self) -> None:
        try:
            while True:
                with contextlib.suppress(queue.Empty):
                    job = self._jobs.get(timeout=RETRY_S if self._stalled or self._postponed else None)
                    if job is None:
                        return
                    self._begin(job)
                if time.monotonic() - self._tried_s >= RETRY_S:
                    self._tried_s = time.monotonic()
                    self._retry(self._postponed)
                    self._retry(self._stalled)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the owner must learn of it
            self._loop.call_soon_threadsafe(self._on_failure, error)

    def _begin(self, job: _Job) -> None:
        if job.is_in_order and self._stalled:
            self._stalled.append(job)
        elif job.is_in_order:
            self._try(job, self._stalled)
        else:
            self._try(job, self._postponed)
            self._retry(self._stalled)  # there may be room now

    def _try(self, job: _Job, waiting: deque[_Job]) -> None:
        try:
            job.work()
        except job.retried as error:
            _log.warning("the disk refuses; it is tried again", error=str(error))
            waiting.append(job)
            self._tried_s = time.monotonic()

    @staticmethod
    def _retry(waiting: deque[_Job]) -> None:
        """In order, up to the first that has to wait on."""
        while waiting:
            job = waiting[0]
            try:
                job.work()
            except job.retried:
                return
            waiting.popleft()
