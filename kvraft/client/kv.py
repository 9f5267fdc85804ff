"""The ordered key-value space: one method per RPC of `KvService`."""

from __future__ import annotations

from collections.abc import Sequence

from kvraft.client.failover import Failover
from kvraft.client.keys import KeyRange
from kvraft.client.method import Method
from kvraft.client.operations import Delete, Put
from kvraft.client.reading import LINEARIZABLE, Consistency, consistency_fields
from kvraft.client.results import (
    BatchWriteResult,
    CompareAndSetResult,
    CountResult,
    DeleteRangeResult,
    DeleteResult,
    GetResult,
    Header,
    KeyValue,
    PutResult,
    RangePage,
)
from kvraft.client.stream import RangeStream
from kvraft.v1 import kv_pb2

_PUT = Method("/kvraft.v1.KvService/Put", kv_pb2.PutResponse.FromString, writes=True)
_GET = Method("/kvraft.v1.KvService/Get", kv_pb2.GetResponse.FromString, writes=False)
_DELETE = Method("/kvraft.v1.KvService/Delete", kv_pb2.DeleteResponse.FromString, writes=True)
_DELETE_RANGE = Method("/kvraft.v1.KvService/DeleteRange", kv_pb2.DeleteRangeResponse.FromString, writes=True)
_RANGE = Method("/kvraft.v1.KvService/Range", kv_pb2.RangeResponse.FromString, writes=False)
_COMPARE_AND_SET = Method(
    "/kvraft.v1.KvService/CompareAndSet", kv_pb2.CompareAndSetResponse.FromString, writes=True
)
_BATCH_WRITE = Method("/kvraft.v1.KvService/BatchWrite", kv_pb2.BatchWriteResponse.FromString, writes=True)

EVERY_KEY = KeyRange()


class Kv:
    """`client.kv`. Keys are 1 to 480 bytes, values at most 1 MiB, a call at most 4 MiB; keys sort as
    unsigned bytes. Every method raises KvraftError.

    A write that returns is on the disks of a majority. One that raises says in `applied` what is
    known about it.
    """

    __slots__ = ("_failover",)

    def __init__(self, failover: Failover) -> None:
        self._failover = failover

    async def put(self, key: bytes, value: bytes, *, return_previous: bool = False) -> PutResult:
        """Stores a value under a key, whether or not the key exists."""
        request = kv_pb2.PutRequest(key=key, value=value, return_previous=return_previous)
        response = await self._failover.call(_PUT, request)
        previous = KeyValue.of(response.previous) if response.HasField("previous") else None
        return PutResult(Header.of(response.header), previous)

    async def get(self, key: bytes, *, consistency: Consistency = LINEARIZABLE) -> GetResult:
        """Reads one key. A key that does not exist is an answer, not an error."""
        level, min_revision = consistency_fields(consistency)
        request = kv_pb2.GetRequest(key=key, consistency=level, min_revision=min_revision)
        response = await self._failover.call(_GET, request)
        kv = KeyValue.of(response.kv) if response.HasField("kv") else None
        return GetResult(Header.of(response.header), kv)

    async def delete(self, key: bytes, *, return_previous: bool = False) -> DeleteResult:
        """Deletes one key. Deleting a key that does not exist changes nothing and succeeds."""
        request = kv_pb2.DeleteRequest(key=key, return_previous=return_previous)
        response = await self._failover.call(_DELETE, request)
        previous = KeyValue.of(response.previous) if response.HasField("previous") else None
        return DeleteResult(Header.of(response.header), response.deleted, previous)

    async def delete_range(self, keys: KeyRange, *, limit: int = 10_000) -> DeleteRangeResult:
        """Deletes the first `limit` keys (at most 10,000) of a range atomically. Call again while
        `more`; between two calls others see the range half deleted."""
        request = kv_pb2.DeleteRangeRequest(range=keys.to_message(), limit=limit)
        response = await self._failover.call(_DELETE_RANGE, request)
        return DeleteRangeResult(Header.of(response.header), response.deleted, response.more)

    async def range(
        self,
        keys: KeyRange = EVERY_KEY,
        *,
        page_size: int = 100,
        page_token: str = "",
        reverse: bool = False,
        keys_only: bool = False,
        consistency: Consistency = LINEARIZABLE,
    ) -> RangePage:
        """Reads one page of a range: at most `page_size` keys (1 to 1,000) and about 1 MiB. For the
        next one give its `next_page_token`, with otherwise the same arguments; later pages are of
        the same revision or a later one. To read a whole range, `stream_range` is simpler and faster.
        """
        level, min_revision = consistency_fields(consistency)
        request = kv_pb2.RangeRequest(
            range=keys.to_message(),
            page_size=page_size,
            page_token=page_token,
            reverse=reverse,
            keys_only=keys_only,
            consistency=level,
            min_revision=min_revision,
        )
        response = await self._failover.call(_RANGE, request)
        kvs = tuple(map(KeyValue.of, response.kvs))
        return RangePage(Header.of(response.header), kvs, response.next_page_token)

    async def count(
        self, keys: KeyRange = EVERY_KEY, *, consistency: Consistency = LINEARIZABLE
    ) -> CountResult:
        """Counts the keys of a range."""
        level, min_revision = consistency_fields(consistency)
        request = kv_pb2.RangeRequest(
            range=keys.to_message(), count_only=True, consistency=level, min_revision=min_revision
        )
        response = await self._failover.call(_RANGE, request)
        return CountResult(Header.of(response.header), response.count)

    def stream_range(
        self,
        keys: KeyRange = EVERY_KEY,
        *,
        limit: int = 0,
        reverse: bool = False,
        keys_only: bool = False,
        consistency: Consistency = LINEARIZABLE,
    ) -> RangeStream:
        """Reads a range of any size in key order, the first `limit` keys of it (0: all), to be
        iterated over. `RangeStream` says what happens when a node fails on the way."""
        return RangeStream(
            failover=self._failover,
            keys=keys,
            limit=limit,
            reverse=reverse,
            keys_only=keys_only,
            consistency=consistency,
        )

    async def compare_and_set(
        self, key: bytes, value: bytes, *, expected_revision: int
    ) -> CompareAndSetResult:
        """Stores a value if the key's `mod_revision` is the expected one; 0: if it does not exist."""
        request = kv_pb2.CompareAndSetRequest(key=key, expected_revision=expected_revision, value=value)
        return await self._compare_and_set(request)

    async def compare_and_delete(self, key: bytes, *, expected_revision: int) -> CompareAndSetResult:
        """Deletes a key if its `mod_revision` is the expected one."""
        request = kv_pb2.CompareAndSetRequest(key=key, expected_revision=expected_revision, delete=True)
        return await self._compare_and_set(request)

    async def batch_write(self, operations: Sequence[Put | Delete]) -> BatchWriteResult:
        """Applies 1 to 1,000 puts and deletes atomically, in order, as one revision."""
        request = kv_pb2.BatchWriteRequest(operations=[operation.to_message() for operation in operations])
        response = await self._failover.call(_BATCH_WRITE, request)
        return BatchWriteResult(Header.of(response.header), tuple(response.existed))

    async def _compare_and_set(self, request: kv_pb2.CompareAndSetRequest) -> CompareAndSetResult:
        response = await self._failover.call(_COMPARE_AND_SET, request)
        current = KeyValue.of(response.current) if response.HasField("current") else None
        return CompareAndSetResult(Header.of(response.header), response.succeeded, current)
