"""Every way in which three nodes can hear each other, and every way in which five can be linked.

A link that fails in one direction only, or a node that sees both sides of a partition, has stopped
real clusters for hours. The rule that must hold: if some node exchanges messages both ways with
nodes that make a majority with it, there is a leader, it stays, and terms do not rise any more.

Why a leader stays: those who follow it answer no pre-votes (dissertation 4.2.3), so nobody else
can win one (9.6), and a term rises only after a pre-vote was won. Why no other node leads: an
election needs answers from a majority, so whoever wins one exchanges messages both ways with it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import combinations, permutations

import pytest

from kvraft.raft.settings import Settings
from tests.unit.raft.harness import Cluster

Links = frozenset[tuple[int, int]]
"""(from, to)."""

SLOW_HEARTBEATS = Settings(heartbeat_interval_ms=300)
"""As slow as the election timeout allows: less to simulate."""


def renamed(links: Links, names: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    return tuple(sorted((names[one - 1], names[other - 1]) for one, other in links))


def different_graphs(nodes: int, links: list[frozenset[tuple[int, int]]]) -> Iterator[Links]:
    """Every choice among `links`, once for all that differ by the nodes' names only."""
    seen: set[tuple[tuple[int, int], ...]] = set()
    names = list(permutations(range(1, nodes + 1)))
    for count in range(len(links) + 1):
        for chosen in combinations(links, count):
            graph: Links = frozenset().union(*chosen)
            if renamed(graph, names[0]) not in seen:
                seen.update(renamed(graph, order) for order in names)
                yield graph


PAIRS_OF_THREE = [(one, other) for one, other in permutations((1, 2, 3), 2)]
DIRECTED_THREE = list(different_graphs(3, [frozenset({pair}) for pair in PAIRS_OF_THREE]))
UNDIRECTED_FIVE = list(
    different_graphs(
        5, [frozenset({(one, other), (other, one)}) for one, other in combinations(range(1, 6), 2)]
    )
)


def cluster_with(nodes: int, links: Links) -> Cluster:
    cluster = Cluster(nodes, settings=SLOW_HEARTBEATS, seed=len(links))
    everything = set(permutations(range(1, nodes + 1), 2))
    cluster.cut(*(everything - links))
    return cluster


def can_lead(nodes: int, links: Links) -> set[int]:
    """Nodes that exchange messages both ways with a majority, themselves included."""
    return {
        node
        for node in range(1, nodes + 1)
        if 1 + sum((node, other) in links and (other, node) in links for other in range(1, nodes + 1))
        > nodes // 2
    }


def check(nodes: int, links: Links) -> None:
    cluster = cluster_with(nodes, links)
    candidates = can_lead(nodes, links)
    cluster.pass_ms(15_000)
    if not candidates:
        cluster.pass_ms(15_000)
        assert cluster.leaders == []
        assert {node.raft.term for node in cluster.nodes.values()} == {0}, "nobody could win"
        return
    (leader,) = cluster.leaders
    assert leader.node_id in candidates
    terms = {node_id: node.raft.term for node_id, node in cluster.nodes.items()}
    committed = leader.raft.commit_index
    cluster.propose(leader.node_id)
    cluster.pass_ms(60_000)
    assert cluster.leaders == [leader], "the leader stays"
    assert {node_id: node.raft.term for node_id, node in cluster.nodes.items()} == terms
    assert leader.raft.commit_index == committed + 1
    cluster.heal()
    cluster.pass_ms(5_000)
    (leader,) = cluster.leaders
    assert all(node.state == leader.state for node in cluster.nodes.values()), "healed, all agree"


def test_there_are_as_many_graphs_as_there_should_be() -> None:
    """Of directed graphs of three nodes 16 differ by more than names, of undirected ones of five 34."""
    assert len(DIRECTED_THREE) == 16
    assert len(UNDIRECTED_FIVE) == 34


@pytest.mark.parametrize("links", DIRECTED_THREE, ids=lambda links: str(sorted(links)))
def test_three_nodes(links: Links) -> None:
    check(3, links)


@pytest.mark.slow
@pytest.mark.parametrize("links", UNDIRECTED_FIVE, ids=lambda links: str(sorted(links)))
def test_five_nodes(links: Links) -> None:
    check(5, links)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_five_nodes_with_links_in_one_direction(seed: int) -> None:
    """There are 9,608 directed graphs of five nodes; these are forty of them, drawn from all densities."""
    chance = random.Random(seed)
    density = chance.random()
    check(5, frozenset(pair for pair in permutations(range(1, 6), 2) if chance.random() < density))


@pytest.mark.parametrize("cut", [((1, 2),), ((2, 1),), ((1, 2), (2, 1)), ((2, 1), (3, 1))])
def test_links_that_break_under_a_leader(cut: tuple[tuple[int, int], ...]) -> None:
    """The same, from a cluster at work: at most one change of leader, then rest."""
    cluster = Cluster(3, settings=SLOW_HEARTBEATS)
    cluster.elect(1)
    cluster.pass_ms(1_000)
    cluster.cut(*cut)
    cluster.pass_ms(10_000)
    term = cluster.leader.raft.term
    assert term <= 3
    leader = cluster.leader
    cluster.pass_ms(60_000)
    assert cluster.leader is leader
    assert leader.raft.term == term
