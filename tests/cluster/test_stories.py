"""What people try first, on real nodes: a large group, somebody who is blocked, everything killed at once.

More of it is in the tests of the single services: queues that wait for each device and leaders that die while
one reads (`test_receive`), the same message sent at many nodes at once (`test_messages`), gateways that die
with ten thousand sessions (`test_sessions`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, aclosing
from itertools import chain
from pathlib import Path

import grpc.aio
import pytest

from kvraft.client import BlockScope, Client, ContentType, OutgoingMessage, SendResult, Session
from kvraft.demo.tally import tally
from kvraft.v1 import message_pb2, message_pb2_grpc
from tests.cluster.harness import PATIENCE_S, Cluster

pytestmark = pytest.mark.slow

MEMBERS = [f"member-{number:03}" for number in range(200)]
DEVICES = ("phone", "laptop")
MESSAGES = 100
WRITERS = 10
BODY = bytes(2048)


async def checked_rows(client: Client) -> int:
    """How many rows of user data there are; none of them breaks a law."""
    rows = 0
    async for step in client.admin.check():
        assert step.findings == ()
        rows = step.checked_rows
    return rows


async def stored_bytes(cluster: Cluster) -> int:
    """How much the state of the leader is, in memory and on disk."""
    (status,) = await cluster.statuses(await cluster.leader())
    return status.memory_table_bytes + status.state_bytes


async def write_to_group(client: Client, user_id: str) -> list[SendResult]:
    """One message after the other."""
    return [
        await client.messages.send(user_id, group="g", payload=BODY, message_id=f"{user_id} {number}")
        for number in range(MESSAGES // WRITERS)
    ]


async def read(client: Client, session: Session) -> list[str]:
    """The ids of everything that was queued, in the order in which it came."""
    receiver = client.messages.receive(
        session.user_id, session.device_id, epoch=session.epoch, until_empty=True
    )
    got = []
    async for message in receiver:
        got.append(message.message.message_id)
        message.ack_soon()
    return got


def test_a_large_group_reads_everything_in_the_same_order_and_it_is_stored_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster, cluster.client() as client, AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(cluster.client(each)) for each in cluster.node_ids]
            devices = [(user_id, device_id) for user_id in MEMBERS for device_id in DEVICES]
            await asyncio.gather(*(client.sessions.register_device(*device) for device in devices))
            await client.groups.create("g", MEMBERS[0], member_ids=MEMBERS[1:])
            before, stored_before = await checked_rows(client), await stored_bytes(cluster)

            written = await asyncio.gather(
                *(
                    write_to_group(clients[number % 3], user_id)
                    for number, user_id in enumerate(MEMBERS[:WRITERS])
                )
            )
            accepted = sorted(chain.from_iterable(written), key=lambda result: result.header.revision)
            assert len({result.header.revision for result in accepted}) == MESSAGES
            # Entries are small: nearly all of it would be bodies if every queue had its own.
            one_for_each_queue = len(BODY) * MESSAGES * len(devices)
            assert await stored_bytes(cluster) - stored_before < one_for_each_queue / 8

            async with client.sessions.gateway("10.0.0.7:443") as gateway:
                sessions = await asyncio.gather(*(gateway.open(*device) for device in devices))
                async with asyncio.timeout(2 * PATIENCE_S):
                    got = await asyncio.gather(
                        *(read(clients[number % 3], session) for number, session in enumerate(sessions))
                    )
            in_order = [result.message_id for result in accepted]
            assert all(tally(in_order, each).is_exact for each in got)
            # Left are the memory for duplicates and, of each queue, its row and the one that says when it is
            # due. No body is: nothing refers to any, so the check would have found it.
            assert await checked_rows(client) == before + MESSAGES + 2 * len(devices)
            assert [queue async for queue in client.messages.all_queues(only_nonempty=True)] == []
            await cluster.assert_equal_states()

    asyncio.run(story())


class WhatASenderIsTold:
    """The calls of one sender at one node, as they are on the wire."""

    def __init__(self, channel: grpc.aio.Channel, sender_id: str) -> None:
        self._stub = message_pb2_grpc.MessageServiceStub(channel)
        self._sender_id = sender_id

    async def send(
        self, message_id: str, text: str, *, group: bool = False, ephemeral: bool = False
    ) -> object:
        """The answer but for the moment, or the code and the text of the error without the sender's name."""
        message = message_pb2.Message(
            message_id=message_id,
            sender_id=self._sender_id,
            content_type=message_pb2.CONTENT_TYPE_TEXT,
            payload=text.encode(),
            request_receipt=not ephemeral,
        )
        if group:
            message.group_id = "g"
        else:
            message.user_id = "bob"
        request = message_pb2.SendMessageRequest(message=message, ephemeral=ephemeral)
        try:
            response: message_pb2.SendMessageResponse = await self._stub.SendMessage(request)
        except grpc.aio.AioRpcError as error:
            return error.code(), str(error.details()).replace(self._sender_id, "(sender)")
        response.header.ClearField("revision")
        response.ClearField("accept_time")
        return response

    async def everything(self, number: int) -> list[object]:
        """Whatever could tell somebody that they are blocked. Bob is connected."""
        return [
            await self.send(f"m{number}", "hello"),
            await self.send(f"m{number}", "hello"),
            await self.send(f"m{number}", "something else"),
            await self.send(f"g{number}", "hello", group=True),
            await self.send(f"g{number}", "hello", group=True),
            await self.send(f"e{number}", "is typing", ephemeral=True),
        ]


def test_who_is_blocked_is_not_heard_and_cannot_tell(tmp_path: Path) -> None:
    async def story() -> None:
        async with Cluster(tmp_path) as cluster, cluster.client() as client, AsyncExitStack() as stack:
            for user_id in ("ann", "bob", "eve"):
                await client.sessions.register_device(user_id, "phone")
            await client.groups.create("g", "ann", member_ids=["bob", "eve"])
            await client.contacts.block("bob", "eve", scope=BlockScope.DIRECT_AND_GROUPS)
            got: list[tuple[str, str]] = []
            gateway = await stack.enter_async_context(client.sessions.gateway("10.0.0.7:443"))
            session = await gateway.open("bob", "phone")
            receiver = client.messages.receive("bob", "phone", epoch=session.epoch)
            bob = await stack.enter_async_context(aclosing(aiter(receiver)))
            await client.messages.send("ann", to="bob", text="are you there?")

            async with asyncio.timeout(2 * PATIENCE_S):
                await (await anext(bob)).ack()
                # Of the leader, and of those that pass it on.
                leader = await cluster.leader()
                for node_id in (leader, *await cluster.followers()):
                    address = cluster.members[node_id].client_address
                    channel = await stack.enter_async_context(grpc.aio.insecure_channel(address))
                    anns = await WhatASenderIsTold(channel, "ann").everything(node_id)
                    assert await WhatASenderIsTold(channel, "eve").everything(node_id) == anns
                    refused = [isinstance(each, tuple) for each in anns]
                    # The message id for another content; and only the leader knows who is connected.
                    assert refused == [False, False, True, False, False, node_id != leader]
                await client.messages.send("ann", to="bob", text="good night")
                async for message in bob:
                    got.append((message.message.sender_id, message.text))
                    await message.ack()
                    if message.text == "good night":
                        break
            hellos = 2 * len(cluster.members)
            assert Counter(got) == {
                ("ann", "hello"): hellos,
                ("ann", "is typing"): 1,
                ("ann", "good night"): 1,
            }

            async def receipts(user_id: str) -> int:
                pulled = await client.messages.pull(user_id, "phone", max_messages=256)
                return sum(each.message.content_type is ContentType.RECEIPT for each in pulled.deliveries)

            assert await receipts("ann") > 0
            assert await receipts("eve") == 0
            for viewer_id, is_online in (("ann", True), ("eve", False)):
                (presence,) = (await client.sessions.presence(viewer_id, ["bob"])).presences
                assert (presence.online, presence.last_seen_day) == (is_online, None)
            assert await checked_rows(client) > 0
            await cluster.assert_equal_states()

    asyncio.run(story())


def test_everything_killed_at_once_costs_no_message_and_brings_no_acknowledged_one_back(
    tmp_path: Path,
) -> None:
    count, killed_at = 1_000, 450

    async def story() -> None:
        async with Cluster(tmp_path) as cluster, cluster.client() as alice:
            await alice.sessions.register_device("bob", "phone")
            messages = [
                OutgoingMessage(sender_id="alice", to="bob", text=str(number), message_id=str(number))
                for number in range(1, count + 1)
            ]
            results = await alice.messages.send_many(messages)
            assert all(isinstance(result, SendResult) for result in results), results

            confirmed = 0
            gateway = alice.sessions.gateway("10.0.0.7:443", ttl_s=60)
            await gateway.begin()
            session = await gateway.open("bob", "phone")
            phone = cluster.client()
            receiver = phone.messages.receive("bob", "phone", epoch=session.epoch)
            async with asyncio.timeout(PATIENCE_S), aclosing(aiter(receiver)) as received:
                async for message in received:
                    if message.seq % 100 == 0:
                        await message.ack()
                        confirmed = message.seq
                    else:
                        message.ack_soon()
                    if message.seq == killed_at:
                        # All nodes, and the phone: what it knew is gone as well.
                        await cluster.kill(*cluster.node_ids)
                        await phone.close()
                        break
            assert confirmed == 400
            for node_id in cluster.node_ids:
                cluster.start(node_id)

            got = []
            async with cluster.client() as phone, asyncio.timeout(2 * PATIENCE_S):
                async for message in phone.messages.receive("bob", "phone", until_empty=True):
                    got.append(message.text)
                    message.ack_soon()
            # What the phone acknowledged and was not told of may come again or not.
            first = int(got[0])
            assert confirmed < first <= killed_at + 1
            assert tally([str(number) for number in range(first, count + 1)], got).is_exact
            queue = (await alice.messages.queue("bob", "phone")).queue
            assert (queue.next_seq, queue.acked, queue.live) == (count + 1, count, 0)
            assert await checked_rows(alice) > 0
            await gateway.end()
            await cluster.assert_equal_states()

    asyncio.run(story())
