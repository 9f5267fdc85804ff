"""Real nodes under one strace, and a load of which every write is known."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from kvraft.machine.records import KvRecord
from kvraft.members import MemberAddresses, loopback_members, serve_command
from tests.cluster.unary import UnaryClient
from tests.powerloss import strace

CLUSTER_NAME = "power"
SEGMENT_BYTES = 65_536
FLAGS = (
    f"--segment-bytes={SEGMENT_BYTES}",
    f"--log-retained-bytes={SEGMENT_BYTES}",
    "--flush-interval-ms=100",
    "--log-level=info",
)
"""So small that segments are begun, dropped and used again, and states flushed, all the time."""
ELECTION_TIMEOUT = "--election-timeout-ms=1500"
"""Where there is somebody to be elected: a busy machine should not be a reason."""
PATIENCE_S = 60.0
_VALUE_BYTES = (10, 10, 300, 300, 2_000, 3_500, 9_000)
_KEYS = 24
_HAS_LEADER = re.compile(r"leader=\d")
_STOPPED_LOOKS = 20
"""A thread that is being traced looks stopped for a moment at each of its calls."""


class TracedNodes:
    """Nodes of one cluster, children of one shell that strace follows. Use as a context manager."""

    def __init__(self, directory: Path, count: int) -> None:
        self.directory = directory
        self.members: dict[int, MemberAddresses] = loopback_members(count)
        self.trace = directory / "strace"
        self._pids: dict[int, int] = {}

    def __enter__(self) -> TracedNodes:
        with (self.directory / "shell.log").open("wb") as complaints:
            self._shell = subprocess.Popen(
                [*strace.command(self.trace), "sh"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pid in self._pids.values():
            os.kill(pid, signal.SIGKILL)
        # The shell ends with its input, once its children have; strace ends with the shell.
        self._shell.communicate("wait\n", timeout=PATIENCE_S)

    def data_directory(self, node_id: int) -> Path:
        """Alone in a directory of its own, so that what happens to that is this node's doing."""
        return self.directory / str(node_id) / "data"

    def client(self, *node_ids: int) -> UnaryClient:
        """A client of these nodes, or of all that run."""
        chosen = node_ids or tuple(self._pids)
        addresses = ",".join(self.members[each].client_address for each in chosen)
        return UnaryClient(addresses, timeout_s=PATIENCE_S)

    def start(self, node_id: int) -> None:
        self.data_directory(node_id).parent.mkdir(exist_ok=True)
        self._log(node_id).write_bytes(b"")
        command = serve_command(
            node_id=node_id,
            cluster_name=CLUSTER_NAME,
            data_directory=self.data_directory(node_id),
            members=self.members,
        )
        flags = FLAGS if len(self.members) == 1 else (*FLAGS, ELECTION_TIMEOUT)
        words = " ".join(f"'{word}'" for word in (*command, *flags))
        answer = self._ask(f"{words} >{self._log(node_id)} 2>&1 & echo $!")
        self._pids[node_id] = int(answer)

    def log(self, node_id: int) -> str:
        """What the node has written to stderr since it was started last."""
        return self._log(node_id).read_text(errors="replace")

    def stop(self, node_id: int) -> None:
        """SIGTERM, and an orderly end."""
        pid = self._pids.pop(node_id)
        os.kill(pid, signal.SIGTERM)
        code = self._ask(f"wait {pid}; echo $?")
        assert code == "0", f"node {node_id} ended with {code}: {self.log(node_id)[-2_000:]}"

    def kill(self, node_id: int) -> None:
        """SIGKILL between system calls: SIGSTOP comes first, so that each is whole in the recording."""
        pid = self._pids.pop(node_id)
        os.kill(pid, signal.SIGSTOP)
        deadline = time.monotonic() + PATIENCE_S
        looks = 0
        while looks < _STOPPED_LOOKS:
            looks = looks + 1 if _is_stopped(pid) else 0
            assert time.monotonic() < deadline, f"node {node_id} does not stop"
        os.kill(pid, signal.SIGKILL)
        self._ask(f"wait {pid}; echo $?")

    def _log(self, node_id: int) -> Path:
        return self.directory / f"node{node_id}.log"

    def _ask(self, command: str) -> str:
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(command + "\n")
        self._shell.stdin.flush()
        return self._shell.stdout.readline().strip()


class Load:
    """Puts of seeded values, and what they were answered: the model of the state at every revision."""

    def __init__(self, seed: int, history: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """`history`: what was put before."""
        self.leader = 0
        """That of the last answer."""
        self._chance = random.Random(seed)
        self._puts = dict(enumerate(history, 1))
        """Revision -> key and value."""
        self._acknowledged: list[int] = []

    @property
    def revision(self) -> int:
        """The last one."""
        return len(self._puts)

    async def put(self, client: UnaryClient, count: int, *, writers: int = 3, large_bytes: int = 0) -> None:
        """Acknowledged writes; closes the client after them. The last value has `large_bytes`, unless 0."""
        sizes = [self._chance.choice(_VALUE_BYTES) for _ in range(count - 1)]
        sizes.append(large_bytes or _VALUE_BYTES[0])
        values = [
            (b"key%02d" % self._chance.randrange(_KEYS), self._chance.randbytes(size)) for size in sizes
        ]
        waiting = iter(values)

        async def write() -> None:
            for key, value in waiting:
                answer = await client.put(key, value)
                self.leader = answer.header.leader_id
                assert answer.header.revision not in self._puts, answer
                self._acknowledged.append(answer.header.revision)
                self._puts[answer.header.revision] = key, value

        async with client:
            await asyncio.gather(*(write() for _ in range(writers)))

    @property
    def acknowledged(self) -> list[int]:
        """The revisions of this load, ascending."""
        return sorted(self._acknowledged)

    def history(self) -> list[tuple[bytes, bytes]]:
        """(key, value) by revision, from 1 on. Nobody else wrote, and every write was acknowledged."""
        assert sorted(self._puts) == list(range(1, self.revision + 1)), "a write was made twice, or got lost"
        return [self._puts[revision] for revision in range(1, self.revision + 1)]


def rows_at(history: Sequence[tuple[bytes, bytes]], revision: int) -> dict[bytes, KvRecord]:
    """The key-value space after so many puts."""
    rows: dict[bytes, KvRecord] = {}
    for number, (key, value) in enumerate(history[:revision], 1):
        before = rows.get(key)
        created, version = (number, 1) if before is None else (before.create_revision, before.version + 1)
        rows[key] = KvRecord(value, created, number, version)
    return rows


async def logged(nodes: TracedNodes, node_id: int, text: str) -> None:
    """Waits until the node has said it."""
    await _until(lambda: text in nodes.log(node_id), f"node {node_id} says {text!r}")


async def led(nodes: TracedNodes, node_id: int) -> None:
    """Waits until the node follows a leader, or leads."""
    await _until(lambda: _HAS_LEADER.search(nodes.log(node_id)) is not None, f"node {node_id} has a leader")


async def tidied(nodes: TracedNodes, node_id: int) -> None:
    """Waits until the node has flushed its state and let go of all segments but the last."""
    log = nodes.data_directory(node_id) / "log"
    await _until(lambda: len(list(log.glob("*.log"))) == 1, f"node {node_id} drops its old segments")


async def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S} s: {what}"
        await asyncio.sleep(0.02)


def _is_stopped(pid: int) -> bool:
    stats = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(stat.rpartition(")")[2].split()[0] in "tT" for stat in stats)
