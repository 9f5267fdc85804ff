"""SIGTERM and SIGHUP end kvctl as Ctrl-C does: what is held is released, what is under way is finished or
given up in good order. The exit code is 128 and the number of the signal, as of a process that died of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task

ResultT = TypeVar("ResultT")
Handler = Callable[[int, FrameType | None], Any] | int | None
"""As `signal.getsignal` has it. `None`: it is not Python's, and stays."""
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A signal asked kvctl to end."""

    def __init__(self, signum: int) -> None:
        super().__init__()
        self.signum = signum


@contextmanager
def raised() -> Iterator[None]:
    """Within, a signal raises Interrupted where the main thread is. Afterwards all is as it was."""
    before = {signum: signal.getsignal(signum) for signum in ENDING}
    try:
        for signum in _not_ignored():
            signal.signal(signum, _raise)
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _not_ignored() -> list[signal.Signals]:
    """Whoever started kvctl may have wanted some to be ignored: nohup, a job of a script."""
    return [signum for signum in ENDING if signal.getsignal(signum) is not signal.SIG_IGN]


def signal_of(interrupt: KeyboardInterrupt) -> int:
    """Which signal it was."""
    return interrupt.signum if isinstance(interrupt, Interrupted) else signal.SIGINT


def _raise(signum: int, _frame: FrameType | None) -> None:
    raise Interrupted(signum)


def run(coroutine: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Runs it in an event loop. A signal cancels it, and is raised as Interrupted when it has ended."""
    import asyncio

    received: list[int] = []
    with asyncio.Runner() as runner:
        task: Task[ResultT] = runner.get_loop().create_task(coroutine)
        before = {signum: signal.getsignal(signum) for signum in _not_ignored()}
        for signum in before:
            runner.get_loop().add_signal_handler(signum, _cancel, task, signum, received)
        try:
            return runner.get_loop().run_until_complete(task)
        except asyncio.CancelledError:
            if received:
                raise Interrupted(received[0]) from None
            raise
        finally:
            _give_back(runner.get_loop(), before)


def _cancel(task: Task[Any], signum: int, received: list[int]) -> None:
    received.append(signum)
    task.cancel(signum)


def _give_back(loop: AbstractEventLoop, before: dict[signal.Signals, Handler]) -> None:
    for signum, handler in before.items():
        loop.remove_signal_handler(signum)
        signal.signal(signum, handler)


def signal_of_cancellation(cancelled: BaseException) -> int:
    """Which signal cancelled what `run` runs."""
    return int(cancelled.args[0]) if cancelled.args else signal.SIGTERM


def is_the_terminals(signum: int) -> bool:
    """Whether a signal came, as far as can be told, from the terminal, which sends it to children as well."""
    if signum != signal.SIGINT:
        return False
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
