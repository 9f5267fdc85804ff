"""What peers ask of this node: one snapshot at a time, streams one after the other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import grpc
import grpc.aio
import pytest

from kvraft.machine.snapshot_check import SnapshotCheck
from kvraft.node.forwarding import ForwardRequest
from kvraft.raft.configuration import Configuration
from kvraft.raft.messages import InstallSnapshot
from kvraft.raft.types import Index, NodeId, SnapshotMetadata, Term
from kvraft.rpc import snapshots
from kvraft.rpc.peers import PeerNetwork
from kvraft.rpc.raft_service import RaftServicer
from kvraft.rpc.streams import ACCEPTED, OutboundStream
from kvraft.v1 import raft_pb2, raft_pb2_grpc
from tests.unit.rpc.conftest import OPTIONS

CLUSTER_ID, LEADER, FOLLOWER = 7, NodeId(1), NodeId(2)
MEMBERS = Configuration((LEADER, FOLLOWER, NodeId(3)))
METADATA = SnapshotMetadata(index=Index(9), term=Term(2), configuration=MEMBERS)
CHECK = SnapshotCheck(revision=0, clock_ms=0)
ENVELOPE = raft_pb2.Envelope(cluster_id=CLUSTER_ID, sender_id=LEADER, target_id=FOLLOWER)
HEADER = raft_pb2.InstallSnapshotRequest(
    header=raft_pb2.InstallSnapshotRequest.Header(
        envelope=ENVELOPE, term=2, last_included_index=9, last_included_term=2, voter_ids=MEMBERS.voters
    )
)
ROWS = raft_pb2.InstallSnapshotRequest(
    rows=raft_pb2.InstallSnapshotRequest.Rows(keys=[b"key"], values=[b"value"])
)


def trailer() -> raft_pb2.InstallSnapshotRequest:
    checksum = snapshots.RowsChecksum()
    checksum.add(b"key", b"value")
    return raft_pb2.InstallSnapshotRequest(
        trailer=raft_pb2.InstallSnapshotRequest.Trailer(row_count=1, checksum=checksum.digest())
    )


class Step:
    """Something that a thread does: when it has begun, and when it may end."""

    def __init__(self) -> None:
        self._begun = threading.Event()
        self.may_end = threading.Event()

    def take(self) -> None:
        self._begun.set()
        assert self.may_end.wait(10), "nobody let this thread go on"

    async def begun(self) -> None:
        assert await asyncio.to_thread(self._begun.wait, 10), "no thread came here"


class Disk:
    """Makes receivers and writes down what they do. The first one waits at its steps."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.opening, self.writing = Step(), Step()
        self.writing.may_end.set()
        self.opening.may_end.set()

    def new_receiver(self) -> Receiver:
        generation = 2 + sum(event.startswith("open ") for event in self.events)
        self.events.append(f"open {generation}")
        if generation == 2:
            self.opening.take()
        self.events.append(f"opened {generation}")
        return Receiver(self, generation)


class Receiver:
    """Implements `kvraft.storage.interfaces.SnapshotReceiver`."""

    def __init__(self, disk: Disk, generation: int) -> None:
        self.generation = generation
        self._disk = disk

    def write_rows(self, rows: list[tuple[bytes, bytes]]) -> None:
        self._disk.events.append(f"write {self.generation}")
        if self.generation == 2:
            self._disk.writing.take()
        self._disk.events.append(f"written {self.generation}")

    def finish(self, metadata: SnapshotMetadata, digest: int) -> None:
        self._disk.events.append(f"finish {self.generation}")

    def abandon(self) -> None:
        self._disk.events.append(f"abandon {self.generation}")


class Node:
    """Takes what arrives."""

    def __init__(self) -> None:
        self.replica: Any = self
        self.raft = SimpleNamespace(configuration=MEMBERS, term=2)
        self.installed: list[int] = []
        self.forwarded: list[int] = []

    def check_snapshot(self, message: InstallSnapshot) -> SnapshotCheck:
        return CHECK

    def receive_snapshot(
        self, message: InstallSnapshot, generation: int, on_installed: Callable[[bool], None]
    ) -> None:
        self.installed.append(generation)
        on_installed(True)

    def receive_forwarded(self, follower: NodeId, request: ForwardRequest) -> None:
        assert follower == LEADER
        self.forwarded.append(request.group_id)  # type: ignore[union-attr]

    def wake(self) -> None:
        """Nobody sleeps."""

    gather = wake


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def disk() -> Disk:
    return Disk()


async def parts_of(*parts: raft_pb2.InstallSnapshotRequest) -> AsyncIterator[Any]:
    for part in parts:
        yield part


async def one_turn() -> None:
    """Everything that could go on by itself has."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize("cancellations", [1, 2])
def test_a_transfer_that_is_given_up_ends_when_its_thread_has_ended(
    runner: asyncio.Runner, disk: Disk, cancellations: int
) -> None:
    disk.writing.may_end.clear()

    async def give_up() -> None:
        receiving = asyncio.create_task(
            snapshots.receive(parts_of(ROWS, trailer()), METADATA, disk.new_receiver, CHECK)
        )
        await disk.writing.begun()
        for _ in range(cancellations):
            receiving.cancel()
            await one_turn()
        assert not receiving.done()
        assert disk.events == ["open 2", "opened 2", "write 2"]
        disk.writing.may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await receiving

    runner.run(give_up())
    assert disk.events == ["open 2", "opened 2", "write 2", "written 2", "abandon 2"]


def test_a_transfer_that_is_given_up_while_it_begins_leaves_nothing_behind(
    runner: asyncio.Runner, disk: Disk
) -> None:
    disk.opening.may_end.clear()

    async def give_up() -> None:
        receiving = asyncio.create_task(snapshots.receive(parts_of(ROWS), METADATA, disk.new_receiver, CHECK))
        await disk.opening.begun()
        receiving.cancel()
        await one_turn()
        assert not receiving.done()
        disk.opening.may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await receiving

    runner.run(give_up())
    assert disk.events == ["open 2", "opened 2", "abandon 2"]


class Service:
    """The service behind a real server, and a channel to it."""

    def __init__(self, node: Node, disk: Disk) -> None:
        network = PeerNetwork(cluster_id=CLUSTER_ID, node_id=FOLLOWER, addresses={}, vote_timeout_ms=100)
        self.servicer = RaftServicer(
            node=node,  # type: ignore[arg-type]
            network=network,
            new_receiver=disk.new_receiver,
            vote_timeout_ms=100,
        )
        self.network = network

    async def __aenter__(self) -> raft_pb2_grpc.RaftServiceStub:
        self._server = grpc.aio.server(options=OPTIONS)
        raft_pb2_grpc.add_RaftServiceServicer_to_server(self.servicer, self._server)
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=OPTIONS)
        return raft_pb2_grpc.RaftServiceStub(self._channel)

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()
        await self._server.stop(None)
        await self.network.close()


ONE_AFTER_THE_OTHER = [
    *("open 2", "opened 2", "write 2", "written 2", "abandon 2"),
    *("open 3", "opened 3", "write 3", "written 3", "finish 3"),
]


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_transfer_begins_when_nothing_of_the_one_before_is_under_way(
    runner: asyncio.Runner, disk: Disk, is_gone: bool
) -> None:
    """Also when the sender of that one has gone, and when one comes in between, which is superseded
    while it waits. Every sender is answered."""
    disk.writing.may_end.clear()
    node = Node()

    async def supersede() -> None:
        async with Service(node, disk) as stub:
            first = stub.InstallSnapshot(parts_of(HEADER, ROWS, trailer()), timeout=10)
            await disk.writing.begun()
            if is_gone:
                first.cancel()
            others = [
                asyncio.create_task(
                    stub.InstallSnapshot(parts_of(HEADER, ROWS, trailer()), timeout=10).code()
                )
                for _ in range(2)
            ]
            (superseded,), (newest,) = await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
            assert await superseded is grpc.StatusCode.ABORTED
            assert disk.events == ["open 2", "opened 2", "write 2"]
            disk.writing.may_end.set()
            assert await newest is grpc.StatusCode.OK
            assert await first.code() is (grpc.StatusCode.CANCELLED if is_gone else grpc.StatusCode.ABORTED)

    runner.run(supersede())
    assert disk.events == [
        *("open 2", "opened 2", "write 2", "written 2", "abandon 2"),
        *("open 3", "opened 3", "write 3", "written 3", "finish 3"),
    ]
    assert node.installed == [3]


class Context:
    """One side of a stream without a wire, for what a real one does too quickly to be seen."""

    def __init__(self) -> None:
        self.headers_sent = asyncio.Event()
        self.headers_may_go = asyncio.Event()

    async def send_initial_metadata(self, _: object) -> None:
        self.headers_sent.set()
        await self.headers_may_go.wait()


async def group_frames(*group_ids: int) -> AsyncIterator[raft_pb2.ForwardRequest]:
    yield raft_pb2.ForwardRequest(envelope=ENVELOPE)
    for group_id in group_ids:
        yield raft_pb2.ForwardRequest(group=raft_pb2.ForwardRequest.Group(group_id=group_id))


def test_nothing_of_a_stream_is_taken_after_the_next_one_was_accepted(
    runner: asyncio.Runner, disk: Disk
) -> None:
    """However late the first handler learns that its headers have gone."""
    node = Node()

    async def overtake() -> None:
        servicer = Service(node, disk).servicer
        first, second = Context(), Context()
        slow = asyncio.create_task(servicer.Forward(group_frames(1, 2), first))  # type: ignore[arg-type]
        await first.headers_sent.wait()
        second.headers_may_go.set()
        await servicer.Forward(group_frames(3), second)  # type: ignore[arg-type]
        first.headers_may_go.set()
        await slow

    runner.run(overtake())
    assert node.forwarded == [3]


class Call:
    """A call that is accepted at once and never answered."""

    def __init__(self) -> None:
        self.accepted = asyncio.Event()

    async def initial_metadata(self) -> tuple[tuple[str, str], ...]:
        self.accepted.set()
        return (ACCEPTED,)

    async def __aiter__(self) -> AsyncIterator[raft_pb2.ForwardResponse]:
        await asyncio.Event().wait()
        yield raft_pb2.ForwardResponse()

    def cancel(self) -> None:
        """Nothing is under way."""


def test_a_stream_that_was_closed_is_not_connected_when_it_is_opened_again(runner: asyncio.Runner) -> None:
    """What is given to it would be sent before the peer has put it behind the one before."""

    async def open_again() -> None:
        call = Call()
        stream: OutboundStream[raft_pb2.ForwardRequest, raft_pb2.ForwardResponse] = OutboundStream(
            name="test",
            open_call=lambda _: call,
            first_frame=raft_pb2.ForwardRequest,
            on_response=lambda _: None,
            on_broken=lambda: None,
            on_nonsense=lambda _: None,
            spawn=asyncio.create_task,
        )
        stream.open()
        await call.accepted.wait()
        await one_turn()
        assert stream.is_connected
        stream.close()
        stream.open()
        assert not stream.is_connected
        stream.close()
        await one_turn()

    runner.run(open_again())
