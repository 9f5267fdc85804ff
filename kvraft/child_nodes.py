"""Nodes as child processes: each is what `kvraft serve` is, knows nothing of its parent's settings, and ends
with its parent, by whatever end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO
from weakref import WeakSet

from kvraft import reaper
from kvraft.members import MemberAddresses, serve_command

_PROXIES = {"http_proxy", "https_proxy", "grpc_proxy", "all_proxy", "no_proxy", "no_grpc_proxy"}

_children: WeakSet[subprocess.Popen[bytes]] = WeakSet()


def _let_go_of_pipes() -> None:
    """What is forked from this process lives on without it: it must not hold the pipes of its children."""
    for child in list(_children):
        if child.stdin is not None:
            child.stdin.close()
            child.stdin = None


os.register_at_fork(after_in_child=_let_go_of_pipes)


def environment() -> dict[str, str]:
    """This process's, without what would configure a node or lead its connections elsewhere."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("KVRAFT_") and name.lower() not in _PROXIES
    }


def start_node(
    *,
    node_id: int,
    cluster_name: str,
    directory: Path,
    members: Mapping[int, MemberAddresses],
    flags: Iterable[str] = (),
) -> subprocess.Popen[bytes]:
    """Starts a node with its data in `directory`/node*i* and its log appended to `directory`/node*i*.log.

    It stops when this process is gone, and with it the pipe that is the node's stdin.
    """
    command = serve_command(
        node_id=node_id,
        cluster_name=cluster_name,
        data_directory=directory / f"node{node_id}",
        members=members,
    )
    with log_path(directory, node_id).open("ab") as log:
        return _start([*command, "--stop-at-eof", *flags], log, environment())


def _start(
    command: list[str], output: IO[bytes] | int, env: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """A child whose stdin ends when this process does. It has a session of its own: Ctrl-C in the terminal is
    for this process, which then stops its children."""
    child = subprocess.Popen(  # noqa: S603 - our own command line
        command, stdin=subprocess.PIPE, stdout=output, stderr=output, env=env, start_new_session=True
    )
    _children.add(child)
    return child


def log_path(directory: Path, node_id: int) -> Path:
    """Where a node that was started here logs to."""
    return directory / f"node{node_id}.log"


class TemporaryDirectory:
    """A directory for nodes that is gone when it is left, and also when this process is killed meanwhile."""

    def __init__(self, prefix: str) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=prefix))
        command = [sys.executable, "-I", "-S", reaper.__file__, str(self.path)]
        self._reaper = _start(command, subprocess.DEVNULL)

    def close(self) -> None:
        """Deletes it. Its nodes have ended."""
        self._reaper.communicate(reaper.FAREWELL)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
