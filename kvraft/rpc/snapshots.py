"""Snapshots on the wire: a state as logical rows in key order, with a checksum over the whole.

No file is ever taken from a peer. Rows are read and written in threads, a chunk at a time, so that
the loop goes on turning.
"""

from __future__ import annotations

import asyncio
import hashlib
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from functools import partial
from typing import Any

import grpc.aio
import structlog

from kvraft.machine.snapshot_check import SnapshotCheck
from kvraft.raft.configuration import Configuration
from kvraft.raft.messages import InstallSnapshot
from kvraft.raft.ready import SendSnapshot
from kvraft.raft.types import Index, NodeId, SnapshotMetadata, Term
from kvraft.rpc.convert import PeerProtocolError
from kvraft.storage.errors import StorageError
from kvraft.storage.interfaces import SnapshotReceiver, StateView
from kvraft.v1 import raft_pb2

logger = structlog.get_logger(__name__)

CHUNK_BYTES = 512 << 10
CHUNK_ROWS_MAX = 4_096
TRANSFER_TIMEOUT_S = 3_600.0

_LENGTHS = struct.Struct(">II")


class RowsChecksum:
    """BLAKE2b-256 over every row: lengths of key and value as 4-byte big-endian numbers, key, value."""

    __slots__ = ("_hash", "row_count")

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=32)
        self.row_count = 0

    def add(self, key: bytes, value: bytes) -> None:
        self._hash.update(_LENGTHS.pack(len(key), len(value)))
        self._hash.update(key)
        self._hash.update(value)
        self.row_count += 1

    def digest(self) -> bytes:
        return self._hash.digest()


def _read_chunk(
    rows: Iterator[tuple[bytes, bytes]], checksum: RowsChecksum
) -> raft_pb2.InstallSnapshotRequest | None:
    keys: list[bytes] = []
    values: list[bytes] = []
    size_bytes = 0
    for key, value in rows:
        checksum.add(key, value)
        keys.append(key)
        values.append(value)
        size_bytes += len(key) + len(value)
        if size_bytes >= CHUNK_BYTES or len(keys) >= CHUNK_ROWS_MAX:
            break
    if not keys:
        return None
    return raft_pb2.InstallSnapshotRequest(
        rows=raft_pb2.InstallSnapshotRequest.Rows(keys=keys, values=values)
    )


async def _parts(
    order: SendSnapshot,
    view: StateView,
    envelope: raft_pb2.Envelope,
    reader: Executor,
    failures: list[StorageError],
) -> AsyncIterator[raft_pb2.InstallSnapshotRequest]:
    """What is streamed. gRPC swallows what its request iterator raises, so a failure of the disk is kept
    in `failures`, and the missing trailer tells the receiver."""
    snapshot = order.snapshot
    yield raft_pb2.InstallSnapshotRequest(
        header=raft_pb2.InstallSnapshotRequest.Header(
            envelope=envelope,
            term=order.term,
            last_included_index=snapshot.index,
            last_included_term=snapshot.term,
            voter_ids=snapshot.configuration.voters,
            learner_ids=snapshot.configuration.learners,
        )
    )
    loop = asyncio.get_running_loop()
    checksum = RowsChecksum()
    rows = iter(view.scan(b"", None))
    try:
        while (part := await loop.run_in_executor(reader, _read_chunk, rows, checksum)) is not None:
            yield part
    except StorageError as error:
        failures.append(error)
        return
    yield raft_pb2.InstallSnapshotRequest(
        trailer=raft_pb2.InstallSnapshotRequest.Trailer(
            row_count=checksum.row_count, checksum=checksum.digest(), state_digest=view.applied.digest
        )
    )


async def send(
    stub: Any,
    order: SendSnapshot,
    view: StateView,
    envelope: raft_pb2.Envelope,
    reader: Executor,
) -> bool:
    """Streams the view; True once the follower has installed it. Raises StorageError if the view cannot
    be read, which must stop this node."""
    assert view.applied.index == order.snapshot.index, (view.applied, order)
    failures: list[StorageError] = []
    logger.info("sending snapshot", peer=order.target, index=order.snapshot.index)
    try:
        await stub.InstallSnapshot(
            _parts(order, view, envelope, reader, failures), timeout=TRANSFER_TIMEOUT_S
        )
    except grpc.aio.AioRpcError as error:
        if failures:
            raise failures[0] from error
        logger.warning(
            "snapshot was not installed", peer=order.target, code=error.code().name, detail=error.details()
        )
        return False
    logger.info("snapshot installed", peer=order.target, index=order.snapshot.index)
    return True


def header_to_message(header: raft_pb2.InstallSnapshotRequest.Header) -> InstallSnapshot:
    """What the algorithm is told once the rows have arrived."""
    return InstallSnapshot(
        sender=NodeId(header.envelope.sender_id),
        target=NodeId(header.envelope.target_id),
        term=Term(header.term),
        snapshot=SnapshotMetadata(
            index=Index(header.last_included_index),
            term=Term(header.last_included_term),
            configuration=Configuration(
                tuple(map(NodeId, header.voter_ids)), tuple(map(NodeId, header.learner_ids))
            ),
        ),
    )


async def receive(
    parts: AsyncIterator[raft_pb2.InstallSnapshotRequest],
    metadata: SnapshotMetadata,
    new_receiver: Callable[[], SnapshotReceiver],
    check: SnapshotCheck,
) -> int:
    """Writes the rows that follow a header beside the state and checks the whole: the generation.

    If anything fails, or the caller is cancelled, no thread writes any more and what was received is
    deleted when this ends. Raises PeerProtocolError if the peer breaks the protocol; StorageError if the own
    disk fails.
    """
    begun: list[SnapshotReceiver] = []
    logger.info("receiving snapshot", index=metadata.index)
    try:
        await _in_thread(lambda: begun.append(new_receiver()))
        await _receive_rows(parts, metadata, begun[0], check)
    except BaseException:
        for receiver in begun:
            await _in_thread(receiver.abandon)
        raise
    return begun[0].generation


async def _in_thread(work: Callable[[], None]) -> None:
    """Does `work` in a thread. Whoever is cancelled meanwhile learns of it when the thread has ended, as
    nothing can stop that, and two that write at once know nothing of each other."""
    running = asyncio.get_running_loop().run_in_executor(None, work)
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait((running,))
        except asyncio.CancelledError as error:
            cancelled = error
    failure = running.exception()
    if cancelled is not None:
        raise cancelled
    if failure is not None:
        raise failure


async def _receive_rows(
    parts: AsyncIterator[raft_pb2.InstallSnapshotRequest],
    metadata: SnapshotMetadata,
    receiver: SnapshotReceiver,
    check: SnapshotCheck,
) -> None:
    checksum = RowsChecksum()
    async for part in parts:
        match part.WhichOneof("part"):
            case "rows":
                keys, values = part.rows.keys, part.rows.values
                if len(keys) != len(values):
                    raise PeerProtocolError(f"a snapshot chunk has {len(keys)} keys and {len(values)} values")
                rows = list(zip(keys, values, strict=True))
                await _in_thread(partial(_write_chunk, receiver, rows, checksum, check))
            case "trailer":
                trailer = part.trailer
                if (trailer.row_count, trailer.checksum) != (checksum.row_count, checksum.digest()):
                    raise PeerProtocolError(
                        f"a snapshot of {trailer.row_count} rows arrived as {checksum.row_count} rows "
                        "or with another checksum"
                    )
                await _in_thread(partial(_finish, receiver, metadata, trailer.state_digest, check))
                return
            case _:
                raise PeerProtocolError("a snapshot part is of a kind this node does not know")
    raise PeerProtocolError("a snapshot ended without its trailer")


def _write_chunk(
    receiver: SnapshotReceiver,
    rows: list[tuple[bytes, bytes]],
    checksum: RowsChecksum,
    check: SnapshotCheck,
) -> None:
    try:
        for key, value in rows:
            checksum.add(key, value)
            check.row(key, value)
        receiver.write_rows(rows)
    except ValueError as error:
        raise PeerProtocolError(str(error)) from error


def _finish(
    receiver: SnapshotReceiver, metadata: SnapshotMetadata, state_digest: int, check: SnapshotCheck
) -> None:
    try:
        check.finish()
        receiver.finish(metadata, state_digest)
    except ValueError as error:
        raise PeerProtocolError(str(error)) from error
