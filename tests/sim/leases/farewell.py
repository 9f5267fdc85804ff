"""When everything is well again and the owners are gone: a lease that nobody keeps alive, with some keys, and
one that outlasts the run, with a key of its own. Then the leadership is handed over, which must make neither
of them longer or shorter."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from kvraft.machine.results import Answer, PutResult
from kvraft.v1 import command_pb2
from tests.sim.leases import commands
from tests.sim.leases.asks import Desk
from tests.sim.leases.story import Ask, Lifetime, Sighting, Story
from tests.sim.timeline import MS_US

if TYPE_CHECKING:
    from tests.sim.host import World

LAPSING, LASTING = 2 << 40, 3 << 40
LAPSING_TTL_MS, LASTING_TTL_MS = 4_000, 60_000
LASTING_KEY = b"lasting"
LAPSING_KEYS = b"lapsing 1", b"lapsing 2"
BEHIND_MS = 20_000
HANDOVER_US = 3_600 * MS_US
"""Shortly before the one lapses: it is not to live its full time again."""


class Farewell:
    """Says it step by step, each until it is done."""

    def __init__(self, world: World, story: Story, chance: random.Random) -> None:
        self._world = world
        self._story = story
        self._chance = chance
        self._desk = Desk(world, story, chance)
        self._steps = [
            commands.grant(LASTING, LASTING_TTL_MS),
            commands.put(LASTING_KEY, b"", LASTING),
            commands.grant(LAPSING, LAPSING_TTL_MS),
            *(commands.put(key, b"", LAPSING) for key in LAPSING_KEYS),
        ]
        self._begun_us = world.timeline.now_us
        """When the step that is under way was first asked for."""
        world.timeline.after(HANDOVER_US, self._hand_over)
        self._go_on()

    @property
    def is_said(self) -> bool:
        return not self._steps

    def _go_on(self) -> None:
        if self._steps:
            self._desk.ask("farewell", self._steps[0], self._told)

    def _told(self, ask: Ask) -> None:
        if ask.answer is None:
            self._world.timeline.after(10 * MS_US, self._go_on)
            return
        self._note(self._steps.pop(0), ask.answer, ask.ended_us)
        self._begun_us = ask.ended_us
        self._go_on()

    def _note(self, command: command_pb2.Command, answer: Answer, now_us: int) -> None:
        if command.HasField("grant_lease"):
            # Now, or, if it is refused, when it was asked for before and the answer was lost.
            grant = command.grant_lease
            lifetime = self._story.lifetimes[grant.lease_id] = Lifetime(grant.lease_id, grant.ttl_ms)
            lifetime.renewed.append(Sighting(self._begun_us, now_us))
        elif command.put.key == LASTING_KEY and isinstance(answer.result, PutResult):
            self._story.lasting[LASTING] = LASTING_KEY

    def _hand_over(self) -> None:
        """Often to a node whose clock is far behind."""
        is_behind = self._chance.random() < 0.5
        for host in self._world.hosts.values():
            replica = host.replica
            if replica is not None and replica.leads:
                host.post(host.life, replica.transfer_leadership)
                host.wake()
            elif is_behind:
                host.clock.wall_ahead_ms -= BEHIND_MS
