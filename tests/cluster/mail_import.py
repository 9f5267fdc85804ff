"""The whole way of a file of messages: imported while its recipients read, and nodes are killed.

    python -m tests.cluster.mail_import FILE      on any file that `kvctl msg import` reads

Of every five recipients four are connected all the time, each with a session of one of two gateways; the
fifth connects when everything is imported. Two are taken over by the other gateway while they read. The
leader is killed when a quarter, half and three quarters are sent. In the end every recipient must have been
given exactly its messages, once, in the order of the file; and the same import once more sends nothing.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kvraft.client import Aborted, Client, OutcomeUnknown
from tests.cluster.harness import Cluster, eventually

DEVICE = "main"
CONNECTED_OF_FIVE = 4
KILLS = 3
TAKEN_OVER = 2
PATIENCE_S = 300.0


@dataclass
class Inbox:
    """What one recipient was given and acknowledged."""

    user_id: str
    expected: list[str]
    """Ids, in the order of the file."""
    acknowledged: list[str] = field(default_factory=list)
    is_taken_over: bool = False
    """What such a one has is only what is confirmed, or does not come again."""
    in_doubt: str | None = None
    """Of such a one: the message whose acknowledgement is not confirmed."""
    task: asyncio.Task[None] | None = None

    @property
    def is_complete(self) -> bool:
        return len(self.acknowledged) >= len(self.expected)

    def settle(self) -> None:
        """The message in doubt is acknowledged."""
        if self.in_doubt is not None:
            self.acknowledged.append(self.in_doubt)
            self.in_doubt = None


@dataclass
class Report:
    """What a run came to."""

    messages: int
    recipients: int
    import_s: float
    all_read_s: float
    imported: dict[str, Any]
    """As `kvctl msg import -o json` says it."""
    again: dict[str, Any]
    kills: int
    taken_over: int


def expected_of(file: Path) -> dict[str, list[str]]:
    """The ids of the messages of each recipient, in the order of the file."""
    opened = gzip.open if file.read_bytes()[:2] == b"\x1f\x8b" else open
    expected: dict[str, list[str]] = defaultdict(list)
    with opened(file, "rt") as lines:
        for line in lines:
            message = json.loads(line)
            expected[message["to"]].append(message["id"])
    return expected


async def run(file: Path, directory: Path) -> Report:
    """Raises AssertionError for the first recipient that was not given what it is owed."""
    inboxes = [Inbox(user_id, ids) for user_id, ids in sorted(expected_of(file).items())]
    total = sum(len(inbox.expected) for inbox in inboxes)
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(Cluster(directory))
        clients = [await stack.enter_async_context(cluster.client(timeout_s=60.0)) for _ in range(2)]
        connected = [inbox for number, inbox in enumerate(inboxes) if number % 5 < CONNECTED_OF_FIVE]
        for inbox in sorted(connected, key=lambda inbox: len(inbox.expected))[-TAKEN_OVER:]:
            inbox.is_taken_over = True
        for number, inbox in enumerate(connected):
            inbox.task = asyncio.create_task(_read(inbox, clients[number % 2]))
        began_s = time.monotonic()
        importing = asyncio.create_task(_import(cluster, file))
        doomed = asyncio.create_task(_kill_leaders(cluster, connected, importing))
        taking_over = asyncio.create_task(_take_over(connected, clients))
        imported = await importing
        import_s = time.monotonic() - began_s
        kills = await doomed
        taken_over = await taking_over
        for number, inbox in enumerate(inboxes):
            if inbox.task is None:
                inbox.task = asyncio.create_task(_read(inbox, clients[number % 2]))

        async def is_all_read() -> bool:
            for inbox in inboxes:
                if inbox.task is not None and inbox.task.done():
                    inbox.task.result()
            return all(inbox.is_complete for inbox in inboxes)

        await eventually(is_all_read, "every message is read", PATIENCE_S)
        all_read_s = time.monotonic() - began_s
        again = await _import(cluster, file, "--from-start")
        # What comes too often comes now.
        await asyncio.sleep(0.5)
        for inbox in inboxes:
            assert inbox.task is not None
            inbox.task.cancel()
        await asyncio.wait([inbox.task for inbox in inboxes if inbox.task is not None])
        for inbox in inboxes:
            assert inbox.acknowledged == inbox.expected, _difference(inbox)
        assert again["sent"] == 0, again
        await _check_counters(clients[0], inboxes)
        async for step in clients[0].admin.check():
            assert not step.findings, step.findings
        await cluster.assert_equal_states()
    return Report(total, len(inboxes), import_s, all_read_s, imported, again, kills, taken_over)


async def _read(inbox: Inbox, client: Client) -> None:
    """Reads and acknowledges, one after the other where it may be taken over, else many at a time."""
    await client.sessions.register_device(inbox.user_id, DEVICE)
    careful = inbox.is_taken_over
    try:
        async for message in client.messages.receive(inbox.user_id, DEVICE):
            message_id = message.message.message_id
            if careful:
                if inbox.in_doubt != message_id:
                    inbox.settle()  # of the reader before: it did not come again, so it was acknowledged
                inbox.in_doubt = message_id
                await message.ack()
                if inbox.in_doubt == message_id:
                    inbox.settle()
            else:
                inbox.acknowledged.append(message_id)
                message.ack_soon()
    except (Aborted, OutcomeUnknown) as error:
        if error.reason != "SESSION_SUPERSEDED" or not careful:
            raise


async def _take_over(connected: list[Inbox], clients: list[Client]) -> int:
    """When they have read a third, the other gateway reads on."""
    chosen = [inbox for inbox in connected if inbox.is_taken_over]
    for inbox in chosen:
        number = connected.index(inbox)

        async def has_read(inbox: Inbox = inbox) -> bool:
            return 3 * len(inbox.acknowledged) >= len(inbox.expected)

        await eventually(has_read, f"a third of {inbox.user_id}", PATIENCE_S)
        before = inbox.task
        assert before is not None
        inbox.task = asyncio.create_task(_read(inbox, clients[1 - number % 2]))
        await before
    return len(chosen)


async def _kill_leaders(cluster: Cluster, connected: list[Inbox], importing: asyncio.Task[Any]) -> int:
    """When a quarter, half and three quarters of what the connected ones are owed is read."""
    total = sum(len(inbox.expected) for inbox in connected)
    for kill in range(1, KILLS + 1):

        async def has_come(kill: int = kill) -> bool:
            read = sum(len(inbox.acknowledged) for inbox in connected)
            return read * (KILLS + 1) >= total * kill or importing.done()

        await eventually(has_come, f"{kill} of {KILLS + 1} parts", PATIENCE_S)
        leader = await cluster.leader()
        await cluster.kill(leader)
        await cluster.leader(among=[each for each in cluster.node_ids if each != leader])
        cluster.start(leader)
    return KILLS


async def _import(cluster: Cluster, file: Path, *flags: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "kvctl",
        "--endpoints",
        cluster.endpoints,
        "-o",
        "json",
        "msg",
        "import",
        str(file),
        "--device",
        DEVICE,
        *flags,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(os.environ),
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return dict(json.loads(out))


async def _check_counters(client: Client, inboxes: list[Inbox]) -> None:
    for inbox in inboxes:
        queue = (await client.messages.queue(inbox.user_id, DEVICE)).queue
        assert (queue.live, queue.acked, queue.next_seq - 1) == (
            0,
            len(inbox.expected),
            len(inbox.expected),
        ), queue


def _difference(inbox: Inbox) -> str:
    for position, (want, got) in enumerate(zip(inbox.expected, inbox.acknowledged, strict=False)):
        if want != got:
            return f"{inbox.user_id} was given {got} as message {position + 1}, not {want}"
    return f"{inbox.user_id} was given {len(inbox.acknowledged)} messages, not {len(inbox.expected)}"


async def main(file: str) -> None:
    """Runs and prints."""
    with tempfile.TemporaryDirectory(prefix="kvraft-") as directory:
        report = await run(Path(file), Path(directory))
    print(
        f"{report.messages:,} messages imported for {report.recipients:,} recipients in "
        f"{report.import_s:.1f} s, {report.messages / report.import_s:,.0f}/s, all read and acknowledged "
        f"after {report.all_read_s:.1f} s; the leader was killed {report.kills} times and "
        f"{report.taken_over} devices were taken over. Every recipient was given exactly its messages, once, "
        f"in the order of the file. Imported again: {report.again['sent']} sent, "
        f"{report.again['duplicates']:,} sent before, {report.again['elapsed_s']:.1f} s."
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
