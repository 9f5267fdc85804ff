"""`kvraft demo`: what kvraft promises, before your eyes, on three nodes of this machine.

Writes go in through one node and come out through another; the leader is killed with SIGKILL in the
middle of a run of writes; it is started again; and at the end every acknowledged write is looked for
on every node. The exit code is 0 only if none is missing and all states are equal.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from kvraft.client import Client, KeyRange, KvraftError, Role, Status
from kvraft.members import MemberAddresses, loopback_members, serve_command

NODES = 3
WRITERS = 16
WRITES = 6_000
KILL_AFTER = 2_000
WAIT_S = 30.0


@dataclass(slots=True)
class _Run:
    """What the writers know."""

    acknowledged: dict[bytes, bytes] = field(default_factory=dict)
    unknown: int = 0
    refused: int = 0
    last_acknowledged: float = 0.0
    longest_gap_s: float = 0.0

    def acknowledge(self, key: bytes, value: bytes) -> None:
        now = time.perf_counter()
        if self.last_acknowledged:
            self.longest_gap_s = max(self.longest_gap_s, now - self.last_acknowledged)
        self.last_acknowledged = now
        self.acknowledged[key] = value


class Demo:
    """Three child processes and one story."""

    def __init__(self, data_directory: Path, console: Console) -> None:
        self._directory = data_directory
        self._console = console
        self._members = loopback_members(NODES)
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False)

    def _start(self, node_id: int) -> None:
        log = (self._directory / f"node{node_id}.log").open("ab")
        command = serve_command(
            node_id=node_id,
            cluster_name="demo",
            data_directory=self._directory / f"node{node_id}",
            members=self._members,
        )
        with log:
            self._processes[node_id] = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - our own

    def stop(self) -> None:
        """Stops every node in order."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.wait(20)

    async def run(self) -> bool:
        """Tells the story; whether it ended well."""
        for node_id in self._members:
            self._start(node_id)
        endpoints = ",".join(member.client_address for member in self._members.values())
        self._say(f"[bold]1.[/] three nodes, each a process with its own disk: {endpoints}")
        async with Client(endpoints, timeout_s=WAIT_S) as client:
            leader = await self._await_leader(client)
            self._say(f"   node {leader.header.member_id} was elected leader in term {leader.header.term}")
            await self._write_here_read_there(leader)
            run = await self._write_through_a_crash(client, leader)
            return await self._look_for_everything(client, run)

    async def _await_leader(self, client: Client, other_than: int = 0) -> Status:
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            for status in await self._statuses(client):
                if status.role is Role.LEADER and status.header.member_id != other_than:
                    return status
            await asyncio.sleep(0.05)
        raise TimeoutError(f"no leader within {WAIT_S:.0f} s; the nodes' logs are in {self._directory}")

    async def _statuses(self, client: Client) -> list[Status]:
        async def ask(member: MemberAddresses) -> Status | None:
            try:
                return await client.cluster.status(member.client_address)
            except KvraftError:
                return None

        answers = await asyncio.gather(*(ask(member) for member in self._members.values()))
        return [answer for answer in answers if answer is not None]

    async def _write_here_read_there(self, leader: Status) -> None:
        followers = [each for each in self._members if each != leader.header.member_id]
        here, there = (self._members[each].client_address for each in followers)
        async with Client(here, timeout_s=WAIT_S) as writer, Client(there, timeout_s=WAIT_S) as reader:
            written = await writer.kv.put(b"greeting", b"hello from the other side")
            answer = await reader.kv.get(b"greeting")
        value = answer.kv.value.decode() if answer.kv is not None else "(nothing)"
        self._say(
            f"[bold]2.[/] put through node {followers[0]} (a follower) at revision "
            f"{written.header.revision}, read through node {followers[1]}: {value!r}"
        )

    async def _write_through_a_crash(self, client: Client, leader: Status) -> _Run:
        leader_id = leader.header.member_id
        self._say(
            f"[bold]3.[/] {WRITES:,} writes by {WRITERS} writers; "
            "the leader is killed in the middle (kill -9)"
        )
        run = _Run()
        numbers = iter(range(WRITES))
        reached = asyncio.Event()

        async def write() -> None:
            for number in numbers:
                key, value = b"demo/%06d" % number, b"value of write %d" % number
                try:
                    await client.kv.put(key, value)
                except KvraftError as error:
                    run.unknown += error.applied == "unknown"
                    run.refused += error.applied == "no"
                else:
                    run.acknowledge(key, value)
                if len(run.acknowledged) >= KILL_AFTER:
                    reached.set()

        async def kill_and_restart() -> None:
            await reached.wait()
            self._processes[leader_id].kill()
            killed = time.perf_counter()
            self._processes[leader_id].wait()
            self._say(f"   node {leader_id} killed after {len(run.acknowledged):,} acknowledged writes")
            successor = await self._await_leader(client, other_than=leader_id)
            gap_s = time.perf_counter() - killed
            self._say(
                f"   node {successor.header.member_id} leads in term {successor.header.term}; "
                f"the cluster was without a leader for {gap_s * 1000:,.0f} ms"
            )
            self._start(leader_id)
            self._say(f"   node {leader_id} started again")

        began = time.perf_counter()
        await asyncio.gather(kill_and_restart(), *(write() for _ in range(WRITERS)))
        self._say(
            f"   done in {time.perf_counter() - began:.1f} s; acknowledged {len(run.acknowledged):,}, "
            f"outcome unknown {run.unknown}, not applied {run.refused}; "
            f"the longest time without an acknowledgement was {run.longest_gap_s * 1000:,.0f} ms"
        )
        return run

    async def _look_for_everything(self, client: Client, run: _Run) -> bool:
        self._say("[bold]4.[/] every acknowledged write is looked for on every node")
        lost = 0
        for node_id, member in self._members.items():
            async with Client(member.client_address, timeout_s=WAIT_S) as reader:
                found = {kv.key: kv.value async for kv in reader.kv.stream_range(KeyRange.prefix(b"demo/"))}
            missing = [key for key, value in run.acknowledged.items() if found.get(key) != value]
            lost += len(missing)
            self._say(
                f"   node {node_id}: acknowledged {len(run.acknowledged):,}, "
                f"found {len(run.acknowledged) - len(missing):,}, lost {len(missing)}"
            )
        equal = await self._await_equal_digests(client)
        states = "equal, byte for byte" if equal else "[red]NOT equal[/]"
        self._say(f"   the states of the nodes are {states}")
        verdict = "[green]nothing was lost[/]" if lost == 0 and equal else "[red]this must not happen[/]"
        self._say(f"[bold]acknowledged {len(run.acknowledged):,}, lost {lost}: {verdict}[/]")
        return lost == 0 and equal

    async def _await_equal_digests(self, client: Client) -> bool:
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            statuses = await self._statuses(client)
            if len(statuses) == NODES and len({status.applied_index for status in statuses}) == 1:
                return len({status.state_digest for status in statuses}) == 1
            await asyncio.sleep(0.1)
        return False


def main(data_directory: Path) -> int:
    """Runs the demo; the exit code."""
    demo = Demo(data_directory, Console())
    try:
        healthy = asyncio.run(demo.run())
    finally:
        demo.stop()
    return 0 if healthy else 1
