"""ClusterService: what one node knows, told at once, whether or not there is a leader."""

# ruff: noqa: N802 - gRPC names the methods

from __future__ import annotations

from collections.abc import Iterator, Mapping

import grpc
from google.protobuf.message import Message

from kvraft.members import MemberAddresses
from kvraft.node.leader_clock import SKEW_MS_MAX
from kvraft.node.node import Node
from kvraft.raft.ready import Role
from kvraft.raft.types import NodeId
from kvraft.rpc.header import ResponseHeaders
from kvraft.rpc.status import answering_errors
from kvraft.storage.errors import StorageError
from kvraft.storage.interfaces import LogStorage
from kvraft.v1 import cluster_pb2, cluster_pb2_grpc
from kvraft.version import __version__

_ROLES = {
    Role.FOLLOWER: cluster_pb2.ROLE_FOLLOWER,
    Role.PRE_CANDIDATE: cluster_pb2.ROLE_PRE_CANDIDATE,
    Role.CANDIDATE: cluster_pb2.ROLE_CANDIDATE,
    Role.LEADER: cluster_pb2.ROLE_LEADER,
}


class ClusterServicer(cluster_pb2_grpc.ClusterServiceServicer):
    """Tells the state of one node."""

    def __init__(
        self,
        node: Node,
        headers: ResponseHeaders,
        log: LogStorage,
        *,
        cluster_name: str,
        members: Mapping[int, MemberAddresses],
        election_timeout_ms: int,
    ) -> None:
        """`members` by node id; who is a member but not in it is shown without addresses."""
        self._node = node
        self._headers = headers
        self._log = log
        self._cluster_name = cluster_name
        self._addresses = members
        self._election_timeout_ms = election_timeout_ms
        self._started_ms = node.now_ms()

    def on_storage_error(self, error: StorageError) -> None:
        self._node.fail(error)

    @answering_errors
    async def Status(
        self, _request: cluster_pb2.StatusRequest, _context: grpc.aio.ServicerContext[Message, Message]
    ) -> cluster_pb2.StatusResponse:
        replica = self._node.replica
        raft, state = replica.raft, replica.state
        applied = state.applied
        return cluster_pb2.StatusResponse(
            header=self._headers.at(replica.machine.revision),
            version=__version__,
            cluster_name=self._cluster_name,
            role=_ROLES[raft.role],
            commit_index=raft.commit_index,
            applied_index=applied.index,
            first_log_index=raft.first_log_index,
            last_log_index=raft.last_log_index,
            state_digest=applied.digest,
            flushed_index=state.flushed_index,
            state_bytes=state.disk_bytes,
            memory_table_bytes=state.memory_bytes,
            log_bytes=self._log.size_bytes,
            uptime_ms=self._node.now_ms() - self._started_ms,
            members=self._members(),
            alarms=self._alarms(),
        )

    def _clock_alarms(self) -> Iterator[cluster_pb2.Alarm]:
        replica, now_ms = self._node.replica, self._node.now_ms()
        for node_id, ahead_ms in replica.clock_skews(now_ms).items():
            yield cluster_pb2.Alarm(
                kind=cluster_pb2.ALARM_KIND_CLOCK_SKEW,
                member_id=node_id,
                message=f"the clock of node {node_id} is {abs(ahead_ms) / 1000:,.0f} s "
                f"{'ahead of' if ahead_ms > 0 else 'behind'} the middle one of the voters, and is not "
                "believed; set it right, and have NTP keep it so",
            )
        ahead_ms = replica.time_ahead_ms(now_ms)
        if ahead_ms > SKEW_MS_MAX:
            yield cluster_pb2.Alarm(
                kind=cluster_pb2.ALARM_KIND_CLOCK_SKEW,
                member_id=replica.node_id,
                message=f"replicated time is {ahead_ms / 1000:,.0f} s ahead of the voters' clocks, because "
                "an earlier leader's was, or because they were set back; it never goes back, and runs on "
                "from there: what lives for a time lives that long, what is due at a date comes too early",
            )

    def _members(self) -> Iterator[cluster_pb2.Member]:
        replica = self._node.replica
        raft = replica.raft
        followers = raft.followers
        heard_after_ms = self._node.now_ms() - self._election_timeout_ms
        for node_id in raft.configuration.members:
            member = cluster_pb2.Member(id=node_id, learner=node_id in raft.configuration.learners)
            addresses = self._addresses.get(node_id)
            if addresses is not None:
                member.client_address = addresses.client_address
                member.peer_address = addresses.peer_address
            if node_id in followers:
                member.match_index = followers[node_id].match_index
                member.active = followers[node_id].last_heard_ms > heard_after_ms
            elif replica.leads and node_id == replica.node_id:
                member.match_index = raft.applied_index  # what is applied is durable here
                member.active = True
            yield member

    def _alarms(self) -> Iterator[cluster_pb2.Alarm]:
        replica = self._node.replica
        if replica.takes_no_writes:
            yield cluster_pb2.Alarm(
                kind=cluster_pb2.ALARM_KIND_NO_SPACE,
                member_id=replica.node_id,
                message="the disk has no room for anything, so that this node takes no writes, not even "
                "deletes; free disk space, which something else may hold, and it goes on by itself",
            )
        elif replica.refuses_growth:
            yield cluster_pb2.Alarm(
                kind=cluster_pb2.ALARM_KIND_NO_SPACE,
                member_id=replica.node_id,
                message="less disk is free than the reserve, so writes that grow the state are refused here; "
                "free disk space or delete keys, and writes resume by themselves",
            )
        for peer, refusal in replica.refusals.recent(self._node.now_ms()).items():
            yield cluster_pb2.Alarm(
                kind=cluster_pb2.ALARM_KIND_PEER_REFUSED,
                member_id=peer,
                message=f"node {peer}, or somebody in its name, sent what no correct node sends, and was "
                f"refused {refusal.count} times; the last time it {refusal.why}",
            )
        if replica.refusal is not None:
            yield _diverged(
                replica.node_id,
                "the state of this node differs from a majority's, so it neither leads nor answers; stop it, "
                "move its data directory aside, and start it again to be sent the state anew",
            )
        # The leader compares; what an earlier one remembers may long be mended.
        if replica.leads:
            yield from self._clock_alarms()
            yield from self._divergence_alarms()

    def _divergence_alarms(self) -> Iterator[cluster_pb2.Alarm]:
        replica = self._node.replica
        for node_id, index in sorted(replica.digests.wrong.items()):
            if node_id != replica.node_id:
                yield _diverged(
                    node_id,
                    f"the state of node {node_id} differs from a majority's at index {index}, so it neither "
                    "leads nor answers; stop it, move its data directory aside, and start it again to be "
                    "sent the state anew",
                )
        for node_id, index in sorted(replica.digests.undecided.items()):
            yield _diverged(
                node_id,
                f"the states of node {node_id} and of the leader, node {replica.node_id}, differ at index "
                f"{index}, and no majority says which is right, so both go on; start the other nodes, or "
                "compare what the two hold (`kvctl get --stale`), and re-seed the one that is wrong",
            )


def _diverged(node_id: NodeId, message: str) -> cluster_pb2.Alarm:
    return cluster_pb2.Alarm(kind=cluster_pb2.ALARM_KIND_DIVERGED, member_id=node_id, message=message)
