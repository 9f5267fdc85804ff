"""`client.cluster` for code without an event loop."""

from __future__ import annotations

from kvraft.client.cluster import Cluster
from kvraft.client.sync.blocking import Blocking, blocking


class SyncCluster(Blocking[Cluster]):
    """`client.cluster`: the methods of `Cluster`, blocking."""

    __slots__ = ()

    status = blocking(Cluster.status)
    status_of_all = blocking(Cluster.status_of_all)
