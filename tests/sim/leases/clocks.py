"""Somebody who sets the nodes' clocks, often and by little: by much the nemesis does it, and after that
nobody can say for a long time whether a lease has ended too early."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tests.sim.timeline import SECOND_US

if TYPE_CHECKING:
    from tests.sim.host import World

PAUSE_US = 3 * SECOND_US


class ClockSetter:
    """One node after the other, every second time the leader."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self.is_stopped = False
        self._world = world
        self._chance = chance
        self._later()

    def _later(self) -> None:
        self._world.timeline.after(1 + int(self._chance.expovariate(1 / PAUSE_US)), self._set)

    def _set(self) -> None:
        if self.is_stopped:
            return
        hosts = list(self._world.hosts.values())
        leaders = [host for host in hosts if host.leads]
        victim = self._chance.choice(leaders if leaders and self._chance.random() < 0.5 else hosts)
        # Around the one furthest ahead, since replicated time is there already.
        furthest_ms = max(host.clock.wall_ahead_ms for host in hosts)
        victim.clock.wall_ahead_ms = furthest_ms + self._chance.randrange(-5_000, 3_000)
        self._world.report.fault("clock set", victim.name)
        self._later()
