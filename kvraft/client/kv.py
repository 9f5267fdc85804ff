"""The ordered key-value space: one method per RPC of `KvService`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kvraft.client.arguments import checked
from kvraft.client.failover import Failover
from kvraft.client.keys import KeyRange
from kvraft.client.method import Method
from kvraft.client.pipeline import Pipeline
from kvraft.client.reading import LINEARIZABLE, Consistency, consistency_fields
from kvraft.client.results import GetResult, Header, KeyValue, PutResult
from kvraft.v1 import kv_pb2, pipeline_pb2

if TYPE_CHECKING:
    from kvraft.client.compare import Compare
    from kvraft.client.kv_results import (
        BatchWriteResult,
        CompareAndSetResult,
        CountResult,
        DeleteRangeResult,
        DeleteResult,
        RangePage,
    )
    from kvraft.client.operations import Delete, Put
    from kvraft.client.stream import RangeStream
    from kvraft.client.txn import TxnOperation, TxnResult
    from kvraft.client.watch import EventKind, Watch

_GET = Method("/kvraft.v1.KvService/Get", kv_pb2.GetResponse.FromString)
_RANGE = Method("/kvraft.v1.KvService/Range", kv_pb2.RangeResponse.FromString)

EVERY_KEY = KeyRange()


@checked
class Kv:
    """`client.kv`. Keys are 1 to 480 bytes, values at most 1 MiB, a call at most 4 MiB; keys sort as
    unsigned bytes. Every method raises KvraftError.

    A write that returns is on the disks of a majority. Writes are numbered, so they are sent again until
    they are answered, and applied once; one that raises says in `applied` what is known about it. Calls
    that run at the same time share messages: a thousand at once cost little more than one.
    """

    __slots__ = ("_failover", "_pipeline")

    def __init__(self, failover: Failover, pipeline: Pipeline) -> None:
        self._failover = failover
        self._pipeline = pipeline

    async def put(
        self, key: bytes, value: bytes, *, return_previous: bool = False, lease_id: int = 0
    ) -> PutResult:
        """Stores a value under a key, whether or not the key exists. With a lease the key ends with it, and
        no longer with the one it was attached to before; raises LeaseNotFound."""
        command = pipeline_pb2.WriteCommand()
        put = command.put
        put.key, put.value = key, value
        if return_previous:
            put.return_previous = True
        if lease_id:
            put.lease_id = lease_id
        header, result = await self._pipeline.write(command, "Put")
        previous = KeyValue.of(result.put.previous) if result.put.HasField("previous") else None
        return PutResult(Header.at(header, result.revision), previous)

    async def get(self, key: bytes, *, consistency: Consistency = LINEARIZABLE) -> GetResult:
        """Reads one key. A key that does not exist is an answer, not an error."""
        level, min_revision = consistency_fields(consistency)
        response: kv_pb2.GetResponse | pipeline_pb2.ReadResult
        if min_revision:
            request = kv_pb2.GetRequest(key=key, consistency=level, min_revision=min_revision)
            response = await self._failover.call(_GET, request)
            header = response.header
        else:
            header, response = await self._pipeline.read(key, level)
        kv = KeyValue.of(response.kv) if response.HasField("kv") else None
        return GetResult(Header.of(header), kv)

    async def delete(self, key: bytes, *, return_previous: bool = False) -> DeleteResult:
        """Deletes one key. Deleting a key that does not exist changes nothing and succeeds."""
        from kvraft.client.kv_results import DeleteResult

        request = kv_pb2.DeleteRequest(key=key, return_previous=return_previous)
        header, result = await self._pipeline.write(pipeline_pb2.WriteCommand(delete=request), "Delete")
        response = result.delete
        previous = KeyValue.of(response.previous) if response.HasField("previous") else None
        return DeleteResult(Header.at(header, result.revision), response.deleted, previous)

    async def delete_range(self, keys: KeyRange, *, limit: int = 10_000) -> DeleteRangeResult:
        """Deletes the first `limit` keys (at most 10,000) of a range atomically. Call again while
        `more`; between two calls others see the range half deleted."""
        from kvraft.client.kv_results import DeleteRangeResult

        request = kv_pb2.DeleteRangeRequest(range=keys.to_message(), limit=limit)
        command = pipeline_pb2.WriteCommand(delete_range=request)
        header, result = await self._pipeline.write(command, "DeleteRange")
        response = result.delete_range
        return DeleteRangeResult(Header.at(header, result.revision), response.deleted, response.more)

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
        from kvraft.client.kv_results import RangePage

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
        from kvraft.client.kv_results import CountResult

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
        from kvraft.client.stream import RangeStream

        return RangeStream(
            failover=self._failover,
            keys=keys,
            limit=limit,
            reverse=reverse,
            keys_only=keys_only,
            consistency=consistency,
        )

    def watch(
        self,
        keys: KeyRange | bytes,
        *,
        start_revision: int = 0,
        previous: bool = False,
        exclude: Sequence[EventKind] = (),
    ) -> Watch:
        """Follows the changes of a key or a range of keys, to be iterated over: those of `start_revision` and
        after it, or (0) those from now on; `previous`: with what the keys held before. `Watch` says what
        happens when a node fails on the way."""
        from kvraft.client.watch import Watch

        return Watch(
            failover=self._failover,
            keys=KeyRange.single(keys) if isinstance(keys, bytes) else keys,
            start_revision=start_revision,
            previous=previous,
            exclude=tuple(exclude),
        )

    async def compare_and_set(
        self, key: bytes, value: bytes, *, expected_revision: int, lease_id: int = 0
    ) -> CompareAndSetResult:
        """Stores a value if the key's `mod_revision` is the expected one; 0: if it does not exist. With a
        lease the key ends with it; raises LeaseNotFound."""
        request = kv_pb2.CompareAndSetRequest(
            key=key, expected_revision=expected_revision, value=value, lease_id=lease_id
        )
        return await self._compare_and_set(request)

    async def compare_and_delete(self, key: bytes, *, expected_revision: int) -> CompareAndSetResult:
        """Deletes a key if its `mod_revision` is the expected one."""
        request = kv_pb2.CompareAndSetRequest(key=key, expected_revision=expected_revision, delete=True)
        return await self._compare_and_set(request)

    async def batch_write(self, operations: Sequence[Put | Delete]) -> BatchWriteResult:
        """Applies 1 to 1,000 puts and deletes atomically, in order, as one revision."""
        from kvraft.client.kv_results import BatchWriteResult

        request = kv_pb2.BatchWriteRequest(operations=[operation.to_message() for operation in operations])
        command = pipeline_pb2.WriteCommand(batch_write=request)
        header, result = await self._pipeline.write(command, "BatchWrite")
        return BatchWriteResult(Header.at(header, result.revision), tuple(result.batch_write.existed))

    async def txn(
        self,
        *,
        compare: Sequence[Compare] = (),
        success: Sequence[TxnOperation] = (),
        failure: Sequence[TxnOperation] = (),
    ) -> TxnResult:
        """Does the operations of `success` if all comparisons hold, otherwise those of `failure`: in order,
        atomically, as one revision, a later one seeing an earlier one. At most 128 comparisons and
        operations, those of nested transactions counted with the rest. Raises LeaseNotFound."""
        from kvraft.client.txn import txn_request, txn_result

        request = txn_request(compare, success, failure)
        header, result = await self._pipeline.write(pipeline_pb2.WriteCommand(txn=request), "Txn")
        return txn_result(Header.at(header, result.revision), result.txn)

    async def _compare_and_set(self, request: kv_pb2.CompareAndSetRequest) -> CompareAndSetResult:
        from kvraft.client.kv_results import CompareAndSetResult

        command = pipeline_pb2.WriteCommand(compare_and_set=request)
        header, result = await self._pipeline.write(command, "CompareAndSet")
        response = result.compare_and_set
        current = KeyValue.of(response.current) if response.HasField("current") else None
        return CompareAndSetResult(Header.at(header, result.revision), response.succeeded, current)
