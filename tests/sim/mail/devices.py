"""Devices that receive: now connected to the leader, now looking in themselves, now gone.

A connected device may be taken over by another session of its own, lose its session with its lease, break
off, or leave in good order; its node may die or be deposed. It acknowledges one by one or all at once, soon
or never, and refuses some. In the end it goes on until its queue is empty.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING

from kvraft.errors import RequestError
from kvraft.machine.results import Failed, GrantLeaseResult, Result, UserDataResult
from kvraft.machine.users import queues
from kvraft.node.attachment import AttachOrder, Refusal
from kvraft.node.delivery_stream import AckConfirmed, Attached, Closed, Delivered, QueueEmpty
from kvraft.v1 import command_pb2, message_pb2, session_pb2
from tests.sim.history import Violation
from tests.sim.mail.requests import Request
from tests.sim.mail.story import Acknowledged, Device, Given, Story
from tests.sim.timeline import MS_US

if TYPE_CHECKING:
    from kvraft.node.replica import Replica
    from tests.sim.host import Host, World

_YEAR_MS = 365 * 24 * 3_600_000
_ATTACHMENT = 1


class Receiver:
    """One device."""

    def __init__(self, device: Device, world: World, story: Story, chance: random.Random) -> None:
        self.device = device
        self.world = world
        self.story = story
        self.chance = chance
        self.epoch = 0
        """Of its session; 0: it has none."""
        self.is_stopped = False
        """From now on it makes no mischief, and stays where it is connected."""
        self._lease_id = 0
        self._stints = 0
        self._later(self._begin)

    # --- stints ---------------------------------------------------------------------------------

    def _later(self, action: Callable[[], None]) -> None:
        longest_ms = 100 if self.is_stopped else self.chance.choice((100, 1_000))
        self.world.timeline.after(1 + self.chance.randrange(longest_ms * MS_US), action)

    def begin_stint(self) -> int:
        """The number of a reading."""
        self._stints += 1
        return self._stints

    def _begin(self) -> None:
        kind = self.chance.random()
        if self.epoch == 0 and kind < 0.3 and not self.is_stopped:
            _Looking(self)
        elif self.epoch == 0 or (kind < 0.45 and not self.is_stopped):
            self._open_session()
        elif kind < 0.5 and not self.is_stopped:
            self._purge_or_redrive()
        else:
            self._connect()

    def stint_ended(self) -> None:
        """What comes next."""
        if self.chance.random() < 0.2 and self.epoch and not self.is_stopped:
            self._end_session(lambda _: self._later(self._begin))
        else:
            self._later(self._begin)

    def request(self, name: str, command: command_pb2.Command, on_result: Callable[[Result], None]) -> None:
        Request(self.world, self.chance, f"{'/'.join(self.device)} {name}", command, on_result)

    # --- sessions -------------------------------------------------------------------------------

    def _open_session(self) -> None:
        if not self._lease_id:
            command = command_pb2.Command()
            command.grant_lease.ttl_ms = _YEAR_MS
            self.request("grant", command, self._granted)
            return
        command = command_pb2.Command()
        opened = command.user_data.open_session
        opened.user_id, opened.device_id = self.device
        opened.lease_id = self._lease_id
        self.request("open", command, self._opened)

    def _granted(self, result: Result) -> None:
        assert isinstance(result, GrantLeaseResult), result
        self._lease_id = result.lease_id
        self._later(self._begin)

    def _opened(self, result: Result) -> None:
        if isinstance(result, UserDataResult):
            assert isinstance(result.response, session_pb2.OpenSessionResponse), result
            # An attempt that comes late opens another one: then this epoch is found to be superseded.
            self.epoch = result.response.session.epoch
            self.world.report.events["session opened"] += 1
        elif isinstance(result, Failed) and result.reason.name == "LEASE_EXPIRED":
            self._lease_id = 0
        self._later(self._begin)

    def disturb(self) -> None:
        """Its session ends, or another one takes over, while it is connected."""
        self._end_session(lambda _: None)

    def _end_session(self, on_result: Callable[[Result], None]) -> None:
        """By closing it, by revoking it, with its lease, or by opening another one."""
        command = command_pb2.Command()
        kind = self.chance.random()
        if kind < 0.4:
            closed = command.user_data.close_session
            closed.user_id, closed.device_id = self.device
            closed.epoch = self.epoch
        elif kind < 0.6 and self._lease_id:
            opened = command.user_data.open_session
            opened.user_id, opened.device_id = self.device
            opened.lease_id = self._lease_id
        elif kind < 0.7:
            revoked = command.user_data.revoke_sessions
            revoked.user_id, revoked.device_id = self.device
        else:
            command.revoke_lease.lease_id = self._lease_id
            self._lease_id = 0
        self.epoch = 0
        self.world.report.events["session ended"] += 1
        self.request("end session", command, on_result)

    def superseded(self) -> None:
        """There is another session, or none."""
        self.epoch = 0

    def _purge_or_redrive(self) -> None:
        command = command_pb2.Command()
        if self.device == ("dave", "pad"):
            self.story.purged.add(self.device)
            command.user_data.purge_queue.user_id, command.user_data.purge_queue.device_id = self.device
            self.world.report.events["queue purged"] += 1
        else:
            redriven = command.user_data.redrive_dead_letters
            redriven.user_id, redriven.device_id = self.device
        self.request("purge or redrive", command, lambda _: self._later(self._begin))

    # --- connections ----------------------------------------------------------------------------

    def _connect(self) -> None:
        hosts = [host for host in self.world.hosts.values() if host.is_up]
        leaders = [host for host in hosts if host.leads]
        if not hosts:
            self._later(self._begin)
            return
        _Connection(self, self.chance.choice(leaders or hosts))

    def give(self, stint: int, asked: int, delivery: message_pb2.Delivery, *, is_again: bool) -> None:
        """It was given a message."""
        message = delivery.message
        self.world.report.events["message delivered"] += 1
        self.story.given.append(
            Given(
                device=self.device,
                moment=self.story.now(),
                stint=stint,
                asked=asked,
                seq=delivery.seq,
                message_id=message.message_id,
                payload=message.payload,
                revision=delivery.revision,
                is_again=is_again,
            )
        )


class _Looking:
    """Reads the oldest messages from any node's state, and acknowledges without a session."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._stint = receiver.begin_stint()
        self._asked = receiver.story.now()
        self._is_over = False
        world, chance = receiver.world, receiver.chance
        up = [host for host in world.hosts.values() if host.is_up]
        world.timeline.after(3_000 * MS_US, self._end)
        if up:
            host = chance.choice(up)
            host.post(host.life, lambda: self._ask(host))

    def _ask(self, host: Host) -> None:
        assert host.replica is not None
        life = host.life
        host.replica.read(
            now_ms=host.now_ms(),
            on_fresh=lambda error: self._look(host, error) if life == host.life else None,
        )
        host.wake()

    def _look(self, host: Host, error: RequestError | None) -> None:
        replica, receiver = host.replica, self._receiver
        if self._is_over or replica is None or error is not None:
            return
        row = queues.find(replica.state, *receiver.device)
        if row.live + row.scheduled > queues.MESSAGES_MAX:
            raise Violation(f"{receiver.device} has {row.live} and {row.scheduled} messages")
        found = list(
            islice(
                queues.live_after(replica.state, *receiver.device, 0, replica.machine.clock_ms),
                receiver.chance.randrange(1, 6),
            )
        )
        for queued in found:
            delivery = queues.delivery(queued, 1, redelivered=False)
            receiver.give(self._stint, self._asked, delivery, is_again=False)
        if not found or receiver.chance.random() < 0.2:
            self._end()
            return
        self._is_over = True
        receiver.world.report.events["messages pulled"] += 1
        command = command_pb2.Command()
        acknowledged = command.user_data.acknowledge_messages
        acknowledged.user_id, acknowledged.device_id = receiver.device
        seqs = [queued.seq for queued in found]
        if receiver.chance.random() < 0.5:
            acknowledged.through_seq = seqs[-1]
        else:
            acknowledged.seqs.extend(seqs)

        def on_result(result: Result) -> None:
            if isinstance(result, UserDataResult):
                confirmed = receiver.story.now()
                receiver.story.acknowledged.append(
                    Acknowledged(receiver.device, self._stint, confirmed, frozenset(seqs))
                )
            receiver.stint_ended()

        receiver.request("acknowledge", command, on_result)

    def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._receiver.stint_ended()


class _Connection:
    """One attachment at one node."""

    def __init__(self, receiver: Receiver, host: Host) -> None:
        self._receiver = receiver
        self._host = host
        self._life = host.life
        self._stint = receiver.begin_stint()
        self._asked = receiver.story.now()
        self._is_over = False
        self._refused: set[int] = set()
        self._acknowledged: set[int] = set()
        """Numbers whose acknowledgement was sent."""
        self._through = 0
        self._due: list[int] = []
        """Delivered, and not yet answered."""
        self._reads = False
        world, chance = receiver.world, receiver.chance
        self._is_slow = chance.random() < 0.2
        host.on_death.append(self._broken)
        host.post(self._life, self._ask)
        if not receiver.is_stopped:
            stay_ms = chance.randrange(100, chance.choice((1_000, 10_000)))
            world.timeline.after(stay_ms * MS_US, self._leave)

    def _at_node(self) -> Replica | None:
        return self._host.replica if self._host.life == self._life else None

    def _post(self, action: Callable[[], None]) -> None:
        self._host.post(self._life, action)

    def _ask(self) -> None:
        replica = self._at_node()
        assert replica is not None
        self._hub = replica.deliveries
        self._stream = self._hub.open_stream(self._on_ready)
        replica.read(now_ms=self._host.now_ms(), on_fresh=self._fresh)
        self._host.wake()

    def _fresh(self, error: RequestError | None) -> None:
        if self._is_over or self._at_node() is None:
            return
        if error is not None:
            self._broken()
            return
        receiver = self._receiver
        window = receiver.chance.choice((1, 3, 100))
        self._hub.attach(
            self._stream,
            AttachOrder(
                attachment_id=_ATTACHMENT,
                user_id=receiver.device[0],
                device_id=receiver.device[1],
                epoch=receiver.epoch,
                window_messages=window,
                window_bytes=receiver.chance.choice((100, 4 << 20)),
            ),
        )

    def _on_ready(self) -> None:
        if not self._reads and not self._is_over:
            self._reads = True
            longest_ms = 300 if self._is_slow else 5
            delay_us = 1 + self._receiver.chance.randrange(longest_ms * MS_US)
            self._receiver.world.timeline.after(delay_us, self._post, self._read)

    def _read(self) -> None:
        self._reads = False
        if self._is_over or self._at_node() is None:
            return
        for _ in range(self._receiver.chance.choice((1, 5, 100))):
            event = self._stream.take()
            if event is None:
                return
            self._tell(event)
            if self._is_over:
                return
        self._on_ready()

    def _tell(self, event: object) -> None:
        receiver = self._receiver
        events = receiver.world.report.events
        match event:
            case Attached():
                events["device attached"] += 1
            case Delivered(delivery=delivery):
                again = delivery.seq in self._refused
                receiver.give(self._stint, self._asked, delivery, is_again=again)
                self._due.append(delivery.seq)
                delay_ms = 5 if receiver.is_stopped else receiver.chance.choice((5, 50, 400))
                delay_us = 1 + receiver.chance.randrange(delay_ms * MS_US)
                receiver.world.timeline.after(delay_us, self._post, self._answer)
            case AckConfirmed(ack_floor=floor, seqs=seqs):
                events["acknowledgement confirmed"] += 1
                confirmed = frozenset(seq for seq in self._acknowledged if seq <= floor or seq in seqs)
                moment = receiver.story.now()
                receiver.story.acknowledged.append(
                    Acknowledged(receiver.device, self._stint, moment, confirmed)
                )
            case QueueEmpty():
                events["queue empty"] += 1
            case Closed(reason=reason):
                name = "detached" if reason is None else reason.name
                events[f"attachment closed {name}"] += 1
                if name not in ("detached", "NOT_LEADER", "SHUTTING_DOWN"):
                    receiver.superseded()
                if name == "INVALID_ARGUMENT":
                    raise Violation(f"{receiver.device} was told {event}")
                self._broken()

    def _answer(self) -> None:
        """Acknowledges or refuses something of what it has."""
        if self._is_over or self._at_node() is None or not self._due:
            return
        chance = self._receiver.chance
        through_seq, seqs, refusals = 0, [], []
        kind = chance.random()
        if kind < 0.07 and not self._receiver.is_stopped:
            seq = chance.choice(self._due)
            self._due.remove(seq)
            self._refused.add(seq)
            refusals.append(Refusal(seq, chance.choice((0, 100, 1_000)), "cannot be read"))
            self._receiver.world.report.events["message refused"] += 1
        elif kind < 0.5 or self._refused:
            # Cumulatively only where nothing was refused: it would be acknowledged with the others.
            seqs = list(self._due)
            self._due = []
            self._acknowledged.update(seqs)
        else:
            through_seq = max(self._due)
            self._acknowledged.update(self._due)
            self._due = []
        self._hub.acknowledge(
            self._stream, _ATTACHMENT, through_seq=through_seq, seqs=seqs, refusals=refusals
        )
        self._host.wake()

    def _leave(self) -> None:
        if self._is_over:
            return
        kind = self._receiver.chance.random()
        if kind < 0.15 and not self._receiver.is_stopped:
            self._receiver.disturb()
        elif kind < 0.6 or self._receiver.is_stopped:
            self._post(self._detach)
            self._receiver.world.timeline.after(1_000 * MS_US, self._post, self._break_off)
        else:
            self._post(self._break_off)
        # A node that is paused does nothing of it.
        self._receiver.world.timeline.after(3_000 * MS_US, self._broken)

    def _detach(self) -> None:
        if not self._is_over and self._at_node() is not None:
            self._hub.detach(self._stream, _ATTACHMENT)

    def _break_off(self) -> None:
        if not self._is_over and self._at_node() is not None:
            self._receiver.world.report.events["receiver broke off"] += 1
            self._broken()

    def _broken(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        if self._at_node() is not None and hasattr(self, "_stream"):
            self._post(self._stream.close)
        self._receiver.stint_ended()
