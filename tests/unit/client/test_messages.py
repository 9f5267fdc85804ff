"""Messages as applications use them, over the real services of one node that leads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any

import pytest

from kvraft import errors
from kvraft.client import (
    Aborted,
    Client,
    ContentType,
    Delete,
    InvalidArgument,
    Media,
    NotFound,
    OutcomeUnknown,
    OutgoingMessage,
    Receipt,
    ReceivedMessage,
    ResourceExhausted,
    SendOutcome,
    SendResult,
    SyncClient,
    Unauthenticated,
    Unavailable,
    held_lease,
    limits,
)
from kvraft.rpc import lease_requests
from kvraft.rpc.users import checks, receive_requests
from tests.cluster.harness import eventually
from tests.fakes.one_node import OneNode, one_node

NOW_MS = 1_700_000_000_123
PATIENCE_S = 10.0


def with_client(scenario: Callable[[OneNode, Client], Awaitable[None]], *, addresses: int = 1) -> None:
    async def run() -> None:
        async with (
            asyncio.timeout(PATIENCE_S),
            one_node(addresses) as served,
            Client(served.endpoints, timeout_s=1.0) as client,
        ):
            served.node.wall_ms = NOW_MS
            served.node.lead()
            await client.sessions.register_device("bob", "phone")
            await scenario(served, client)

    asyncio.run(run())


async def send(client: Client, *texts: str) -> None:
    for text in texts:
        await client.messages.send("alice", to="bob", text=text)


def receiving(client: Client, **options: object) -> aclosing[AsyncGenerator[ReceivedMessage, None]]:
    return aclosing(aiter(client.messages.receive("bob", "phone", **options)))


async def take(messages: AsyncGenerator[ReceivedMessage, None], count: int) -> list[ReceivedMessage]:
    return [await anext(messages) for _ in range(count)]


async def live(client: Client) -> int:
    return (await client.messages.queue("bob", "phone")).queue.live


def test_a_message_is_what_was_sent() -> None:
    async def scenario(_: OneNode, client: Client) -> None:
        picture = Media(uri="s3://pictures/1", size_bytes=5, mime_type="image/png", sha256=bytes(32))
        sent = await client.messages.send(
            "alice",
            to="bob",
            payload=b"\xff",
            content_type=ContentType.IMAGE,
            media=picture,
            message_id="m1",
            conversation_id="c1",
            for_service=True,
        )
        assert (sent.message_id, sent.outcome, sent.queued_devices) == ("m1", SendOutcome.QUEUED, 1)
        async with receiving(client) as messages:
            (got,) = await take(messages, 1)
            message = got.message
            assert (message.sender_id, message.user_id, message.payload) == ("alice", "bob", b"\xff")
            assert (message.content_type, message.media, message.conversation_id) == (
                ContentType.IMAGE,
                picture,
                "c1",
            )
            assert (got.seq, got.delivery.revision) == (1, sent.header.revision)
            assert got.delivery.accept_time == sent.accept_time

    with_client(scenario)


def test_the_same_message_is_sent_once_and_ids_are_chosen() -> None:
    async def scenario(_: OneNode, client: Client) -> None:
        first = await client.messages.send("alice", to="bob", text="hi", message_id="m")
        second = await client.messages.send("alice", to="bob", text="hi", message_id="m")
        assert (first.duplicate, second.duplicate) == (False, True)
        chosen = {(await client.messages.send("alice", to="bob", text="hi")).message_id for _ in range(2)}
        assert len(chosen) == 2
        assert await live(client) == 3

    with_client(scenario)


def test_what_a_sender_is_not_told_is_not_shown_as_a_fact() -> None:
    async def scenario(_: OneNode, client: Client) -> None:
        sent = await client.messages.send("alice", to="bob", text="hi")
        assert (sent.outcome, sent.queued_devices, sent.device_results) == (SendOutcome.NOT_TOLD, None, None)
        told = await client.messages.send("alice", to="bob", text="ho", for_service=True)
        assert (told.outcome, told.queued_devices) == (SendOutcome.QUEUED, 1)

    with_client(scenario)


def test_many_are_told_of_one_by_one() -> None:
    async def scenario(_: OneNode, client: Client) -> None:
        outcomes = await client.messages.send_many(
            [
                OutgoingMessage(sender_id="alice", to="bob", text="1"),
                OutgoingMessage(sender_id="alice", to="nobody", text="2"),
                OutgoingMessage(sender_id="alice", to="bob", text="3"),
            ]
        )
        assert [type(outcome) for outcome in outcomes] == [SendResult, NotFound, SendResult]
        with pytest.raises(ValueError, match="`to` or `group`"):
            await client.messages.send("alice", to="bob", group="family", text="x")
        with pytest.raises(InvalidArgument):
            await client.messages.send("alice", to="bob", payload=bytes(70_000))

    with_client(scenario)


def test_a_batch_in_order_whose_answer_was_lost_is_sent_again_and_accepted_once() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        outgoing = [OutgoingMessage(sender_id="alice", to="bob", text=text) for text in "12"]
        served.node.lost_answers = 1
        first, second = await client.messages.send_in_order(outgoing)
        assert isinstance(first, SendResult)
        assert isinstance(second, SendResult)
        assert (first.duplicate, second.duplicate) == (True, True)
        assert await live(client) == 2

    with_client(scenario)


@pytest.mark.parametrize("then", [None, errors.no_leader(600), errors.overloaded("writes")])
def test_a_batch_in_order_whose_answers_are_all_lost_may_have_been_applied(
    then: errors.RequestError | None,
) -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        served.node.lost_answers = 1_000 if then is None else 1
        served.node.refusal_then = then
        with pytest.raises(OutcomeUnknown) as unknown:
            await client.messages.send_in_order([OutgoingMessage(sender_id="alice", to="bob", text="1")])
        assert unknown.value.applied == "unknown"
        served.node.lost_answers, served.node.refusal = 0, None
        assert await live(client) == 1

    with_client(scenario)


def test_messages_come_in_order_and_leave_when_they_are_acknowledged() -> None:
    async def scenario(_: OneNode, client: Client) -> None:
        await send(client, "1", "2", "3")
        async with receiving(client) as messages:
            got = await take(messages, 3)
            assert [(each.seq, each.text) for each in got] == [(1, "1"), (2, "2"), (3, "3")]
            await got[1].ack()
            assert await live(client) == 2
            await got[0].ack()
            await got[0].ack()  # again: nothing happens
            await send(client, "4")
            (last,) = await take(messages, 1)
            assert last.text == "4"
            last.ack_soon()
        queue = (await client.messages.queue("bob", "phone")).queue
        assert (queue.live, queue.acked, queue.attempts) == (1, 3, 0)
        async with receiving(client) as messages:
            (again,) = await take(messages, 1)
            assert again.seq == 3

    with_client(scenario)


def test_it_ends_when_the_queue_is_empty_if_that_is_wanted() -> None:
    async def scenario(_: OneNode, client: Client) -> None:
        await send(client, *map(str, range(30)))
        receiver = client.messages.receive("bob", "phone", window_messages=7, until_empty=True)
        got = []
        async for message in receiver:
            got.append(message.text)
            message.ack_soon()
        assert got == list(map(str, range(30)))
        assert receiver.queue_empty.is_set()
        assert await live(client) == 0

    with_client(scenario)


def test_a_refused_message_is_handed_out_again() -> None:
    async def scenario(_: OneNode, client: Client) -> None:
        await send(client, "1", "2", "3")
        async with receiving(client, window_messages=2) as messages:
            first, second = await take(messages, 2)
            first.nack(reason="not now")
            (again,) = await take(messages, 1)
            assert (again.seq, again.delivery.attempt, again.delivery.redelivered) == (1, 2, True)
            again.nack(delay_s=0.05)
            await second.ack()
            third, once_more = sorted(await take(messages, 2), key=lambda each: each.seq, reverse=True)
            assert (third.seq, once_more.seq) == (3, 1)
            await third.ack()
            assert await live(client) == 1, "the refused one counts as acknowledged"
            await once_more.ack()
        assert await live(client) == 0

    with_client(scenario)


@pytest.mark.parametrize(
    ("arguments", "limit"),
    [
        ({"reason": "x" * 257}, "256"),
        ({"reason": "é" * 129}, "256"),
        ({"reason": "half \ud83d"}, "half of a character"),
        ({"delay_s": 7_200}, "3,600"),
        ({"delay_s": -1}, "3,600"),
        ({"delay_s": float("nan")}, "finite"),
    ],
)
def test_a_refusal_that_breaks_a_limit_is_a_mistake_of_the_call(arguments: Any, limit: str) -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        await send(client, "1", "2")
        async with receiving(client) as messages:
            first, second = await take(messages, 2)
            with pytest.raises(ValueError, match=limit):
                first.nack(**arguments)
            first.nack(reason="x" * 256, delay_s=0)
            (again,) = await take(messages, 1)
            assert (again.seq, again.delivery.attempt) == (1, 2)
            await again.ack()
            await second.ack()
        assert await live(client) == 0

    with_client(scenario)


@pytest.mark.parametrize(
    "arguments",
    [
        {"user_id": ""},
        {"user_id": "b" * 65},
        {"user_id": "half \ud83d"},
        {"user_id": "b\x85"},
        {"device_id": "d" * 33},
        {"epoch": -1},
        {"epoch": 1 << 64},
        {"window_messages": 0},
        {"window_messages": 257},
        {"window_bytes": (4 << 20) + 1},
        {"ttl_s": 0.5},
    ],
)
def test_a_receiver_that_breaks_a_limit_never_reaches_the_stream_of_the_others(arguments: Any) -> None:
    async def scenario(_: OneNode, client: Client) -> None:
        await send(client, "1")
        async with receiving(client) as messages:
            await take(messages, 1)
            with pytest.raises(ValueError, match=r"give|character"):
                client.messages.receive(**{"user_id": "bob", "device_id": "phone"} | arguments)

    with_client(scenario)


def test_a_device_whose_commands_cannot_be_made_ends_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(_: OneNode, client: Client) -> None:
        await client.sessions.register_device("bob", "laptop")
        await send(client, "1")
        async with receiving(client) as messages:
            (message,) = await take(messages, 1)
            broken = client.messages.receive("bob", "laptop")
            monkeypatch.setattr(broken._reception, "_window_messages", -1)
            with pytest.raises(ValueError, match="range"):
                await anext(aiter(broken))
            await message.ack()

    with_client(scenario)


def test_a_receiver_that_is_cancelled_while_it_leaves_leaves_no_attachment_behind() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        await client.sessions.register_device("bob", "laptop")
        await send(client, "1")
        entered = asyncio.Event()

        async def work() -> None:
            async with receiving(client) as messages:
                (message,) = await take(messages, 1)
                message.ack_soon()
                entered.set()
                await asyncio.Event().wait()

        async with aclosing(aiter(client.messages.receive("bob", "laptop"))) as others:
            await anext(others)
            working = asyncio.create_task(work())
            await entered.wait()
            working.cancel()
            await asyncio.sleep(0)
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working

            async def only_the_other() -> bool:
                return served.node.replica.deliveries.attachment_count == 1

            await eventually(only_the_other, "the detachment")
            queue = (await client.messages.queue("bob", "phone")).queue
            assert (queue.live, queue.attempts) == (0, 0)

    with_client(scenario)


def test_a_receiver_whose_own_session_may_have_ended_hands_out_nothing_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = [1_000.0]
    monkeypatch.setattr(held_lease, "elapsed_s", lambda: now_s[0])

    async def scenario(_: OneNode, client: Client) -> None:
        await send(client, "1", "2", "3")
        async with receiving(client, ttl_s=60) as messages:
            await take(messages, 1)
            now_s[0] += 60
            with pytest.raises(Aborted) as ended:
                await anext(messages)
            assert ended.value.reason == "SESSION_EXPIRED"

    with_client(scenario)


def test_the_limits_are_those_of_the_nodes() -> None:
    assert limits.USER_ID_BYTES_MAX == checks.USER_ID_BYTES_MAX
    assert limits.DEVICE_ID_BYTES_MAX == checks.DEVICE_ID_BYTES_MAX
    assert limits.WINDOW_MESSAGES_MAX == receive_requests.WINDOW_MESSAGES_MAX
    assert limits.WINDOW_BYTES_MAX == receive_requests.WINDOW_BYTES_MAX
    assert limits.NACK_DELAY_S_MAX == receive_requests.NACK_DELAY_S_MAX
    assert limits.NACK_REASON_BYTES_MAX == receive_requests.NACK_REASON_BYTES_MAX
    assert limits.LEASE_TTL_S_MIN * 1_000 == lease_requests.TTL_MS_MIN
    assert limits.LEASE_TTL_S_MAX * 1_000 == lease_requests.TTL_MS_MAX


def test_after_a_change_of_leader_nothing_comes_twice_and_acknowledgements_work() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        await send(client, "1", "2", "3")
        async with receiving(client) as messages:
            got = await take(messages, 3)
            served.node.replica.leads = False
            served.node.replica.raft.leader_id = 0
            served.node.replica.deliveries.lose_leadership(0)
            got[0].ack_soon()
            waiting = asyncio.ensure_future(got[1].ack())
            await send(client, "4")
            served.node.lead()
            (fourth,) = await take(messages, 1)
            assert fourth.text == "4"
            await waiting
            assert await live(client) == 2
            await got[2].ack()
            assert await live(client) == 1

    with_client(scenario)


def test_a_broken_connection_is_made_again() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        await send(client, "1")
        async with receiving(client) as messages:
            (first,) = await take(messages, 1)
            await served.servers[0].stop(None)
            await served.node.write_message("2")
            (second,) = await take(messages, 1)
            assert second.text == "2"
            await first.ack()
            await second.ack()

    async def run() -> None:
        async with asyncio.timeout(PATIENCE_S), one_node(2) as served:
            served.node.wall_ms = NOW_MS
            served.node.lead()
            async with Client(served.endpoints, timeout_s=3.0) as client:
                await client.sessions.register_device("bob", "phone")
                async with Client(served.addresses[1]) as other:

                    async def write_message(text: str) -> None:
                        await send(other, text)

                    served.node.write_message = write_message  # type: ignore[attr-defined]
                    await scenario(served, client)

    asyncio.run(run())


def test_without_a_leader_it_fails_in_time() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        served.node.replica.leads = False
        served.node.replica.raft.leader_id = 0
        epoch = 1
        async with receiving(client, epoch=epoch) as messages:
            with pytest.raises(Unavailable) as failed:
                await anext(messages)
        assert failed.value.reason == "NO_LEADER"

    with_client(scenario)


def test_an_acknowledgement_under_way_when_receiving_ends_may_have_been_applied() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        await send(client, "1")
        async with receiving(client) as messages:
            (first,) = await take(messages, 1)
            served.node.replica.leads = False
            served.node.replica.raft.leader_id = 0
            served.node.replica.deliveries.lose_leadership(0)
            acknowledging = asyncio.ensure_future(first.ack())
            with pytest.raises(Unavailable):
                await anext(messages)
            with pytest.raises(OutcomeUnknown) as unknown:
                await acknowledging
            with pytest.raises(OutcomeUnknown):  # asked again, it is what it was
                await first.ack()
        assert (unknown.value.reason, unknown.value.applied) == ("NO_LEADER", "unknown")
        assert isinstance(unknown.value.__cause__, Unavailable)

    with_client(scenario)


def test_a_message_that_outlives_the_iteration_is_not_acknowledged() -> None:
    async def scenario(_: OneNode, client: Client) -> None:
        await send(client, "1", "2")
        async with receiving(client) as messages:
            first, second = await take(messages, 2)
            await second.ack()
        with pytest.raises(Unavailable) as ended:
            await first.ack()
        assert (ended.value.reason, ended.value.applied) == ("CANCELLED", "no")
        await second.ack()  # it was
        assert await live(client) == 1

    with_client(scenario)


def test_a_session_that_ends_ends_the_iteration() -> None:
    async def scenario(_: OneNode, client: Client) -> None:
        await send(client, "1")
        async with receiving(client) as first, receiving(client) as second:
            (old,) = await take(first, 1)
            (new,) = await take(second, 1)
            with pytest.raises(Aborted) as superseded:
                await anext(first)
            assert superseded.value.reason == "SESSION_SUPERSEDED"
            with pytest.raises(Aborted):
                await old.ack()
            await new.ack()
            await client.sessions.revoke("bob")
            with pytest.raises(Unauthenticated):
                await anext(second)
        with pytest.raises(Aborted):
            await anext(aiter(client.messages.receive("bob", "phone", epoch=12345)))
        with pytest.raises(NotFound):
            await anext(aiter(client.messages.receive("bob", "watch", epoch=1)))

    with_client(scenario)


def test_all_receivers_of_a_client_share_a_stream() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        await client.sessions.register_device("bob", "laptop")
        await send(client, "1")
        async with client.sessions.gateway("here:1") as gateway:
            sessions = [await gateway.open("bob", device) for device in ("phone", "laptop")]
            receivers = [
                aiter(client.messages.receive("bob", each.device_id, epoch=each.epoch)) for each in sessions
            ]
            for receiver in receivers:
                (message,) = await take(receiver, 1)
                await message.ack()
            assert len(served.node.replica.deliveries._streams) == 1
            for receiver in receivers:
                await receiver.aclose()
        assert served.node.replica.deliveries.attachment_count == 0

    with_client(scenario)


def test_a_client_that_is_closed_ends_what_receives() -> None:
    async def scenario(_: OneNode, client: Client) -> None:
        await send(client, "one")
        async with receiving(client) as messages:
            (message,) = await take(messages, 1)
            waiting = asyncio.create_task(take(messages, 1))
            await asyncio.sleep(0)
            await client.close()
            with pytest.raises(Unavailable, match="closed while it received"):
                await waiting
            with pytest.raises(Unavailable):
                await message.ack()

    with_client(scenario)


def test_on_a_full_disk_a_put_fails_alone_among_those_that_free_space() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        await send(client, "1", "2")
        kept = await client.kv.put(b"kept", b"")
        await client.kv.put(b"gone", b"")
        lease_id = (await client.lease.grant(60)).lease_id
        served.node.is_full = True
        refused, *freed = await asyncio.gather(
            client.kv.put(b"more", b""),
            client.kv.compare_and_delete(b"kept", expected_revision=kept.header.revision),
            client.kv.delete(b"gone"),
            client.kv.batch_write([Delete(b"gone")]),
            client.lease.revoke(lease_id),
            client.messages.acknowledge("bob", "phone", through_seq=1),
            client.messages.purge("bob", "phone"),
            client.admin.erase_user("bob"),
            return_exceptions=True,
        )
        assert isinstance(refused, ResourceExhausted)
        assert refused.reason == "NO_SPACE"
        assert [each for each in freed if isinstance(each, BaseException)] == []

    with_client(scenario)


def test_ephemeral_messages() -> None:
    async def scenario(served: OneNode, client: Client) -> None:
        typing = OutgoingMessage(
            sender_id="alice", to="bob", text="is typing", ephemeral=True, for_service=True
        )
        (nobody,) = await client.messages.send_many([typing])
        assert isinstance(nobody, SendResult)
        assert nobody.outcome is SendOutcome.NOT_ONLINE
        await send(client, "1")
        async with receiving(client) as messages:
            await take(messages, 1)
            (sent,) = await client.messages.send_many([typing])
            assert isinstance(sent, SendResult)
            assert sent.outcome is SendOutcome.HANDED_OVER
            (got,) = await take(messages, 1)
            assert (got.seq, got.text) == (0, "is typing")
            await got.ack()  # nothing to acknowledge
            await client.contacts.block("bob", "alice")
            (blocked,) = await client.messages.send_many([typing])
            assert isinstance(blocked, SendResult)
            assert blocked.outcome is SendOutcome.BLOCKED
            with pytest.raises(NotFound):
                await client.messages.send("alice", to="nobody", text="x", ephemeral=True)
            served.node.replica.leads = False
            served.node.replica.raft.leader_id = 3
            with pytest.raises(Unavailable):
                await client.messages.send("alice", to="bob", text="x", ephemeral=True)

    with_client(scenario)


def test_ephemeral_messages_to_a_group_go_to_its_members_that_are_connected() -> None:
    async def scenario(_: OneNode, client: Client) -> None:
        await client.sessions.register_device("alice", "laptop")
        await client.groups.create("family", "alice", member_ids=["bob"])
        await send(client, "1")
        async with receiving(client) as messages:
            await take(messages, 1)
            sent = await client.messages.send(
                "alice", group="family", text="is typing", ephemeral=True, for_service=True
            )
            assert sent.outcome is SendOutcome.HANDED_OVER
            (got,) = await take(messages, 1)
            assert got.message.group_id == "family"

    with_client(scenario)


def test_pulling() -> None:
    async def scenario(_: OneNode, client: Client) -> None:
        pulled = await client.messages.pull("bob", "phone")
        assert (pulled.deliveries, pulled.more) == ((), False)
        waiting = asyncio.ensure_future(client.messages.pull("bob", "phone", wait_s=5))
        await asyncio.sleep(0)
        await send(client, "1", "2", "3")
        assert [each.message.text for each in (await waiting).deliveries][:1] == ["1"]
        pulled = await client.messages.pull("bob", "phone", max_messages=1, after_seq=1)
        assert ([each.seq for each in pulled.deliveries], pulled.more) == ([2], True)
        assert not (await client.messages.pull("bob", "phone", wait_s=0.05, after_seq=3)).deliveries
        with pytest.raises(NotFound):
            await client.messages.pull("bob", "watch")

        done = await client.messages.acknowledge("bob", "phone", through_seq=1, seqs=[3])
        assert (done.acknowledged, done.ack_floor) == (2, 1)
        with pytest.raises(Aborted):
            await client.messages.acknowledge("bob", "phone", through_seq=2, epoch=99)

    with_client(scenario)


def test_queues_and_dead_letters() -> None:
    async def scenario(_: OneNode, client: Client) -> None:
        await client.sessions.register_device("carol", "phone")
        await send(client, "poison", "2", "3")
        for _ in range(20):
            failed = await client.messages.acknowledge("bob", "phone", nacks=[(1, "too hot")])
        assert failed.dead == 1
        every = [queue.user_id async for queue in client.messages.all_queues()]
        assert sorted(every) == ["bob", "carol"]
        page = await client.messages.queues("bob", only_nonempty=True)
        assert [(each.live, each.dead_letters) for each in page.queues] == [(2, 1)]
        (letter,) = (await client.messages.dead_letters("bob", "phone")).dead_letters
        assert (letter.seq, letter.message.text, letter.reason, letter.attempts) == (
            1,
            "poison",
            "too hot",
            20,
        )
        assert (await client.messages.redrive("bob", "phone", [1])).redriven == 1
        assert [each.seq async for each in client.messages.all_dead_letters("bob", "phone")] == []
        assert (await client.messages.delete_dead_letters("bob", "phone")).deleted == 0
        assert (await client.messages.purge("bob", "phone")).purged == 3

    with_client(scenario)


def test_receipts() -> None:
    async def scenario(_: OneNode, client: Client) -> None:
        await client.sessions.register_device("alice", "laptop")
        sent = await client.messages.send("alice", to="bob", text="hi", request_receipt=True)
        async with receiving(client) as messages:
            await (await anext(messages)).ack()
        async with aclosing(aiter(client.messages.receive("alice", "laptop"))) as messages:
            receipt = await anext(messages)
            assert receipt.message.content_type is ContentType.RECEIPT
            told = Receipt.of(receipt.message.payload)
            assert (told.user_id, told.device_id, told.message_ids) == ("bob", "phone", (sent.message_id,))

    with_client(scenario)


def test_the_blocking_client_receives_too() -> None:
    ready, leave = threading.Event(), threading.Event()
    endpoints: list[str] = []

    async def serve() -> None:
        async with one_node() as served:
            served.node.wall_ms = NOW_MS
            served.node.lead()
            endpoints.append(served.endpoints)
            ready.set()
            await asyncio.to_thread(leave.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(PATIENCE_S)
    try:
        with SyncClient(endpoints[0]) as client:
            client.sessions.register_device("bob", "phone")
            for text in "abc":
                client.messages.send("alice", to="bob", text=text)
            got = []
            for message in client.messages.receive("bob", "phone", until_empty=True):
                got.append((message.seq, message.text))
                if message.seq == 1:
                    message.nack(reason="again") if len(got) == 1 else message.ack()
                else:
                    message.ack_soon()
            assert sorted(set(got)) == [(1, "a"), (2, "b"), (3, "c")]
            assert len(got) == 4
            assert client.messages.queue("bob", "phone").queue.live == 0
            client.messages.send("alice", to="bob", text="d")
            for message in client.messages.receive("bob", "phone"):
                message.ack()
                break
    finally:
        leave.set()
        thread.join()


def test_a_refusal_names_the_field_of_the_request() -> None:
    async def scenario(_: OneNode, client: Client) -> None:
        with pytest.raises(InvalidArgument) as refused:
            await client.messages.send("x" * 65, to="bob", text="hello")
        (violation,) = refused.value.violations
        assert violation.field == "message.sender_id"

    with_client(scenario)
