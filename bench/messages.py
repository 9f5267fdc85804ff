"""kvraft's device queues behind the protocol of `bench.peers.mailboxes`, as an application drives them.

A mailbox is a user with one device. Each caller awaits its own `client.messages.send`; the library, as it
always does, sends together what waits together.

**It confirms after fsync**, as every write of kvraft: a majority has the message on its disks. And every
message has an id, which the library chooses here: one that is sent again is queued once. The others of the
comparison do not look for duplicates.

A queue holds 10,000 messages at most, so each run begins with empty ones, and a mailbox is purged whenever so
many have been sent to it that it could soon be full. That happens inside the run, at kvraft's cost.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import kvraft_cluster
from bench.load import Measured
from bench.peers.mailboxes import PAYLOAD_BYTES, drive
from kvraft.client import Client
from kvraft.version import __version__

NAME = f"kvraft {__version__}"
DEVICE = "phone"
SENDER = "sender"
PURGED_AFTER = 5_000
"""Messages to one mailbox; every caller may have one under way besides."""


def missing() -> str | None:
    """There is nothing to install."""
    return None


@dataclass(frozen=True, slots=True)
class DeviceQueues:
    """A running cluster with its mailboxes."""

    name: str
    addresses: list[str]
    pids: list[int]
    users: list[str]
    durable: bool = True
    deduplicated: bool = True

    def run(self, callers: int, seconds: float) -> Measured:
        """Sends for `seconds`; raises KvraftError for a message that is refused."""
        return asyncio.run(self._run(callers, seconds))

    async def _run(self, callers: int, seconds: float) -> Measured:
        payload = os.urandom(PAYLOAD_BYTES)
        async with Client(",".join(self.addresses), timeout_s=30) as client:
            messages, users = client.messages, self.users
            await asyncio.gather(*(messages.purge(user, DEVICE) for user in users))

            async def send(number: int) -> None:
                turn, mailbox = divmod(number, len(users))
                if turn % PURGED_AFTER == PURGED_AFTER - 1:
                    await messages.purge(users[mailbox], DEVICE)
                await messages.send(SENDER, to=users[mailbox], payload=payload)

            return await drive(send, callers=callers, seconds=seconds)


@contextlib.contextmanager
def cluster(directory: Path, mailboxes: int) -> Iterator[DeviceQueues]:
    """Runs three nodes and registers a device for each mailbox."""
    users = [f"user{number}" for number in range(mailboxes)]
    with kvraft_cluster.cluster(directory) as nodes:
        asyncio.run(_register(nodes, users))
        yield DeviceQueues(NAME, nodes.addresses, nodes.pids, users)


async def _register(nodes: kvraft_cluster.Cluster, users: list[str]) -> None:
    await kvraft_cluster.leader_address(nodes)
    async with Client(",".join(nodes.addresses), timeout_s=30) as client:
        await asyncio.gather(*(client.sessions.register_device(user, DEVICE) for user in users))
