"""RabbitMQ quorum queues, three nodes on loopback, driven through aio-pika.

Each mailbox is a quorum queue of three members: a Raft group of its own, with its own elections and
snapshots; all of a node's share its write-ahead log. Each caller awaits the publisher confirm of its message.

**It confirms after fsync.** A confirm says that a majority of the members has the message, "quorum queues
persist all data to disks before doing anything" (https://www.rabbitmq.com/docs/quorum-queues, "Performance
Characteristics"), and the log of Ra, its Raft, calls fsync for a batch of writes before it tells the members
in it that they are written (https://github.com/rabbitmq/ra, docs/internals/INTERNALS.md, "The Write-ahead
Log"; a node's `ra_system:fetch(quorum_queues)` says `wal_sync_method => datasync, wal_write_strategy =>
default`). Messages carry no number that would keep a repeated one from being queued twice.

What was tried, so as not to sell it short, each on two cores shared by all:
- One connection is quicker than one to each node: the node it is on leads the queues it declares, and all of
  them share that node's fsyncs. Channels cost more than they give; for a thousand callers a few are no worse.
- As many schedulers as the node's share of the cores, and no busy waiting, as for a machine that is not the
  node's alone (https://www.rabbitmq.com/docs/runtime#scheduling, #busy-waiting): up to half as much again.
- A larger `quorum_commands_soft_limit` changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import math
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.load import Measured
from bench.peers.mailboxes import PAYLOAD_BYTES, drive
from bench.processes import running
from kvraft.members import free_ports

NODES = 3
CALLERS_PER_CHANNEL = 256
DEBIAN_SCRIPTS = "/usr/lib/rabbitmq/bin"
SERVER = "rabbitmq-server"
CONTROL = "rabbitmqctl"


def missing() -> str | None:
    """What has to be installed, and how."""
    if None in (_script(SERVER), _script(CONTROL), shutil.which("epmd")):
        return "rabbitmq-server (Debian: apt-get install rabbitmq-server)"
    if importlib.util.find_spec("aio_pika") is None:
        return "aio-pika (pip install '.[bench]')"
    return None


def _script(name: str) -> str | None:
    # Debian's in /usr/sbin changes to a user of its own, who may not write below our directory.
    return shutil.which(name, path=DEBIAN_SCRIPTS) or shutil.which(name)


@dataclass(frozen=True, slots=True)
class QuorumQueues:
    """A running cluster with its queues."""

    name: str
    url: str
    queues: list[str]
    durable: bool = True
    deduplicated: bool = False

    def run(self, callers: int, seconds: float) -> Measured:
        """Sends for `seconds`; raises aio-pika's exception for a message refused or returned."""
        return asyncio.run(self._run(callers, seconds))

    async def _run(self, callers: int, seconds: float) -> Measured:
        import aio_pika

        payload = os.urandom(PAYLOAD_BYTES)
        async with await aio_pika.connect(self.url) as connection:
            exchanges = [
                (await connection.channel(on_return_raises=True)).default_exchange
                for _ in range(math.ceil(callers / CALLERS_PER_CHANNEL))
            ]

            async def send(number: int) -> None:
                await exchanges[number % len(exchanges)].publish(
                    aio_pika.Message(payload, delivery_mode=aio_pika.DeliveryMode.PERSISTENT),
                    routing_key=self.queues[number % len(self.queues)],
                )

            return await drive(send, callers=callers, seconds=seconds)


@dataclass(frozen=True, slots=True)
class _Erlang:
    """What nodes and tools share to find and to trust each other."""

    directory: Path
    names_port: int
    """Of the Erlang port mapper, which knows where each node listens for the others."""
    cookie: str

    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.directory),
            "ERL_EPMD_PORT": str(self.names_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",  # nothing of a server that this machine may run
        }

    def node_command(self, number: int, client_port: int, peer_port: int) -> list[str]:
        base = self.directory / f"n{number}"
        base.mkdir()
        configuration = base / "rabbitmq.conf"
        configuration.write_text(
            f"listeners.tcp.1 = 127.0.0.1:{client_port}\n"
            "cluster_formation.peer_discovery_backend = classic_config\n"
            "cluster_formation.classic_config.nodes.1 = n0@localhost\n"
        )
        schedulers = max(1, (os.cpu_count() or 1) // NODES)
        arguments = [
            f"-setcookie {self.cookie}",
            "-kernel inet_dist_use_interface {127,0,0,1}",
            f"+S {schedulers}:{schedulers} +sbwt none +sbwtdcpu none +sbwtdio none",
            "+B i",  # Ctrl-C is for the benchmark, which then stops the node
        ]
        environment = self.environment() | {
            "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the node, instead of its parent
            "RABBITMQ_NODENAME": f"n{number}@localhost",
            "RABBITMQ_DIST_PORT": str(peer_port),
            "RABBITMQ_CONFIG_FILE": str(configuration),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(base / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(base / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(base),
            "RABBITMQ_LOG_BASE": str(base),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": " ".join(arguments),
        }
        return ["env", *(f"{name}={value}" for name, value in environment.items()), _installed(SERVER)]

    def control(self, *command: str) -> str:
        """What `rabbitmqctl` prints of the first node; raises CalledProcessError."""
        return subprocess.run(
            [
                _installed(CONTROL),
                "--node=n0@localhost",
                f"--erlang-cookie={self.cookie}",
                "--timeout=30",
                *command,
            ],
            env=os.environ | self.environment(),
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout


def _installed(name: str) -> str:
    script = _script(name)
    if script is None:
        raise RuntimeError(f"{name} is not installed: {missing()}")
    return script


@contextlib.contextmanager
def cluster(directory: Path, mailboxes: int) -> Iterator[QuorumQueues]:
    """Runs three nodes and declares the queues."""
    *ports, names_port = free_ports(2 * NODES + 1)
    clients, peers = ports[:NODES], ports[NODES:]
    erlang = _Erlang(directory, names_port, secrets.token_hex(16))
    for each in ("names", "first", "others"):
        (directory / each).mkdir()
    names = ["epmd", "-port", str(names_port), "-address", "127.0.0.1"]
    first, *others = (erlang.node_command(i, clients[i], peers[i]) for i in range(NODES))
    with (
        # A node that finds no port mapper starts one, which outlives it.
        running([names], [names_port], directory / "names"),
        # A node that does not find the first one makes a cluster of its own.
        running([first], clients[:1], directory / "first"),
        running(others, clients[1:], directory / "others"),
    ):
        erlang.control("await_online_nodes", str(NODES))
        url = f"amqp://guest:guest@127.0.0.1:{clients[0]}/"
        queues = [f"mailbox.{number}" for number in range(mailboxes)]
        asyncio.run(_declare(url, queues))
        for queue in json.loads(
            erlang.control("list_queues", "name", "members", "--formatter=json", "--quiet")
        ):
            if len(queue["members"]) != NODES:
                raise RuntimeError(f"queue {queue['name']} has the members {queue['members']}, not {NODES}")
        version = erlang.control("version").strip()
        yield QuorumQueues(f"RabbitMQ {version} quorum queues", url, queues)


async def _declare(url: str, queues: list[str]) -> None:
    import aio_pika

    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        for queue in queues:
            await channel.declare_queue(
                queue,
                durable=True,
                arguments={"x-queue-type": "quorum", "x-quorum-initial-group-size": NODES},
            )
