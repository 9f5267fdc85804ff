"""Where lines for people and for log collectors go: a bounded queue, and a thread that writes.

Nothing waits for whoever reads a pipe, for a terminal or a disk, and nothing fails with it. What the
descriptor does not take in time is lost and counted; the number is told in front of the next line that gets
through.
"""

from __future__ import annotations

import io
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import NoReturn

WAITING_BYTES_MAX = 1 << 20
"""Of lines that wait to be written."""
FINISH_TIMEOUT_S = 1.0
"""How long the end of the process waits for lines to be taken."""


def _lost_line(count: int) -> str:
    return f"kvraft: {count} lines were lost: they were not taken in time, or could not be written\n"


class LogOutput(io.TextIOBase):
    """A text stream over a file descriptor whose `write` never blocks and never fails. Thread-safe."""

    def __init__(self, descriptor: int, *, waiting_bytes_max: int = WAITING_BYTES_MAX) -> None:
        """Starts the thread. The descriptor stays the caller's."""
        self._descriptor = descriptor
        self._waiting_bytes_max = waiting_bytes_max
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._partial = ""
        """What was written since the last end of a line."""
        self._changed = threading.Condition()
        self._is_finished = False
        self._is_torn = False
        """Whether a line was written in part."""
        self.lines_lost = 0
        """Since lines last got through."""
        self.lost_line: Callable[[int], str] = _lost_line
        """What tells, in a line, how many were lost."""
        self._thread = threading.Thread(target=self._run, name="kvraft-output", daemon=True)
        self._thread.start()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        return "backslashreplace"

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def fileno(self) -> int:
        return self._descriptor

    def write(self, text: str) -> int:
        """Puts text behind the others; it leaves when its line is complete, or at `flush`."""
        if not isinstance(text, str):
            raise TypeError(f"a str is written, not {type(text).__name__}")
        with self._changed:
            self._partial += text
            end = self._partial.rfind("\n") + 1
            self._put(end)
        return len(text)

    def flush(self) -> None:
        """Lets go of a line that is not complete. Waits for nothing."""
        with self._changed:
            self._put(len(self._partial))

    def finish(self, timeout_s: float = FINISH_TIMEOUT_S) -> None:
        """Waits until all is written, but no longer than so. What is written afterwards is lost."""
        self.flush()
        with self._changed:
            self._is_finished = True
            self._changed.notify()
        self._thread.join(timeout_s)

    def _put(self, length: int) -> None:
        text, self._partial = self._partial[:length], self._partial[length:]
        data = text.encode(self.encoding, self.errors)
        if not data:
            return
        if self._is_finished or self._waiting_bytes + len(data) > self._waiting_bytes_max:
            self.lines_lost += max(1, text.count("\n"))
            return
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    if self._is_finished:
                        return
                    self._changed.wait()
                data, lost = self._waiting[0], self.lines_lost
            written = self._write(data, lost)
            with self._changed:
                self._waiting.popleft()
                self._waiting_bytes -= len(data)
                self.lines_lost += -lost if written else max(1, data.count(b"\n"))

    def _write(self, data: bytes, lost: int) -> bool:
        """Whether all of it was taken, and before it what tells of lost lines."""
        if lost:
            data = self.lost_line(lost).encode() + data
        if self._is_torn:
            data = b"\n" + data
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:  # whoever shares the pipe has made it so
                select.select((), (self._descriptor,), ())
            except OSError:
                self._is_torn |= len(left) < len(data)
                return False
        self._is_torn = False
        return True


def take_over(*names: str) -> None:
    """Lets whatever is written to `sys.stderr` or `sys.stdout` never block or fail the process."""
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        if name in names and not isinstance(getattr(sys, name), LogOutput):
            setattr(sys, name, LogOutput(descriptor))


def finish() -> None:
    """Writes what is left of the streams that were taken over, as far as it is taken."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, LogOutput):
            stream.finish()


def end_at_once(code: int) -> NoReturn:
    """Ends the process, with nothing done but that it has said why."""
    finish()
    os._exit(code)


def open_standard_streams() -> None:
    """Whoever starts a process may have closed its first three descriptors: the next file that was opened,
    the log of a node for one, would be stderr."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
