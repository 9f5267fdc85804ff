"""What the clients of a run do, and how it is checked in the end."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Protocol

from kvraft.machine import kv
from tests.sim.checkers.ledger import Ledger
from tests.sim.checkers.linearizability import check_linearizable
from tests.sim.checkers.revisions import check_revisions
from tests.sim.checkers.watches import check_watch
from tests.sim.clients import Client, Recorder
from tests.sim.history import Register, Violation
from tests.sim.host import World
from tests.sim.hostile import HEAVY_PACE_US, HeavyCaller
from tests.sim.laws import Journal
from tests.sim.timeline import SECOND_US
from tests.sim.watchers import Watcher

WATCHERS = 4


class Workload(Protocol):
    """The clients of a run, from its first moment on."""

    rest_us: int
    """How long after `stop` something may still happen, and no longer."""

    def stop(self) -> None:
        """Everything is healed and served: they begin nothing new."""
        ...

    def check_is_told_all(self, revision: int) -> None:
        """Nothing has happened for a while, and all nodes are at `revision`. Raises Violation."""
        ...

    def check(self, journal: Journal) -> None:
        """Checks what they were told against each other, and against what the log says. Raises Violation."""
        ...


class KvWorkload:
    """Clients and watchers of the key-value space."""

    rest_us = 8 * SECOND_US

    def __init__(
        self,
        world: World,
        recorder: Recorder,
        stream: Callable[[str], random.Random],
        *,
        pace_us: int,
        clients: int,
    ) -> None:
        self._world = world
        self._recorder = recorder
        self._clients = [
            Client(number, world, recorder, stream(f"client {number}"), pace_us)
            for number in range(1, clients + 1)
        ]
        self._watchers = [
            Watcher(number, world, stream(f"watcher {number}")) for number in range(1, WATCHERS + 1)
        ]

        self._heavy_caller = HeavyCaller(world, stream("heavy caller"), HEAVY_PACE_US)

    def stop(self) -> None:
        self._heavy_caller.is_stopped = True
        for client in self._clients:
            client.is_stopped = True
        for watcher in self._watchers:
            watcher.is_stopped = True

    def check_is_told_all(self, revision: int) -> None:
        for watcher in self._watchers:
            watcher.check_is_told_all(revision)

    def check(self, journal: Journal) -> None:
        operations = self._recorder.operations
        ledger = Ledger(journal, operations)
        for host in self._world.hosts.values():
            assert host.replica is not None
            rows = dict(kv.scan(host.replica.state, b"", b""))
            if rows != ledger.rows:
                raise Violation(f"{host.name} holds {rows}, the log says {ledger.rows}")
        ledger.check()
        seen = [each for each in operations.values() if not isinstance(each.request, Register)]
        check_revisions(seen)
        check_linearizable(seen)
        for watcher in self._watchers:
            for story in watcher.stories:
                check_watch(story, ledger.changes)
