"""Whose state is wrong, and what becomes of a node that is told that its own is."""

from __future__ import annotations

from kvraft.node.divergence import DigestAnswer, DigestComparison
from kvraft.raft.configuration import Configuration
from kvraft.raft.types import Index, NodeId

ONE, TWO, THREE, FOUR, FIVE = map(NodeId, range(1, 6))
AT = Index(7)


def _round(answers: dict[NodeId, int], voters: int = 3) -> tuple[DigestComparison, dict[NodeId, int]]:
    """Node 1 leads and has digest 1; what the others answer, and who is told that a majority has what."""
    comparison = DigestComparison(16)
    configuration = Configuration(tuple(map(NodeId, range(1, voters + 1))), (NodeId(9),))
    comparison.ask(ONE, AT, 1)
    told: dict[NodeId, int] = {}
    for node, digest in answers.items():
        found = comparison.judge(node, DigestAnswer(AT, digest), ONE, configuration)
        assert not told.keys() & found.keys(), "nobody is told twice in a round"
        told |= {each: verdict.digest for each, verdict in found.items()}
    return comparison, told


def test_a_follower_that_stands_alone_is_wrong() -> None:
    comparison, told = _round({TWO: 2, THREE: 1})
    assert told == {TWO: 1}
    assert (comparison.wrong, comparison.undecided) == ({TWO: AT}, {})


def test_a_leader_that_stands_against_a_majority_is_wrong() -> None:
    comparison, told = _round({TWO: 2, THREE: 2})
    assert told == {ONE: 2}
    assert (comparison.wrong, comparison.undecided) == ({ONE: AT}, {})


def test_without_a_majority_nobody_knows() -> None:
    assert _round({TWO: 2})[0].undecided == {TWO: AT}
    comparison, told = _round({TWO: 2, THREE: 3})
    assert (told, comparison.wrong, comparison.undecided) == ({}, {}, {TWO: AT, THREE: AT})
    comparison, told = _round({TWO: 1, THREE: 2, FOUR: 2}, voters=5)
    assert (told, comparison.undecided) == ({}, {THREE: AT, FOUR: AT})


def test_of_five_the_two_are_wrong_on_whichever_side_the_leader_is() -> None:
    assert _round({TWO: 1, THREE: 2, FOUR: 2, FIVE: 1}, voters=5)[1] == {THREE: 1, FOUR: 1}
    assert _round({TWO: 1, THREE: 2, FOUR: 2, FIVE: 2}, voters=5)[1] == {ONE: 2, TWO: 2}


def test_a_learner_is_judged_and_does_not_judge() -> None:
    assert _round({NodeId(9): 2})[1] == {}
    assert _round({NodeId(9): 2, TWO: 2, THREE: 1})[1] == {NodeId(9): 1, TWO: 1}


def test_an_answer_of_an_earlier_round_or_of_a_stranger_tells_nothing() -> None:
    comparison = DigestComparison(16)
    configuration = Configuration((ONE, TWO, THREE))
    comparison.ask(ONE, AT, 1)
    comparison.ask(ONE, Index(8), 1)
    assert comparison.judge(TWO, DigestAnswer(AT, 2), ONE, configuration) == {}
    assert comparison.judge(NodeId(4), DigestAnswer(Index(8), 2), ONE, configuration) == {}
    assert not comparison.undecided


def test_who_was_mended_is_no_longer_named() -> None:
    comparison, _ = _round({TWO: 2, THREE: 1})
    configuration = Configuration((ONE, TWO, THREE))
    comparison.ask(ONE, Index(9), 5)
    assert comparison.judge(TWO, DigestAnswer(Index(9), 5), ONE, configuration) == {}
    assert comparison.wrong == {}


def test_digests_are_forgotten() -> None:
    comparison = DigestComparison(2)
    for index in range(1, 4):
        comparison.remember(Index(index), index)
    assert [comparison.at(Index(index)) for index in range(1, 4)] == [None, 2, 3]
