"""A node whose state is not to be believed replicates and votes, and does not lead."""

from __future__ import annotations

from kvraft.raft.events import StateDiverged
from kvraft.raft.types import Standing
from tests.unit.raft.harness import Cluster


def test_a_leader_whose_state_diverged_hands_over_and_does_not_lead_again() -> None:
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.step(1, StateDiverged())
    cluster.pass_ms(5_000)
    assert cluster.leader.node_id != 1
    cluster.isolate(cluster.leader.node_id)
    cluster.pass_ms(5_000)
    cluster.heal()
    cluster.pass_ms(5_000)
    assert cluster.leader.node_id != 1


def test_a_leader_that_nobody_can_follow_at_once_steps_down() -> None:
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.isolate(1)
    cluster.step(1, StateDiverged())
    cluster.pass_ms(700)
    assert 1 not in {leader.node_id for leader in cluster.leaders}


def test_it_votes_and_its_acknowledgements_count() -> None:
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.step(2, StateDiverged())
    cluster.pass_ms(500)
    cluster.isolate(3)
    cluster.propose(1, b"x")
    cluster.pass_ms(500)
    assert cluster[1].raft.commit_index == cluster[1].raft.last_log_index
    cluster.heal()
    cluster.pass_ms(500)
    cluster.crash(1)
    cluster.pass_ms(5_000)
    assert cluster.leader.node_id == 3, "with the vote of node 2"


def test_leadership_is_not_handed_to_it() -> None:
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.step(2, StateDiverged())
    cluster.pass_ms(500)
    cluster.isolate(3)
    cluster.step(1, StateDiverged())
    cluster.pass_ms(5_000)
    assert not cluster.leaders
    cluster.heal()
    cluster.pass_ms(5_000)
    assert cluster.leader.node_id == 3


def test_it_is_remembered() -> None:
    cluster = Cluster(3)
    cluster.elect(1)
    cluster.step(2, StateDiverged())
    cluster.pass_ms(500)
    cluster.crash(2)
    cluster.restart(2)
    assert cluster[2].raft.standing is Standing.DIVERGED
