from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from contextlib import suppress
from itertools import pairwise

import pytest

from kvraft.client import DeadlineExceeded, Unavailable
from kvraft.client.pacing import Pacing, pause_s
from tests.fakes.skipping_loop import SkippingLoop


def run(work: Coroutine[object, object, None]) -> None:
    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        runner.run(work)


@pytest.mark.parametrize(
    ("round_", "longest_s"), [(1, 0.05), (2, 0.1), (3, 0.2), (5, 0.8), (6, 1.0), (7, 1.0), (10_000, 1.0)]
)
def test_pauses_double_up_to_a_second_and_vary_by_half(round_: int, longest_s: float) -> None:
    chance = random.Random(1)
    pauses = [pause_s(round_, chance) for _ in range(200)]
    assert longest_s / 2 <= min(pauses) < longest_s * 0.55
    assert longest_s * 0.95 < max(pauses) <= longest_s


@pytest.mark.parametrize("endpoints", [1, 3])
def test_a_call_pauses_once_a_round_and_makes_its_last_attempt_before_its_deadline(endpoints: int) -> None:
    async def attempts() -> None:
        now_s = asyncio.get_running_loop().time
        pacing = Pacing(5.0, endpoints, random.Random(1))
        at_s = [now_s()]
        with suppress(Unavailable):
            while True:
                await pacing.pause(Unavailable("no", reason="NO_LEADER"))
                at_s.append(now_s())

        rounds = at_s[::endpoints]
        # When the last attempt has failed there is no time for the rest of its round.
        assert at_s == [moment for moment in rounds[:-1] for _ in range(endpoints)] + rounds[-1:]
        pauses = [after - before for before, after in pairwise(rounds)]
        for number, pause in enumerate(pauses[:-1], start=1):
            longest_s = min(1.0, 0.05 * 2 ** (number - 1))
            assert longest_s / 2 - 1e-6 <= pause <= longest_s + 1e-6
        assert rounds[-1] == pytest.approx(4.5)

    run(attempts())


def test_the_error_is_the_last_one_that_tells_something() -> None:
    told = DeadlineExceeded("told", reason="REVISION_NOT_REACHED")
    cut_short = DeadlineExceeded("cut short", reason="DEADLINE_EXCEEDED")

    async def both() -> None:
        pacing = Pacing(0.06, 1, random.Random(1))
        await pacing.pause(told)
        with pytest.raises(DeadlineExceeded, match="told"):
            await pacing.pause(cut_short)
        with pytest.raises(DeadlineExceeded, match="cut short"):
            await Pacing(0.01, 1, random.Random(1)).pause(cut_short)

    run(both())


def test_a_read_gives_each_node_half_of_the_time_and_a_write_all_of_it() -> None:
    async def shares() -> None:
        assert Pacing(10.0, 2, random.Random(1)).attempt_s(repeatable=True) == 5.0
        assert Pacing(10.0, 2, random.Random(1)).attempt_s(repeatable=False) == 10.0
        assert Pacing(10.0, 1, random.Random(1)).attempt_s(repeatable=True) == 10.0

    run(shares())
