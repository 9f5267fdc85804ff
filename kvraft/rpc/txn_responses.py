"""From the result of a transaction to its response, without a header."""

from __future__ import annotations

from typing import assert_never

from kvraft.machine.results import (
    DeleteRangeResult,
    DeleteResult,
    GetResult,
    PutResult,
    RangeResult,
    Result,
    TxnOperationResult,
    TxnResult,
)
from kvraft.rpc import kv_responses
from kvraft.rpc.paging import key_value
from kvraft.v1 import kv_pb2


def txn_response(request: kv_pb2.TxnRequest, result: Result) -> kv_pb2.TxnResponse:
    """At most about 3 MiB: the machine refuses transactions that answer more."""
    assert isinstance(result, TxnResult), result
    response = kv_pb2.TxnResponse(succeeded=result.succeeded)
    operations = request.success if result.succeeded else request.failure
    for operation, each in zip(operations, result.results, strict=True):
        response.results.append(_operation_response(operation, each))
    return response


def _operation_response(operation: kv_pb2.TxnOperation, result: TxnOperationResult) -> kv_pb2.TxnResult:
    match result:
        case PutResult():
            return kv_pb2.TxnResult(put=kv_responses.put(operation.put, result))
        case DeleteResult():
            return kv_pb2.TxnResult(delete=kv_responses.delete(operation.delete, result))
        case DeleteRangeResult():
            return kv_pb2.TxnResult(delete_range=kv_responses.delete_range(operation.delete_range, result))
        case GetResult(record=record):
            kv = kv_responses.found(operation.get.key, record)
            return kv_pb2.TxnResult(get=kv_pb2.GetResponse(kv=kv))
        case RangeResult(rows=rows, count=count):
            kvs = [key_value(key, record) for key, record in rows]
            return kv_pb2.TxnResult(range=kv_pb2.RangeResponse(kvs=kvs, count=count))
        case TxnResult():
            return kv_pb2.TxnResult(txn=txn_response(operation.txn, result))
        case _:
            assert_never(result)
