"""Majorities (dissertation 4)."""

from __future__ import annotations

import pytest

from kvraft.raft.configuration import Configuration, NodeId
from kvraft.raft.settings import Settings


def configuration(voters: list[int], learners: list[int] | None = None) -> Configuration:
    return Configuration(tuple(map(NodeId, voters)), tuple(map(NodeId, learners or [])))


@pytest.mark.parametrize(("count", "quorum"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_a_quorum_is_more_than_half(count: int, quorum: int) -> None:
    members = configuration(list(range(1, count + 1)))
    assert members.quorum == quorum
    assert members.has_quorum({NodeId(node) for node in range(1, quorum + 1)})
    assert not members.has_quorum({NodeId(node) for node in range(1, quorum)})


def test_learners_and_strangers_do_not_count() -> None:
    members = configuration([1, 2, 3], [4, 5])
    assert not members.has_quorum({NodeId(1), NodeId(4), NodeId(5), NodeId(9)})
    assert members.quorum_value({NodeId(1): 7, NodeId(4): 9, NodeId(5): 9}) == 0


@pytest.mark.parametrize(
    ("values", "reached"),
    [
        ({1: 5, 2: 3, 3: 1}, 3),
        ({1: 5, 2: 5}, 5),
        ({1: 5}, 0),
        ({}, 0),
    ],
)
def test_quorum_value_is_what_a_majority_has_reached(values: dict[int, int], reached: int) -> None:
    members = configuration([1, 2, 3])
    assert members.quorum_value({NodeId(node): value for node, value in values.items()}) == reached


def test_nobody_has_no_majority() -> None:
    assert not configuration([]).has_quorum(set())
    assert configuration([]).quorum_value({NodeId(1): 4}) == 0


@pytest.mark.parametrize(
    ("voters", "learners"), [([2, 1], []), ([1, 1], []), ([1], [1]), ([0], []), ([1], [3, 2]), ([1], [-4])]
)
def test_members_are_sorted_unique_and_positive(voters: list[int], learners: list[int]) -> None:
    with pytest.raises(ValueError, match=r"node|members"):
        configuration(voters, learners)


def test_an_election_timeout_holds_two_heartbeats() -> None:
    with pytest.raises(ValueError, match="two heartbeat intervals"):
        Settings(election_timeout_ms=199, heartbeat_interval_ms=100)
    with pytest.raises(ValueError, match="two heartbeat intervals"):
        Settings(heartbeat_interval_ms=0)
