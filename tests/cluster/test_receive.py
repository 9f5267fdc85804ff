"""Messages on real nodes: Alice sends, Bob receives, and leaders die meanwhile."""

from __future__ import annotations

import asyncio
import signal
from contextlib import aclosing
from pathlib import Path

import pytest

from kvraft.client import Aborted, Client, ContentType, OutgoingMessage, SendResult
from tests.cluster.harness import PATIENCE_S, Cluster, eventually

COUNT = 1_000


async def send(client: Client, count: int = COUNT) -> None:
    messages = [
        OutgoingMessage(sender_id="alice", to="bob", text=str(number)) for number in range(1, count + 1)
    ]
    for outcome in await client.messages.send_many(messages):
        assert isinstance(outcome, SendResult), outcome


async def receive_all(client: Client, device_id: str) -> list[tuple[int, str]]:
    """Everything that was queued when it began: number and text."""
    got = []
    receiver = client.messages.receive("bob", device_id, until_empty=True)
    async with asyncio.timeout(PATIENCE_S):
        async for message in receiver:
            assert message.message.content_type is ContentType.TEXT
            got.append((message.seq, message.text))
            message.ack_soon()
            assert not receiver.queue_empty.is_set()
    assert receiver.queue_empty.is_set()
    return got


EVERYTHING = [(number, str(number)) for number in range(1, COUNT + 1)]


HUNG_LEADER_S = 12.0
"""gRPC's own pings find out after 15."""


@pytest.mark.slow
def test_a_receiver_leaves_a_leader_that_hangs(tmp_path: Path) -> None:
    """Its stream is open and brings nothing: only the others can say that somebody else leads."""

    async def story() -> None:
        async with Cluster(tmp_path) as cluster, cluster.client() as bob:
            await bob.sessions.register_device("bob", "phone")
            messages = aiter(bob.messages.receive("bob", "phone"))
            leader = await cluster.leader()
            others = [each for each in cluster.node_ids if each != leader]
            async with cluster.client(*others) as alice:
                await send(alice, 1)
                first = await anext(messages)
                await first.ack()
                cluster.signal(leader, signal.SIGSTOP)
                try:
                    async with asyncio.timeout(HUNG_LEADER_S):
                        await send(alice, 1)
                        second = await anext(messages)
                        assert (first.seq, second.seq) == (1, 2)
                        await second.ack()
                finally:
                    cluster.signal(leader, signal.SIGCONT)
                await messages.aclose()

    asyncio.run(story())


@pytest.mark.slow
def test_an_offline_user_gets_everything_in_order_on_each_device(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster, cluster.client() as alice:
            for device_id in ("phone", "laptop"):
                await alice.sessions.register_device("bob", device_id)
            await send(alice)
            follower, *_ = await cluster.followers()
            # A client that was told of one node only, which does not lead, finds the leader.
            async with cluster.client(follower) as bob:
                assert await receive_all(bob, "phone") == EVERYTHING
            queue = (await alice.messages.queue("bob", "phone")).queue
            assert (queue.live, queue.ack_floor, queue.acked) == (0, COUNT, COUNT)
            assert await receive_all(alice, "laptop") == EVERYTHING
            await cluster.assert_equal_states()

    asyncio.run(story())


@pytest.mark.slow
def test_a_leader_that_is_killed_costs_no_message_and_brings_none_back(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster, cluster.client() as alice, cluster.client() as bob:
            await alice.sessions.register_device("bob", "phone")
            await send(alice)
            got: list[int] = []
            acknowledged: set[int] = set()
            receiver = bob.messages.receive("bob", "phone", window_messages=50, until_empty=True)
            async with asyncio.timeout(2 * PATIENCE_S), aclosing(aiter(receiver)) as messages:
                async for message in messages:
                    assert message.seq not in acknowledged, "it was acknowledged, and came back"
                    got.append(message.seq)
                    if message.seq % 100 == 0:
                        await message.ack()
                        acknowledged.update(range(1, message.seq + 1))
                    else:
                        message.ack_soon()
                    if message.seq in (250, 650):
                        doomed = await cluster.leader()
                        await cluster.kill(doomed)
                        cluster.start(doomed)
            assert got == [seq for seq, _ in EVERYTHING]
            queue = (await alice.messages.queue("bob", "phone")).queue
            assert (queue.live, queue.acked, queue.attempts) == (0, COUNT, 0)
            await cluster.assert_equal_states()

    asyncio.run(story())


@pytest.mark.slow
def test_a_second_connection_of_the_device_ends_the_first(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            Cluster(tmp_path, nodes=1) as cluster,
            cluster.client() as first,
            cluster.client() as second,
        ):
            await first.sessions.register_device("bob", "phone")
            await send(first, 3)
            async with asyncio.timeout(PATIENCE_S):
                old = aiter(first.messages.receive("bob", "phone"))
                seen = [await anext(old) for _ in range(3)]
                await seen[0].ack()
                new = aiter(second.messages.receive("bob", "phone"))
                again = [await anext(new) for _ in range(2)]
                assert [(each.seq, each.delivery.redelivered) for each in again] == [(2, True), (3, True)]
                with pytest.raises(Aborted) as ended:
                    await anext(old)
                assert ended.value.reason == "SESSION_SUPERSEDED"
                with pytest.raises(Aborted):
                    await seen[1].ack()
                for message in again:
                    await message.ack()
                await new.aclose()
            queue = (await first.messages.queue("bob", "phone")).queue
            # That the first connection was cut off counts against the message it was at.
            assert (queue.live, queue.acked) == (0, 3)

    asyncio.run(story())


@pytest.mark.slow
def test_ephemeral_messages_reach_who_is_connected_now(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster, cluster.client() as alice, cluster.client() as bob:
            await alice.sessions.register_device("bob", "phone")
            typing = {"to": "bob", "text": "is typing", "ephemeral": True, "for_service": True}
            sent = await alice.messages.send("alice", **typing)
            assert sent.outcome == "not-online"
            async with (
                asyncio.timeout(PATIENCE_S),
                aclosing(aiter(bob.messages.receive("bob", "phone"))) as got,
            ):
                coming = asyncio.ensure_future(anext(got))

                async def handed_over() -> bool:
                    return (await alice.messages.send("alice", **typing)).outcome == "handed-over"

                await eventually(handed_over, "Bob is attached")
                message = await coming
                assert (message.seq, message.text) == (0, "is typing")
            assert (await alice.messages.queue("bob", "phone")).queue.next_seq == 1

    asyncio.run(story())
