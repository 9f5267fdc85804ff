"""Comparing states: nodes that have applied the same entries must hold the same rows, always.

The leader asks every member for the digest of its state at one index; the digests are comparable because
the index is. What a majority of the voters holds is right, and whoever holds something else there is told,
which may be the leader itself: it is fenced (`Replica`), and has to be re-seeded. Where no majority agrees,
as with two of two, nobody can say who is right: then the alarm is all there is. The check is always on: what
is off is not there on the day it is needed.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

from kvraft.raft.configuration import Configuration
from kvraft.raft.types import Index, NodeId


@dataclass(frozen=True, slots=True)
class DigestQuestion:
    """The leader asks: what is your digest once this index is applied?"""

    index: Index


@dataclass(frozen=True, slots=True)
class DigestAnswer:
    """A member answers."""

    index: Index
    digest: int


@dataclass(frozen=True, slots=True)
class DivergenceFound:
    """The leader tells a member: a majority of the voters has this digest at this index, and you have not."""

    index: Index
    digest: int


DigestMessage = DigestQuestion | DigestAnswer | DivergenceFound


class DigestComparison:
    """The recent digests of this node, and on the leader a round of questions and what it has shown."""

    __slots__ = ("_answers", "_asked", "_digests", "_order", "_size_max", "_told", "undecided", "wrong")

    def __init__(self, size_max: int) -> None:
        self._size_max = size_max
        self._digests: dict[Index, int] = {}
        self._order: deque[Index] = deque()
        self._asked: Index | None = None
        self._answers: dict[NodeId, int] = {}
        self._told: set[NodeId] = set()
        self.wrong: dict[NodeId, Index] = {}
        """Who differs from a majority, and where that was last seen."""
        self.undecided: dict[NodeId, Index] = {}
        """Who differs from the leader, where no majority agrees."""

    def remember(self, index: Index, digest: int) -> None:
        """This node's digest once `index` is applied."""
        self._digests[index] = digest
        self._order.append(index)
        if len(self._order) > self._size_max:
            self._digests.pop(self._order.popleft(), None)

    def at(self, index: Index) -> int | None:
        """This node's digest there; None if it is not remembered."""
        return self._digests.get(index)

    def ask(self, node: NodeId, index: Index, digest: int) -> DigestQuestion:
        """Begins a round, in which this node, the leader, has this digest at this index."""
        self._asked, self._answers, self._told = index, {node: digest}, set()
        return DigestQuestion(index)

    def judge(
        self, node: NodeId, answer: DigestAnswer, leader: NodeId, configuration: Configuration
    ) -> dict[NodeId, DivergenceFound]:
        """Who is to be told, after one more answer, that a majority differs. Answers of earlier rounds tell
        nothing."""
        if answer.index != self._asked or node not in configuration.members:
            return {}
        self._answers[node] = answer.digest
        right = self._majority(configuration)
        if right is None:
            for other, digest in self._answers.items():
                _note(self.undecided, other, answer.index, differs=digest != self._answers[leader])
            return {}
        for other, digest in self._answers.items():
            self.undecided.pop(other, None)
            _note(self.wrong, other, answer.index, differs=digest != right)
        found = self._answers.keys() & self.wrong.keys() - self._told
        self._told |= found
        return {other: DivergenceFound(answer.index, right) for other in sorted(found)}

    def _majority(self, configuration: Configuration) -> int | None:
        """The digest that a majority of the voters has told."""
        votes = Counter(self._answers[voter] for voter in configuration.voters if voter in self._answers)
        digest, count = votes.most_common(1)[0] if votes else (0, 0)
        return digest if count >= configuration.quorum else None


def _note(where: dict[NodeId, Index], node: NodeId, index: Index, *, differs: bool) -> None:
    if differs:
        where[node] = index
    else:
        where.pop(node, None)
