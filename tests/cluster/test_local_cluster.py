"""What an application's tests get: real nodes, soon, and nothing left of them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from kvraft.client import Role, SyncClient
from kvraft.testing import LocalCluster, LocalClusterError

README = Path(__file__).parents[2] / "README.md"


def _directories() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("kvraft-*"))


def test_a_cluster_for_a_test_of_an_application() -> None:
    before = _directories()
    with LocalCluster(nodes=3) as cluster, SyncClient(cluster.endpoints) as client:
        client.kv.put(b"greeting", b"hello")
        leader = cluster.leader()
        cluster.kill(leader)
        kept = client.kv.get(b"greeting").kv
        assert kept is not None
        assert kept.value == b"hello"
        cluster.start(leader)
        with pytest.raises(ValueError, match=f"node {leader} runs"):
            cluster.start(leader)
        with SyncClient(cluster.endpoint(leader), timeout_s=20) as again:
            kept = again.kv.get(b"greeting").kv
            assert kept is not None
        assert "serving" in cluster.log(leader)
    assert _directories() == before


def test_a_leader_is_there_when_a_cluster_is_entered() -> None:
    with LocalCluster(nodes=3) as cluster, SyncClient(cluster.endpoints) as client:
        assert client.cluster.status(cluster.endpoint(cluster.leader())).role is Role.LEADER


def test_one_node_is_a_cluster_as_well() -> None:
    with LocalCluster(nodes=1) as cluster, SyncClient(cluster.endpoints) as client:
        assert client.kv.put(b"k", b"v").header.member_id == 1


def test_a_cluster_that_does_not_come_up_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kvraft.testing.local_cluster._FLAGS", ("--no-such-flag",))
    with pytest.raises(LocalClusterError, match="No such option"), LocalCluster(nodes=1):
        pass


def test_a_cluster_has_nodes() -> None:
    with pytest.raises(ValueError, match="at least one"):
        LocalCluster(nodes=0)
