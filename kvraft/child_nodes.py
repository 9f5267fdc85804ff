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

from kvraft import reaper
from kvraft.members import MemberAddresses, serve_command

_PROXIES = {"http_proxy", "https_proxy", "grpc_proxy", "all_proxy", "no_proxy", "no_grpc_proxy"}


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
        # A session of its own: Ctrl-C in the terminal is for this process, which then stops its nodes.
        return subprocess.Popen(  # noqa: S603 - our own command line
            [*command, "--stop-at-eof", *flags],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=environment(),
            start_new_session=True,
        )


def log_path(directory: Path, node_id: int) -> Path:
    """Where a node that was started here logs to."""
    return directory / f"node{node_id}.log"


class TemporaryDirectory:
    """A directory for nodes that is gone when it is left, and also when this process is killed meanwhile."""

    def __init__(self, prefix: str) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=prefix))
        self._reaper = subprocess.Popen(  # noqa: S603 - our own command line
            [sys.executable, "-I", "-S", reaper.__file__, str(self.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def close(self) -> None:
        """Deletes it. Its nodes have ended."""
        self._reaper.communicate(reaper.FAREWELL)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
