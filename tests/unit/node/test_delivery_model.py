"""Whatever happens, each device gets every message at least once and in order, and nothing that was
acknowledged comes back: over random sends, receivers that come, acknowledge, refuse, break and read slowly,
sessions that are taken over, and leaders that come and go."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from kvraft import errors
from kvraft.node import delivery_stream
from kvraft.v1 import message_pb2
from tests.unit.node.delivery_world import (
    AckConfirmed,
    Attached,
    Closed,
    Delivered,
    QueueEmpty,
    Receiver,
    World,
)

DEVICES = (("bob", "phone"), ("bob", "laptop"), ("carol", "phone"))
PAYLOAD_BYTES = 3_000
SIZE_BYTES = PAYLOAD_BYTES + 256


class Device:
    """A device that checks what it is given."""

    def __init__(self, world: World, device: tuple[str, str]) -> None:
        self.world = world
        self.device = device
        self.receiver: Receiver | None = None
        self.window = 1
        self.unacknowledged: set[int] = set()
        self.refused: set[int] = set()
        self.last = 0
        """Of this attachment."""
        self.got: set[int] = set()
        self.confirmed: set[int] = set()
        self.asked: set[int] = set()
        """Acknowledged here; whether that was applied is not known before its confirmation is read."""
        self.floor = 0
        self.empty_seq: int | None = None

    def connect(self, window: int) -> None:
        """A second time, the old connection stands until its node says that it is superseded."""
        self.window = window
        before, self.receiver = self.receiver, self.world.receiver(self.device, messages=window)
        if before is not None:
            assert not before.stream.attachments
            before.stream.close()

    def read(self, count: int) -> None:
        receiver = self.receiver
        if receiver is None:
            return
        assert receiver.stream._queued_bytes < delivery_stream.STREAM_BYTES_MAX + SIZE_BYTES
        for event in receiver.take(count):
            match event:
                case Attached():
                    assert event.ack_floor >= self.floor
                    self.last = event.ack_floor
                    self.unacknowledged, self.refused = set(), set()
                    self.empty_seq = event.next_seq - 1
                case Delivered():
                    self._delivered(event.delivery)
                case AckConfirmed():
                    self.floor = max(self.floor, event.ack_floor)
                    self.confirmed |= set(event.seqs)
                    self.unacknowledged = {
                        seq for seq in self.unacknowledged if seq > self.floor and seq not in event.seqs
                    }
                case QueueEmpty():
                    assert self.empty_seq is not None, "told twice"
                    row = self.world.queue(self.device)
                    assert row.ack_floor >= self.empty_seq or not row.live
                    self.empty_seq = None
                case Closed():
                    assert event.reason is not None
                    receiver.stream.close()
                    self.receiver = None

    def _delivered(self, delivery: message_pb2.Delivery) -> None:
        seq = delivery.seq
        assert seq > self.floor, "it was acknowledged"
        assert seq not in self.confirmed, "it was acknowledged"
        if seq in self.refused:
            self.refused.remove(seq)
        else:
            assert seq == self.last + 1 or self._may_pass_over(seq), "a gap"
            self.last = seq
        self.got.add(seq)
        self.unacknowledged.add(seq)
        assert len(self.unacknowledged) <= self.window

    def _may_pass_over(self, seq: int) -> bool:
        """Whether all that did not come before `seq` need not come again."""
        return set(range(self.last + 1, seq)) <= self.confirmed | self.asked

    def acknowledge(self, chance: int) -> None:
        if self.receiver is None or not self.unacknowledged:
            return
        seqs = sorted(self.unacknowledged)
        chosen = seqs[chance % len(seqs)]
        if chance % 3 and not any(seq < chosen for seq in self.refused):
            self.receiver.acknowledge(chosen)
            self.asked |= set(range(1, chosen + 1))
        else:
            self.receiver.acknowledge(0, chosen)
            self.asked.add(chosen)

    def refuse(self, chance: int) -> None:
        if self.receiver is None or not self.unacknowledged:
            return
        seqs = sorted(self.unacknowledged)
        chosen = seqs[chance % len(seqs)]
        self.receiver.acknowledge(nacks=((chosen, 50 * (chance % 3)),))
        self.unacknowledged.discard(chosen)
        self.refused.add(chosen)

    def leave(self) -> None:
        if self.receiver is not None:
            self.receiver.stream.close()
            self.receiver = None

    def finish(self) -> None:
        """Everything that is left comes, and is acknowledged."""
        self.leave()
        self.connect(5)
        for _ in range(1_000):
            self.read(1 << 30)
            if self.empty_seq is None:
                break
            assert self.receiver is not None
            self.receiver.acknowledge(self.last)
            self.world.commit()
        row = self.world.queue(self.device)
        assert (row.live, row.ack_floor) == (0, row.next_seq - 1)
        assert row.acked + row.dead == row.next_seq - 1
        missing = set(range(1, row.next_seq)) - self.got
        assert not missing, "these never came"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "send",
                "send",
                "connect",
                "read",
                "read",
                "acknowledge",
                "acknowledge",
                "refuse",
                "commit",
                "propose",
                "fail",
                "leave",
                "depose",
                "wait",
            ]
        ),
        st.integers(0, 2),
        st.integers(0, 40),
    ),
    min_size=1,
    max_size=120,
)


@settings(max_examples=150)
@example(
    [
        ("send", 0, 2),
        ("connect", 0, 1),
        ("read", 0, 2),
        ("refuse", 0, 40),
        ("acknowledge", 0, 0),
        ("commit", 0, 0),
        ("connect", 0, 1),
        ("read", 0, 9),
    ]
)
@given(STEPS)
def test_at_least_once_in_order_and_never_again(steps: list[tuple[str, int, int]]) -> None:
    world = World(*DEVICES)
    devices = [Device(world, device) for device in DEVICES]
    for step, which, chance in steps:
        device = devices[which]
        match step:
            case "send":
                world.send(1 + chance % 7, device=device.device, payload_bytes=PAYLOAD_BYTES)
            case "connect":
                device.leave() if chance % 2 else device.read(1 << 30)
                device.connect(1 + chance % 9)
            case "read":
                device.read(1 + chance)
            case "acknowledge":
                device.acknowledge(chance)
            case "refuse":
                device.refuse(chance)
            case "commit":
                world.commit()
            case "propose":
                world.after(10)
            case "fail":
                error = errors.overloaded("much") if chance % 2 else errors.outcome_unknown("who knows")
                world.refuse(error)
            case "leave":
                device.leave()
            case "depose":
                world.depose()
                world.refuse(errors.not_applied()) if chance % 2 else world.commit_proposed()
                for each in devices:
                    each.read(1 << 30)
                    assert each.receiver is None
                assert world.hub.attachment_count == 0
                world.elect()
            case "wait":
                world.after(chance * 10)
    for device in devices:
        device.finish()
    for device in devices:
        device.leave()
    world.commit()
    hub = world.hub
    assert (hub.attachment_count, hub._delays, hub._streams, hub._stalled) == (0, [], {}, {})
