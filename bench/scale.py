"""`make scale`: what stays the same, and what does not, while the number of users grows.

Users with one device each are registered up to the next size; every hundredth has messages waiting, the rest
is idle. At each size all three nodes are killed (SIGKILL) and started again on what they have. Then it is
measured how long that takes until a linearizable read is answered, what the nodes take while nothing happens,
how fast messages are sent to users all over the state (where they stay), and how fast devices with messages
waiting are opened, receive and acknowledge.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import platform
import random
import signal
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

import click
from rich.console import Console
from rich.table import Table

from bench import kvraft_cluster
from bench.messages import DEVICE, SENDER
from bench.peers.mailboxes import PAYLOAD_BYTES, drive
from bench.processes import cpu_seconds, resident_bytes
from kvraft.client import Client
from kvraft.members import free_ports

CALLERS = 1_000
WAITING_EACH = 5
WAITING_EVERY = 100
RECEIVERS_MAX = 1_000
SETTLING_SECONDS = 5.0
"""After the load: what was applied is flushed every few seconds."""
IDLE_SECONDS = 10.0
SEND_SECONDS = 4.0
TIMEOUT_S = 30.0
TABLE_COLUMNS = 150
_MEBI = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What was measured at one size. Of the nodes, the most of three."""

    users: int
    registrations_per_s: float
    sends_per_s: float
    receives_per_s: float
    loaded_bytes: int
    """Resident memory after the load."""
    restarted_bytes: int
    """Resident memory of a node that was started again and is idle."""
    serving_s: float
    """From the start of nodes that were killed to the answer of a linearizable read."""
    idle_share: float
    """Of one core."""
    disk_bytes: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where the nodes keep what they have, and where they listen."""

    directory: Path
    ports: Sequence[int]

    def disk_bytes(self) -> int:
        """What the largest of the nodes takes on the disk."""
        return max(
            sum(file.stat().st_blocks * 512 for file in node.rglob("*") if file.is_file())
            for node in self.directory.glob("n?")
        )


def user_id(number: int) -> str:
    return f"user{number}"


async def _measure_all(place: Place, counts: Sequence[int], console: Console) -> list[Size]:
    sizes = []
    for before, users in itertools.pairwise((0, *counts)):
        console.print(f"{users:,} users", highlight=False)
        sizes.append(await measure(place, before, users))
    return sizes


async def measure(place: Place, before: int, users: int) -> Size:
    """Registers the users from number `before` on up to `users`, and measures."""
    with kvraft_cluster.cluster(place.directory, place.ports) as cluster:
        registrations_per_s = await _load(cluster, before, users)
        await asyncio.sleep(SETTLING_SECONDS)
        loaded_bytes = max(map(resident_bytes, cluster.pids))
        for pid in cluster.pids:
            os.kill(pid, signal.SIGKILL)
    began = time.perf_counter()
    with kvraft_cluster.cluster(place.directory, place.ports) as cluster:
        await _serving(cluster)
        serving_s = time.perf_counter() - began
        await asyncio.sleep(SETTLING_SECONDS)
        used = [cpu_seconds(pid) for pid in cluster.pids]
        await asyncio.sleep(IDLE_SECONDS)
        idle_share = max(
            (cpu_seconds(pid) - earlier) / IDLE_SECONDS
            for pid, earlier in zip(cluster.pids, used, strict=True)
        )
        restarted_bytes = max(map(resident_bytes, cluster.pids))
        disk_bytes = place.disk_bytes()
        sends_per_s, receives_per_s = await _rates(cluster, before, users)
    return Size(
        users=users,
        registrations_per_s=registrations_per_s,
        sends_per_s=sends_per_s,
        receives_per_s=receives_per_s,
        loaded_bytes=loaded_bytes,
        restarted_bytes=restarted_bytes,
        serving_s=serving_s,
        idle_share=idle_share,
        disk_bytes=disk_bytes,
    )


async def _load(cluster: kvraft_cluster.Cluster, before: int, users: int) -> float:
    """Registrations a second."""
    await kvraft_cluster.leader_address(cluster)
    async with _client(cluster) as client:
        began = time.perf_counter()
        await _each(
            lambda number: client.sessions.register_device(user_id(number), DEVICE), range(before, users)
        )
        seconds = time.perf_counter() - began
        payload = os.urandom(PAYLOAD_BYTES)
        await _each(
            lambda number: client.messages.send(SENDER, to=user_id(number), payload=payload),
            (number for number in range(before, users, WAITING_EVERY) for _ in range(WAITING_EACH)),
        )
        return (users - before) / seconds


async def _serving(cluster: kvraft_cluster.Cluster) -> None:
    async with _client(cluster) as client:
        await client.kv.get(b"anything")


async def _rates(cluster: kvraft_cluster.Cluster, before: int, users: int) -> tuple[float, float]:
    """Sends a second to users anywhere, and messages received and acknowledged a second by users from number
    `before` on."""
    payload = os.urandom(PAYLOAD_BYTES)
    numbers = random.Random(users)
    async with _client(cluster) as client:
        sent = await drive(
            lambda _: client.messages.send(SENDER, to=user_id(numbers.randrange(users)), payload=payload),
            callers=CALLERS,
            seconds=SEND_SECONDS,
        )
        async with client.sessions.gateway("") as gateway:
            waiting = range(before, users, WAITING_EVERY)[:RECEIVERS_MAX]
            sessions = await asyncio.gather(*(gateway.open(user_id(number), DEVICE) for number in waiting))

            async def receive(user: str, epoch: int) -> int:
                received = 0
                async for message in client.messages.receive(user, DEVICE, epoch=epoch, until_empty=True):
                    message.ack_soon()
                    received += 1
                return received

            began = time.perf_counter()
            counts = await asyncio.gather(*(receive(session.user_id, session.epoch) for session in sessions))
            return sent.operations_per_s, sum(counts) / (time.perf_counter() - began)


def _client(cluster: kvraft_cluster.Cluster) -> Client:
    return Client(",".join(cluster.addresses), timeout_s=TIMEOUT_S)


async def _each(call: Callable[[int], Coroutine[None, None, object]], numbers: Iterable[int]) -> None:
    """Calls with every number, `CALLERS` at a time."""
    left: Iterator[int] = iter(numbers)

    async def caller() -> None:
        for number in left:
            await call(number)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


def _table(sizes: Sequence[Size]) -> Table:
    table = Table(
        title=f"users with one device, every {WAITING_EVERY}th with {WAITING_EACH} messages waiting"
    )
    for name in (
        "users",
        "registered/s",
        "sent/s",
        "received/s",
        "MiB after the load",
        "MiB after a restart",
        "kill to serving s",
        "idle core",
        "MiB on disk",
    ):
        table.add_column(name, justify="right")
    for size in sizes:
        table.add_row(
            f"{size.users:,}",
            f"{size.registrations_per_s:,.0f}",
            f"{size.sends_per_s:,.0f}",
            f"{size.receives_per_s:,.0f}",
            f"{size.loaded_bytes / _MEBI:,.0f}",
            f"{size.restarted_bytes / _MEBI:,.0f}",
            f"{size.serving_s:.1f}",
            f"{size.idle_share:.1%}",
            f"{size.disk_bytes / _MEBI:,.0f}",
        )
    return table


@click.command()
@click.option(
    "--users", multiple=True, default=(10_000, 100_000), show_default=True, type=click.IntRange(WAITING_EVERY)
)
@click.option("--json", "json_file", type=click.File("w"), help="Write the numbers there as well.")
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Where the nodes write; default: a temporary one."
)
def main(*, users: tuple[int, ...], json_file: TextIO | None, data_dir: Path | None) -> None:
    """Measure three nodes at each number of users, in ascending order."""
    console = Console()
    console.print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}", highlight=False
    )
    with tempfile.TemporaryDirectory(dir=data_dir, prefix="kvraft-bench-") as directory:
        sizes = asyncio.run(_measure_all(Place(Path(directory), free_ports(6)), sorted(users), console))
    Console(width=max(console.width, TABLE_COLUMNS)).print(_table(sizes))
    if json_file is not None:
        json.dump([asdict(size) for size in sizes], json_file)


if __name__ == "__main__":
    main()
