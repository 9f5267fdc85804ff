"""Waiting until a read may be served, as its request asks."""

from __future__ import annotations

from kvraft.node.node import Node
from kvraft.rpc.kv_requests import check_consistency
from kvraft.v1 import common_pb2


async def until_fresh(node: Node, consistency: int, min_revision: int) -> None:
    """What follows must look at the state before it awaits again. Raises RequestError."""
    check_consistency(consistency, min_revision)
    if consistency == common_pb2.CONSISTENCY_AT_LEAST:
        await node.at_least(min_revision)
    elif consistency != common_pb2.CONSISTENCY_STALE:
        await node.fresh()
