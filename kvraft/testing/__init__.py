"""For the tests of applications: a real cluster, up within two seconds, gone without a trace.

    from kvraft.client import SyncClient
    from kvraft.testing import LocalCluster

    def test_my_service():
        with LocalCluster(nodes=3) as cluster, SyncClient(cluster.endpoints) as client:
            client.kv.put(b"greeting", b"hello")
            cluster.kill(cluster.leader())
            assert client.kv.get(b"greeting").kv.value == b"hello"

Or take the fixture `kvraft_cluster`, which pytest finds by itself where kvraft is installed.
"""

from kvraft.testing.local_cluster import LocalCluster, LocalClusterError

__all__ = ["LocalCluster", "LocalClusterError"]
