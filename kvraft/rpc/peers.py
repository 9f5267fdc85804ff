"""This node's side of every connection to its peers: implements `kvraft.node.ports.Peers`.

A leader keeps an AppendEntries stream open to each peer; everybody else keeps a Forward stream open
to the leader it knows. Votes are unary calls. Snapshots travel on a connection of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc.aio
import structlog

from kvraft.node.divergence import DigestMessage
from kvraft.node.forwarding import ForwardAnswer, ForwardRequest
from kvraft.node.node import Node
from kvraft.raft.events import Unreachable
from kvraft.raft.messages import (
    AppendEntries,
    AppendEntriesAccepted,
    AppendEntriesRefused,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
    Message,
    RequestVote,
    RequestVoteResponse,
    TimeoutNow,
)
from kvraft.raft.ready import Role, RoleChange, SendSnapshot
from kvraft.raft.types import Index, NodeId
from kvraft.rpc import convert, snapshots
from kvraft.rpc.channels import peer_channel
from kvraft.rpc.streams import InboundStream, OutboundStream
from kvraft.storage.interfaces import StateView
from kvraft.v1 import raft_pb2, raft_pb2_grpc

logger = structlog.get_logger(__name__)

AppendStream = OutboundStream[raft_pb2.AppendEntriesRequest, raft_pb2.AppendEntriesResponse]
ForwardStream = OutboundStream[raft_pb2.ForwardRequest, raft_pb2.ForwardResponse]


class _Link:
    """One peer: its channels and the streams this node may keep open to it."""

    __slots__ = ("append", "channel", "forward", "peer", "snapshot_channel", "stub")

    def __init__(self, network: PeerNetwork, peer: NodeId, address: str) -> None:
        self.peer = peer
        self.channel = peer_channel(address)
        self.snapshot_channel = peer_channel(address)
        self.stub: Any = raft_pb2_grpc.RaftServiceStub(self.channel)
        envelope = network.envelope(peer)
        self.append: AppendStream = OutboundStream(
            name=f"append to node {peer}",
            open_call=self.stub.AppendEntries,
            first_frame=lambda: raft_pb2.AppendEntriesRequest(envelope=envelope),
            on_response=lambda response: network.on_append_response(peer, response),
            on_broken=lambda: network.on_unreachable(peer),
            on_nonsense=lambda error: network.refuse(peer, f"breaks the protocol: {error}"),
            spawn=network.spawn,
        )
        self.forward: ForwardStream = OutboundStream(
            name=f"forward to node {peer}",
            open_call=self.stub.Forward,
            first_frame=lambda: raft_pb2.ForwardRequest(envelope=envelope),
            on_response=network.on_forward_response,
            on_broken=lambda: None,
            on_nonsense=lambda error: network.refuse(peer, f"breaks the protocol: {error}"),
            spawn=network.spawn,
        )


class PeerNetwork:
    """Everything that leaves for another node, and the answers that come back."""

    def __init__(
        self, *, cluster_id: int, node_id: NodeId, addresses: Mapping[NodeId, str], vote_timeout_ms: int
    ) -> None:
        """`addresses`: host:port of each peer's peer port, without this node's."""
        self.cluster_id = cluster_id
        self.node_id = node_id
        self._addresses = addresses
        self._vote_timeout_s = vote_timeout_ms / 1000
        self._links: dict[NodeId, _Link] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._snapshot_reader = ThreadPoolExecutor(1, thread_name_prefix="kvraft-snapshot")
        self._node: Node | None = None
        self.append_streams: dict[NodeId, InboundStream[raft_pb2.AppendEntriesResponse]] = {}
        """Streams that leaders have opened to this node."""
        self.forward_streams: dict[NodeId, InboundStream[raft_pb2.ForwardResponse]] = {}
        """Streams that followers have opened to this node."""
        self.votes: dict[tuple[NodeId, bool], asyncio.Future[RequestVoteResponse]] = {}
        """Who waits for an answer to which kind of vote: (candidate, whether it is a pre-vote)."""

    @property
    def node(self) -> Node:
        assert self._node is not None, "the network is not started"
        return self._node

    def start(self, node: Node) -> None:
        """Connects; `node` is told what arrives."""
        self._node = node
        self._links = {peer: _Link(self, peer, address) for peer, address in self._addresses.items()}

    async def close(self) -> None:
        """Ends every stream and connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for link in self._links.values():
            await link.channel.close()
            await link.snapshot_channel.close()
        self._snapshot_reader.shutdown()

    def envelope(self, target: NodeId) -> raft_pb2.Envelope:
        return raft_pb2.Envelope(cluster_id=self.cluster_id, sender_id=self.node_id, target_id=target)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs something beside the owner task. A failure there stops the node as well."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        return task

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.node.fail(error)

    # --- Peers --------------------------------------------------------------------------------

    def send(self, message: Message) -> None:
        match message:
            case AppendEntries() | Heartbeat() | TimeoutNow():
                self._links[message.target].append.send(convert.streamed_to_proto(message))
            case AppendEntriesAccepted() | AppendEntriesRefused() | HeartbeatResponse():
                stream = self.append_streams.get(message.target)
                if stream is not None:
                    stream.send(convert.response_to_proto(message))
            case RequestVote():
                self.spawn(self._request_vote(message))
            case RequestVoteResponse():
                waiting = self.votes.pop((message.target, message.pre_vote), None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)
            case InstallSnapshot():
                raise AssertionError("a snapshot is sent by send_snapshot")

    def forward(self, leader: NodeId, request: ForwardRequest) -> bool:
        stream = self._links[leader].forward
        return stream.is_connected and stream.send(convert.forward_to_proto(request))

    def answer(self, follower: NodeId, answer: ForwardAnswer) -> None:
        stream = self.forward_streams.get(follower)
        if stream is not None:
            stream.send(convert.answer_to_proto(answer))

    def send_digest(self, peer: NodeId, message: DigestMessage) -> None:
        frame = convert.digest_to_proto(message)
        if isinstance(frame, raft_pb2.AppendEntriesRequest):
            self._links[peer].append.send(frame)
        elif peer in self.append_streams:
            self.append_streams[peer].send(frame)

    def tell_diverged(self, node: NodeId, index: Index) -> None:
        logger.critical(
            "the state of a node differs from a majority's; it neither leads nor answers until it is "
            "re-seeded: stop it, move its data directory aside, and start it again",
            node=node,
            applied_index=index,
        )

    def tell_refused(self, peer: NodeId, why: str, count: int) -> None:
        logger.error(
            "peer refused: it sent what no correct node sends, or somebody speaks in its name",
            peer=peer,
            why=f"node {peer} {why}",
            count=count,
        )

    def refuse(self, peer: NodeId, why: str) -> None:
        """Something of this peer broke the protocol, and was not taken; `why` follows the peer's name."""
        self.node.replica.refuse_peer(peer, why, self.node.now_ms())

    def send_snapshot(self, order: SendSnapshot, view: StateView) -> None:
        self.spawn(self._send_snapshot(order, view))

    def on_role_change(self, change: RoleChange) -> None:
        """Opens the streams that the new role needs and ends the others."""
        for peer, link in self._links.items():
            if change.role is Role.LEADER:
                link.append.open()
            else:
                link.append.close()
            if peer == change.leader:
                link.forward.open()
            else:
                link.forward.close()

    # --- what comes back ----------------------------------------------------------------------

    def on_append_response(self, peer: NodeId, response: raft_pb2.AppendEntriesResponse) -> None:
        answer = convert.digest_from_response(response)
        if answer is not None:
            self.node.replica.receive_digest(peer, answer)
        else:
            self.node.replica.receive(convert.response_from_proto(response, sender=peer, target=self.node_id))
        self.node.wake()

    def on_forward_response(self, response: raft_pb2.ForwardResponse) -> None:
        self.node.replica.receive_answer(convert.answer_from_proto(response))
        self.node.wake()

    def on_unreachable(self, peer: NodeId) -> None:
        self.node.replica.tell(Unreachable(peer=peer))
        self.node.wake()

    async def _request_vote(self, message: RequestVote) -> None:
        request = convert.vote_to_proto(message, self.envelope(message.target))
        try:
            response = await self._links[message.target].stub.RequestVote(
                request, timeout=self._vote_timeout_s
            )
        except grpc.aio.AioRpcError:
            return  # a lost vote is asked for again in the next election
        self.node.replica.receive(convert.vote_response_from_proto(response, message))
        self.node.wake()

    async def _send_snapshot(self, order: SendSnapshot, view: StateView) -> None:
        link = self._links[order.target]
        stub: Any = raft_pb2_grpc.RaftServiceStub(link.snapshot_channel)
        try:
            succeeded = await snapshots.send(
                stub, order, view, self.envelope(order.target), self._snapshot_reader
            )
        finally:
            view.close()
        self.node.replica.snapshot_sent(order.target, succeeded=succeeded)
        self.node.wake()
