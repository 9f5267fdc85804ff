"""A command on its way: repeated at one node and another until one of them answers."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from kvraft.errors import RequestError
from kvraft.machine.results import Answer, Failed, Result
from kvraft.v1 import command_pb2
from tests.sim.timeline import MS_US

if TYPE_CHECKING:
    from tests.sim.host import Host, World


class Request:
    """Asks until it is answered. What it asks for must bear being done more than once."""

    __slots__ = ("_attempt", "_chance", "_command", "_name", "_on_result", "_world", "is_answered")

    def __init__(
        self,
        world: World,
        chance: random.Random,
        name: str,
        command: command_pb2.Command,
        on_result: Callable[[Result], None],
    ) -> None:
        """`on_result` is called once, also with `Failed`."""
        self._world = world
        self._chance = chance
        self._name = name
        self._command = command.SerializeToString()
        self._on_result = on_result
        self._attempt = 0
        self.is_answered = False
        self._ask()

    def _ask(self) -> None:
        if self.is_answered:
            return
        self._attempt += 1
        up = [host for host in self._world.hosts.values() if host.is_up]
        patience_us = self._chance.randrange(300 * MS_US, 4_000 * MS_US)
        self._world.timeline.after(patience_us, self._again, self._attempt)
        if up:
            host = self._chance.choice(up)
            host.post(host.life, lambda: self._submit(host))

    def _submit(self, host: Host) -> None:
        assert host.replica is not None
        host.replica.submit(self._command, grows_state=True, now_ms=host.now_ms(), on_answer=self._answered)
        host.wake()

    def _again(self, attempt: int) -> None:
        if not self.is_answered and attempt == self._attempt:
            self._world.report.events["mail request repeated"] += 1
            self._ask()

    def _answered(self, answer: Answer | RequestError) -> None:
        if self.is_answered:
            return
        if isinstance(answer, RequestError):
            attempt = self._attempt
            self._world.timeline.after(1 + self._chance.randrange(200 * MS_US), self._again, attempt)
            return
        self.is_answered = True
        result = answer.result
        if self._world.report.is_traced:
            said = result.reason.name if isinstance(result, Failed) else f"revision {answer.revision}"
            self._world.report.say("mail", f"{self._name}: {said}")
        self._on_result(result)
