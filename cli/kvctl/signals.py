"""SIGTERM and SIGHUP end kvctl as Ctrl-C does: what is held is released, what is under way is finished or
given up in good order. The exit code is 128 and the number of the signal, as of a process that died of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Coroutine
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task

ResultT = TypeVar("ResultT")
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A signal asked kvctl to end."""

    def __init__(self, signum: int) -> None:
        super().__init__()
        self.signum = signum


def prepare() -> None:
    """From now on a signal raises Interrupted where the main thread is."""
    for signum in ENDING:
        # Whoever started kvctl may have wanted it to be ignored: nohup, a job of a script.
        if signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, _raise)


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
        handled = [signum for signum in ENDING if signal.getsignal(signum) is not signal.SIG_IGN]
        for signum in handled:
            runner.get_loop().add_signal_handler(signum, _cancel, task, signum, received)
        try:
            return runner.get_loop().run_until_complete(task)
        except asyncio.CancelledError:
            if received:
                raise Interrupted(received[0]) from None
            raise
        finally:
            _give_back(runner.get_loop(), handled)


def _cancel(task: Task[Any], signum: int, received: list[int]) -> None:
    received.append(signum)
    task.cancel(signum)


def _give_back(loop: AbstractEventLoop, handled: list[signal.Signals]) -> None:
    for signum in handled:
        loop.remove_signal_handler(signum)
        signal.signal(signum, _raise)


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
