"""A machine and the process on it: a real `Replica` between a simulated network, disk and clock.

The process may be killed between any two effects of a turn (`fuse`), paused, and started again from
what its disk holds. While it is paused nothing it is told is lost; it happens on resumption.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

from kvraft.errors import RequestError
from kvraft.node.divergence import DigestAnswer, DigestMessage, DigestQuestion, DivergenceFound
from kvraft.node.forwarding import ForwardAnswer, ForwardedGroup, ForwardedRead, ForwardRequest
from kvraft.node.replica import Replica
from kvraft.node.settings import NodeSettings
from kvraft.raft.events import Unreachable
from kvraft.raft.invariants import ClusterChecker
from kvraft.raft.messages import Message
from kvraft.raft.ready import RoleChange, SendSnapshot
from kvraft.raft.settings import Settings
from kvraft.raft.types import Index, NodeId, Term
from kvraft.rpc import forwarded_commands
from kvraft.storage.interfaces import (
    Cleaned,
    Identity,
    InstalledSnapshot,
    LogWrite,
    StateStore,
    StateView,
)
from tests.sim.checkers.durability import check_persisted, check_promise, check_state_behind_log
from tests.sim.checkers.states import StateAgreement
from tests.sim.disk import SimulatedDisk
from tests.sim.laws import Journal, WatchedRaft
from tests.sim.network import Network
from tests.sim.report import Report
from tests.sim.timeline import MS_US, Timeline
from tests.sim.transfers import Reception, send_snapshot

NEVER_US = 1 << 62
GATHER_US = 2 * MS_US
"""How long a process lets things gather before it takes a turn."""
COMMAND_WORK_MAX = 250
"""What the last command of a turn may cost: more than any in these runs does."""
EPOCH_MS = 1_700_000_000_000
CLOCKS_AHEAD_MS_MAX = 200_000
"""Further than most clocks are ever set, and than quick ones come in a run."""


def _may_propose(group: ForwardedGroup) -> bool:
    """As the service asks."""
    try:
        forwarded_commands.check_commands(group.commands, group.term)
    except RequestError:
        return False
    return True


class Killed(Exception):
    """The process ends in the middle of what it was doing."""


@dataclass(slots=True)
class Clock:
    """A machine's clocks: the monotonic one runs a little fast or slow, the other is set now and then."""

    rate: float
    wall_ahead_ms: int


class World:
    """What all machines share."""

    def __init__(
        self,
        *,
        timeline: Timeline,
        network: Network,
        report: Report,
        journal: Journal,
        laws: ClusterChecker | None,
        agreement: StateAgreement | None,
        settings: NodeSettings,
        raft_settings: Settings,
        learners: tuple[int, ...],
        transfer_cuts: float,
    ) -> None:
        self.timeline = timeline
        self.network = network
        self.report = report
        self.journal = journal
        self.laws = laws
        """None, as the agreement may be: only what clients see is checked."""
        self.agreement = agreement
        self.settings = settings
        self.raft_settings = raft_settings
        self.learners = learners
        self.transfer_cuts = transfer_cuts
        """How likely a snapshot's transfer breaks at each of its steps."""
        self.contended: random.Random | None = None
        """The nodes' chance, where elections are to collide."""
        self.work_us = 0
        """What a unit of work takes a node."""
        self.hosts: dict[NodeId, Host] = {}
        self.on_crash: Callable[[Host], None] = lambda _: None
        self.on_snapshot_waiting: Callable[[Host], None] = lambda _: None
        """Told of the sender of a snapshot that has arrived and has to wait for a flush."""
        self.on_elected: Callable[[Host, Term], None] = lambda _, __: None
        """Told of each node that begins to lead."""


class Host:
    """Implements `kvraft.node.ports.Peers` and stands before the disk as `kvraft.node.ports.Disk`."""

    def __init__(self, world: World, identity: Identity, chance: random.Random, clock: Clock) -> None:
        self.world = world
        self.node_id = NodeId(identity.node_id)
        self.name = f"n{identity.node_id}"
        self.chance = chance
        self.clock = clock
        self.disk = SimulatedDisk(world.timeline, chance, world.report, identity, world.learners)
        self.disk.process = self
        self.life: int = 0
        self.replica: Replica | None = None
        self.is_paused = False
        self.fuse: int | None = None
        """After so many effects the process dies."""
        self.trap: Callable[[Message], bool] | None = None
        """The process dies once it has sent such a message."""
        self.reception: Reception | None = None
        """The snapshot that is being received."""
        self.on_death: list[Callable[[], None]] = []
        """What the clients of this life learn from its end."""
        self._backlog: deque[Callable[[], None]] = deque()
        self._booted_us = 0
        self._origin_ms = 0
        self._turn_due_us = NEVER_US
        self._busy_until_us = 0
        """A turn has taken so long, by the work it did."""
        world.network.receivers[self.node_id] = self._receive

    # --- the process --------------------------------------------------------------------------

    @property
    def is_up(self) -> bool:
        return self.replica is not None

    @property
    def leads(self) -> bool:
        return self.replica is not None and self.replica.leads

    def boot(self) -> None:
        """Starts a process from what the disk holds."""
        assert self.replica is None
        world = self.world
        self._booted_us = world.timeline.now_us
        self._origin_ms = self.chance.randrange(1_000_000)
        self._turn_due_us = NEVER_US
        log, state = self.disk.boot(self._told_by_disk)
        replica = Replica(
            node_id=self.node_id,
            settings=world.settings,
            raft_settings=world.raft_settings,
            log=log,
            state=state,
            peers=self,
            disk=self,
            on_role_change=self._on_role_change,
            chance=self.world.contended or self.chance,
            now_ms=self.now_ms(),
        )
        replica.raft = WatchedRaft(replica.raft, world.journal, world.laws)
        self.replica = replica
        if world.agreement is not None:
            world.agreement.booted(self.node_id, replica)
        if world.report.is_traced:
            recovered = log.recovered
            self.say(
                f"starts: term {recovered.hard_state.term}, log {recovered.base_index + 1}.."
                f"{recovered.last_index}, state {state.applied.index}"
            )
        self.wake()

    def crash(self, why: str) -> None:
        """The process is gone at once, and with it whatever was not durable."""
        if self.replica is None:
            return
        self.world.report.fault(f"crash {why}", self.name)
        self.replica = None
        self.life += 1
        self.is_paused = False
        self.fuse = self.trap = None
        self._backlog.clear()
        if self.reception is not None:
            self.reception.receiver_died()
            self.reception = None
        self.disk.crash()
        self.world.network.node_died(self.node_id)
        tell, self.on_death = self.on_death, []
        for each in tell:
            each()
        self.world.on_crash(self)

    def stop(self, why: str) -> None:
        """As a node that cannot go on does."""
        self.crash(why)

    def post(self, life: int, action: Callable[[], None]) -> None:
        """Does something in this life of the process, later if it is paused."""
        if life != self.life or self.replica is None:
            return
        if self.is_paused:
            self._backlog.append(action)
        else:
            action()

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        """Everything that came meanwhile happens now."""
        if not self.is_paused:
            return
        self.is_paused = False
        life = self.life
        while self._backlog and self.life == life:
            self._backlog.popleft()()
        if self.life == life:
            self.wake()

    def say(self, what: str) -> None:
        self.world.report.say(self.name, what)

    # --- clocks -------------------------------------------------------------------------------

    def now_ms(self) -> int:
        elapsed_us = self.world.timeline.now_us - self._booted_us
        return self._origin_ms + int(elapsed_us * self.clock.rate) // 1000

    def wall_ms(self) -> int:
        return EPOCH_MS + self.world.timeline.now_us // 1000 + self.clock.wall_ahead_ms

    def _time_of(self, local_ms: int) -> int:
        due_us = self._booted_us + int((local_ms - self._origin_ms) * 1000 / self.clock.rate) + 2
        return max(due_us, self.world.timeline.now_us)

    # --- turns --------------------------------------------------------------------------------

    def wake(self) -> None:
        """A turn is due soon."""
        self._schedule(self.world.timeline.now_us + 1 + int(self.chance.random() * GATHER_US))

    def _schedule(self, due_us: int) -> None:
        due_us = max(due_us, self._busy_until_us)
        if due_us < self._turn_due_us:
            self._turn_due_us = due_us
            self.world.timeline.at(due_us, self._turn_if_due, self.life, due_us)

    def _turn_if_due(self, life: int, due_us: int) -> None:
        if life != self.life or due_us != self._turn_due_us:
            return
        self._turn_due_us = NEVER_US
        if not self.is_paused:
            self.turn()

    def turn(self) -> None:
        """One turn of the replica, and what is known of it checked."""
        replica = self.replica
        assert replica is not None
        try:
            replica.turn(self.now_ms(), self.wall_ms())
        except Killed:
            self.crash("in a turn")
            return
        work = self.world.settings.turn_work_max - replica.machine.allowance
        assert work <= self.world.settings.turn_work_max + COMMAND_WORK_MAX, (
            f"a turn was {work} units of work"
        )
        self._busy_until_us = self.world.timeline.now_us + work * self.world.work_us
        if self.world.agreement is not None:
            self.world.agreement.observe(self.node_id, replica)
            ahead_ms = replica.machine.clock_ms - EPOCH_MS - self.world.timeline.now_us // 1000
            assert ahead_ms < CLOCKS_AHEAD_MS_MAX, f"{self.name}: replicated time is {ahead_ms} ms ahead"
            check_state_behind_log(replica.state.applied, self.disk.log)
            check_persisted(replica.raft, self.disk.log)
        if replica.has_work:
            self.wake()
        self._schedule(self._time_of(replica.deadline_ms))

    def _effect(self) -> None:
        """Before each effect: the fuse may have burnt down."""
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                raise Killed

    def _told_by_disk(self, what: str) -> None:
        replica = self.replica
        assert replica is not None
        try:
            attrgetter(what)(replica)()
        except Killed:
            self.crash("in a turn")
            return
        self.wake()

    # --- Peers --------------------------------------------------------------------------------

    def send(self, message: Message) -> None:
        self._effect()
        if self.world.report.is_traced:
            self.say(f"-> n{message.target} {message}")
        if self.world.laws is not None and self.replica is not None:
            check_promise(message, self.replica.raft, self.disk.log)
        self.world.network.send(self.node_id, message.target, message)
        if self.trap is not None and self.trap(message):
            raise Killed

    def forward(self, leader: NodeId, request: ForwardRequest) -> bool:
        self._effect()
        sent = self.world.network.forward(self.node_id, leader, request)
        if sent and self.world.report.is_traced:
            self.say(f"=> n{leader} {request}")
        return sent

    def answer(self, follower: NodeId, answer: ForwardAnswer) -> None:
        self._effect()
        if self.world.report.is_traced:
            self.say(f"=> n{follower} {answer}")
        self.world.network.answer(self.node_id, follower, answer)

    def tell_refused(self, peer: NodeId, why: str, count: int) -> None:
        self.say(f"refuses n{peer}, which {why}")

    def send_digest(self, peer: NodeId, message: DigestMessage) -> None:
        self.world.network.send(self.node_id, peer, message)

    def tell_diverged(self, node: NodeId, index: Index) -> None:
        assert self.world.agreement is None, f"the state of n{node} differs from the others' at {index}"

    def send_snapshot(self, order: SendSnapshot, view: StateView) -> None:
        self._effect()
        if self.world.report.is_traced:
            self.say(f"=> n{order.target} snapshot {order.snapshot}")
        send_snapshot(self, order, view)

    # --- Disk ---------------------------------------------------------------------------------

    def write_log(self, write: LogWrite) -> None:
        self._effect()
        if self.world.report.is_traced:
            entries = write.entries
            span = f"{entries[0].index}..{entries[-1].index}" if entries else "none"
            self.say(f"writes {write.hard_state} entries {span} {write.installed_snapshot or ''}")
        self.disk.write_log(write)

    def flush_state(self, state: StateStore) -> None:
        self._effect()
        self.disk.flush_state(state)

    def compact_log(self, base_index: Index) -> None:
        if self.world.report.is_traced:
            self.say(f"compacts up to {base_index}")
        self.disk.compact_log(base_index)

    def rewrite_state(self, cleaned: Cleaned) -> None:
        self.disk.rewrite_state(cleaned)

    def abandon_rewrite(self) -> None:
        self.disk.abandon_rewrite()

    def rebase_log(self, snapshot: InstalledSnapshot) -> None:
        self._effect()
        if self.world.report.is_traced:
            self.say(f"begins its log anew after {snapshot.metadata.index}")
        self.disk.rebase_log(snapshot)

    def exchange_state(self, generation: int, revision: int, time_ms: int) -> None:
        self.disk.exchange_state(generation, revision, time_ms)

    @property
    def log_is_stalled(self) -> bool:
        return self.disk.log_is_stalled

    @property
    def state_is_stalled(self) -> bool:
        return self.disk.state_is_stalled

    @property
    def is_tidy(self) -> bool:
        return self.disk.is_tidy

    def open_state(self, generation: int) -> StateStore:
        return self.disk.open_state(generation)

    def discard_snapshot(self, generation: int) -> None:
        self.disk.discard_snapshot(generation)

    # --- what arrives -------------------------------------------------------------------------

    def _receive(self, source: NodeId, payload: object) -> None:
        self.post(self.life, lambda: self.take(source, payload))

    def take(self, source: NodeId, payload: object) -> None:
        """Something from another node has come."""
        replica = self.replica
        assert replica is not None
        match payload:
            case DigestQuestion() | DigestAnswer() | DivergenceFound():
                replica.receive_digest(source, payload)
                assert not replica.digests.undecided or self.world.agreement is None, (
                    f"digests of {self.name} and others differ: {replica.digests.undecided}"
                )
                self.world.report.events["digest compared"] += isinstance(payload, DigestAnswer)
            case ForwardedGroup() if not _may_propose(payload):
                self.world.report.events["forwarded group refused"] += 1
            case ForwardedGroup() | ForwardedRead():
                replica.receive_forwarded(source, payload)
            case Unreachable():
                replica.tell(payload)
            case _ if isinstance(payload, Message):
                replica.receive(payload)
            case _:
                replica.receive_answer(payload)  # type: ignore[arg-type]
        self.wake()

    def _on_role_change(self, change: RoleChange) -> None:
        if change.role.value == "leader":
            self.world.report.events["leader elected"] += 1
            self.world.on_elected(self, change.term)
        if self.world.report.is_traced:
            self.say(f"is {change.role.value} in term {change.term}, leader {change.leader}")
