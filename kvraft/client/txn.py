"""Transactions: what they do, and what they answer.

The operations are those of `operations`, and transactions themselves. Results are of the same types as
those of the calls that do the same alone; all of them have the header of the transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from kvraft.client.arguments import checked
from kvraft.client.compare import Compare
from kvraft.client.kv_results import DeleteRangeResult, DeleteResult
from kvraft.client.operations import Delete, DeleteRange, Get, Put, Range
from kvraft.client.results import GetResult, Header, KeyValue, PutResult
from kvraft.v1 import kv_pb2


@checked
@dataclass(frozen=True, slots=True, kw_only=True)
class Txn:
    """A transaction inside another one. It sees what was done before it."""

    compare: Sequence[Compare] = ()
    success: Sequence[TxnOperation] = ()
    failure: Sequence[TxnOperation] = ()


TxnOperation = Put | Delete | DeleteRange | Get | Range | Txn


@dataclass(frozen=True, slots=True)
class RangeResult:
    """What a `Range` of a transaction found."""

    header: Header
    kvs: tuple[KeyValue, ...]
    """The first keys, in the asked order; none if they were only counted."""
    count: int
    """How many keys the range holds up to the limit; one more than the limit: there are more."""


@dataclass(frozen=True, slots=True)
class TxnResult:
    header: Header
    """`revision` is that of the transaction, or of the unchanged state."""
    succeeded: bool
    """Whether all comparisons held."""
    results: tuple[TxnOperationResult, ...]
    """One for each operation that was done, in order."""


TxnOperationResult = PutResult | DeleteResult | DeleteRangeResult | GetResult | RangeResult | TxnResult


def txn_request(
    compare: Sequence[Compare], success: Sequence[TxnOperation], failure: Sequence[TxnOperation]
) -> kv_pb2.TxnRequest:
    """What is sent."""
    return kv_pb2.TxnRequest(
        compares=[each.message for each in compare],
        success=list(map(_operation, success)),
        failure=list(map(_operation, failure)),
    )


def txn_result(header: Header, response: kv_pb2.TxnResponse) -> TxnResult:
    """What came back."""
    results = tuple([_operation_result(header, each) for each in response.results])
    return TxnResult(header, response.succeeded, results)


def _operation(operation: TxnOperation) -> kv_pb2.TxnOperation:
    match operation:
        case Put():
            put = kv_pb2.PutRequest(
                key=operation.key,
                value=operation.value,
                return_previous=operation.return_previous,
                lease_id=operation.lease_id,
            )
            return kv_pb2.TxnOperation(put=put)
        case Delete():
            delete = kv_pb2.DeleteRequest(key=operation.key, return_previous=operation.return_previous)
            return kv_pb2.TxnOperation(delete=delete)
        case DeleteRange():
            delete_range = kv_pb2.DeleteRangeRequest(range=operation.keys.to_message(), limit=operation.limit)
            return kv_pb2.TxnOperation(delete_range=delete_range)
        case Get():
            return kv_pb2.TxnOperation(get=kv_pb2.GetRequest(key=operation.key))
        case Range():
            range_ = kv_pb2.RangeRequest(
                range=operation.keys.to_message(),
                page_size=operation.limit,
                reverse=operation.reverse,
                keys_only=operation.keys_only,
                count_only=operation.count_only,
            )
            return kv_pb2.TxnOperation(range=range_)
        case Txn():
            return kv_pb2.TxnOperation(
                txn=txn_request(operation.compare, operation.success, operation.failure)
            )
        case _:
            assert_never(operation)


def _operation_result(header: Header, result: kv_pb2.TxnResult) -> TxnOperationResult:
    match result.WhichOneof("result"):
        case "put":
            return PutResult(header, _previous(result.put))
        case "delete":
            return DeleteResult(header, result.delete.deleted, _previous(result.delete))
        case "delete_range":
            return DeleteRangeResult(header, result.delete_range.deleted, result.delete_range.more)
        case "get":
            return GetResult(header, KeyValue.of(result.get.kv) if result.get.HasField("kv") else None)
        case "range":
            return RangeResult(header, tuple(map(KeyValue.of, result.range.kvs)), result.range.count)
        case "txn":
            return txn_result(header, result.txn)
        case kind:
            raise ValueError(
                f"a node answered an operation by a result of kind {kind}: it is of a newer version"
            )


def _previous(response: kv_pb2.PutResponse | kv_pb2.DeleteResponse) -> KeyValue | None:
    return KeyValue.of(response.previous) if response.HasField("previous") else None
