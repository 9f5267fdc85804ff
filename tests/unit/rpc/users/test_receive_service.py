"""ReceiveMessages and PullMessages as they are on the wire, over a node that leads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from kvraft.node.sharing import Share
from kvraft.rpc.users import pulling
from kvraft.v1 import lease_pb2, lease_pb2_grpc, message_pb2, message_pb2_grpc, session_pb2, session_pb2_grpc
from tests.fakes.one_node import OneNode, one_node

PATIENCE_S = 10.0
Command = message_pb2.ReceiveCommand


class World:
    """Stubs, and Bob with some devices."""

    def __init__(self, served: OneNode, channel: grpc.aio.Channel) -> None:
        self.served = served
        self.node = served.node
        self.messages: Any = message_pb2_grpc.MessageServiceStub(channel)
        self.sessions: Any = session_pb2_grpc.SessionServiceStub(channel)
        self.leases: Any = lease_pb2_grpc.LeaseServiceStub(channel)
        self.sent = 0

    async def device(self, device_id: str) -> int:
        """Registered and connected; the epoch."""
        lease = await self.leases.GrantLease(lease_pb2.GrantLeaseRequest(ttl_ms=1_000_000))
        await self.sessions.RegisterDevice(
            session_pb2.RegisterDeviceRequest(user_id="bob", device_id=device_id)
        )
        opened = await self.sessions.OpenSession(
            session_pb2.OpenSessionRequest(user_id="bob", device_id=device_id, lease_id=lease.lease.lease_id)
        )
        return int(opened.session.epoch)

    async def send(self, payload: bytes = b"hi") -> None:
        self.sent += 1
        message = message_pb2.Message(
            message_id=str(self.sent),
            sender_id="alice",
            user_id="bob",
            content_type=message_pb2.CONTENT_TYPE_OPAQUE,
            payload=payload,
        )
        await self.messages.SendMessage(message_pb2.SendMessageRequest(message=message))

    def receive(self) -> Receiving:
        return Receiving(self.messages)


class Receiving:
    """A stream."""

    def __init__(self, stub: Any) -> None:
        self._commands: asyncio.Queue[Sequence[Command] | None] = asyncio.Queue()
        self.call = stub.ReceiveMessages(self._requests())
        self._events: list[message_pb2.ReceiveEvent] = []

    async def _requests(self) -> AsyncIterator[message_pb2.ReceiveMessagesRequest]:
        while (commands := await self._commands.get()) is not None:
            yield message_pb2.ReceiveMessagesRequest(commands=commands)

    def say(self, *commands: Command) -> None:
        self._commands.put_nowait(commands)

    def done(self) -> None:
        self._commands.put_nowait(None)

    async def frame(self) -> message_pb2.ReceiveMessagesResponse:
        response = await self.call.read()
        assert isinstance(response, message_pb2.ReceiveMessagesResponse), "the stream has ended"
        return response

    async def end(self) -> None:
        """Reads on to the end."""
        while await self.call.read() is not grpc.aio.EOF:
            pass

    async def event(self) -> message_pb2.ReceiveEvent:
        while not self._events:
            self._events.extend((await self.frame()).events)
        return self._events.pop(0)

    async def events(self, *kinds: str) -> list[message_pb2.ReceiveEvent]:
        """The next ones, which are of these kinds."""
        found = [await self.event() for _ in kinds]
        assert [event.WhichOneof("event") for event in found] == list(kinds)
        return found


def attach(number: int, device_id: str, epoch: int, **more: int) -> Command:
    return Command(
        attach=Command.Attach(attachment_id=number, user_id="bob", device_id=device_id, epoch=epoch, **more)
    )


def acknowledge(number: int, through: int = 0, **more: Any) -> Command:
    return Command(acknowledge=Command.Acknowledge(attachment_id=number, through_seq=through, **more))


def with_world(scenario: Callable[[World], Awaitable[None]]) -> None:
    async def run() -> None:
        async with (
            asyncio.timeout(PATIENCE_S),
            one_node() as served,
            grpc.aio.insecure_channel(served.endpoints) as channel,
        ):
            served.node.wall_ms = 1_700_000_000_000
            served.node.lead()
            await scenario(World(served, channel))

    asyncio.run(run())


def info(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    status = rpc_status.from_call(error)
    assert status is not None
    found = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(found)
    return found


def test_many_devices_share_a_stream() -> None:
    async def scenario(world: World) -> None:
        phone, laptop = await world.device("phone"), await world.device("laptop")
        await world.send()
        receiving = world.receive()
        receiving.say(attach(1, "phone", phone), attach(7, "laptop", laptop))
        found = [await receiving.event() for _ in range(4)]
        assert [event.WhichOneof("event") for event in found] == ["attached"] * 2 + ["delivery"] * 2
        assert [event.attachment_id for event in found] == [1, 7, 1, 7]
        assert (found[0].attached.ack_floor, found[0].attached.next_seq) == (0, 2)
        receiving.say(acknowledge(7, 1), Command(detach=Command.Detach(attachment_id=7)))
        confirmed, closed = await receiving.events("ack_confirmed", "closed")
        assert confirmed.ack_confirmed.ack_floor == 1
        assert (closed.attachment_id, closed.closed.code, closed.closed.reason) == (7, 0, "")
        receiving.say(acknowledge(1, seqs=[1]))
        await receiving.events("ack_confirmed", "queue_empty")

    with_world(scenario)


def test_a_node_that_does_not_lead_says_who_does_and_the_stream_stays() -> None:
    async def scenario(world: World) -> None:
        epoch = await world.device("phone")
        world.node.replica.leads = False
        world.node.replica.raft.leader_id = 3
        receiving = world.receive()
        receiving.say(attach(1, "phone", epoch))
        (closed,) = await receiving.events("closed")
        assert (closed.closed.reason, closed.closed.leader_id) == ("NOT_LEADER", 3)
        assert closed.closed.code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
        world.node.lead()
        receiving.say(attach(1, "phone", epoch))
        await receiving.events("attached", "queue_empty")
        assert "fresh" in world.node.waits

    with_world(scenario)


@pytest.mark.parametrize(
    ("field", "order"),
    [
        ("attach.user_id", Command.Attach(attachment_id=1, device_id="phone")),
        ("attach.device_id", Command.Attach(attachment_id=1, user_id="bob")),
        (
            "attach.window_messages",
            Command.Attach(attachment_id=1, user_id="bob", device_id="phone", window_messages=257),
        ),
        (
            "attach.window_bytes",
            Command.Attach(attachment_id=1, user_id="bob", device_id="phone", window_bytes=(4 << 20) + 1),
        ),
    ],
)
def test_what_breaks_a_limit_is_refused(field: str, order: Command.Attach) -> None:
    async def scenario(world: World) -> None:
        receiving = world.receive()
        receiving.say(Command(attach=order))
        (closed,) = await receiving.events("closed")
        assert closed.closed.reason == "INVALID_ARGUMENT"
        assert field in closed.closed.message

    with_world(scenario)


@pytest.mark.parametrize(
    "said",
    [
        {"seqs": range(1, 1_002)},
        {"nacks": [message_pb2.Nack(seq=1, reason="x" * 257)]},
        {"nacks": [message_pb2.Nack(seq=1, delay={"seconds": 3_601})]},
        {"nacks": [message_pb2.Nack(seq=1, delay={"seconds": -1})]},
        {"through": 2},
    ],
)
def test_an_acknowledgement_that_breaks_a_rule_is_refused_by_itself(said: dict[str, Any]) -> None:
    async def scenario(world: World) -> None:
        epoch = await world.device("phone")
        await world.send()
        receiving = world.receive()
        receiving.say(attach(1, "phone", epoch))
        await receiving.events("attached", "delivery")
        receiving.say(acknowledge(1, **said), acknowledge(1, 1))
        refused, confirmed = await receiving.events("command_refused", "ack_confirmed")
        assert refused.command_refused.reason == "INVALID_ARGUMENT"
        assert (refused.attachment_id, confirmed.ack_confirmed.ack_floor) == (1, 1)

    with_world(scenario)


def test_a_frame_that_makes_no_sense_is_refused_and_the_stream_goes_on() -> None:
    async def scenario(world: World) -> None:
        epoch = await world.device("phone")
        await world.send()
        receiving = world.receive()
        receiving.say(attach(1, "phone", epoch))
        await receiving.events("attached", "delivery")
        for commands, about in (([], 0), ([Command()], 0), ([attach(1, "phone", epoch)], 1)):
            receiving.say(*commands)
            (refused,) = await receiving.events("command_refused")
            assert refused.attachment_id == about
            assert refused.command_refused.reason == "INVALID_ARGUMENT"
        receiving.say(acknowledge(1, 1))
        await receiving.events("ack_confirmed")

    with_world(scenario)


def test_events_travel_together_up_to_a_limit() -> None:
    async def scenario(world: World) -> None:
        epoch = await world.device("phone")
        for _ in range(20):
            await world.send(bytes(20_000))
        receiving = world.receive()
        receiving.say(attach(1, "phone", epoch))
        found = 0
        while found < 20:
            frame = await receiving.frame()
            found += sum(event.HasField("delivery") for event in frame.events)
            assert frame.ByteSize() < (64 << 10) + 21_000

    with_world(scenario)


def test_a_client_that_asks_for_nothing_more_is_served_while_it_is_attached() -> None:
    async def scenario(world: World) -> None:
        epoch = await world.device("phone")
        receiving = world.receive()
        receiving.say(attach(1, "phone", epoch))
        receiving.done()
        await receiving.events("attached", "queue_empty")
        await world.send()
        await receiving.events("delivery")
        await world.sessions.RevokeSessions(session_pb2.RevokeSessionsRequest(user_id="bob"))
        (closed,) = await receiving.events("closed")
        assert closed.closed.code == grpc.StatusCode.UNAUTHENTICATED.value[0]
        assert await receiving.call.read() is grpc.aio.EOF

    with_world(scenario)


def test_a_connection_that_breaks_counts_a_failed_delivery() -> None:
    async def scenario(world: World) -> None:
        epoch = await world.device("phone")
        await world.send()
        receiving = world.receive()
        receiving.say(attach(1, "phone", epoch))
        await receiving.events("attached", "delivery")
        receiving.call.cancel()
        request = message_pb2.GetQueueRequest(user_id="bob", device_id="phone")
        while not (await world.messages.GetQueue(request)).queue.attempts:
            pass  # the node notices when it does
        assert world.node.replica.deliveries.attachment_count == 0

    with_world(scenario)


def test_a_stop_ends_streams_and_waiting_pulls() -> None:
    async def scenario(world: World) -> None:
        epoch = await world.device("phone")
        receiving = world.receive()
        receiving.say(attach(1, "phone", epoch))
        await receiving.events("attached", "queue_empty")
        pull = message_pb2.PullMessagesRequest(user_id="bob", device_id="phone", wait={"seconds": 60})
        pulling_ = asyncio.ensure_future(world.messages.PullMessages(pull))
        waiters = world.node.replica.queue_waiters
        while not waiters.share.taken:
            await world.messages.GetQueue(message_pb2.GetQueueRequest(user_id="bob", device_id="phone"))
        world.node.replica.stopping = True
        world.node.replica.deliveries.shut_down()
        waiters.wake_all()
        (closed,) = await receiving.events("closed")
        assert closed.closed.reason == "SHUTTING_DOWN"
        assert await receiving.call.read() is grpc.aio.EOF
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await pulling_
        assert info(failed.value).reason == "SHUTTING_DOWN"
        assert not waiters.share.taken

    with_world(scenario)


def test_pulls_have_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulling, "RESPONSE_BYTES_MAX", 2_000)

    async def scenario(world: World) -> None:
        world.node.replica.queue_waiters.share = Share(0)
        await world.device("phone")
        wait = message_pb2.PullMessagesRequest(user_id="bob", device_id="phone", wait={"seconds": 1})
        for request, code in (
            (
                message_pb2.PullMessagesRequest(user_id="bob", device_id="phone", max_messages=257),
                grpc.StatusCode.INVALID_ARGUMENT,
            ),
            (
                message_pb2.PullMessagesRequest(user_id="bob", device_id="phone", wait={"seconds": 61}),
                grpc.StatusCode.INVALID_ARGUMENT,
            ),
            (wait, grpc.StatusCode.RESOURCE_EXHAUSTED),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await world.messages.PullMessages(request)
            assert failed.value.code() is code
        for _ in range(3):
            await world.send(bytes(1_500))
        pulled = await world.messages.PullMessages(wait)
        assert (len(pulled.deliveries), pulled.more) == (1, True)

    with_world(scenario)


def test_an_ephemeral_message_at_a_follower_says_who_leads() -> None:
    async def scenario(world: World) -> None:
        await world.device("phone")
        world.node.replica.leads = False
        world.node.replica.raft.leader_id = 3
        message = message_pb2.Message(
            message_id="m", sender_id="alice", user_id="bob", content_type=message_pb2.CONTENT_TYPE_TEXT
        )
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await world.messages.SendMessage(message_pb2.SendMessageRequest(message=message, ephemeral=True))
        found = info(failed.value)
        assert (found.reason, found.metadata["leader_id"]) == ("NOT_LEADER", "3")

    with_world(scenario)
