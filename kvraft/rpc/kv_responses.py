"""From a command's result to the response of its request, without a header: what unary calls, pipelines
and transactions have in common."""

from __future__ import annotations

from kvraft.machine.records import KvRecord
from kvraft.machine.results import (
    BatchWriteResult,
    CompareAndSetResult,
    DeleteRangeResult,
    DeleteResult,
    PutResult,
    Result,
)
from kvraft.rpc.paging import key_value
from kvraft.v1 import kv_pb2


def put(request: kv_pb2.PutRequest, result: Result) -> kv_pb2.PutResponse:
    assert isinstance(result, PutResult), result
    return kv_pb2.PutResponse(previous=found(request.key, result.previous))


def delete(request: kv_pb2.DeleteRequest, result: Result) -> kv_pb2.DeleteResponse:
    assert isinstance(result, DeleteResult), result
    return kv_pb2.DeleteResponse(deleted=result.deleted, previous=found(request.key, result.previous))


def delete_range(_request: kv_pb2.DeleteRangeRequest, result: Result) -> kv_pb2.DeleteRangeResponse:
    assert isinstance(result, DeleteRangeResult), result
    return kv_pb2.DeleteRangeResponse(deleted=result.deleted, more=result.more)


def compare_and_set(request: kv_pb2.CompareAndSetRequest, result: Result) -> kv_pb2.CompareAndSetResponse:
    assert isinstance(result, CompareAndSetResult), result
    return kv_pb2.CompareAndSetResponse(
        succeeded=result.succeeded, current=found(request.key, result.current)
    )


def batch_write(_request: kv_pb2.BatchWriteRequest, result: Result) -> kv_pb2.BatchWriteResponse:
    assert isinstance(result, BatchWriteResult), result
    return kv_pb2.BatchWriteResponse(existed=result.existed)


def found(key: bytes, record: KvRecord | None) -> kv_pb2.KeyValue | None:
    """A row, if there is one."""
    return None if record is None else key_value(key, record)
