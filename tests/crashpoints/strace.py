"""Faults at chosen system calls of a running process, by strace's injection.

strace is attached to the threads of the process and looks only at calls on given files. It counts for each
thread and each system call by itself, so "the second `fdatasync` of this file" is a point that can be met
again, whatever other threads do. A call that is to fail is not made at all; SIGKILL comes before the call.
What was seen is written to a file, a line per call, which is read here.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tests.cluster.harness import eventually

DISK_CALLS = (
    *("pwrite64", "pwritev", "pwritev2", "write", "writev", "msync", "sync_file_range"),
    *("fdatasync", "fsync", "ftruncate", "truncate", "fallocate"),
    *("rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir"),
)
"""What changes a disk. Not every processor has each of them."""
WRITES = {"pwrite64", "pwritev", "pwritev2", "write", "writev"}
SYNCS = {"fdatasync", "fsync", "msync", "sync_file_range"}
DELETIONS = {"unlink", "unlinkat", "rmdir"}
FULL_FOR = 2
"""So many calls of a thread in a row find the disk full; then there is room."""
_QUIET_LOOKS = 5
"""What was seen is complete when so many looks, 50 ms apart, see no more."""

_LINE = re.compile(r"(?:(\d+)\s+)?([<+\w].*)")
_CALL = re.compile(r"(\w+)\((.*)")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(.*)")
_PATH = re.compile(r'(?<=[<"])/[^">]*(?=[">])')


class Fault(Enum):
    """As strace spells it."""

    KILL = "signal=KILL"
    EIO = "error=EIO"
    ENOSPC = "error=ENOSPC"


@dataclass(slots=True)
class Call:
    """One system call of one thread."""

    thread_id: int
    """0 if only one thread is looked at."""
    name: str
    text: str
    """Arguments and result as strace shows them."""

    @property
    def path(self) -> Path | None:
        """By which strace knows the call: the file that is open, or the first of the names."""
        found = _PATH.search(self.text)
        return None if found is None else Path(found[0])

    @property
    def was_made_to_fail(self) -> bool:
        return self.text.endswith("(INJECTED)")


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """The `number`th time (from 1) that a thread makes this system call on one of these files."""

    file: str
    """What the files are called in the report."""
    call: str
    number: int
    in_loop: bool
    """Whether it is the thread of the event loop: errors take another way from there."""

    def __str__(self) -> str:
        return f"{self.call} {self.number} of {self.file}{' in the loop' if self.in_loop else ''}"


def why_not() -> str | None:
    """Why no fault can be injected on this machine; None if it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    with subprocess.Popen(["sleep", "0.5"]) as process:
        tracer = subprocess.run(
            ["strace", "-o", os.devnull, "-e", "inject=fdatasync:error=EIO:when=1", "-p", str(process.pid)],
            capture_output=True,
            text=True,
            check=False,
        )
    if tracer.returncode == 0:
        return None
    return f"strace cannot be attached to a running process: {tracer.stderr.strip()}"


def parse(lines: Iterable[str]) -> list[Call]:
    """The calls in the order of their beginnings."""
    calls: list[Call] = []
    unfinished: dict[int, Call] = {}
    for line in lines:
        match = _LINE.fullmatch(line.rstrip("\n"))
        if match is None:
            continue  # the last line, while it is being written
        thread_id, text = int(match[1] or 0), match[2]
        if text == "+++ killed by SIGKILL +++":
            continue
        if (resumed := _RESUMED.match(text)) is not None:
            unfinished.pop(thread_id).text += resumed[1]
        elif (made := _CALL.match(text)) is not None:
            call = Call(thread_id, made[1], made[2].removesuffix(" <unfinished ...>"))
            calls.append(call)
            if made[2].endswith("<unfinished ...>"):
                unfinished[thread_id] = call
    return calls


class Strace:
    """A look at the calls of a process on some files, and a fault at one of them, while the context lasts."""

    def __init__(
        self,
        process_id: int,
        files: Iterable[Path],
        output: Path,
        *,
        inject: tuple[Point, Fault] | None = None,
    ) -> None:
        """`files` are those of the point, if there is one. The event loop's thread is the first of the
        process, which has its number: it alone is attached to for a point in the loop."""
        self._output = output
        self._messages = output.with_suffix(".err")
        self._command = ["strace", "-y", "-s", "0", "-p", str(process_id), "-o", str(output)]
        for file in files:
            self._command += ["-P", str(file)]
        self._command += ["-e", "trace=" + ",".join(f"?{name}" for name in DISK_CALLS)]
        if inject is None or not inject[0].in_loop:
            self._command.append("-f")
        if inject is not None:
            point, fault = inject
            last = point.number + FULL_FOR - 1 if fault is Fault.ENOSPC else point.number
            self._command += ["-e", f"inject={point.call}:{fault.value}:when={point.number}..{last}"]

    async def __aenter__(self) -> Strace:
        self._process = self._start()

        async def attached() -> bool:
            has_ended = self._process.poll() is not None
            said = self._messages.read_text()
            assert " attached" in said or not has_ended, said
            return " attached" in said

        await eventually(attached, "strace is attached")
        return self

    def _start(self) -> subprocess.Popen[bytes]:
        with self._messages.open("wb") as messages:
            return subprocess.Popen(self._command, stderr=messages)

    async def __aexit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(self._process.wait)

    async def settled(self) -> list[Call]:
        """What was seen when nothing more comes, or the process has ended."""
        sizes: deque[int] = deque(maxlen=_QUIET_LOOKS)

        async def is_quiet() -> bool:
            sizes.append(self._output.stat().st_size)
            return self._process.poll() is not None or sizes.count(sizes[0]) == _QUIET_LOOKS

        await eventually(is_quiet, "no more calls")
        with self._output.open(errors="replace") as lines:
            return parse(lines)
