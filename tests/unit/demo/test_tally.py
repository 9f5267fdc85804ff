"""The count of the demonstration and of the stories: it must see whatever can go wrong."""

from __future__ import annotations

import pytest

from kvraft.demo.tally import Tally, tally


def test_everything_in_order_once() -> None:
    counted = tally(["a", "b", "c"], ["a", "b", "c"])
    assert counted == Tally(accepted=3, delivered=3, lost=0, duplicated=0, out_of_order=0, unexpected=0)
    assert counted.is_exact


@pytest.mark.parametrize(
    ("delivered", "lost", "duplicated", "out_of_order", "unexpected"),
    [
        ("", 3, 0, 0, 0),
        ("ac", 1, 0, 0, 0),
        ("aabc", 0, 1, 0, 0),
        ("abca", 0, 1, 0, 0),
        ("acb", 0, 0, 1, 0),
        ("cba", 0, 0, 2, 0),
        ("abxc", 0, 0, 0, 1),
        ("ccxa", 1, 1, 1, 1),
    ],
)
def test_what_is_wrong_is_counted(
    delivered: str, lost: int, duplicated: int, out_of_order: int, unexpected: int
) -> None:
    counted = tally("abc", delivered)
    assert counted == Tally(
        accepted=3,
        delivered=len(delivered),
        lost=lost,
        duplicated=duplicated,
        out_of_order=out_of_order,
        unexpected=unexpected,
    )
    assert not counted.is_exact
