"""What SIGTERM, SIGINT and SIGHUP do, from the first moment of the process to its last.

    nothing was begun yet   the process ends, in good order
    the first               the stop that was asked for with `on_stop` begins
    the second              the process ends at once, with 128 and the signal's number as its exit code

The first process of a container has no defaults: a signal for which it has no handler yet is lost. So this
stands before whatever takes long to import. SIGHUP stays ignored where it was, as under `nohup`; SIGPIPE is
ignored by Python, and who writes is told.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

EOF_TIMEOUT_S = 15.0
"""How long an orderly stop may take when stdin has ended."""
STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class _State:
    on_stop: Callable[[], object] | None = None
    """Begins an orderly stop; none: nothing was begun that could be stopped."""
    is_stopping = False


_state = _State()


def handle() -> None:
    """Installs the handlers."""
    for number in STOP:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _handle)


def on_stop(begin: Callable[[], object]) -> None:
    """From now on the first signal calls `begin`, between two instructions of the main thread."""
    _state.on_stop = begin


def stop_at_eof() -> None:
    """From now on the end of stdin is a SIGTERM, and another one if the process has not ended in time."""

    def watch() -> None:
        with contextlib.suppress(OSError):  # what cannot be read has ended
            while os.read(0, 4_096):
                pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(EOF_TIMEOUT_S)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="kvraft-eof", daemon=True).start()


def _handle(number: int, _: FrameType | None) -> None:
    if _state.on_stop is None:
        os._exit(0)
    if not _state.is_stopping:
        _state.is_stopping = True
        _state.on_stop()
        return
    from kvraft.log_output import end_at_once

    name = signal.Signals(number).name
    print(  # noqa: T201 - there is no time for a logger
        f"kvraft: {name} while it was stopping: ended at once; what was acknowledged is on disk",
        file=sys.stderr,
    )
    end_at_once(128 + number)
