"""What peers ask of this node: `RaftService`, thin. Decode, check who speaks, hand to the replica."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, NoReturn, TypeVar

import grpc
import grpc.aio
import structlog

from kvraft.errors import Reason, RequestError
from kvraft.machine.snapshot_check import SnapshotCheck
from kvraft.node.forwarding import ForwardedGroup, GroupRefused
from kvraft.node.node import Node
from kvraft.node.replica import SnapshotRefusedError
from kvraft.raft import messages
from kvraft.raft.messages import RequestVoteResponse
from kvraft.raft.types import NodeId, SnapshotMetadata
from kvraft.rpc import convert, snapshots
from kvraft.rpc.convert import PeerProtocolError
from kvraft.rpc.forwarded_commands import check_commands
from kvraft.rpc.peers import PeerNetwork
from kvraft.rpc.streams import ACCEPTED, InboundStream
from kvraft.storage.errors import ExhaustedError, StorageError
from kvraft.storage.interfaces import SnapshotReceiver
from kvraft.v1 import raft_pb2, raft_pb2_grpc

logger = structlog.get_logger(__name__)

T = TypeVar("T")
Context = grpc.aio.ServicerContext[Any, Any]


class RaftServicer(raft_pb2_grpc.RaftServiceServicer):
    """Serves the peer port."""

    def __init__(
        self,
        *,
        node: Node,
        network: PeerNetwork,
        new_receiver: Callable[[], SnapshotReceiver],
        vote_timeout_ms: int,
    ) -> None:
        """`new_receiver` begins a state beside the current one; called in a thread."""
        self._node = node
        self._network = network
        self._new_receiver = new_receiver
        self._vote_timeout_s = vote_timeout_ms / 1000
        self._receiving: asyncio.Task[int] | None = None
        self._reception = asyncio.Lock()
        """Held while a snapshot is received, until nothing of it is under way any more."""

    async def RequestVote(  # noqa: N802 - the name of the RPC
        self, request: raft_pb2.RequestVoteRequest, context: Context
    ) -> raft_pb2.RequestVoteResponse:
        await self._check(request.envelope, context)
        message = convert.vote_from_proto(request)
        key = (message.sender, message.pre_vote)
        waiting: asyncio.Future[RequestVoteResponse] = asyncio.get_running_loop().create_future()
        superseded = self._network.votes.get(key)
        if superseded is not None:
            superseded.cancel()
        self._network.votes[key] = waiting
        self._node.replica.receive(message)
        self._node.wake()
        done, _ = await asyncio.wait((waiting,), timeout=self._vote_timeout_s)
        if not done or waiting.cancelled():
            # A vote within the election timeout of a live leader is ignored, not refused.
            if self._network.votes.get(key) is waiting:
                del self._network.votes[key]
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the vote was ignored")
        return convert.vote_response_to_proto(waiting.result())

    async def AppendEntries(  # noqa: N802
        self, request_iterator: AsyncIterator[raft_pb2.AppendEntriesRequest], context: Context
    ) -> None:
        sender = await self._open(request_iterator, context)
        replica, node_id, wake = self._node.replica, self._network.node_id, self._node.wake

        def on_frame(frame: raft_pb2.AppendEntriesRequest) -> None:
            digest = convert.digest_from_request(frame)
            if digest is not None:
                replica.receive_digest(sender, digest)
            else:
                replica.receive(convert.streamed_from_proto(frame, sender=sender, target=node_id))
            wake()

        await self._serve(request_iterator, context, self._network.append_streams, sender, on_frame)

    async def Forward(  # noqa: N802
        self, request_iterator: AsyncIterator[raft_pb2.ForwardRequest], context: Context
    ) -> None:
        sender = await self._open(request_iterator, context)
        replica, gather = self._node.replica, self._node.gather

        def on_frame(frame: raft_pb2.ForwardRequest) -> None:
            request = convert.forward_from_proto(frame)
            if isinstance(request, ForwardedGroup) and not self._may_propose(sender, request):
                return
            replica.receive_forwarded(sender, request)
            gather()

        await self._serve(request_iterator, context, self._network.forward_streams, sender, on_frame)

    def _may_propose(self, sender: NodeId, group: ForwardedGroup) -> bool:
        try:
            check_commands(group.commands, group.term)
        except RequestError as error:
            self._network.refuse(sender, f"forwards what is no command: {error}")
            self._network.answer(
                sender, GroupRefused(group_id=group.group_id, reason=Reason.INVALID_ARGUMENT)
            )
            return False
        return True

    async def InstallSnapshot(  # noqa: N802
        self, request_iterator: AsyncIterator[raft_pb2.InstallSnapshotRequest], context: Context
    ) -> raft_pb2.InstallSnapshotResponse:
        first = await anext(request_iterator, None)
        if first is None or first.WhichOneof("part") != "header":
            await _refuse(context, "a snapshot begins with its header")
        await self._check(first.header.envelope, context)
        message, check = await self._check_snapshot(first.header, context)
        # The newest transfer counts: an older one may hang on a connection that is gone.
        if self._receiving is not None:
            self._receiving.cancel()
        try:
            self._receiving = asyncio.create_task(self._receive(request_iterator, message.snapshot, check))
            generation = await self._receiving
        except PeerProtocolError as error:
            await self._refuse_peer(message.sender, f"sends a snapshot that cannot be: {error}", context)
        except ExhaustedError as error:
            logger.warning("no room for a snapshot; it will be sent again", error=str(error))
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "the disk of this node is full")
        except StorageError as error:
            self._node.fail(error)
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the disk of this node failed")
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            # gRPC would leave the sender without an answer, and with a view of its state open.
            await context.abort(grpc.StatusCode.ABORTED, "a newer snapshot is being received")
        installed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def on_installed(done: bool) -> None:
            if not installed.done():
                installed.set_result(done)

        self._node.replica.receive_snapshot(message, generation, on_installed)
        self._node.wake()
        outcome = await installed
        logger.info("snapshot received", index=message.snapshot.index, installed=outcome)
        return raft_pb2.InstallSnapshotResponse(term=self._node.replica.raft.term)

    async def _check_snapshot(
        self, header: raft_pb2.InstallSnapshotRequest.Header, context: Context
    ) -> tuple[messages.InstallSnapshot, SnapshotCheck]:
        sender = NodeId(header.envelope.sender_id)
        try:
            message = snapshots.header_to_message(header)
            return message, self._node.replica.check_snapshot(message)
        except SnapshotRefusedError as error:
            if error.is_wrong:
                await self._refuse_peer(sender, str(error), context)
            await _refuse(context, str(error))
        except ValueError as error:
            await self._refuse_peer(sender, f"sends a snapshot of no cluster: {error}", context)

    async def _receive(
        self,
        parts: AsyncIterator[raft_pb2.InstallSnapshotRequest],
        metadata: SnapshotMetadata,
        check: SnapshotCheck,
    ) -> int:
        async with self._reception:
            return await snapshots.receive(parts, metadata, self._new_receiver, check)

    async def _open(self, frames: AsyncIterator[Any], context: Context) -> NodeId:
        """The first frame of a stream says who speaks."""
        first = await anext(frames, None)
        if first is None:
            await _refuse(context, "a stream begins with its envelope")
        await self._check(first.envelope, context)
        return NodeId(first.envelope.sender_id)

    async def _serve(
        self,
        frames: AsyncIterator[T],
        context: Context,
        streams: dict[NodeId, InboundStream[Any]],
        sender: NodeId,
        on_frame: Callable[[T], None],
    ) -> None:
        """Reads frames while a task writes the answers. A peer has one stream of a kind: a new one ends
        the one before, from which nothing is taken any more. A stream has its place before the headers tell
        the peer that it was accepted, so that streams which carry something follow each other here as they
        do there."""
        superseded = streams.get(sender)
        if superseded is not None:
            superseded.close()
        stream: InboundStream[Any] = InboundStream()
        streams[sender] = stream
        writer = asyncio.create_task(stream.write_to(context))
        try:
            await context.send_initial_metadata((ACCEPTED,))
            async for frame in frames:
                if streams.get(sender) is not stream:
                    break
                on_frame(frame)
        except PeerProtocolError as error:
            await self._refuse_peer(sender, f"breaks the protocol: {error}", context)
        finally:
            if streams.get(sender) is stream:
                del streams[sender]
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError, grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await writer

    async def _refuse_peer(self, peer: NodeId, why: str, context: Context) -> NoReturn:
        """Names who sent what no correct node sends; `why` follows the peer's name."""
        self._network.refuse(peer, why)
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"node {peer} {why}"[:1_000])
        raise AssertionError("abort raises")

    async def _check(self, envelope: raft_pb2.Envelope, context: Context) -> None:
        """Refuses strangers: another cluster, a message for another node, a sender that is no member."""
        network, members = self._network, self._node.replica.raft.configuration.members
        if envelope.cluster_id != network.cluster_id:
            await _refuse(
                context, f"this is cluster {network.cluster_id:016x}, not cluster {envelope.cluster_id:016x}"
            )
        if envelope.target_id != network.node_id:
            await _refuse(context, f"this is node {network.node_id}, not node {envelope.target_id}")
        if envelope.sender_id not in members or envelope.sender_id == network.node_id:
            await _refuse(context, f"node {envelope.sender_id} is not a peer of node {network.node_id}")


def _is_cancelled() -> bool:
    """Whether this very task is, and not only one it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _refuse(context: Context, why: str) -> NoReturn:
    logger.warning("peer refused", peer=context.peer(), why=why)
    await context.abort(grpc.StatusCode.FAILED_PRECONDITION, why)
    raise AssertionError("abort raises")
