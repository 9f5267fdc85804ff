"""NATS JetStream with three replicas, three nodes on loopback, driven through nats-py.

One stream of three replicas in files, with a subject for each mailbox: one Raft group in all, JetStream's
cheapest form and the one its users choose for many small queues. Each caller awaits its message's PubAck.

**It acknowledges before fsync.** A majority has written the message into files that the operating system has
not put on the disk: "under the default configuration, JetStream does not immediately fsync data to disk", but
every `sync_interval`, 2 minutes by default (https://docs.nats.io/nats-concepts/jetstream, "Syncing data to
disk"), so that a power cut of all nodes loses what was acknowledged since. `sync_interval: always` asks for
more in later releases; Debian's 2.9 has no such option, and under load its three nodes were seen to call
neither fsync nor fdatasync. Its numbers are to be read with that in mind. Messages carry no number
(`Nats-Msg-Id`) that would keep a repeated one from being stored twice.

What was tried, so as not to sell it short: `publish_async`, whose future is the message's own PubAck, is up
to a third quicker than `publish`; a connection to the stream's leader is quicker than one to another node,
and one is quicker than several.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.load import Measured
from bench.peers.mailboxes import PAYLOAD_BYTES, drive
from bench.processes import running
from kvraft.members import free_ports

if TYPE_CHECKING:
    from nats.aio.client import Client

STREAM = "mailboxes"
NODES = 3
READY_SECONDS = 30.0
PENDING_MAX = 4_096
"""Messages without PubAck that the library allows; more than the callers of any run."""


def missing() -> str | None:
    """What has to be installed, and how."""
    if shutil.which("nats-server") is None:
        return "nats-server (Debian: apt-get install nats-server)"
    if importlib.util.find_spec("nats") is None:
        return "nats-py (pip install '.[bench]')"
    return None


@dataclass(frozen=True, slots=True)
class JetStream:
    """A running cluster with its stream."""

    name: str
    urls: Mapping[str, str]
    """By the node's name."""
    mailboxes: int
    durable: bool = False
    deduplicated: bool = False

    def run(self, callers: int, seconds: float) -> Measured:
        """Sends for `seconds`; raises what nats-py raises for a message that is refused."""
        return asyncio.run(self._run(callers, seconds))

    async def _run(self, callers: int, seconds: float) -> Measured:
        leader = await _stream_leader(self.urls)
        payload = os.urandom(PAYLOAD_BYTES)
        subjects = [f"mailbox.{number}" for number in range(self.mailboxes)]
        async with _connected(self.urls[leader]) as connection:
            stream = connection.jetstream(publish_async_max_pending=PENDING_MAX)

            async def send(number: int) -> None:
                await (await stream.publish_async(subjects[number % len(subjects)], payload))

            return await drive(send, callers=callers, seconds=seconds)


@contextlib.contextmanager
def cluster(directory: Path, mailboxes: int) -> Iterator[JetStream]:
    """Runs three nodes and makes the stream."""
    ports = free_ports(2 * NODES)
    clients, routes = ports[:NODES], ports[NODES:]
    commands = [
        [
            "nats-server",
            f"--name=n{i}",
            "--addr=127.0.0.1",
            f"--port={clients[i]}",
            "--jetstream",
            f"--store_dir={directory}/n{i}",
            "--cluster_name=bench",
            f"--cluster=nats://127.0.0.1:{routes[i]}",
            "--routes=" + ",".join(f"nats://127.0.0.1:{port}" for port in routes),
        ]
        for i in range(NODES)
    ]
    urls = {f"n{i}": f"nats://127.0.0.1:{port}" for i, port in enumerate(clients)}
    with running(commands, clients, directory):
        version = asyncio.run(_make_stream(urls))
        yield JetStream(f"NATS JetStream {version} R{NODES}", urls, mailboxes)


@contextlib.asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Client]:
    import nats

    connection = await nats.connect(url, allow_reconnect=False)
    try:
        yield connection
    finally:
        await connection.close()


async def _make_stream(urls: Mapping[str, str]) -> str:
    """Makes the stream as soon as the nodes have found each other; says which version they are."""
    import nats.errors
    from nats.js.api import StorageType, StreamConfig

    config = StreamConfig(name=STREAM, subjects=["mailbox.*"], num_replicas=NODES, storage=StorageType.FILE)
    deadline = time.monotonic() + READY_SECONDS
    async with _connected(next(iter(urls.values()))) as connection:
        while True:
            try:
                await connection.jetstream().add_stream(config)
                break
            except nats.errors.Error:
                # The nodes have elected no leader yet, or have not all found each other.
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)
        version = connection.connected_server_version
    return f"{version.major}.{version.minor}.{version.patch}"


async def _stream_leader(urls: Mapping[str, str]) -> str:
    """The name of the node that leads the stream, once both others follow it."""
    deadline = time.monotonic() + READY_SECONDS
    async with _connected(next(iter(urls.values()))) as connection:
        while time.monotonic() < deadline:
            state = (await connection.jetstream().stream_info(STREAM)).cluster
            followers = [each for each in (state and state.replicas) or () if each.current]
            if state is not None and state.leader and len(followers) == NODES - 1:
                return state.leader
            await asyncio.sleep(0.1)
    raise RuntimeError(f"the stream {STREAM!r} had no leader with {NODES - 1} followers in {READY_SECONDS} s")
