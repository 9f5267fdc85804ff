"""Tasks that work for others, and may end at any moment: whoever cancels all tasks of a loop cancels these
too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from kvraft.client.errors import InternalError


class BackgroundTask:
    """Work that is under way while it is wanted. One that has ended, by whatever end, is replaced when it
    is wanted again, and its owner hears of it."""

    __slots__ = ("_ended", "_name", "_task", "_work")

    def __init__(
        self,
        name: str,
        work: Callable[[], Coroutine[Any, Any, None]],
        ended: Callable[[BaseException | None], None],
    ) -> None:
        """`ended` is told each end: what it failed with, CancelledError if it was cancelled, else None."""
        self._name = name
        self._work = work
        self._ended = ended
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        return self._task is not None and not self._task.done()

    def want(self) -> None:
        """Begins it, unless it is under way."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work(), name=self._name)
            self._task.add_done_callback(self._done)

    def cancel(self) -> None:
        """Ends it soon; `ended` is not told, since who cancels knows."""
        if self._task is not None:
            self._task.remove_done_callback(self._done)
            self._task.cancel()

    async def stop(self) -> None:
        """Ends it, and waits for that."""
        self.cancel()
        if self._task is not None:
            await asyncio.wait((self._task,))

    def _done(self, task: asyncio.Task[None]) -> None:
        self._ended(asyncio.CancelledError() if task.cancelled() else task.exception())


def broken(call: str, failure: BaseException | None, *, writes: bool) -> InternalError:
    """What a call hears whose task failed by a bug."""
    error = InternalError(
        f"{call} failed by a fault of the library: {failure!r}. Please report it.",
        reason="INTERNAL",
        applied="unknown" if writes else "no",
    )
    error.__cause__ = failure
    return error
