"""A hub over a machine whose log is a list: what is proposed is applied when the test says so."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from google.protobuf.message import Message

from kvraft.errors import RequestError
from kvraft.machine.machine import BATCH_VERSION
from kvraft.machine.users import queues
from kvraft.node.attachment import AttachOrder, Refusal
from kvraft.node.delivery import DeliveryHub
from kvraft.node.delivery_stream import (
    AckConfirmed,
    Attached,
    Closed,
    Delivered,
    DeliveryStream,
    QueueEmpty,
    StreamEvent,
)
from kvraft.node.proposals import OnAnswer
from kvraft.v1 import command_pb2, message_pb2, session_pb2, user_data_pb2
from tests.unit.machine.users.user_store import TERM, UserStore

BOB = ("bob", "phone")


class World:
    """What a hub sees of its replica, and people who send and receive."""

    def __init__(self, *devices: tuple[str, str]) -> None:
        self.store = UserStore()
        self.machine = self.store.machine
        self.state: Any = self.store.state
        self.state.applied = SimpleNamespace(term=TERM)
        self.raft: Any = SimpleNamespace(term=TERM, leader_id=1)
        self.leads = True
        self.now_ms = 1_000
        self.hub = DeliveryHub(self)
        self.hub.look(self.now_ms)
        self.proposed: list[tuple[command_pb2.Command, OnAnswer]] = []
        self.sent = 0
        for user_id, device_id in devices or (BOB,):
            self.do(
                "register_device", session_pb2.RegisterDeviceRequest(user_id=user_id, device_id=device_id)
            )
        self.lease_id = self.store.grant(1 << 30)

    # --- the replica ----------------------------------------------------------------------------

    def submit(self, command: bytes, *, grows_state: bool, now_ms: int, on_answer: OnAnswer) -> None:
        assert not grows_state
        self.proposed.append((command_pb2.Command.FromString(command), on_answer))

    def do(self, kind: str, request: Message) -> Any:
        """An entry of one command."""
        command = command_pb2.Command(user_data=user_data_pb2.UserDataCommand(**{kind: request}))
        result = self.apply(command).result
        return getattr(result, "response", result)

    def apply(self, command: command_pb2.Command) -> Any:
        group = command_pb2.CommandGroup(origin_id=1, group_id=7, commands=[command.SerializeToString()])
        batch = command_pb2.CommandBatch(version=BATCH_VERSION, time_ms=self.store.now_ms, groups=[group])
        (applied,) = self.machine.apply(batch.SerializeToString(), TERM)
        self.hub.publish(self.machine.touched)
        (answer,) = applied.answers
        return answer

    def after(self, ms: int) -> None:
        """Time passes, second by second."""
        while ms > 1_000:
            self.after(1_000)
            ms -= 1_000
        self.now_ms += ms
        self.store.now_ms += ms
        self.hub.look(self.now_ms)

    def commit(self) -> list[command_pb2.Command]:
        """What was gathered is proposed, and applied."""
        self.after(10)
        return self.commit_proposed()

    def commit_proposed(self) -> list[command_pb2.Command]:
        proposed, self.proposed = self.proposed, []
        for command, on_answer in proposed:
            on_answer(self.apply(command))
        return [each for command, _ in proposed for each in command.list.commands]

    def refuse(self, error: RequestError) -> None:
        """What was proposed is not applied."""
        proposed, self.proposed = self.proposed, []
        for _, on_answer in proposed:
            on_answer(error)

    def depose(self, leader_id: int = 3) -> None:
        self.leads = False
        self.raft.leader_id = leader_id
        self.hub.lose_leadership(leader_id)

    def elect(self) -> None:
        self.leads = True
        self.raft.leader_id = 1

    # --- people -----------------------------------------------------------------------------------

    def send(self, count: int = 1, *, device: tuple[str, str] = BOB, **more: Any) -> None:
        for _ in range(count):
            self.sent += 1
            message = message_pb2.Message(
                message_id=f"m{self.sent}",
                sender_id="alice",
                user_id=device[0],
                content_type=message_pb2.CONTENT_TYPE_TEXT,
                payload=b"x" * more.get("payload_bytes", 10),
            )
            request = message_pb2.SendMessageRequest(message=message)
            for field in ("collapse_key",):
                if field in more:
                    setattr(request, field, more[field])
            if "ttl_s" in more:
                request.ttl.FromSeconds(more["ttl_s"])
            self.do("send_message", request)

    def open_session(self, device: tuple[str, str] = BOB) -> int:
        """The epoch."""
        user_id, device_id = device
        request = session_pb2.OpenSessionRequest(user_id=user_id, device_id=device_id, lease_id=self.lease_id)
        return int(self.do("open_session", request).session.epoch)

    def queue(self, device: tuple[str, str] = BOB) -> user_data_pb2.QueueRow:
        return queues.find(self.state, *device)

    def receiver(self, device: tuple[str, str] = BOB, **order: Any) -> Receiver:
        """Attached, with a session of its own unless there is an epoch."""
        receiver = Receiver(self)
        epoch = order.pop("epoch", None)
        receiver.attach(device, epoch=self.open_session(device) if epoch is None else epoch, **order)
        return receiver


class Receiver:
    """A stream with attachments."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ready = 0
        self.stream: DeliveryStream = world.hub.open_stream(self._on_ready)

    def _on_ready(self) -> None:
        self.ready += 1

    def attach(
        self,
        device: tuple[str, str] = BOB,
        *,
        epoch: int,
        number: int = 1,
        messages: int = 100,
        window_bytes: int = 4 << 20,
    ) -> None:
        order = AttachOrder(
            attachment_id=number,
            user_id=device[0],
            device_id=device[1],
            epoch=epoch,
            window_messages=messages,
            window_bytes=window_bytes,
        )
        self.world.hub.attach(self.stream, order)

    def take(self, count: int = 1 << 30) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        while len(events) < count and (event := self.stream.take()) is not None:
            events.append(event)
        return events

    def seqs(self) -> list[int]:
        """The numbers of the messages that come now."""
        return [event.delivery.seq for event in self.take() if isinstance(event, Delivered)]

    def deliveries(self) -> list[message_pb2.Delivery]:
        return [event.delivery for event in self.take() if isinstance(event, Delivered)]

    def ends(self) -> list[str | None]:
        """Why attachments ended."""
        return [event.reason and event.reason.value for event in self.take() if isinstance(event, Closed)]

    def acknowledge(
        self, through: int = 0, *seqs: int, number: int = 1, nacks: tuple[tuple[int, int], ...] = ()
    ) -> None:
        refusals = [Refusal(seq, delay_ms, "too hot") for seq, delay_ms in nacks]
        self.world.hub.acknowledge(self.stream, number, through_seq=through, seqs=seqs, refusals=refusals)


__all__ = ["AckConfirmed", "Attached", "BOB", "Closed", "Delivered", "QueueEmpty", "Receiver", "World"]
