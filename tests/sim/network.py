"""The network: for each pair of nodes and each direction a link with faults of its own.

Two kinds of traffic travel on it. *Datagrams* (the algorithm's messages, digest reports) may be lost,
doubled, delayed and overtaken. *Connections* (what followers forward to their leader, and the answers)
are ordered and never double anything, as gRPC streams are, but break: what was in them is then lost,
and nobody is told how much of it had arrived.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable

from kvraft.raft.types import NodeId
from tests.sim.report import Report
from tests.sim.timeline import MS_US, Timeline

Receive = Callable[[object], None]


class Link:
    """One direction between two nodes."""

    __slots__ = (
        "blocked",
        "clogged",
        "delay_us",
        "duplication",
        "held",
        "jitter_us",
        "loss",
        "straggling",
    )

    def __init__(self) -> None:
        self.blocked = 0
        """How many partitions cut it."""
        self.clogged = 0
        """How many clogs hold it: nothing is lost, nothing arrives."""
        self.held: list[tuple[NodeId, object]] = []
        self.heal()

    def heal(self) -> None:
        """A good link, except for what cuts or clogs it."""
        self.delay_us = 300
        self.jitter_us = 700
        self.loss = 0.0
        self.duplication = 0.0
        self.straggling = 0.0
        """How likely a datagram takes a hundred times as long as the others."""

    @property
    def is_open(self) -> bool:
        return not (self.blocked or self.clogged)


class Connection:
    """A stream from a follower to its leader. In each direction what was sent arrives in order, or, from
    some point on, not at all."""

    __slots__ = ("held", "is_alive", "is_open", "last_due_us", "leader_life")

    def __init__(self) -> None:
        self.is_open = False
        self.is_alive = True
        self.last_due_us = {True: 0, False: 0}
        self.held: dict[bool, deque[object]] = {True: deque(), False: deque()}
        """Sent and waiting for the link, by whether it goes to the leader."""
        self.leader_life = 0


class Network:
    """All links."""

    def __init__(
        self, timeline: Timeline, chance: random.Random, report: Report, node_ids: Iterable[NodeId]
    ) -> None:
        self._timeline = timeline
        self._chance = chance
        self._report = report
        self.node_ids = tuple(node_ids)
        self.links = {
            (source, target): Link()
            for source in self.node_ids
            for target in self.node_ids
            if source != target
        }
        self._connections: dict[tuple[NodeId, NodeId], Connection] = {}
        self.receivers: dict[NodeId, Callable[[NodeId, object], None]] = {}
        """Who takes what arrives: called with sender and payload."""
        self.is_up: Callable[[NodeId], bool] = lambda _: True
        self.on_broken: Callable[[NodeId, NodeId], None] = lambda _source, _target: None
        """Told when the connection from one node to another broke."""

    # --- datagrams ----------------------------------------------------------------------------

    def send(self, source: NodeId, target: NodeId, payload: object) -> None:
        """Sends a datagram."""
        link = self.links[source, target]
        if link.blocked:
            return
        chance, report = self._chance, self._report
        if link.loss and chance.random() < link.loss:
            report.fault("datagram lost", f"{source}>{target} {type(payload).__name__}")
            return
        copies = 1
        if link.duplication and chance.random() < link.duplication:
            report.fault("datagram doubled", f"{source}>{target} {type(payload).__name__}")
            copies = 2
        for _ in range(copies):
            delay_us = link.delay_us + int(chance.random() * link.jitter_us)
            if link.straggling and chance.random() < link.straggling:
                report.fault("datagram late", f"{source}>{target} {type(payload).__name__}")
                delay_us *= chance.randrange(20, 200)
            self._timeline.after(delay_us, self._arrive, source, target, payload)

    def _arrive(self, source: NodeId, target: NodeId, payload: object) -> None:
        link = self.links[source, target]
        if link.clogged:
            link.held.append((source, payload))
        elif not link.blocked:
            self.receivers[target](source, payload)

    # --- connections --------------------------------------------------------------------------

    def forward(self, follower: NodeId, leader: NodeId, payload: object) -> bool:
        """To the leader over the follower's connection; False if there is none just now. One is then
        being opened."""
        connection = self._connections.get((follower, leader))
        if connection is None or not connection.is_alive:
            self._connections[follower, leader] = connection = Connection()
            self._timeline.after(
                self._chance.randrange(MS_US, 30 * MS_US), self._opened, follower, leader, connection
            )
        if not connection.is_open:
            return False
        self._send_on(connection, follower, leader, payload, to_leader=True)
        return True

    def answer(self, leader: NodeId, follower: NodeId, payload: object) -> None:
        """To the follower over the connection it has opened; lost if there is none."""
        connection = self._connections.get((follower, leader))
        if connection is not None and connection.is_open:
            self._send_on(connection, leader, follower, payload, to_leader=False)

    def _opened(self, follower: NodeId, leader: NodeId, connection: Connection) -> None:
        reachable = self.links[follower, leader].is_open and self.links[leader, follower].is_open
        if connection.is_alive and reachable and self.is_up(leader) and self.is_up(follower):
            connection.is_open = True
        else:
            connection.is_alive = False

    def _send_on(
        self, connection: Connection, source: NodeId, target: NodeId, payload: object, *, to_leader: bool
    ) -> None:
        link = self.links[source, target]
        due_us = self._timeline.now_us + link.delay_us + int(self._chance.random() * link.jitter_us)
        due_us = max(due_us, connection.last_due_us[to_leader] + 1)
        connection.last_due_us[to_leader] = due_us
        self._timeline.at(due_us, self._arrive_on, connection, source, target, payload, to_leader)

    def _arrive_on(
        self, connection: Connection, source: NodeId, target: NodeId, payload: object, to_leader: bool
    ) -> None:
        if not connection.is_alive:
            self._report.fault("stream frame lost", f"{source}>{target} {type(payload).__name__}")
        elif connection.held[to_leader] or not self.links[source, target].is_open:
            connection.held[to_leader].append(payload)
        else:
            self.receivers[target](source, payload)

    def break_connection(self, follower: NodeId, leader: NodeId) -> None:
        """What is under way in it is lost."""
        connection = self._connections.pop((follower, leader), None)
        if connection is not None and connection.is_alive:
            connection.is_alive = connection.is_open = False
            lost = len(connection.held[True]) + len(connection.held[False])
            if lost:
                self._report.faults["stream frame lost"] += lost

    def node_died(self, node_id: NodeId) -> None:
        """Its connections break; what it had sent may still arrive."""
        for other in self.node_ids:
            if other == node_id:
                continue
            self.break_connection(other, node_id)
            if self._chance.random() < 0.5:
                self.break_connection(node_id, other)
            else:
                self._connections.pop((node_id, other), None)

    # --- faults -------------------------------------------------------------------------------

    def block(self, pairs: Iterable[tuple[NodeId, NodeId]]) -> Callable[[], None]:
        """Cuts these links until the answer is called. Connections over them notice after a while."""
        blocked = list(pairs)
        for source, target in blocked:
            self.links[source, target].blocked += 1
            patience_us = self._chance.randrange(50 * MS_US, 3_000 * MS_US)
            self._timeline.after(patience_us, self._give_up, source, target)

        def unblock() -> None:
            for source, target in blocked:
                self.links[source, target].blocked -= 1
                self._release(source, target)

        return unblock

    def clog(self, pairs: Iterable[tuple[NodeId, NodeId]]) -> Callable[[], None]:
        """Holds everything back on these links until the answer is called."""
        clogged = list(pairs)
        for pair in clogged:
            self.links[pair].clogged += 1

        def unclog() -> None:
            for source, target in clogged:
                self.links[source, target].clogged -= 1
                self._release(source, target)

        return unclog

    def _release(self, source: NodeId, target: NodeId) -> None:
        link = self.links[source, target]
        if not link.is_open:
            return
        held, link.held = link.held, []
        for position, (sender, payload) in enumerate(held):
            self._timeline.after(position, self._arrive, sender, target, payload)
        for pair, to_leader in (((source, target), True), ((target, source), False)):
            connection = self._connections.get(pair)
            while connection is not None and connection.held[to_leader]:
                payload = connection.held[to_leader].popleft()
                self.receivers[target](source, payload)

    def _give_up(self, source: NodeId, target: NodeId) -> None:
        if self.links[source, target].blocked:
            self.break_connection(source, target)
            self.break_connection(target, source)
            self.on_broken(source, target)
