"""Recording system calls with strace, and reading its output back.

One strace follows all processes. It sees a call begin and end in the order in which causes precede effects:
a thread goes on only after its stop was written down. So what a node answers after an fdatasync stands
behind that fdatasync in the file, whichever thread or process did what.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

DATA_BYTES_MAX = 8 << 20
TRACED = (
    "openat,pwrite64,pwritev,pwritev2,write,writev,lseek,fdatasync,fsync,msync,sync_file_range,"
    "rename,renameat,renameat2,unlink,unlinkat,rmdir,truncate,ftruncate,fallocate,link,linkat,symlink,"
    "mkdir,mkdirat,copy_file_range,sendfile,sendmsg,sendto"
)
"""All that can change a file system, and what carries answers to clients."""

_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_PATH = re.compile(r"<((?:\\x[0-9a-f]{2})+)>")
_DESCRIPTOR = re.compile(r"^(\d+)<((?:\\x[0-9a-f]{2})+|[^>]*(?:(?<=-)>[^>]*)?)")
_WHOLE = re.compile(r"^(\w+)\((.*)\)\s+= (-?\d+|\?)(.*)$", re.DOTALL)
_UNFINISHED = " <unfinished ...>"
_RESUMED = re.compile(r"^<\.\.\. (\w+) resumed>(.*)$", re.DOTALL)


class RecordingError(Exception):
    """The recording does not tell what happened."""


@dataclass(frozen=True)
class Call:
    """A system call that ended. Moments are positions in the recording; no two are equal."""

    began: int
    ended: int
    name: str
    arguments: str
    """As strace prints them, every string and path in hexadecimal."""
    result: int | None
    """None if the process was killed in the middle of it."""
    result_text: str

    @cached_property
    def descriptor(self) -> tuple[int, str]:
        """The first argument as a file descriptor, and what it is open on: a path or `TCP:[...]`."""
        found = _DESCRIPTOR.match(self.arguments)
        if found is None:
            raise RecordingError(f"no descriptor in {self.name}({self.arguments[:200]})")
        opened = found[2]
        return int(found[1]), _unescape(opened).decode() if opened.startswith("\\x") else opened

    @cached_property
    def strings(self) -> list[bytes]:
        """Every string argument."""
        found = list(_STRING.finditer(self.arguments))
        if any(each[2] for each in found):
            raise RecordingError(f"{self.name} with more than {DATA_BYTES_MAX} bytes was cut short by strace")
        return [_unescape(each[1]) for each in found]

    @property
    def data(self) -> bytes:
        """What a write wrote: its buffers in order, as far as it came."""
        data = b"".join(self.strings)[: self.result]
        if len(data) != self.result:
            raise RecordingError(f"{self.name} wrote {self.result} bytes, {len(data)} are recorded")
        return data

    @property
    def numbers(self) -> list[int]:
        """The plain numbers among the arguments."""
        return [int(each) for each in self.arguments.split(", ") if each.isdigit()]

    @cached_property
    def paths(self) -> list[Path]:
        """The path arguments of a call that works on names, absolute."""
        bases = [Path(_unescape(each).decode()) for each in _PATH.findall(self.arguments)]
        names = [name.decode() for name in self.strings]
        return [(bases[number] if bases else Path("/")) / name for number, name in enumerate(names)]


def command(output: Path) -> list[str]:
    """What to put in front of a command so that it and its children are recorded."""
    return [
        *("strace", "--follow-forks", "--seccomp-bpf", "--quiet=all", "-yy", "-xx"),
        *(f"--string-limit={DATA_BYTES_MAX}", f"--trace={TRACED}", f"--output={output}"),
    ]


def why_not() -> str | None:
    """Why nothing can be recorded on this machine; None if it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    probe = subprocess.run([*command(Path("/dev/null")), "true"], capture_output=True, text=True, check=False)
    return None if probe.returncode == 0 else f"strace cannot trace here: {probe.stderr.strip()[:200]}"


def read(lines: Iterable[str]) -> Iterator[Call]:
    """The calls in the order of their ends."""
    unfinished: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(lines):
        thread, _, text = line.rstrip("\n").partition(" ")
        text = text.lstrip()
        began = 2 * number
        if text.startswith(("+++", "---")) or not text:
            continue
        if text.endswith(_UNFINISHED):
            unfinished[thread] = began, text.removesuffix(_UNFINISHED)
            continue
        if (resumed := _RESUMED.match(text)) is not None:
            if thread not in unfinished:
                continue  # a call that began before its thread was followed
            began, head = unfinished.pop(thread)
            text = head + resumed[2]
        whole = _WHOLE.match(text)
        if whole is None:
            raise RecordingError(f"line {number + 1} is not understood: {text[:200]}")
        name, arguments, result, rest = whole.groups()
        yield Call(began, 2 * number + 1, name, arguments, None if result == "?" else int(result), rest)
    for began, text in unfinished.values():
        name, _, arguments = text.partition("(")
        yield Call(began, began + 1, name, arguments, None, "")


def _unescape(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
