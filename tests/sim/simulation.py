"""One run: a whole cluster in one thread, from a seed.

Everything between the ports is the real thing: `Replica`, `Raft`, `Machine`, `LayeredState`. Network,
disks, processes and clocks are simulated, and everything that can go wrong with them goes wrong for
most of the run. Then all heals, and the cluster has to serve, at every node, soon. At the end all
nodes must hold the same, and the whole history is checked.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from kvraft.node.settings import NodeSettings
from kvraft.raft.events import Unreachable
from kvraft.raft.invariants import ClusterChecker
from kvraft.raft.settings import Settings
from kvraft.raft.types import Index, NodeId
from kvraft.storage.interfaces import Identity
from tests.sim.checkers.states import StateAgreement
from tests.sim.clients import EVERYTHING, Call, Recorder
from tests.sim.forgery import Forger
from tests.sim.history import Operation, Outcome, Put, Read, Violation, Write
from tests.sim.host import Clock, Host, World
from tests.sim.laws import Journal
from tests.sim.leases.workload import LeaseWorkload
from tests.sim.limits import small_limits
from tests.sim.mail.workload import MailWorkload
from tests.sim.nemesis import Nemesis
from tests.sim.network import Network
from tests.sim.report import Report
from tests.sim.timeline import MS_US, SECOND_US, Timeline
from tests.sim.workload import KvWorkload, Workload

DURATION_S = 60
HEALED_S = 50
"""When the last fault ends."""
REST_S = DURATION_S - HEALED_S
"""What is left after that, in a run of any length."""
RECOVERY_MS_MAX = 5_000
"""Within this every node must serve again after the last fault."""


class Kind(Enum):
    """What the clients of a run do."""

    KEYS = "keys"
    MAIL = "mail"
    LEASES = "leases"


def kind_of(seed: int) -> Kind:
    """Two of ten runs are of people who write to each other, one is of owners of leases, the others are of
    clients of keys."""
    if seed % 5 == 0:
        return Kind.MAIL
    return Kind.LEASES if seed % 10 == 8 else Kind.KEYS


@dataclass(slots=True)
class Result:
    """What a run came to."""

    seed: int
    failure: BaseException | None = None
    failed_at_us: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    recovery_ms: int = 0
    """From the last fault until every node had served a write and a read."""
    operations: int = 0
    fingerprint: str = ""


def run(
    seed: int,
    *,
    duration_s: int = DURATION_S,
    show: Callable[[str], None] | None = None,
    fingerprint: bool = False,
    only_clients: bool = False,
) -> Result:
    """Runs a seed. The result says what failed; nothing of the cluster is raised.

    `only_clients` leaves the laws and the digests unchecked, so that only what clients can see counts.
    """
    simulation = Simulation(
        seed, duration_s=duration_s, show=show, fingerprint=fingerprint, only_clients=only_clients
    )
    result = Result(seed)
    try:
        simulation.run()
    except Exception as failure:  # noqa: BLE001 - whatever ends a run is what it has found
        result.failure = failure
    result.failed_at_us = simulation.timeline.now_us
    result.faults, result.events = simulation.report.faults, simulation.report.events
    result.recovery_ms = simulation.recovery_ms
    result.operations = len(simulation.recorder.operations)
    result.fingerprint = simulation.report.fingerprint if fingerprint else ""
    return result


class Simulation:
    """A cluster and what happens to it."""

    def __init__(
        self,
        seed: int,
        *,
        duration_s: int,
        show: Callable[[str], None] | None = None,
        fingerprint: bool = False,
        only_clients: bool = False,
    ) -> None:
        self._seed = seed
        chance = self._stream("cluster")
        self._duration_us = duration_s * SECOND_US
        self._healed_us = self._duration_us - REST_S * SECOND_US
        self.timeline = Timeline()
        self.report = Report(self.timeline, show, fingerprint=fingerprint)
        self.recorder = Recorder()
        self.journal: Journal = {}
        self.recovery_ms = 0
        voters = tuple(range(1, 1 + chance.choice((3, 3, 5))))
        learners = (voters[-1] + 1,) if chance.random() < 0.2 else ()
        node_ids = [NodeId(node_id) for node_id in voters + learners]
        self._network = Network(self.timeline, self._stream("network"), self.report, node_ids)
        self.world = World(
            timeline=self.timeline,
            network=self._network,
            report=self.report,
            journal=self.journal,
            laws=None if only_clients else ClusterChecker(),
            agreement=None if only_clients else StateAgreement(),
            settings=_node_settings(chance, self._stream("history"), self._stream("turns"), kind_of(seed)),
            raft_settings=_raft_settings(chance),
            learners=learners,
            transfer_cuts=chance.choice((0.0, 0.01, 0.1)),
        )
        self.world.work_us = self._stream("work").choice((0, 200, 1_000))
        if chance.random() < 0.3:
            self.world.contended = Contended(f"{seed} contended")
        for node_id in node_ids:
            identity = Identity(cluster_id=seed, cluster_name="sim", node_id=node_id, initial_voters=voters)
            clock = Clock(chance.choice((0.95, 1.0, 1.0, 1.05)), chance.randrange(-5_000, 5_000))
            self.world.hosts[node_id] = Host(self.world, identity, self._stream(f"node {node_id}"), clock)
        self._network.is_up = lambda node_id: self.world.hosts[node_id].is_up
        self._network.on_broken = self._connection_broke
        pace_us = chance.choice((60, 150, 400)) * MS_US
        self._workload: Workload
        match kind_of(seed):
            case Kind.MAIL:
                self._workload = MailWorkload(self.world, self._stream, pace_us=pace_us)
            case Kind.LEASES:
                self._workload = LeaseWorkload(self.world, self._stream, pace_us=pace_us)
            case Kind.KEYS:
                self._workload = KvWorkload(
                    self.world,
                    self.recorder,
                    self._stream,
                    pace_us=pace_us,
                    clients=chance.randrange(2, 7),
                )

    def _stream(self, name: str) -> random.Random:
        """Chance of its own for each part, so that a change in one does not shift the others."""
        return random.Random(f"{self._seed} {name}")

    def _connection_broke(self, source: NodeId, target: NodeId) -> None:
        """The sender of a broken stream is told so."""
        host = self.world.hosts[source]
        host.post(host.life, lambda: host.take(target, Unreachable(peer=target)))

    def run(self) -> None:
        """The whole run. Raises what it finds."""
        with small_limits():
            for host in self.world.hosts.values():
                host.boot()
            nemesis = Nemesis(self.world, self._stream("nemesis"))
            forger = Forger(self.world, self._stream("forger"), dreams=kind_of(self._seed) is not Kind.LEASES)
            self.timeline.run_until(self._healed_us)
            nemesis.heal()
            forger.stop()
            self.world.transfer_cuts = 0.0
            self.report.say("", "everything is healed")
            self._recover()
            self._settle()
        self._workload.check(self.journal)

    def _recover(self) -> None:
        """Every node serves a write and a read again, soon; the clients go on meanwhile."""
        probes = [Probe(self, host) for host in self.world.hosts.values()]
        healed_us = self.timeline.now_us
        while not all(probe.is_served for probe in probes):
            self.recovery_ms = (self.timeline.now_us - healed_us) // MS_US
            if self.recovery_ms > RECOVERY_MS_MAX:
                waiting = [probe.host.name for probe in probes if not probe.is_served]
                raise Violation(f"{', '.join(waiting)} did not serve within {RECOVERY_MS_MAX} ms")
            self.timeline.run_until(self.timeline.now_us + 10 * MS_US)
        self._workload.stop()

    def _settle(self) -> None:
        """All nodes come to the same state."""
        self.timeline.run_until(max(self._duration_us, self.timeline.now_us + self._workload.rest_us))
        states = {}
        for host in self.world.hosts.values():
            assert host.replica is not None, f"{host.name} died after everything was healed"
            applied = host.replica.state.applied
            states[host.name] = (applied.index, f"{applied.digest:016x}", host.replica.machine.revision)
        if len(set(states.values())) != 1:
            raise Violation(f"the nodes do not agree: (applied, digest, revision) is {states}")
        committed = max(self.journal, default=Index(0))
        if any(applied[0] != committed for applied in states.values()):
            raise Violation(f"entries up to {committed} were applied, but: {states}")
        self._workload.check_is_told_all(next(iter(states.values()))[2])


class Contended(random.Random):
    """Chance that makes election timeouts nearly equal, so that candidates meet."""

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        drawn = super().randrange(start, stop, step)
        return drawn % 40


class Probe:
    """After the faults: a write and a read at one node, each tried until it is done."""

    def __init__(self, simulation: Simulation, host: Host) -> None:
        self.host = host
        self.is_served = False
        self._simulation = simulation
        recorder = simulation.recorder
        value = b"probe %d at %d" % (host.node_id, len(recorder.operations))
        self._requests: list[Write | Read] = [EVERYTHING, Put(b"probe %d" % host.node_id, value)]
        self._attempt()

    def _attempt(self) -> None:
        simulation, request = self._simulation, self._requests[-1]
        if isinstance(request, Put):
            request = Put(request.key, b"%s, %d" % (request.value, len(simulation.recorder.operations)))
        operation = simulation.recorder.invoke(0, self.host, request)
        Call(simulation.world, simulation.recorder, self.host, operation, 2 * SECOND_US, self._ended)

    def _ended(self, operation: Operation) -> None:
        if operation.outcome is Outcome.DONE:
            self._requests.pop()
        if not self._requests:
            self.is_served = True
        else:
            self._simulation.timeline.after(10 * MS_US, self._attempt)


def _node_settings(
    chance: random.Random, history_chance: random.Random, turn_chance: random.Random, kind: Kind
) -> NodeSettings:
    """Limits so small that each is met all the time."""
    # A write that was lost on its way counts as waiting until its outcome is given up.
    # (People and owners ask for more at a time than a crowded node takes: they would mostly wait.)
    crowded = chance.random() < 0.3 and kind is Kind.KEYS
    return NodeSettings(
        admission_timeout_ms=chance.choice((1_000, 2_000)),
        leaderless_timeout_ms=chance.choice((600, 1_500)),
        outcome_timeout_ms=chance.choice((1_000, 2_000) if crowded else (1_000, 4_000, 10_000)),
        read_retry_ms=chance.choice((100, 500)),
        revision_timeout_ms=chance.choice((500, 5_000)),
        waiting_commands_max=2 if crowded else 100,
        waiting_bytes_max=300 if crowded else 10_000,
        batch_bytes_max=chance.choice((60, 400)),
        heavy_work_max=turn_chance.choice((1, 1_000)),
        turn_work_max=turn_chance.choice((1, 5, 50)),
        flush_interval_ms=chance.choice((100, 500, 2_000)),
        flush_bytes=chance.choice((500, 5_000)),
        memory_bytes_max=chance.choice((8_000, 50_000)),
        log_retained_bytes=chance.choice((0, 500, 5_000)),
        history_revisions_max=history_chance.choice((20, 200, 100_000)),
        history_bytes_max=history_chance.choice((1_000, 1 << 20)),
        history_age_ms_max=history_chance.choice((3_000, 3_600_000)),
        digest_interval_ms=chance.choice((100, 1_000)),
        digests_kept=chance.choice((20, 1_000)),
    )


def _raft_settings(chance: random.Random) -> Settings:
    return Settings(
        election_timeout_ms=600,
        heartbeat_interval_ms=chance.choice((60, 150, 300)),
        append_bytes_max=chance.choice((40, 150, 1_000)),
        inflight_messages_max=chance.choice((1, 3, 20)),
        inflight_bytes_max=chance.choice((200, 5_000)),
        uncommitted_bytes_max=chance.choice((800, 20_000)),
        committed_bytes_max=chance.choice((100, 1_000)),
        pending_reads_max=chance.choice((2, 100)),
        snapshot_retry_ms=chance.choice((200, 1_000)),
        log_cache_bytes=chance.choice((200, 2_000)),
    )
