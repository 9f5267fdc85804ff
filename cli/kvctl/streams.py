"""stdin, stdout and stderr as kvctl needs them, whatever it was started with."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from pathlib import Path
from typing import TextIO


class _ClosedStream(io.RawIOBase):
    """In the place of a stream that was closed before kvctl began."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def readable(self) -> bool:
        return self._name == "stdin"

    def writable(self) -> bool:
        return self._name != "stdin"

    def readinto(self, _buffer: object) -> int:
        raise OSError(errno.EBADF, f"{self._name} is closed")

    def write(self, _data: object) -> int:
        raise BrokenPipeError(errno.EPIPE, f"{self._name} is closed")


def prepare() -> None:
    """Before anything is read, printed or opened."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # Otherwise the next file or connection would get this number.
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, _stand_in(name))
    for stream in (sys.stdout, sys.stderr):
        # Keys and JSON are UTF-8 wherever kvctl runs, not only where the locale is.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _stand_in(name: str) -> TextIO:
    if name == "stderr":
        return _nowhere()
    raw = _ClosedStream(name)
    buffered = io.BufferedReader(raw) if name == "stdin" else io.BufferedWriter(raw)
    return io.TextIOWrapper(buffered, encoding="utf-8")


def give_up_stdout() -> None:
    """What is still buffered would fail again when Python exits."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    sys.stdout = _nowhere()


def flush() -> None:
    """Before the process ends. Whoever does not read it any more was told already."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")
