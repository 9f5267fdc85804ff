"""What goes wrong, when, and for how long: drawn from one stream of chance, kinds chosen anew for each
run, so that some runs see much of a few faults and others a little of all."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from kvraft.raft.messages import Message, RequestVoteResponse
from kvraft.raft.types import NodeId
from tests.sim.timeline import MS_US

if TYPE_CHECKING:
    from tests.sim.host import Host, World

Pair = tuple[NodeId, NodeId]


class Nemesis:
    """Begins a fault every now and then; each ends by itself, and all with `heal`."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self._world = world
        self._chance = chance
        self._hosts = list(world.hosts.values())
        self._undo: dict[int, Callable[[], None]] = {}
        self._number = 0
        self._is_over = False
        self._restarts_are_quick = False
        faults: list[Callable[[], None]] = [
            self._split,
            self._split,
            self._cut_pair,
            self._one_way,
            self._isolate_leader,
            self._clog,
            self._bad_links,
            self._crash_one,
            self._crash_one,
            self._crash_in_a_turn,
            self._crash_in_a_turn,
            self._crash_many,
            self._crash_in_a_flush,
            self._pause,
            self._pause,
            self._slow_disk,
            self._hung_disk,
            self._failing_disk,
            self._full_disk,
            self._set_clock,
            self._hand_over,
            self._hand_over_unheard,
            self._crash_voters,
            self._change_majorities,
            self._change_majorities,
            self._overwrite_the_unwritten,
            self._no_space,
        ]
        share = chance.choice((0.1, 0.1, 0.3, 1.0))
        self._faults = [fault for fault in faults if chance.random() < share] or faults
        self._pause_us = chance.choice((300, 800, 2_000)) * MS_US
        world.on_crash = self._restart_later
        world.on_snapshot_waiting = self._isolate_sender
        self._begin_later()

    def heal(self) -> None:
        """Everything is well from now on."""
        self._is_over = True
        for undo in list(self._undo.values()):
            undo()
        self._undo.clear()
        for link in self._world.network.links.values():
            link.heal()
        for host in self._hosts:
            host.fuse = host.trap = None
            host.disk.heal()
            host.resume()
            if not host.is_up:
                host.boot()

    def _begin_later(self) -> None:
        delay_us = 1 + int(self._chance.expovariate(1 / self._pause_us))
        self._world.timeline.after(delay_us, self._begin)

    def _begin(self) -> None:
        if not self._is_over:
            self._chance.choice(self._faults)()
            self._begin_later()

    def _for_a_while(self, undo: Callable[[], None], shortest_ms: int, longest_ms: int) -> None:
        """Undoes a fault after a time, or when everything heals."""
        self._number += 1
        number = self._number
        self._undo[number] = undo

        def end() -> None:
            if self._undo.pop(number, None) is not None:
                undo()

        self._world.timeline.after(self._chance.randrange(shortest_ms, longest_ms) * MS_US, end)

    def _victim(self) -> Host:
        """Any node, often the leader."""
        leaders = [host for host in self._hosts if host.leads]
        if leaders and self._chance.random() < 0.5:
            return self._chance.choice(leaders)
        return self._chance.choice(self._hosts)

    # --- the network --------------------------------------------------------------------------

    def _block(self, kind: str, pairs: Iterable[Pair]) -> None:
        blocked = list(pairs)
        self._world.report.fault(kind, blocked)
        self._for_a_while(self._world.network.block(blocked), 100, 6_000)

    def _split(self) -> None:
        nodes = list(self._world.network.node_ids)
        self._chance.shuffle(nodes)
        size = self._chance.randrange(1, len(nodes))
        one, other = nodes[:size], nodes[size:]
        pairs = [(a, b) for a in one for b in other]
        self._block("symmetric partition", pairs + [(b, a) for a, b in pairs])

    def _cut_pair(self) -> None:
        one, other = self._chance.sample(self._world.network.node_ids, 2)
        self._block("partial partition", [(one, other), (other, one)])

    def _one_way(self) -> None:
        links = list(self._world.network.links)
        self._block("one-way partition", self._chance.sample(links, self._chance.randrange(1, len(links))))

    def _isolate_leader(self) -> None:
        victim = self._victim().node_id
        others = [node for node in self._world.network.node_ids if node != victim]
        match self._chance.randrange(3):
            case 0:
                pairs = [(victim, other) for other in others]
            case 1:
                pairs = [(other, victim) for other in others]
            case _:
                pairs = self._pairs_of(victim)
        self._block("leader isolated", pairs)

    def _isolate_sender(self, sender: Host) -> None:
        """The others elect a new leader, and who waits for a flush may have to vote for it."""
        if not self._is_over:
            self._block("sender of a waiting snapshot isolated", self._pairs_of(sender.node_id))

    def _pairs_of(self, node_id: NodeId) -> list[Pair]:
        others = [node for node in self._world.network.node_ids if node != node_id]
        return [(node_id, other) for other in others] + [(other, node_id) for other in others]

    def _clog(self) -> None:
        links = list(self._world.network.links)
        clogged = self._chance.sample(links, self._chance.randrange(1, len(links)))
        self._world.report.fault("links clogged", clogged)
        self._for_a_while(self._world.network.clog(clogged), 50, 4_000)

    def _bad_links(self) -> None:
        chance = self._chance
        links = chance.sample(
            list(self._world.network.links.values()), chance.randrange(1, len(self._world.network.links) + 1)
        )
        self._world.report.fault("links degraded", len(links))
        for link in links:
            link.loss = chance.choice((0.0, 0.05, 0.3))
            link.duplication = chance.choice((0.0, 0.1, 0.5))
            link.straggling = chance.choice((0.0, 0.05))
            link.jitter_us = chance.choice((1, 20, 150)) * MS_US

        def undo() -> None:
            for link in links:
                link.heal()

        self._for_a_while(undo, 500, 8_000)

    # --- processes ----------------------------------------------------------------------------

    def _restart_later(self, host: Host) -> None:
        def restart() -> None:
            if not host.is_up and not self._is_over:
                host.boot()

        longest_ms = 30 if self._restarts_are_quick else self._chance.choice((50, 1_000, 4_000))
        self._world.timeline.after(self._chance.randrange(1, longest_ms) * MS_US, restart)

    def _crash_one(self) -> None:
        self._victim().crash("of one")

    def _crash_many(self) -> None:
        everybody = self._chance.random() < 0.5
        count = len(self._hosts) if everybody else len(self._hosts) // 2 + 1
        self._world.report.fault("crash of all" if everybody else "crash of a majority")
        for host in self._chance.sample(self._hosts, count):
            host.crash("with others")

    def _crash_in_a_turn(self) -> None:
        host = self._victim()
        if host.is_up:
            host.fuse = self._chance.randrange(12)

    def _crash_in_a_flush(self) -> None:
        host = self._victim()
        if host.disk.is_flushing:
            host.crash("in a flush")
        elif host.is_up and not self._is_over:
            self._world.timeline.after(2 * MS_US, self._retry_in_a_flush, host, 200)

    def _retry_in_a_flush(self, host: Host, attempts_left: int) -> None:
        if self._is_over or not host.is_up:
            return
        if host.disk.is_flushing:
            host.crash("in a flush")
        elif attempts_left:
            self._world.timeline.after(2 * MS_US, self._retry_in_a_flush, host, attempts_left - 1)

    def _pause(self) -> None:
        host = self._victim()
        if host.is_up and not host.is_paused:
            self._world.report.fault("pause", host.name)
            host.pause()
            self._for_a_while(host.resume, 20, self._chance.choice((300, 3_000, 10_000)))

    # --- what is worse together ---------------------------------------------------------------

    def _crash_voters(self) -> None:
        """For a while who has given its vote dies of it, often, and is back before the next candidate's
        request arrives."""
        chance, world = self._chance, self._world

        def is_vote(message: Message) -> bool:
            granted = isinstance(message, RequestVoteResponse) and message.granted and not message.pre_vote
            if granted and chance.random() < 0.5:
                world.report.fault("crash after a vote", f"n{message.sender}")
                return True
            return False

        self._restarts_are_quick = True
        for link in world.network.links.values():
            link.jitter_us = 100 * MS_US
        for host in self._hosts:
            host.trap = is_vote
            if host.leads:
                host.pause()

        def undo() -> None:
            self._restarts_are_quick = False
            for link in world.network.links.values():
                link.heal()
            for host in self._hosts:
                host.trap = None
                host.resume()

        self._for_a_while(undo, 1_000, 4_000)

    def _change_majorities(self) -> None:
        """One majority after the other, each meeting the next in a single node, whose disk is slow and
        which dies at each change: whatever it had promised and not yet written is forgotten."""
        self._world.report.fault("majorities changed")
        pivot = self._victim()
        longest_ms = self._chance.choice((150, 800, 2_500))
        self._change_majority(pivot, self._chance.randrange(2, 9), longest_ms)

    def _change_majority(self, pivot: Host, changes_left: int, longest_ms: int) -> None:
        if self._is_over:
            return
        chance = self._chance
        others = [node for node in self._world.network.node_ids if node != pivot.node_id]
        chance.shuffle(others)
        majority = {pivot.node_id, *others[: len(self._world.network.node_ids) // 2]}
        outside = [node for node in self._world.network.node_ids if node not in majority]
        pairs = [(a, b) for a in majority for b in outside]
        unblock = self._world.network.block(pairs + [(b, a) for a, b in pairs])
        slow = [pivot, *chance.sample(self._hosts, chance.randrange(len(self._hosts)))]
        for host in slow:
            host.disk.slowness = chance.choice((1.0, 30.0, 300.0))

        def change() -> None:
            for host in slow:
                host.disk.slowness = 1.0
            unblock()
            if self._is_over:
                return
            if chance.random() < 0.8:
                pivot.crash("between majorities")
            if changes_left:
                next_pivot = pivot if chance.random() < 0.7 else self._victim()
                self._change_majority(next_pivot, changes_left - 1, longest_ms)

        self._for_a_while(change, 50, longest_ms)

    def _overwrite_the_unwritten(self) -> None:
        """A leader is cut off, maybe with a follower, and goes on taking writes that its disk is too slow
        to finish; when it is back, another leader's entries replace them."""
        chance, network = self._chance, self._world.network
        nodes = [host for host in self._hosts if host.leads] or [self._victim()]
        others = [host for host in self._hosts if host is not nodes[0]]
        if len(others) >= 4 and chance.random() < 0.7:
            nodes.append(chance.choice(others))
        inside = [host.node_id for host in nodes]
        pairs = [(a, b) for a in inside for b in network.node_ids if b not in inside]
        self._world.report.fault("unwritten entries overwritten", inside)
        self._for_a_while(network.block(pairs + [(b, a) for a, b in pairs]), 700, 3_000)
        for host in nodes:
            host.disk.slowness = chance.choice((1_000.0, 5_000.0))

        def undo() -> None:
            for host in nodes:
                host.disk.slowness = 1.0

        self._for_a_while(undo, 3_000, 5_000)

    def _hand_over_unheard(self) -> None:
        """Again and again a leader hands over and does not hear that it is one no longer, or hears it late,
        after the answers to what it had sent before."""
        self._hand_over_deaf(self._chance.randrange(1, 10))

    def _hand_over_deaf(self, times_left: int) -> None:
        if self._is_over or not times_left:
            return
        for host in self._hosts:
            replica = host.replica
            if replica is not None and replica.leads:
                others = [node for node in self._world.network.node_ids if node != host.node_id]
                deaf = [(other, host.node_id) for other in others]
                self._world.report.fault("leadership handed over unheard", host.name)
                host.post(host.life, replica.transfer_leadership)
                host.wake()
                self._world.timeline.after(self._chance.randrange(1, 6) * MS_US, self._deafen, deaf)
        pause_us = self._chance.randrange(200, 1_500) * MS_US
        self._world.timeline.after(pause_us, self._hand_over_deaf, times_left - 1)

    def _deafen(self, pairs: list[Pair]) -> None:
        if self._is_over:
            return
        if self._chance.random() < 0.5:
            self._for_a_while(self._world.network.block(pairs), 100, 2_000)
        else:
            self._for_a_while(self._world.network.clog(pairs), 20, 400)

    # --- disks --------------------------------------------------------------------------------

    def _slow_disk(self) -> None:
        disk = self._victim().disk
        self._world.report.fault("slow disk", disk.name)
        slowness = self._chance.choice((20.0, 200.0, 1_500.0))
        match self._chance.randrange(3):
            case 0:
                disk.slowness = slowness
            case 1:
                disk.flush_slowness = slowness
            case _:
                disk.slowness = disk.flush_slowness = slowness

        def undo() -> None:
            disk.slowness = disk.flush_slowness = 1.0

        self._for_a_while(undo, 200, 5_000)

    def _hung_disk(self) -> None:
        disk = self._victim().disk
        self._world.report.fault("hung disk", disk.name)
        disk.is_hung = True

        def undo() -> None:
            disk.is_hung = False

        self._for_a_while(undo, 100, 8_000)

    def _full_disk(self) -> None:
        """Of one node, or of all."""
        hosts = self._hosts if self._chance.random() < 0.3 else [self._victim()]
        self._world.report.fault("full disk", [host.name for host in hosts])
        for host in hosts:
            host.disk.is_full = True

        def undo() -> None:
            for host in hosts:
                host.disk.is_full = False

        self._for_a_while(undo, 100, 6_000)

    def _failing_disk(self) -> None:
        self._victim().disk.is_failing = True

    # --- the rest -----------------------------------------------------------------------------

    def _set_clock(self) -> None:
        host = self._victim()
        host.clock.wall_ahead_ms = self._chance.randrange(-100_000, 100_000)
        self._world.report.fault("clock set", host.name)

    def _hand_over(self) -> None:
        for host in self._hosts:
            replica = host.replica
            if replica is not None and replica.leads:
                self._world.report.fault("leadership handed over", host.name)
                host.post(host.life, replica.transfer_leadership)
                host.wake()

    def _no_space(self) -> None:
        host = self._victim()
        replica = host.replica
        if replica is None:
            return
        self._world.report.fault("no space", host.name)
        replica.no_space = True

        def undo() -> None:
            replica.no_space = False

        self._for_a_while(undo, 100, 3_000)
