"""Whoever speaks to a peer port in a member's name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
import grpc.aio

from kvraft.rpc.snapshots import RowsChecksum
from kvraft.v1 import raft_pb2, raft_pb2_grpc
from tests.cluster.harness import Cluster

ANSWER_TIMEOUT_S = 0.5


class Forger:
    """Sends what it likes, and waits until it is answered or the stream is ended."""

    def __init__(self, cluster: Cluster, cluster_id: int) -> None:
        """See `of`."""
        self._cluster = cluster
        self._cluster_id = cluster_id

    @classmethod
    async def of(cls, cluster: Cluster) -> Forger:
        statuses = await cluster.statuses()
        return cls(cluster, statuses[0].header.cluster_id)

    def _envelope(self, sender: int, target: int) -> raft_pb2.Envelope:
        return raft_pb2.Envelope(cluster_id=self._cluster_id, sender_id=sender, target_id=target)

    def _channel(self, target: int) -> grpc.aio.Channel:
        address = self._cluster.members[target].peer_address
        return grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])

    async def vote(self, sender: int, target: int, **fields: Any) -> grpc.StatusCode:
        request = raft_pb2.RequestVoteRequest(envelope=self._envelope(sender, target), **fields)
        async with self._channel(target) as channel:
            call = raft_pb2_grpc.RaftServiceStub(channel).RequestVote(request, timeout=ANSWER_TIMEOUT_S)
            return await call.code()

    async def append(
        self, sender: int, target: int, *frames: raft_pb2.AppendEntriesRequest
    ) -> list[raft_pb2.AppendEntriesResponse]:
        """The answers that came within a while."""
        first = raft_pb2.AppendEntriesRequest(envelope=self._envelope(sender, target))
        async with self._channel(target) as channel:
            stub = raft_pb2_grpc.RaftServiceStub(channel)
            return await _answers(stub.AppendEntries(_frames(first, frames), timeout=ANSWER_TIMEOUT_S))

    async def forward(
        self, sender: int, target: int, *frames: raft_pb2.ForwardRequest
    ) -> list[raft_pb2.ForwardResponse]:
        first = raft_pb2.ForwardRequest(envelope=self._envelope(sender, target))
        async with self._channel(target) as channel:
            stub = raft_pb2_grpc.RaftServiceStub(channel)
            return await _answers(stub.Forward(_frames(first, frames), timeout=ANSWER_TIMEOUT_S))

    async def snapshot(
        self, sender: int, target: int, *, term: int, index: int, of_term: int
    ) -> grpc.StatusCode:
        """An empty state, whose digest and checksum are right."""
        request = raft_pb2.InstallSnapshotRequest
        header = request.Header(
            envelope=self._envelope(sender, target),
            term=term,
            last_included_index=index,
            last_included_term=of_term,
            voter_ids=self._cluster.node_ids,
        )
        trailer = request.Trailer(row_count=0, checksum=RowsChecksum().digest(), state_digest=0)
        async with self._channel(target) as channel:
            call = raft_pb2_grpc.RaftServiceStub(channel).InstallSnapshot(
                _frames(request(header=header), [request(trailer=trailer)]), timeout=2 * ANSWER_TIMEOUT_S
            )
            return await call.code()


async def _frames(first: Any, others: Iterable[Any]) -> AsyncIterator[Any]:
    yield first
    for frame in others:
        yield frame


async def _answers(call: Any) -> list[Any]:
    answers = []
    try:
        async for answer in call:
            answers.append(answer)
    except grpc.aio.AioRpcError:
        pass
    return answers
