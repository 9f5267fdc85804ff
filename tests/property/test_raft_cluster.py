"""Clusters of pure cores under everything that may happen to them: messages in any order, twice or
never, crashes that forget what was not durable, clocks that run apart, slow disks, snapshots.

The laws of `kvraft.raft.invariants` are checked after every step by the harness; here also that
reads are never stale, and that a healed cluster serves again and agrees. A failure is a seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from kvraft.raft.events import (
    CommitWanted,
    Propose,
    RequestRead,
    TimePassed,
    TransferLeadership,
    Unreachable,
)
from kvraft.raft.messages import Message
from kvraft.raft.ready import Ready
from kvraft.raft.settings import Settings
from kvraft.raft.types import Index, NodeId
from tests.unit.raft.harness import Cluster, Node

TIGHT = Settings(
    append_bytes_max=120,
    inflight_messages_max=3,
    inflight_bytes_max=300,
    uncommitted_bytes_max=1_500,
    committed_bytes_max=150,
    pending_reads_max=3,
    snapshot_retry_ms=300,
    log_cache_bytes=200,
)
"""Every limit is met all the time."""


class Clients:
    """Whoever proposes and reads: knows what was acknowledged, and judges every read."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.ticket = 0
        self.read_floors: dict[int, Index] = {}
        """For every read, what was committed anywhere when it came: it may not see less."""
        self.proposed: dict[tuple[NodeId, Index], tuple[int, int]] = {}
        self.answered: set[int] = set()
        cluster.observer = self.observe

    def propose(self, node_id: int, size_bytes: int) -> None:
        self.ticket += 1
        data = b"%d " % self.ticket + b"." * size_bytes
        self.cluster.step(node_id, Propose(ticket=self.ticket, data=data))

    def read(self, node_id: int) -> None:
        self.ticket += 1
        self.read_floors[self.ticket] = self.cluster.checker.committed_index
        self.cluster.step(node_id, RequestRead(ticket=self.ticket))

    def observe(self, node: Node, ready: Ready) -> None:
        for read in ready.confirmed_reads:
            assert read.index >= self.read_floors[read.ticket], f"stale read {read} at node {node.node_id}"
            self._answer(read.ticket)
        for ticket in ready.failed_reads:
            self._answer(ticket)
        for proposed in ready.proposed:
            self._answer(proposed.ticket)
        for refused in ready.refused:
            self._answer(refused.ticket)

    def _answer(self, ticket: int) -> None:
        assert ticket not in self.answered, f"ticket {ticket} was answered twice"
        self.answered.add(ticket)


class Chaos:
    """What may happen next. `chance` decides everything, so a seed replays a run."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.clients = Clients(cluster)

    def up(self) -> list[Node]:
        return [node for node in self.cluster.nodes.values() if node.is_up]

    def deliver(self, position: int, *, keep: bool = False) -> None:
        network = self.cluster.network
        message = network[position] if keep else network.pop(position)
        self.cluster.deliver(message)

    def lose(self, position: int) -> None:
        self.cluster.lose(self.cluster.network.pop(position))

    def deliver_together(self, node: Node, chosen: Callable[[Message], bool]) -> None:
        mine = [message for message in self.cluster.network if message.target == node.node_id]
        taken = [message for message in mine if chosen(message)]
        self.cluster.network = [message for message in self.cluster.network if message not in taken]
        self.cluster.deliver_together(node.node_id, taken)

    def pass_time(self, node: Node, duration_ms: int) -> None:
        node.clock_ms += duration_ms
        self.cluster.step(node.node_id, TimePassed())

    def crash(self, node: Node, *, write_survives: bool) -> None:
        self.cluster.crash(node.node_id, write_survives=write_survives)

    def settle(self) -> None:
        """Everything heals. The cluster must lead, commit, and agree, within ten election timeouts."""
        cluster = self.cluster
        cluster.heal()
        for node_id, node in cluster.nodes.items():
            if not node.is_up:
                cluster.restart(node_id)
        cluster.writes_at_once = True
        latest = max(node.clock_ms for node in cluster.nodes.values())
        for node_id, node in cluster.nodes.items():
            node.clock_ms = latest
            cluster.complete_writes(node_id)
        cluster.pass_ms(6_000)
        assert len(cluster.leaders) == 1, [node.raft.role for node in cluster.nodes.values()]
        leader = cluster.leader
        floor = cluster.checker.committed_index
        self.clients.propose(leader.node_id, 1)
        ticket = self.clients.ticket
        cluster.pass_ms(1_500)
        assert leader.proposed[-1].ticket == ticket
        assert leader.raft.commit_index > floor
        for node in cluster.nodes.values():
            assert node.state == leader.state, f"nodes {node.node_id} and {leader.node_id} differ"
            assert node.raft.leader_id == leader.node_id
        assert len(leader.state) == leader.raft.last_log_index


class SeededChaos(Chaos):
    """A long run, drawn from one seed, with its own habits: how often what happens."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        super().__init__(cluster)
        self.chance = random.Random(seed)
        self.loss = self.chance.choice((0, 0.01, 0.1))
        self.twice = self.chance.choice((0, 0.05, 0.2))
        self.reordered = self.chance.choice((0, 0.1, 0.5))
        self.stalls = self.chance.choice((0, 0.01, 0.1))
        habits: list[tuple[Callable[[], None], float]] = [
            (self.some_message, 60),
            (self.some_messages_together, 6),
            (self.some_time, self.chance.choice((1, 4, 10))),
            (self.some_proposal, self.chance.choice((2, 12))),
            (self.some_read, 2),
            (self.some_write_completes, self.chance.choice((6, 30))),
            (self.some_crash, self.chance.choice((0, 0.1, 0.4))),
            (self.some_restart, 1),
            (self.some_compaction, self.chance.choice((0, 0.5, 3))),
            (self.some_cut, self.chance.choice((0, 0.1))),
            (self.cluster.heal, 0.15),
            (self.some_transfer, self.chance.choice((0, 0.1))),
            (self.some_report, 4),
            (self.some_trouble, 0.5),
        ]
        self.habits = [habit for habit, _ in habits]
        self.weights = [weight for _, weight in habits]

    def run(self, steps: int) -> None:
        for habit in self.chance.choices(self.habits, self.weights, k=steps):
            habit()

    def some_message(self) -> None:
        network = self.cluster.network
        if not network:
            self.some_time()
            return
        position = self.chance.randrange(len(network)) if self.chance.random() < self.reordered else 0
        if self.chance.random() < self.loss or len(network) > 60:
            self.lose(position)
        else:
            self.deliver(position, keep=self.chance.random() < self.twice)

    def some_messages_together(self) -> None:
        for node in self.chance.sample(self.up(), k=min(1, len(self.up()))):
            self.deliver_together(node, lambda message: self.chance.random() < 0.7)

    def some_node(self) -> Sequence[Node]:
        up = self.up()
        return [self.chance.choice(up)] if up else []

    def some_time(self) -> None:
        """Mostly a little everywhere; now and then a clock jumps, or a node was not running."""
        for node in self.up():
            self.pass_time(node, self.chance.randrange(100))
        if self.chance.random() < self.stalls:
            for node in self.some_node():
                self.pass_time(node, 1_300)

    def some_proposal(self) -> None:
        leaders = self.cluster.leaders
        for node in leaders if leaders and self.chance.random() < 0.9 else self.some_node():
            self.clients.propose(node.node_id, self.chance.choice((0, 10, 10, 200)))

    def some_read(self) -> None:
        for node in self.cluster.leaders or self.some_node():
            self.clients.read(node.node_id)

    def some_write_completes(self) -> None:
        for node in self.some_node():
            if node.under_way is not None:
                self.cluster.complete_write(node.node_id)

    def some_crash(self) -> None:
        for node in self.some_node():
            self.crash(node, write_survives=self.chance.random() < 0.5)

    def some_restart(self) -> None:
        for node_id, node in self.cluster.nodes.items():
            if not node.is_up:
                self.cluster.restart(node_id)
                return

    def some_compaction(self) -> None:
        for node in self.some_node():
            self.cluster.flush_and_compact(node.node_id)

    def some_cut(self) -> None:
        ids = list(self.cluster.nodes)
        if self.chance.random() < 0.5:
            self.cluster.isolate(self.chance.choice(ids))
        else:
            one, other = self.chance.sample(ids, 2)
            self.cluster.cut((one, other))

    def some_transfer(self) -> None:
        for node in self.cluster.leaders:
            target = self.chance.choice([None, *self.cluster.nodes])
            self.cluster.step(
                node.node_id, TransferLeadership(target=None if target is None else NodeId(target))
            )

    def some_report(self) -> None:
        if self.cluster.reports:
            position = self.chance.randrange(len(self.cluster.reports))
            self.cluster.report(*self.cluster.reports.pop(position))

    def some_trouble(self) -> None:
        for node in self.cluster.leaders:
            peer = NodeId(self.chance.choice(list(self.cluster.nodes)))
            self.cluster.step(node.node_id, self.chance.choice((Unreachable, CommitWanted))(peer=peer))


CLUSTERS = {
    "three": ((1, 2, 3), ()),
    "five": ((1, 2, 3, 4, 5), ()),
    "three and two learners": ((1, 2, 3), (4, 5)),
    "two": ((1, 2), ()),
    "one and a learner": ((1,), (2,)),
}


@pytest.mark.slow
@pytest.mark.parametrize("members", CLUSTERS)
@pytest.mark.parametrize("seed", range(8))
def test_seeded_runs_keep_every_law_and_recover(members: str, seed: int) -> None:
    voters, learners = CLUSTERS[members]
    cluster = Cluster(voters, learners=learners, settings=TIGHT, seed=seed, writes_at_once=False)
    chaos = SeededChaos(cluster, seed)
    chaos.run(2_500)
    chaos.settle()


class AnyHistory(RuleBasedStateMachine):
    """The same, in whatever order finds a mistake; hypothesis shrinks what it finds."""

    chaos: Chaos

    @initialize(members=st.sampled_from(sorted(CLUSTERS)), seed=st.integers(0, 7))
    def begin(self, members: str, seed: int) -> None:
        voters, learners = CLUSTERS[members]
        cluster = Cluster(voters, learners=learners, settings=TIGHT, seed=seed, writes_at_once=False)
        self.chaos = Chaos(cluster)

    @property
    def cluster(self) -> Cluster:
        return self.chaos.cluster

    def some(self, choice: int) -> Node:
        up = self.chaos.up()
        return up[choice % len(up)]

    @rule(choice=st.integers(0, 4))
    def someone_loses_patience(self, choice: int) -> None:
        if self.chaos.up():
            node = self.some(choice)
            self.chaos.pass_time(node, max(0, node.raft.deadline_ms - node.clock_ms))

    @rule(choice=st.integers(0, 4), writes=st.booleans())
    def everything_arrives_for_a_while(self, choice: int, *, writes: bool) -> None:
        for _ in range(40):
            if not self.cluster.network:
                break
            self.chaos.deliver(0)
            for node in self.chaos.up():
                if writes and node.under_way is not None:
                    self.cluster.complete_write(node.node_id)

    @precondition(lambda self: self.cluster.network)
    @rule(position=st.integers(0, 1 << 10), keep=st.booleans())
    def a_message_arrives(self, position: int, *, keep: bool) -> None:
        if len(self.cluster.network) < 40 or not keep:
            self.chaos.deliver(position % len(self.cluster.network), keep=keep)

    @precondition(lambda self: self.cluster.network)
    @rule(position=st.integers(0, 1 << 10))
    def a_message_is_lost(self, position: int) -> None:
        self.chaos.lose(position % len(self.cluster.network))

    @precondition(lambda self: self.cluster.reports)
    @rule(position=st.integers(0, 1 << 10))
    def a_transfer_is_reported(self, position: int) -> None:
        self.cluster.report(*self.cluster.reports.pop(position % len(self.cluster.reports)))

    @precondition(lambda self: self.cluster.leaders)
    @rule(choice=st.integers(0, 4), size_bytes=st.sampled_from((0, 30, 200)))
    def a_client_proposes(self, choice: int, size_bytes: int) -> None:
        leaders = self.cluster.leaders
        self.chaos.clients.propose(leaders[choice % len(leaders)].node_id, size_bytes)

    @precondition(lambda self: self.cluster.leaders)
    @rule(choice=st.integers(0, 4))
    def a_client_reads(self, choice: int) -> None:
        leaders = self.cluster.leaders
        self.chaos.clients.read(leaders[choice % len(leaders)].node_id)

    @precondition(lambda self: any(node.under_way for node in self.chaos.up()))
    @rule(choice=st.integers(0, 4))
    def a_write_completes(self, choice: int) -> None:
        writing = [node for node in self.chaos.up() if node.under_way]
        self.cluster.complete_write(writing[choice % len(writing)].node_id)

    @precondition(lambda self: self.chaos.up())
    @rule(choice=st.integers(0, 4), write_survives=st.booleans())
    def a_node_crashes(self, choice: int, *, write_survives: bool) -> None:
        self.chaos.crash(self.some(choice), write_survives=write_survives)

    @rule()
    def a_node_restarts(self) -> None:
        down = [node_id for node_id, node in self.cluster.nodes.items() if not node.is_up]
        if down:
            self.cluster.restart(down[0])

    @precondition(lambda self: self.chaos.up())
    @rule(choice=st.integers(0, 4))
    def a_log_is_compacted(self, choice: int) -> None:
        self.cluster.flush_and_compact(self.some(choice).node_id)

    @precondition(lambda self: self.cluster.leaders)
    @rule(choice=st.integers(0, 4), peer=st.integers(1, 5))
    def leadership_is_handed_over(self, choice: int, peer: int) -> None:
        leaders = self.cluster.leaders
        leader = leaders[choice % len(leaders)]
        self.cluster.step(leader.node_id, TransferLeadership(target=NodeId(peer)))

    @precondition(lambda self: self.cluster.leaders)
    @rule(choice=st.integers(0, 4), peer=st.integers(1, 5))
    def a_connection_breaks(self, choice: int, peer: int) -> None:
        leaders = self.cluster.leaders
        self.cluster.step(leaders[choice % len(leaders)].node_id, Unreachable(peer=NodeId(peer)))

    def teardown(self) -> None:
        if hasattr(self, "chaos"):
            self.chaos.settle()


test_any_history_keeps_every_law_and_recovers = pytest.mark.slow(AnyHistory.TestCase)
AnyHistory.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=60,
    suppress_health_check=[HealthCheck.too_slow],
)
