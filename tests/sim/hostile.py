"""Callers that change nothing and must harm nobody: one gives the nodes much to do, one uses numbers again.

Their commands carry the operation number 0: the ledger knows that they leave no trace.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from kvraft.errors import RequestError
from kvraft.machine.results import Answer, Failed, FailureReason
from kvraft.v1 import command_pb2
from tests.sim.checkers.ledger import NO_OPERATION, mark
from tests.sim.history import Violation
from tests.sim.timeline import MS_US

if TYPE_CHECKING:
    from tests.sim.host import Host, World

HEAVY_PACE_US = 2_000 * MS_US
HEAVY_WORK = 500
"""Of one list, each of whose commands is a unit of work."""
_REFUSED = (FailureReason.REQUEST_ID_REUSED, FailureReason.STALE_SEQUENCE)


class HeavyCaller:
    """Sends one list after the other to any node, each much more work than a turn may do."""

    def __init__(self, world: World, chance: random.Random, pace_us: int) -> None:
        self._world = world
        self._chance = chance
        self._pace_us = pace_us
        commands = [command_pb2.Command(delete={"key": b"-"})] * HEAVY_WORK
        self._command = mark(
            command_pb2.Command(list=command_pb2.CommandList(commands=commands)), NO_OPERATION
        )
        self.is_stopped = False
        self._call_later()

    def _call_later(self) -> None:
        self._world.timeline.after(1 + int(self._chance.expovariate(1 / self._pace_us)), self._call)

    def _call(self) -> None:
        if not self.is_stopped:
            submit(self._world, self._chance, self._command, lambda _: None)
            self._call_later()


def reuse_number(world: World, chance: random.Random, request_id: tuple[int, int]) -> None:
    """Another command under a number that was answered. Raises Violation, later, if it is not refused."""
    command = command_pb2.Command(put={"key": b"reused", "value": b"%d" % chance.randrange(100)})
    command.client_id, command.sequence = request_id

    def on_answer(answer: Answer | RequestError) -> None:
        if isinstance(answer, RequestError):
            return
        world.report.events["number used again"] += 1
        if not isinstance(answer.result, Failed) or answer.result.reason not in _REFUSED:
            raise Violation(f"another command under the number {request_id} was answered {answer}")

    submit(world, chance, mark(command, NO_OPERATION), on_answer)


def submit(
    world: World, chance: random.Random, command: bytes, on_answer: Callable[[Answer | RequestError], None]
) -> None:
    """Gives a command to any node."""
    host = chance.choice(list(world.hosts.values()))
    host.post(host.life, lambda: _submit(host, command, on_answer))


def _submit(host: Host, command: bytes, on_answer: Callable[[Answer | RequestError], None]) -> None:
    assert host.replica is not None
    host.replica.submit(command, grows_state=True, now_ms=host.now_ms(), on_answer=on_answer)
    host.wake()
