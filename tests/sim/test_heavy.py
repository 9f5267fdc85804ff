"""Commands that are much work cost nobody the leader, and others do not wait for all of them."""

from __future__ import annotations

import pytest

from kvraft.errors import RequestError
from kvraft.machine.results import Answer
from kvraft.v1 import command_pb2
from tests.sim.checkers.ledger import NO_OPERATION, mark
from tests.sim.hostile import HEAVY_WORK, HeavyCaller, submit
from tests.sim.limits import small_limits
from tests.sim.mutants import MUTANTS
from tests.sim.simulation import Simulation
from tests.sim.timeline import MS_US, SECOND_US

SEED = 2
"""Its nodes take commands of this size."""
WORK_US = 2 * MS_US
"""A list takes a second."""


def elections(seed: int) -> int:
    """How often somebody was elected while many heavy lists came, and nothing else happened."""
    simulation = Simulation(seed, duration_s=40)
    world = simulation.world
    world.work_us = WORK_US
    with small_limits():
        for host in world.hosts.values():
            host.boot()
        simulation.timeline.run_until(5 * SECOND_US)
        for number in range(2):
            HeavyCaller(world, simulation._stream(f"heavy {number}"), 500 * MS_US)
        simulation.timeline.run_until(12 * SECOND_US)
    return simulation.report.events["leader elected"]


def test_no_leader_is_lost_to_heavy_commands() -> None:
    assert elections(SEED) == 1


def test_a_turn_that_does_all_the_work_is_found() -> None:
    mutant = next(each for each in MUTANTS if each.name == "an entry applied in one turn whatever its work")
    with pytest.MonkeyPatch.context() as patch:
        mutant.apply(patch)
        with pytest.raises(AssertionError, match="units of work"):
            elections(SEED)


def test_a_small_command_waits_for_a_few_large_ones_at_most() -> None:
    simulation = Simulation(SEED, duration_s=60)
    world, timeline = simulation.world, simulation.timeline
    world.work_us = WORK_US
    took_us: list[int] = []
    with small_limits():
        for host in world.hosts.values():
            host.boot()
        timeline.run_until(5 * SECOND_US)
        chance = simulation._stream("heavy")
        command = command_pb2.CommandList(commands=[command_pb2.Command(delete={"key": b"-"})] * HEAVY_WORK)
        for _ in range(20):
            submit(world, chance, mark(command_pb2.Command(list=command), NO_OPERATION), lambda _: None)
        timeline.run_until(6 * SECOND_US)

        def on_answer(answer: Answer | RequestError) -> None:
            assert isinstance(answer, Answer), answer
            took_us.append(timeline.now_us - 6 * SECOND_US)

        put = command_pb2.Command(put={"key": b"key", "value": b""})
        submit(world, chance, mark(put, NO_OPERATION), on_answer)
        timeline.run_until(15 * SECOND_US)
    one_of_each_node_us = len(world.hosts) * HEAVY_WORK * WORK_US
    assert took_us[0] < one_of_each_node_us + SECOND_US, "not for all twenty"
