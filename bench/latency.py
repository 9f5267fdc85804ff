"""`make bench-latency`: how long a message is on its way, at a steady rate and while the leader is killed.

One client sends to many devices at moments fixed beforehand, whatever became of the messages before: an open
loop, in which a message that has to wait is measured from when it was due. Another client receives for all of
the devices on one stream and acknowledges each message at once.

Then the same again, and in the middle of it the leader is killed (SIGKILL). Each message carries its number,
so that one that is lost, or handed out twice, is seen; and each queue must have given out as many numbers as
there were messages for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import platform
import signal
import struct
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

import click
from rich.console import Console
from rich.table import Table

from bench import kvraft_cluster
from bench.messages import DEVICE, SENDER
from bench.peers.mailboxes import PAYLOAD_BYTES
from kvraft.client import Client

ARRIVAL_SECONDS_MAX = 60.0
"""How long after the last message was due the last one may come."""
TIMEOUT_S = 30.0
_NUMBER = struct.Struct(">Q")


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Since the messages were due, milliseconds."""

    p50_ms: float
    p99_ms: float
    p999_ms: float
    most_ms: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Times:
        ordered = sorted(seconds)
        p50, p99, p999 = (ordered[int(len(ordered) * share)] * 1e3 for share in (0.5, 0.99, 0.999))
        return cls(p50_ms=p50, p99_ms=p99, p999_ms=p999, most_ms=ordered[-1] * 1e3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Journeys:
    """What became of the messages of one run."""

    name: str
    messages: int
    confirmed: Times
    """Until the send was confirmed."""
    delivered: Times
    """Until the receiver had the message."""
    acknowledged: Times
    """Until its acknowledgement was committed."""
    longest_gap_ms: float
    """In which nothing was delivered."""
    lost: int
    doubled: int
    """Handed out, or queued, more than once."""


class Run:
    """Messages of one run, on their way through a cluster."""

    def __init__(self, addresses: Sequence[str], users: Sequence[str], rate: int, seconds: float) -> None:
        self._addresses = ",".join(addresses)
        self._users = users
        self._padding = os.urandom(PAYLOAD_BYTES - _NUMBER.size)
        self._offsets_s = [number / rate for number in range(round(rate * seconds))]
        self._due: list[float] = []
        self._confirmed: list[float] = []
        self._delivered: list[float] = []
        self._delivered_at: list[float] = []
        self._acknowledged: list[float] = []
        self._handed_out: Counter[int] = Counter()
        self._all_acknowledged = asyncio.Event()

    async def go(self, name: str) -> Journeys:
        """Sends and receives all; raises TimeoutError if some do not come, and what the client raises."""
        async with Client(self._addresses, timeout_s=TIMEOUT_S) as sender, self._receiving() as receiver:
            queued_before = await self._queued(receiver)
            begins = time.perf_counter()
            self._due = [begins + offset_s for offset_s in self._offsets_s]
            async with asyncio.TaskGroup() as sends:
                for number, due in enumerate(self._due):
                    if (early_s := due - time.perf_counter()) > 0:
                        await asyncio.sleep(early_s)
                    sends.create_task(self._send(sender, number))
            async with asyncio.timeout(ARRIVAL_SECONDS_MAX):
                await self._all_acknowledged.wait()
            queued = await self._queued(receiver) - queued_before
        messages = len(self._due)
        gaps = (after - before for before, after in itertools.pairwise(self._delivered_at))
        return Journeys(
            name=name,
            messages=messages,
            confirmed=Times.of(self._confirmed),
            delivered=Times.of(self._delivered),
            acknowledged=Times.of(self._acknowledged),
            longest_gap_ms=max(gaps) * 1e3,
            lost=messages - len(self._handed_out),
            doubled=max(self._handed_out.total(), queued) - messages,
        )

    async def _send(self, sender: Client, number: int) -> None:
        await sender.messages.send(
            SENDER, to=self._users[number % len(self._users)], payload=_NUMBER.pack(number) + self._padding
        )
        self._confirmed.append(time.perf_counter() - self._due[number])

    @contextlib.asynccontextmanager
    async def _receiving(self) -> AsyncIterator[Client]:
        async with (
            Client(self._addresses, timeout_s=TIMEOUT_S) as client,
            client.sessions.gateway("") as gateway,
        ):
            sessions = await asyncio.gather(*(gateway.open(user, DEVICE) for user in self._users))
            async with asyncio.TaskGroup() as group:
                receivers = [
                    group.create_task(self._receive(client, session.user_id, session.epoch))
                    for session in sessions
                ]
                yield client
                for receiver in receivers:
                    receiver.cancel()

    async def _receive(self, client: Client, user_id: str, epoch: int) -> None:
        async with asyncio.TaskGroup() as acknowledgements:
            async for received in client.messages.receive(user_id, DEVICE, epoch=epoch):
                (number,) = _NUMBER.unpack_from(received.message.payload)
                now = time.perf_counter()
                self._handed_out[number] += 1
                self._delivered.append(now - self._due[number])
                self._delivered_at.append(now)
                acknowledgements.create_task(self._acknowledge(received.ack(), number))

    async def _acknowledge(self, acknowledgement: Awaitable[None], number: int) -> None:
        await acknowledgement
        self._acknowledged.append(time.perf_counter() - self._due[number])
        if len(self._acknowledged) == len(self._due):
            self._all_acknowledged.set()

    async def _queued(self, client: Client) -> int:
        """Numbers that the queues have given out."""
        found = await asyncio.gather(*(client.messages.queue(user, DEVICE) for user in self._users))
        return sum(each.queue.next_seq - 1 for each in found)


async def _kill_leader(cluster: kvraft_cluster.Cluster, after_s: float) -> None:
    address = await kvraft_cluster.leader_address(cluster)
    await asyncio.sleep(after_s)
    os.kill(cluster.pids[cluster.addresses.index(address)], signal.SIGKILL)


async def _measure(directory: Path, devices: int, rate: int, seconds: float) -> list[Journeys]:
    users = [f"user{number}" for number in range(devices)]
    with kvraft_cluster.cluster(directory) as cluster:
        await kvraft_cluster.leader_address(cluster)
        async with Client(",".join(cluster.addresses), timeout_s=TIMEOUT_S) as client:
            await asyncio.gather(*(client.sessions.register_device(user, DEVICE) for user in users))
        # Not shown: nodes load code on first use.
        await Run(cluster.addresses, users, rate, 1.0).go("warm-up")
        steady = await Run(cluster.addresses, users, rate, seconds).go("steady")
        killing = asyncio.create_task(_kill_leader(cluster, seconds / 2))
        killed = await Run(cluster.addresses, users, rate, seconds).go("the leader killed")
        await killing
        return [steady, killed]


def _table(found: Sequence[Journeys], devices: int, rate: int) -> Table:
    table = Table(
        title=f"{rate:,} messages/s of {PAYLOAD_BYTES} bytes to {devices:,} devices on one stream, "
        "ms since each was due"
    )
    table.add_column("run")
    table.add_column("until")
    for name in ("p50", "p99", "p99.9", "most", "longest gap", "lost", "doubled"):
        table.add_column(name, justify="right")
    for run in found:
        outcome = [f"{run.longest_gap_ms:,.0f}", f"{run.lost:,}", f"{run.doubled:,}"]
        for until in ("confirmed", "delivered", "acknowledged"):
            times: Times = getattr(run, until)
            row = (times.p50_ms, times.p99_ms, times.p999_ms, times.most_ms)
            table.add_row(run.name, until, *(f"{each:,.1f}" for each in row), *outcome)
    return table


@click.command()
@click.option("--seconds", default=10.0, show_default=True, help="How long each run sends.")
@click.option("--rate", default=1_000, show_default=True, type=click.IntRange(1), help="Messages a second.")
@click.option("--devices", default=100, show_default=True, type=click.IntRange(1))
@click.option("--json", "json_file", type=click.File("w"), help="Write the numbers there as well.")
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Where the nodes write; default: a temporary one."
)
def main(*, seconds: float, rate: int, devices: int, json_file: TextIO | None, data_dir: Path | None) -> None:
    """Measure messages from one end to the other, and through the death of the leader."""
    console = Console()
    console.print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}", highlight=False
    )
    with tempfile.TemporaryDirectory(dir=data_dir, prefix="kvraft-bench-") as directory:
        found = asyncio.run(_measure(Path(directory), devices, rate, seconds))
    Console(width=max(console.width, 120)).print(_table(found, devices, rate))
    if json_file is not None:
        json.dump([asdict(each) for each in found], json_file)
    if any(each.lost or each.doubled for each in found):
        raise click.ClickException("messages were lost or doubled")


if __name__ == "__main__":
    main()
