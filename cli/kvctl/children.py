"""Commands that kvctl runs. A signal that ends kvctl is passed on to them first, and their exit code is the
answer: as a shell would have it, 128 and the number of the signal for one that died of it."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Mapping, Sequence
from typing import Protocol

from kvctl.signals import is_the_terminals, signal_of
from kvraft.copyable import Copyable


class ChildEnded(Copyable):
    """A signal was passed on to the command, and this came of it."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"the command ended with {exit_code}")
        self.exit_code = exit_code


def exit_code_of(returncode: int) -> int:
    """As a shell has it."""
    return returncode if returncode >= 0 else 128 - returncode


def run(command: Sequence[str], *, environment: Mapping[str, str], stdin: bytes) -> int:
    """Runs a command to its end and returns its exit code. Raises OSError, and ChildEnded after a signal."""
    process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE)  # noqa: S603 - the user's own
    interrupted = False
    while True:
        try:
            process.communicate(None if interrupted else stdin)
        except KeyboardInterrupt as interrupt:
            interrupted = True
            pass_on(process, signal_of(interrupt))
            continue
        break
    code = exit_code_of(process.returncode)
    if interrupted:
        raise ChildEnded(code)
    return code


class _Process(Protocol):
    def send_signal(self, signal: int, /) -> None: ...


def pass_on(process: _Process, signum: int) -> None:
    """Gives a signal to a command, unless it has it from the terminal, or has ended."""
    if not is_the_terminals(signum):
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signum)
