"""The header of every answer: who answered, and how far that node had come."""

from __future__ import annotations

from kvraft.node.node import Node
from kvraft.v1 import common_pb2


class ResponseHeaders:
    """Makes the headers of one node."""

    __slots__ = ("_cluster_id", "_node")

    def __init__(self, node: Node, cluster_id: int) -> None:
        self._node = node
        self._cluster_id = cluster_id

    def at(self, revision: int) -> common_pb2.ResponseHeader:
        """The header of an answer at `revision`, with the term and leader of this moment."""
        replica = self._node.replica
        raft = replica.raft
        return common_pb2.ResponseHeader(
            cluster_id=self._cluster_id,
            member_id=replica.node_id,
            leader_id=raft.leader_id or 0,
            term=raft.term,
            revision=revision,
        )
