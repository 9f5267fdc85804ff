"""Who votes, who only listens, and what a majority of the voters is (dissertation 4)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NewType

NodeId = NewType("NodeId", int)
"""A node, for ever: ids are at least 1 and never given twice."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The members of a cluster. Both tuples are sorted and disjoint, so that equal
    configurations are equal bytes wherever they are written."""

    voters: tuple[NodeId, ...]
    learners: tuple[NodeId, ...] = ()

    def __post_init__(self) -> None:
        members = self.voters + self.learners
        if list(self.voters) != sorted(set(self.voters)) or list(self.learners) != sorted(set(self.learners)):
            raise ValueError(f"members must be sorted and unique: {self}")
        if len(set(members)) != len(members):
            raise ValueError(f"a node cannot be voter and learner at once: {self}")
        if any(node_id < 1 for node_id in members):
            raise ValueError(f"node ids start at 1: {self}")

    @property
    def members(self) -> tuple[NodeId, ...]:
        """Voters and learners."""
        return self.voters + self.learners

    @property
    def quorum(self) -> int:
        """How many voters are a majority."""
        return len(self.voters) // 2 + 1

    def has_quorum(self, nodes: Collection[NodeId]) -> bool:
        """Whether `nodes` hold a majority of the voters. Learners do not count."""
        return sum(voter in nodes for voter in self.voters) >= self.quorum

    def quorum_value(self, values: Mapping[NodeId, int]) -> int:
        """The highest value that a majority of the voters has reached; a voter without one has 0.

        With match indexes: "if there exists an N such that a majority of matchIndex[i] >= N".
        """
        reached = sorted((values.get(voter, 0) for voter in self.voters), reverse=True)
        return reached[self.quorum - 1] if reached else 0
