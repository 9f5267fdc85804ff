"""A run of people who write to each other."""

from __future__ import annotations

import random
from collections.abc import Callable

from kvraft.machine.users import queues
from tests.sim.history import Violation
from tests.sim.host import World
from tests.sim.laws import Journal
from tests.sim.mail.checker import DEVICES, check_state, check_story
from tests.sim.mail.devices import Receiver
from tests.sim.mail.people import Moods, Sender, register_everybody
from tests.sim.mail.story import Story
from tests.sim.timeline import MS_US, SECOND_US

SLOWER = 2
"""Than clients of keys: a message costs a run several entries, for its deliveries and acknowledgements."""
GOODBYE_US = 2_500 * MS_US
"""After the end of everything else: by then each device is connected again."""


class MailWorkload:
    """Implements `tests.sim.workload.Workload`."""

    rest_us = 3 * SECOND_US

    def __init__(self, world: World, stream: Callable[[str], random.Random], *, pace_us: int) -> None:
        self._world = world
        self._story = Story()
        chance = stream("people")
        register_everybody(world, chance)
        self._senders = [
            Sender(number, world, self._story, stream(f"sender {number}"), SLOWER * pace_us)
            for number in range(1, chance.randrange(2, 5))
        ]
        self._moods = Moods(world, self._story, stream("moods"))
        self._receivers = [
            Receiver(device, world, self._story, stream(f"device {device}")) for device in DEVICES
        ]

    @property
    def operations(self) -> int:
        return len(self._story.sendings)

    def stop(self) -> None:
        for actor in (*self._senders, self._moods, *self._receivers):
            actor.is_stopped = True
        for sender in self._senders:
            self._world.timeline.after(GOODBYE_US, sender.say_goodbye)

    def check_is_told_all(self, revision: int) -> None:
        for sender in self._senders:
            if not sender.is_idle:
                raise Violation("a message was never answered although every node serves")

    def check(self, journal: Journal) -> None:
        replica = next(iter(self._world.hosts.values())).replica
        assert replica is not None
        for device in DEVICES:
            row = queues.find(replica.state, *device)
            for what in ("expired", "collapsed", "dead", "purged"):
                self._world.report.events[f"message {what}"] += getattr(row, what)
        for given in self._story.given:
            if given.message_id.startswith("receipt"):
                # The first of them has no number of its own.
                part = "receipt's next part" if given.message_id.count("-") > 1 else "receipt"
                self._world.report.events[f"{part} delivered"] += 1
        check_story(self._story, check_state(replica.state))
