"""Messages on real nodes: sent through any of them, each once, and not lost. Receiving has its own tests."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kvraft.client import Client, DeadlineExceeded, OutcomeUnknown, Queue, Unavailable
from tests.cluster.harness import Cluster, eventually

pytestmark = pytest.mark.slow
SENDERS = 8
EACH = 40


async def queue(client: Client, device_id: str = "phone") -> Queue:
    return (await client.messages.queue("bob", device_id)).queue


def test_a_message_that_is_sent_through_every_node_at_once_is_one_message(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster, AsyncExitStack() as stack:
            nodes = cluster.node_ids
            clients = [await stack.enter_async_context(cluster.client(node_id)) for node_id in nodes]
            for device_id in ("phone", "laptop"):
                await clients[0].sessions.register_device("bob", device_id)
            sent = await asyncio.gather(
                *(
                    client.messages.send("ada", to="bob", text="hi", message_id="m1", for_service=True)
                    for client in clients * 4
                )
            )
            assert sum(not each.duplicate for each in sent) == 1
            assert len({(each.header.revision, each.accept_time, each.device_results) for each in sent}) == 1
            assert [(await queue(clients[0], each)).next_seq for each in ("phone", "laptop")] == [2, 2]
            await cluster.assert_equal_states()

    asyncio.run(story())


def test_time_passes_for_messages_through_the_leader(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster, cluster.client(*await cluster.followers()) as client:
            await client.sessions.register_device("bob", "phone")
            soon = datetime.now(UTC) + timedelta(seconds=1.5)
            await client.messages.send("ada", to="bob", text="later", deliver_time=soon)
            await client.messages.send("ada", to="bob", text="now", ttl_s=1.0)
            found = await queue(client)
            assert (found.live, found.scheduled, found.next_seq) == (1, 1, 2)

            async def is_over() -> bool:
                found = await queue(client)
                return (found.expired, found.scheduled) == (1, 0)

            await eventually(is_over, "the end of one message and the queueing of another")
            found = await queue(client)
            assert (found.live, found.next_seq, found.ack_floor) == (1, 3, 1)
            (delivery,) = (await client.messages.pull("bob", "phone")).deliveries
            assert (delivery.seq, delivery.message.text) == (2, "later")
            await cluster.assert_equal_states()

    asyncio.run(story())


def test_no_message_is_lost_or_doubled_when_all_nodes_are_killed(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster, cluster.client() as client:
            await client.sessions.register_device("bob", "phone")
            accepted: set[str] = set()
            under_way = asyncio.Event()

            async def send(sender: int) -> None:
                for number in range(EACH):
                    message_id = f"{sender}-{number}"
                    # Until it is accepted: what is sent again is the same message.
                    while message_id not in accepted:
                        with suppress(Unavailable, OutcomeUnknown, DeadlineExceeded):
                            await client.messages.send("ada", to="bob", text="hi", message_id=message_id)
                            accepted.add(message_id)
                    if len(accepted) >= SENDERS * EACH // 3:
                        under_way.set()

            async with asyncio.TaskGroup() as group:
                for sender in range(SENDERS):
                    group.create_task(send(sender))
                await under_way.wait()
                await cluster.kill(*cluster.node_ids)
                for node_id in cluster.node_ids:
                    cluster.start(node_id)
            found: list[tuple[int, str]] = []
            while len(found) < SENDERS * EACH:
                after_seq = found[-1][0] if found else 0
                pulled = await client.messages.pull("bob", "phone", after_seq=after_seq, max_messages=256)
                assert pulled.deliveries, f"the queue ends after {len(found)} messages"
                found += [(each.seq, each.message.message_id) for each in pulled.deliveries]
            assert [seq for seq, _ in found] == list(range(1, SENDERS * EACH + 1))
            assert {message_id for _, message_id in found} == accepted
            assert (await queue(client)).next_seq == SENDERS * EACH + 1
            await cluster.assert_equal_states()

    asyncio.run(story())
