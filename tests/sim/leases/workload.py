"""A run of owners of leases."""

from __future__ import annotations

import random
from collections.abc import Callable

from kvraft.raft.types import Term
from tests.sim.checkers.watches import check_watch
from tests.sim.host import Host, World
from tests.sim.laws import Journal
from tests.sim.leases.clocks import ClockSetter
from tests.sim.leases.elections import Election, Elections
from tests.sim.leases.farewell import LAPSING_TTL_MS, Farewell
from tests.sim.leases.lifetimes import (
    check_answered,
    check_ended,
    check_lasting,
    check_lifetimes,
    ends_us_max,
)
from tests.sim.leases.model import Model
from tests.sim.leases.owners import Owner
from tests.sim.leases.story import Story
from tests.sim.limits import LEASE_KEYS_AT_ONCE
from tests.sim.timeline import MS_US, SECOND_US
from tests.sim.watchers import Watcher

WATCHERS = 2


class LeaseWorkload:
    """Implements `tests.sim.workload.Workload`."""

    rest_us = 9 * SECOND_US

    def __init__(self, world: World, stream: Callable[[str], random.Random], *, pace_us: int) -> None:
        self._world = world
        self._stream = stream
        self._story = Story()
        self._elections = Elections()
        self._farewell: Farewell | None = None
        world.on_elected = self._elected
        count = stream("owners").randrange(2, 6)
        self._owners = [
            Owner(number, world, self._story, stream(f"owner {number}"), pace_us)
            for number in range(1, count + 1)
        ]
        self._clock_setter = ClockSetter(world, stream("clocks"))
        self._watchers = [
            Watcher(number, world, stream(f"watcher {number}")) for number in range(1, WATCHERS + 1)
        ]

    def _elected(self, host: Host, term: Term) -> None:
        assert host.replica is not None
        voters = host.replica.raft.configuration.voters
        aheads_ms = [self._world.hosts[voter].clock.wall_ahead_ms for voter in voters]
        self._elections.note(Election.among(self._world.timeline.now_us, term, aheads_ms))

    def stop(self) -> None:
        for actor in (*self._owners, self._clock_setter, *self._watchers):
            actor.is_stopped = True
        self._farewell = Farewell(self._world, self._story, self._stream("farewell"))
        self._look_whether_all_ended()

    def _look_whether_all_ended(self) -> None:
        """As soon as they must have."""
        assert self._farewell is not None
        now_us = self._world.timeline.now_us
        if not self._farewell.is_said or now_us < ends_us_max(self._story, LAPSING_TTL_MS):
            self._world.timeline.after(50 * MS_US, self._look_whether_all_ended)
            return
        for host in self._world.hosts.values():
            assert host.replica is not None
            check_ended(self._story, host.name, host.replica.state)
        self._world.report.events["all leases ended"] += 1

    def check_is_told_all(self, revision: int) -> None:
        check_answered(self._story)
        for host in self._world.hosts.values():
            assert host.replica is not None
            check_lasting(self._story, self._elections, host.replica.state, self._world.timeline.now_us)
        for watcher in self._watchers:
            watcher.check_is_told_all(revision)

    def check(self, journal: Journal) -> None:
        check_lifetimes(self._story, self._elections)
        model = Model(LEASE_KEYS_AT_ONCE)
        model.apply_all(journal)
        self._world.report.events.update(model.events)
        model.check_answers(self._story.asks)
        for host in self._world.hosts.values():
            assert host.replica is not None
            model.check_state(host.name, host.replica.state, host.replica.machine)
        for watcher in self._watchers:
            for story in watcher.stories:
                check_watch(story, model.changes)
