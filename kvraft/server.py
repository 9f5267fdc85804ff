"""A node as a process: opens the data directory, joins the peers, serves clients, stops in order.

Order of starting: data directory (lock), log, state, replica, peer port, client port. Order of
stopping: health says NOT_SERVING, new requests are refused, leadership is handed over, what was
accepted is answered, ports close, the state is flushed, files close, the lock is released.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import time

import grpc.aio
import structlog

from kvraft import exit_codes, signals
from kvraft.addresses import AddressError, check_address
from kvraft.config import ServerConfig
from kvraft.descriptors import client_connections, raise_limit
from kvraft.machine.errors import UnknownCommandError
from kvraft.node.disk import ThreadedDisk
from kvraft.node.node import Node
from kvraft.node.replica import Replica
from kvraft.node.settings import NodeSettings
from kvraft.raft.ready import RoleChange
from kvraft.raft.settings import Settings
from kvraft.raft.types import NodeId
from kvraft.rpc import channels
from kvraft.rpc.client_port import ClientPort
from kvraft.rpc.cluster_service import ClusterServicer
from kvraft.rpc.header import ResponseHeaders
from kvraft.rpc.peers import PeerNetwork
from kvraft.rpc.raft_service import RaftServicer
from kvraft.storage.data_directory import DataDirectory
from kvraft.storage.errors import CorruptionError, DataDirectoryError, StorageError
from kvraft.storage.interfaces import Identity, StateStore
from kvraft.storage.log import SegmentedLog
from kvraft.storage.state import FIRST_GENERATION, open_state, receive_state
from kvraft.v1 import raft_pb2_grpc

logger = structlog.get_logger(__name__)

DRAIN_TIMEOUT_S = 5.0
"""How long an orderly stop waits for a successor and for the answers it owes."""
WATCH_INTERVAL_S = 0.5
STOP_GRACE_S = 2.0
"""How long calls that are under way may take to end once the ports close."""


async def run(config: ServerConfig) -> int:
    """Runs a node until it is asked to stop or cannot go on; the exit code."""
    # Little here is cyclic, and a large table in memory makes every full collection long: what the
    # program itself consists of is never looked at again, and collections are rare.
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    stop_requested = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals.on_stop(lambda: loop.call_soon_threadsafe(stop_requested.set))
    limit = raise_limit()
    connections_max = client_connections(config.client_connections_max, limit)
    if connections_max < config.client_connections_max:
        logger.warning("few open files are allowed", limit=limit, client_connections_max=connections_max)
    try:
        if _is_new(config):
            _check_addresses(config)
        with contextlib.closing(DataDirectory.open(config.data_dir)) as directory:
            _check_addresses(config)
            await _Server(config, directory, stop_requested, connections_max).run()
    except DataDirectoryError as error:
        logger.error("data directory refused", error=str(error))
        return exit_codes.DATA_DIRECTORY_REFUSED
    except AddressError as error:
        logger.error("cannot listen", error=str(error))
        return exit_codes.ADDRESS_IN_USE
    except CorruptionError as error:
        logger.critical("stored data is damaged; this node stops, the others go on", error=str(error))
        return exit_codes.CORRUPTION
    except StorageError as error:
        logger.critical("the disk failed; this node stops, the others go on", error=str(error))
        return exit_codes.STORAGE_FAILURE
    except UnknownCommandError as error:
        logger.critical("this node must stop", error=str(error))
        return exit_codes.UNKNOWN_COMMAND
    return exit_codes.OK


def _is_new(config: ServerConfig) -> bool:
    """Returns whether the start would make the data directory: not if the node cannot listen. Of one that is
    there its lock says more than a port that is taken."""
    return not os.path.exists(config.data_dir)


def _check_addresses(config: ServerConfig) -> None:
    for address in (config.client_address, config.peer_address):
        check_address(address)


class _Server:
    """One life of a node."""

    def __init__(
        self,
        config: ServerConfig,
        directory: DataDirectory,
        stop_requested: asyncio.Event,
        connections_max: int,
    ) -> None:
        """Opens what lies in the directory; serves nobody yet."""
        self._config = config
        self._directory = directory
        identity = Identity(
            cluster_id=config.cluster_id,
            cluster_name=config.cluster_name,
            node_id=config.node_id,
            initial_voters=tuple(config.members),
        )
        self._log = _open_log(directory, identity, config.segment_bytes)
        recovered = self._log.recovered
        if recovered.torn_bytes:
            logger.warning("an unfinished last write was cut off the log", bytes=recovered.torn_bytes)
        installed = recovered.installed_snapshot
        state = open_state(
            directory.state_directory,
            FIRST_GENERATION if installed is None else installed.generation,
            voters=identity.initial_voters,
        )
        self._stop_requested = stop_requested
        self._role_changed = asyncio.Event()
        self._network = PeerNetwork(
            cluster_id=config.cluster_id,
            node_id=NodeId(config.node_id),
            addresses={
                NodeId(node_id): member.peer_address
                for node_id, member in config.members.items()
                if node_id != config.node_id
            },
            vote_timeout_ms=config.election_timeout_ms,
        )
        self._disk = ThreadedDisk(
            log=self._log,
            state=state,
            state_directory=directory.state_directory,
            loop=asyncio.get_running_loop(),
            on_failure=self._on_disk_failure,
        )
        self._node = Node(lambda now_ms: self._make_replica(state, now_ms))
        self._disk.start(self._node)
        self._network.start(self._node)
        self._peer_server = channels.server(
            message_bytes_max=channels.PEER_MESSAGE_BYTES_MAX, connections_max=channels.PEER_CONNECTIONS_MAX
        )
        self._client_server = channels.server(
            message_bytes_max=channels.CLIENT_MESSAGE_BYTES_MAX, connections_max=connections_max
        )
        self._add_peer_service()
        self._client_port = self._make_client_port()

    def _make_replica(self, state: StateStore, now_ms: int) -> Replica:
        config = self._config
        return Replica(
            node_id=NodeId(config.node_id),
            settings=NodeSettings(
                leaderless_timeout_ms=config.election_timeout_ms,
                flush_interval_ms=config.flush_interval_ms,
                memory_bytes_max=config.memory_bytes_max,
                erasure_delay_ms=config.erasure_delay_ms,
                log_retained_bytes=config.log_retained_bytes,
                history_revisions_max=config.history_revisions_max,
                history_bytes_max=config.history_bytes_max,
                history_age_ms_max=config.history_age_ms_max,
            ),
            raft_settings=Settings(
                election_timeout_ms=config.election_timeout_ms,
                heartbeat_interval_ms=config.heartbeat_interval_ms,
            ),
            log=self._log,
            state=state,
            peers=self._network,
            disk=self._disk,
            on_role_change=self._on_role_change,
            chance=random.SystemRandom(),
            now_ms=now_ms,
        )

    def _add_peer_service(self) -> None:
        raft_pb2_grpc.add_RaftServiceServicer_to_server(
            RaftServicer(
                node=self._node,
                network=self._network,
                new_receiver=lambda: receive_state(self._directory.state_directory),
                vote_timeout_ms=self._config.election_timeout_ms,
            ),
            self._peer_server,
        )

    def _make_client_port(self) -> ClientPort:
        config, node = self._config, self._node
        headers = ResponseHeaders(cluster_id=config.cluster_id, node=node)
        cluster = ClusterServicer(
            node,
            headers,
            self._log,
            cluster_name=config.cluster_name,
            members=config.members,
            election_timeout_ms=config.election_timeout_ms,
        )
        return ClientPort(self._client_server, node=node, headers=headers, cluster=cluster)

    async def run(self) -> None:
        """Serves until a signal, or until the owner task ends with what stops the node."""
        owner = asyncio.create_task(self._node.own())
        watcher = asyncio.create_task(self._watch())
        stop_requested = asyncio.create_task(self._stop_requested.wait())
        try:
            await self._listen(self._peer_server, self._config.peer_address, "peer")
            await self._listen(self._client_server, self._config.client_address, "client")
            logger.info(
                "serving",
                clients=self._config.client_address,
                peers=self._config.peer_address,
            )
            await asyncio.wait((owner, watcher, stop_requested), return_when=asyncio.FIRST_COMPLETED)
            if stop_requested.done():
                await self._drain(owner)
        finally:
            await self._close(owner, watcher, stop_requested)

    async def _listen(self, server: grpc.aio.Server, address: str, whose: str) -> None:
        try:
            server.add_insecure_port(address)
        except RuntimeError as error:
            raise AddressError(
                f"the {whose} address {address} cannot be listened at: another process has it, or it is "
                "not an address of this machine"
            ) from error
        await server.start()

    def _on_disk_failure(self, error: BaseException) -> None:
        self._node.fail(error)

    def _on_role_change(self, change: RoleChange) -> None:
        logger.info("role", role=change.role.value, term=change.term, leader=change.leader)
        self._network.on_role_change(change)
        self._role_changed.set()

    async def _watch(self) -> None:
        """At every role change and twice a second: whether there is a leader to serve with and a state to
        serve from, and room on the disk."""
        serving: bool | None = None
        while True:
            replica = self._node.replica
            can_serve = replica.raft.leader_id is not None and replica.refusal is None
            if can_serve is not serving:
                serving = can_serve
                await self._client_port.set_health(serving=serving)
            space, refused_before = self._directory.space(), replica.no_space
            replica.upkeep.measured(space, self._config.disk_reserve_bytes)
            if replica.no_space is not refused_before:
                logger.warning("disk space", free_bytes=space.free_bytes, growth_refused=replica.no_space)
            self._role_changed.clear()
            await until_set(self._role_changed, WATCH_INTERVAL_S)

    async def _drain(self, owner: asyncio.Task[None]) -> None:
        """Refuses new requests, hands over leadership, and waits for the answers that are owed."""
        logger.info("stopping")
        await self._client_port.stop_serving()
        replica = self._node.replica
        replica.stopping = True
        deadline = time.monotonic() + DRAIN_TIMEOUT_S
        if replica.leads and len(replica.raft.configuration.voters) > 1:
            replica.transfer_leadership()
        self._node.wake()
        while time.monotonic() < deadline and not owner.done():
            handed_over = not replica.leads or len(replica.raft.configuration.voters) == 1
            if handed_over and replica.proposals.in_flight == 0:
                break
            await asyncio.sleep(0.02)

    async def _close(self, owner: asyncio.Task[None], *others: asyncio.Task[object]) -> None:
        self._node.replica.fail_requests()
        await self._client_server.stop(STOP_GRACE_S)
        await self._peer_server.stop(0)
        for task in (owner, *others):
            task.cancel()
        await self._network.close()
        results = await asyncio.gather(owner, *others, return_exceptions=True)
        failure = next((e for e in results if isinstance(e, Exception)), None)
        self._disk.close(flush=failure is None)
        if failure is not None:
            raise failure
        logger.info("stopped")


async def until_set(event: asyncio.Event, seconds: float) -> None:
    """Waits for an event, or for so long. (`asyncio.wait_for` of Python 3.11 swallows a cancellation that
    comes together with the event, and whoever awaits the cancelled task then waits for ever.)"""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _open_log(directory: DataDirectory, identity: Identity, segment_bytes: int) -> SegmentedLog:
    """The log of this node; a new one in a new directory. Raises DataDirectoryError if it is another's."""
    if not directory.is_initialised:
        logger.info("new data directory", path=str(directory.path), cluster_id=f"{identity.cluster_id:016x}")
        return SegmentedLog.create(directory.log_directory, identity, segment_bytes=segment_bytes)
    log = SegmentedLog.open(directory.log_directory, segment_bytes=segment_bytes)
    found = log.identity
    if found != identity:
        log.close()
        raise DataDirectoryError(
            f"{directory.path} belongs to {_describe(found)}, not to {_describe(identity)}; "
            "nothing was changed"
        )
    return log


def _describe(identity: Identity) -> str:
    voters = ", ".join(map(str, identity.initial_voters))
    return (
        f"node {identity.node_id} of cluster {identity.cluster_name!r} ({identity.cluster_id:016x}, "
        f"created with nodes {voters})"
    )
