"""Real nodes as child processes, and a load whose every acknowledgement is remembered."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from kvraft.client import Client, KeyRange, KvraftError, Role, Status
from kvraft.members import loopback_members, serve_command

PATIENCE_S = 30.0
"""How long anything may take on a slow machine before a test fails."""


async def eventually(
    condition: Callable[[], Awaitable[bool]], what: str, patience_s: float = PATIENCE_S
) -> None:
    """Asks until the answer is yes, and fails the test after `patience_s`."""
    deadline = time.monotonic() + patience_s
    while not await condition():
        assert time.monotonic() < deadline, f"not within {patience_s} s: {what}"
        await asyncio.sleep(0.05)


class Cluster:
    """A cluster of child processes on loopback, with a data directory and a log file for each node."""

    def __init__(self, directory: Path, *, nodes: int = 3, flags: Iterable[str] = ()) -> None:
        self.directory = directory
        self.members = loopback_members(nodes)
        self.flags = list(flags)
        self.processes: dict[int, subprocess.Popen[bytes]] = {}

    async def __aenter__(self) -> Cluster:
        for node_id in self.members:
            self.start(node_id)
        await self.leader()

        async def all_serve() -> bool:
            return len(await self.statuses()) == len(self.members)

        await eventually(all_serve, "every node serves")
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.kill()
        for process in self.processes.values():
            await asyncio.to_thread(process.wait)

    @property
    def node_ids(self) -> list[int]:
        return list(self.members)

    @property
    def endpoints(self) -> str:
        return ",".join(member.client_address for member in self.members.values())

    def client(self, *node_ids: int, timeout_s: float = PATIENCE_S) -> Client:
        """A client of these nodes, or of all."""
        chosen = node_ids or self.node_ids
        return Client(",".join(self.members[each].client_address for each in chosen), timeout_s=timeout_s)

    def data_directory(self, node_id: int) -> Path:
        return self.directory / f"node{node_id}"

    def log(self, node_id: int) -> str:
        """What the node has written to stderr."""
        return (self.directory / f"node{node_id}.log").read_text(errors="replace")

    def start(self, node_id: int, *, open_files: int | None = None) -> None:
        """`open_files`: how many the node may have."""
        command = serve_command(
            node_id=node_id,
            cluster_name="test",
            data_directory=self.data_directory(node_id),
            members=self.members,
        )
        if open_files is not None:
            command = ["prlimit", f"--nofile={open_files}:{open_files}", *command]
        with (self.directory / f"node{node_id}.log").open("ab") as log:
            self.processes[node_id] = subprocess.Popen([*command, *self.flags], stdout=log, stderr=log)

    def signal(self, node_id: int, number: signal.Signals) -> None:
        self.processes[node_id].send_signal(number)

    async def kill(self, *node_ids: int) -> None:
        """kill -9, all at once."""
        for node_id in node_ids:
            self.processes[node_id].kill()
        for node_id in node_ids:
            await self.ended(node_id)

    async def ended(self, node_id: int) -> int:
        """Waits for the process and returns its exit code."""
        return await asyncio.wait_for(asyncio.to_thread(self.processes[node_id].wait), PATIENCE_S)

    async def statuses(self, *node_ids: int) -> list[Status]:
        """The status of every node that answers."""
        found: list[Status] = []
        for node_id in node_ids or self.node_ids:
            if self.processes[node_id].poll() is None:
                async with self.client(node_id, timeout_s=1.0) as client:
                    try:
                        found.append(await client.cluster.status())
                    except KvraftError:
                        continue
        return found

    async def leader(self, *, among: Iterable[int] | None = None) -> int:
        """Waits for a node that leads, and names it."""
        asked = list(among) if among is not None else self.node_ids
        leaders: list[int] = []

        async def is_there() -> bool:
            leaders[:] = [s.header.member_id for s in await self.statuses(*asked) if s.role is Role.LEADER]
            return bool(leaders)

        await eventually(is_there, "a leader")
        return leaders[-1]

    async def followers(self) -> list[int]:
        leader = await self.leader()
        return [each for each in self.node_ids if each != leader]

    async def assert_equal_states(self) -> None:
        """Waits until every node has applied the same, and compares the digests there."""
        statuses: list[Status] = []

        async def same_index() -> bool:
            statuses[:] = await self.statuses()
            return len(statuses) == len(self.members) and len({s.applied_index for s in statuses}) == 1

        await eventually(same_index, "equal applied indexes")
        assert len({status.state_digest for status in statuses}) == 1, statuses


@dataclass
class Load:
    """Concurrent writers of unique keys and readers of their own writes, until told to stop.

    Every acknowledged write is remembered with its revision. Writers also overwrite one counter key
    each and read it back, so that a read that goes back in time is seen at once.
    """

    cluster: Cluster
    writers: int = 64
    acknowledged: dict[bytes, bytes] = field(default_factory=dict)
    unknown: int = 0
    went_back: list[str] = field(default_factory=list)
    _stop: bool = False

    async def __aenter__(self) -> Load:
        self._stack = AsyncExitStack()
        clients = [
            await self._stack.enter_async_context(self.cluster.client(*self._rotated(number)))
            for number in range(len(self.cluster.members))
        ]
        self._tasks = [
            asyncio.create_task(self._write(number, clients[number % len(clients)]))
            for number in range(self.writers)
        ]
        return self

    def _rotated(self, first: int) -> list[int]:
        ids = self.cluster.node_ids
        return ids[first:] + ids[:first]

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stop = True
        if kind is not None:
            for task in self._tasks:
                task.cancel()
        try:
            results = await asyncio.gather(*self._tasks, return_exceptions=True)
        finally:
            await self._stack.aclose()
        if kind is None:
            for result in results:
                if isinstance(result, BaseException):
                    raise result

    async def more(self, count: int) -> None:
        """Waits for `count` more acknowledgements."""
        target = len(self.acknowledged) + count

        async def reached() -> bool:
            return len(self.acknowledged) >= target

        await eventually(reached, f"{count} more acknowledged writes", 2 * PATIENCE_S)

    async def _write(self, number: int, client: Client) -> None:
        seen = 0
        counter = b"counter/%d" % number
        for step in range(1, 1_000_000):
            if self._stop:
                return
            key, value = b"load/%d/%d" % (number, step), os.urandom(16).hex().encode()
            try:
                await client.kv.put(key, value)
                self.acknowledged[key] = value
                await client.kv.put(counter, b"%d" % step)
                seen = step
            except KvraftError as error:
                self.unknown += error.applied == "unknown"
            try:
                answer = await client.kv.get(counter)
            except KvraftError:
                continue
            read = int(answer.kv.value) if answer.kv is not None else 0
            if read < seen:
                self.went_back.append(f"writer {number} wrote {seen} and then read {read}")
            seen = max(seen, read)

    async def assert_nothing_lost(self) -> None:
        """Every acknowledged write is on every node with its value, and no read went back in time."""
        assert not self.went_back, self.went_back[:5]
        assert self.acknowledged, "nothing was ever acknowledged: the test proves nothing"
        for node_id in self.cluster.node_ids:
            async with self.cluster.client(node_id) as client:
                found = {kv.key: kv.value async for kv in client.kv.stream_range(KeyRange.prefix(b"load/"))}
            lost = [key for key, value in self.acknowledged.items() if found.get(key) != value]
            assert not lost, f"node {node_id} lost {len(lost)} of {len(self.acknowledged)}: {lost[:5]}"
        await self.cluster.assert_equal_states()
