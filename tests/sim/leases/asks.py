"""A command on its way to a node.

A numbered one is repeated here and there until it is answered. Any other is asked once, and if its answer
does not come in time, its outcome is unknown for ever: its owner asks something new.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from kvraft.errors import RequestError
from kvraft.machine.results import Answer
from kvraft.v1 import command_pb2
from tests.sim.checkers.ledger import mark
from tests.sim.history import Outcome
from tests.sim.leases.story import Ask, Story
from tests.sim.timeline import MS_US

if TYPE_CHECKING:
    from tests.sim.host import Host, World


FIRST_NUMBER = 1 << 40
"""Of an ask; far from the numbers of the run's own operations."""
PATIENCE_MS = 2_000
RENEWAL_PATIENCE_MS = 800


class Desk:
    """Where one owner asks."""

    def __init__(self, world: World, story: Story, chance: random.Random) -> None:
        self._world = world
        self._story = story
        self._chance = chance

    def ask(self, name: str, command: command_pb2.Command, on_end: Callable[[Ask], None]) -> None:
        """`on_end` is called once."""
        number = FIRST_NUMBER + len(self._story.asks)
        ask = self._story.asks[number] = Ask(number, name, command, self._world.timeline.now_us)
        patience_ms = RENEWAL_PATIENCE_MS if command.HasField("renew_leases") else PATIENCE_MS
        _Asking(self._world, self._chance, ask, on_end, patience_ms)


class _Asking:
    """An ask under way."""

    __slots__ = ("_ask", "_attempt", "_chance", "_is_over", "_on_end", "_patience_ms", "_world")

    def __init__(
        self,
        world: World,
        chance: random.Random,
        ask: Ask,
        on_end: Callable[[Ask], None],
        patience_ms: int,
    ) -> None:
        self._world = world
        self._chance = chance
        self._ask = ask
        self._on_end = on_end
        self._patience_ms = patience_ms
        self._attempt = 0
        self._is_over = False
        self._try()

    def _try(self) -> None:
        self._attempt += 1
        up = [host for host in self._world.hosts.values() if host.is_up]
        patience_us = self._chance.randrange(self._patience_ms // 4, self._patience_ms) * MS_US
        self._world.timeline.after(patience_us, self._give_up, self._attempt)
        if up:
            host = self._chance.choice(up)
            host.post(host.life, partial(self._submit, host, self._attempt))

    def _submit(self, host: Host, attempt: int) -> None:
        assert host.replica is not None
        kind = self._ask.command.WhichOneof("command")
        host.replica.submit(
            mark(self._ask.command, self._ask.number),
            grows_state=kind not in ("renew_leases", "revoke_lease", "delete"),
            now_ms=host.now_ms(),
            on_answer=partial(self._answered, attempt),
        )
        host.wake()

    def _give_up(self, attempt: int) -> None:
        """Or, if it is numbered, repeat it."""
        if self._is_over or attempt != self._attempt:
            return
        if self._ask.is_numbered:
            self._world.report.events["numbered write repeated"] += 1
            self._try()
        else:
            self._world.report.events["client gave up"] += 1
            self._end(Outcome.UNKNOWN)

    def _answered(self, attempt: int, answer: Answer | RequestError) -> None:
        if self._is_over:
            return
        if isinstance(answer, Answer):
            self._ask.answer = answer
            self._end(Outcome.DONE)
            return
        self._world.report.events[f"answer {answer.reason.value}"] += 1
        if self._ask.is_numbered:
            later_us = 1 + self._chance.randrange(200 * MS_US)
            self._world.timeline.after(later_us, self._give_up, attempt)
        else:
            self._end(Outcome.NOT_APPLIED if answer.applied == "no" else Outcome.UNKNOWN)

    def _end(self, outcome: Outcome) -> None:
        self._is_over = True
        self._ask.outcome = outcome
        self._ask.ended_us = self._world.timeline.now_us
        if self._world.report.is_traced:
            self._world.report.say("lease", str(self._ask))
        self._on_end(self._ask)
