"""From system calls to events: which file a descriptor is, where a write without an offset goes, what a name
stood for. One node at a time; its directory tells its calls from the others'."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tests.powerloss.answers import AnswerStream
from tests.powerloss.disk import Image
from tests.powerloss.events import (
    ROOT,
    Answer,
    Event,
    Link,
    Rename,
    Resize,
    Sync,
    Unlink,
    Write,
    WriteSync,
)
from tests.powerloss.strace import Call, RecordingError

_WRITES = {"pwrite64", "pwritev", "pwritev2", "write", "writev"}
_SENDS = {"sendmsg", "sendto", "write", "writev"}
_ON_DESCRIPTORS = _WRITES | {"lseek", "fdatasync", "fsync", "ftruncate", "fallocate"}
_ON_NAMES = {"mkdir", "mkdirat", "unlink", "unlinkat", "rmdir", "truncate", "openat"}
_RENAMES = {"rename", "renameat", "renameat2"}
_NOT_MODELLED = {"msync", "sync_file_range", "link", "linkat", "symlink", "copy_file_range", "sendfile"}
_LOCAL_PORT = re.compile(r"^TCP(?:v6)?:\[.*?:(\d+)->")


def events_of(
    calls: Iterable[Call], data_directory: Path, initial: Image | None = None
) -> tuple[list[Event], list[Event]]:
    """How the initial contents of `data_directory` came there, durably (paths begin with its name), and what
    the calls did to it, both in order."""
    translator = _Translator(data_directory)
    before = [] if initial is None else translator.put_there(initial)
    # By their beginnings, when an effect may begin to show; a descriptor is there at the end of its openat.
    for call in sorted(calls, key=lambda call: call.ended if call.name == "openat" else call.began):
        translator.take(call)
    return before, sorted(translator.events, key=lambda event: event.moment)


def answers_of(calls: Iterable[Call], client_ports: set[int]) -> list[Answer]:
    """The acknowledgements that left through these ports, in order."""
    streams: dict[tuple[int, str], AnswerStream] = {}
    answers = []
    for call in sorted(calls, key=lambda call: call.began):
        if call.name not in _SENDS or not call.result or call.result < 0:
            continue
        connection = call.descriptor
        port = _LOCAL_PORT.match(connection[1])
        if port is None or int(port[1]) not in client_ports:
            continue
        for response in streams.setdefault(connection, AnswerStream()).feed(call.data):
            header = response.header
            answers.append(
                Answer(moment=call.began, revision=header.revision, term=header.term, leader=header.leader_id)
            )
    return answers


class _OpenFile:
    __slots__ = ("inode", "is_dsync", "offset")

    def __init__(self, inode: int, *, is_dsync: bool) -> None:
        self.inode = inode
        self.is_dsync = is_dsync
        self.offset = 0


class _Translator:
    def __init__(self, data_directory: Path) -> None:
        self.events: list[Event] = []
        self._directory = data_directory
        self._escaped = "".join(f"\\x{byte:02x}" for byte in str(data_directory).encode())
        self._inodes: dict[Path, int] = {data_directory.parent: ROOT}
        self._sizes: dict[int, int] = {}
        self._open: dict[int, _OpenFile] = {}
        """By descriptor. Never removed: a number that is used again is opened again first."""

    def put_there(self, image: Image) -> list[Event]:
        """The events that make `image`, all before the first call."""
        events: list[Event] = []
        for path, contents in sorted(image.items()):
            place = self._directory.parent / path
            events.append(self._link(-3, -2, place, is_directory=contents is None))
            if contents:
                inode = self._inodes[place]
                self._sizes[inode] = len(contents)
                events.append(Write(moment=-3, ended=-2, file=inode, offset=0, data=contents))
        return events + [Sync(moment=-1, began=-1, inode=inode) for inode in self._inodes.values()]

    def take(self, call: Call) -> None:
        if call.result is not None and call.result < 0:
            return
        if call.name in _ON_DESCRIPTORS:
            number, path = call.descriptor
            if self._is_ours(Path(path)):
                _check_ended(call)
                self._on_descriptor(call, number)
        elif call.name in _ON_NAMES or call.name in _RENAMES:
            if all(map(self._is_ours, call.paths)):
                _check_ended(call)
                self._on_names(call)
        elif call.name in _NOT_MODELLED and self._escaped in call.arguments:
            raise RecordingError(f"{call.name} is not modelled")

    def _is_ours(self, path: Path) -> bool:
        # The directory above is synced once its new name in it is to last.
        return path == self._directory.parent or path.is_relative_to(self._directory)

    def _on_descriptor(self, call: Call, number: int) -> None:
        file = self._open[number]
        inode = file.inode
        match call.name:
            case "lseek":
                assert call.result is not None
                file.offset = call.result
            case "fdatasync" | "fsync":
                self.events.append(Sync(moment=call.ended, began=call.began, inode=inode))
            case "ftruncate":
                self._resize(call, inode, call.numbers[0])
            case "fallocate":
                mode, offset, length = call.numbers
                if mode:
                    raise RecordingError(f"fallocate with mode {mode} is not modelled")
                if offset + length > self._sizes[inode]:
                    self._resize(call, inode, offset + length)
            case _:
                self._write(call, file)

    def _write(self, call: Call, file: _OpenFile) -> None:
        data = call.data
        if call.name in ("write", "writev"):
            offset = file.offset
            file.offset += len(data)
        else:
            offset = call.numbers[-1]
        self._sizes[file.inode] = max(self._sizes[file.inode], offset + len(data))
        self.events.append(
            Write(moment=call.began, ended=call.ended, file=file.inode, offset=offset, data=data)
        )
        if file.is_dsync or call.arguments.endswith(("RWF_DSYNC", "RWF_SYNC")):
            self.events.append(WriteSync(moment=call.ended, written=call.began, file=file.inode))

    def _resize(self, call: Call, inode: int, size: int) -> None:
        self._sizes[inode] = size
        self.events.append(Resize(moment=call.began, ended=call.ended, file=inode, size=size))

    def _on_names(self, call: Call) -> None:
        path = call.paths[0]
        directory = self._inodes.get(path.parent, ROOT)
        match call.name:
            case "openat":
                self._open_file(call, path)
            case "mkdir" | "mkdirat":
                self.events.append(self._link(call.began, call.ended, path, is_directory=True))
            case "truncate":
                self._resize(call, self._inodes[path], call.numbers[-1])
            case "unlink" | "unlinkat" | "rmdir":
                del self._inodes[path]
                self.events.append(
                    Unlink(moment=call.began, ended=call.ended, directory=directory, name=path.name)
                )
            case _:
                new = call.paths[1]
                if new.parent != path.parent:
                    raise RecordingError(f"a rename from {path} to {new} is not modelled")
                for old in [each for each in self._inodes if each.is_relative_to(path)]:
                    self._inodes[new / old.relative_to(path)] = self._inodes.pop(old)
                self.events.append(
                    Rename(
                        moment=call.began, ended=call.ended, directory=directory, old=path.name, new=new.name
                    )
                )

    def _open_file(self, call: Call, path: Path) -> None:
        if path not in self._inodes:
            self.events.append(self._link(call.began, call.ended, path, is_directory=False))
        elif "O_TRUNC" in call.arguments:
            self._resize(call, self._inodes[path], 0)
        if "O_APPEND" in call.arguments:
            raise RecordingError(f"{path} is opened for appending, which is not modelled")
        is_dsync = "O_DSYNC" in call.arguments or "O_SYNC" in call.arguments
        assert call.result is not None
        self._open[call.result] = _OpenFile(self._inodes[path], is_dsync=is_dsync)

    def _link(self, began: int, ended: int, path: Path, *, is_directory: bool) -> Link:
        inode = ROOT + 1 + len(self._sizes)
        self._inodes[path] = inode
        self._sizes[inode] = 0
        return Link(
            moment=began,
            ended=ended,
            directory=self._inodes[path.parent],
            name=path.name,
            inode=inode,
            is_directory=is_directory,
        )


def _check_ended(call: Call) -> None:
    if call.result is None:
        raise RecordingError(f"killed in the middle of {call.name}: what it did is not known")
