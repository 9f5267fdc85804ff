"""Answers as bytes: a disk format, in which they wait for a client to ask again.

The commonest answers, those of plain puts in a row, take a few bytes however many they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kvraft.machine.records import KvRecord
from kvraft.machine.results import (
    Answer,
    BatchWriteResult,
    CompareAndSetResult,
    DeleteRangeResult,
    DeleteResult,
    DoneResult,
    Failed,
    FailureReason,
    GetResult,
    GrantLeaseResult,
    ListResult,
    PutResult,
    RangeResult,
    RegisterClientResult,
    RevokeLeaseResult,
    TxnOperationResult,
    TxnResult,
    UserDataResult,
)
from kvraft.v1 import command_pb2


def encode_answer(answer: Answer) -> bytes:
    """What `decode_answer` turns back; the same bytes on every node."""
    stored = command_pb2.StoredAnswer()
    _fill(stored, answer)
    return stored.SerializeToString(deterministic=True)


def decode_answer(data: bytes) -> Answer:
    """The answer that was stored."""
    return _answer(command_pb2.StoredAnswer.FromString(data))


def _fill(stored: command_pb2.StoredAnswer, answer: Answer) -> None:
    stored.revision = answer.revision
    match answer.result:
        case PutResult(previous=previous):
            stored.put.SetInParent()
            _fill_record(stored.put, previous)
        case UserDataResult(kind=kind, response=response):
            getattr(stored.user_data, kind).CopyFrom(response)
        case DeleteResult(deleted=deleted, previous=previous):
            stored.delete.deleted = deleted
            _fill_record(stored.delete, previous)
        case DeleteRangeResult(deleted=count, more=more):
            stored.delete_range.deleted = count
            stored.delete_range.more = more
        case CompareAndSetResult(succeeded=succeeded, current=current):
            stored.compare_and_set.succeeded = succeeded
            _fill_record(stored.compare_and_set, current)
        case BatchWriteResult(existed=existed):
            stored.batch_write.existed.extend(existed)
        case TxnResult() as txn:
            _fill_txn(stored.txn, txn)
        case ListResult(answers=answers):
            _fill_list(stored.list, answers)
        case RegisterClientResult(client_id=client_id):
            stored.register_client.client_id = client_id
        case GrantLeaseResult(lease_id=lease_id, ttl_ms=ttl_ms):
            stored.grant_lease.lease_id = lease_id
            stored.grant_lease.ttl_ms = ttl_ms
        case RevokeLeaseResult(deleted=count):
            stored.revoke_lease.deleted = count
        case DoneResult():
            stored.done.SetInParent()
        case Failed(reason=reason, subject=subject):
            stored.failed.reason = reason.value
            stored.failed.subject = subject


def _fill_list(stored: command_pb2.StoredAnswer.List, answers: Sequence[Answer]) -> None:
    stored.SetInParent()
    run: command_pb2.StoredAnswer | None = None
    for answer in answers:
        is_plain = isinstance(answer.result, PutResult) and answer.result.previous is None
        if is_plain and run is not None and answer.revision == run.revision + run.repeated + 1:
            run.repeated += 1
            continue
        added = stored.answers.add()
        _fill(added, answer)
        run = added if is_plain else None


def _fill_txn(stored: command_pb2.StoredAnswer.Txn, txn: TxnResult) -> None:
    stored.succeeded = txn.succeeded
    for result in txn.results:
        added = stored.results.add()
        match result:
            case GetResult(record=record):
                added.get.SetInParent()
                _fill_record(added.get, record)
            case RangeResult(rows=rows, count=count):
                added.range.count = count
                for key, record in rows:
                    _fill_record(added.range.rows.add(key=key), record)
            case _:
                _fill(added, Answer(0, result))


def _fill_record(
    stored: command_pb2.StoredAnswer.Put
    | command_pb2.StoredAnswer.Delete
    | command_pb2.StoredAnswer.Compared
    | command_pb2.StoredAnswer.Get
    | command_pb2.StoredAnswer.Row,
    record: KvRecord | None,
) -> None:
    if record is not None:
        stored.record.value = record.value
        stored.record.create_revision = record.create_revision
        stored.record.mod_revision = record.mod_revision
        stored.record.version = record.version
        stored.record.lease_id = record.lease_id


def _answer(stored: command_pb2.StoredAnswer) -> Answer:
    return Answer(stored.revision, _result(stored))


def _result(
    stored: command_pb2.StoredAnswer,
) -> (
    PutResult
    | DeleteResult
    | DeleteRangeResult
    | CompareAndSetResult
    | BatchWriteResult
    | TxnResult
    | ListResult
    | RegisterClientResult
    | GrantLeaseResult
    | RevokeLeaseResult
    | DoneResult
    | UserDataResult
    | Failed
):
    match stored.WhichOneof("result"):
        case "put":
            return PutResult(_record(stored.put))
        case "delete":
            return DeleteResult(stored.delete.deleted, _record(stored.delete))
        case "delete_range":
            return DeleteRangeResult(stored.delete_range.deleted, stored.delete_range.more)
        case "compare_and_set":
            return CompareAndSetResult(stored.compare_and_set.succeeded, _record(stored.compare_and_set))
        case "batch_write":
            return BatchWriteResult(tuple(stored.batch_write.existed))
        case "txn":
            return TxnResult(stored.txn.succeeded, tuple(map(_operation_result, stored.txn.results)))
        case "list":
            return ListResult(tuple(_answers(stored.list.answers)))
        case "register_client":
            return RegisterClientResult(stored.register_client.client_id)
        case "grant_lease":
            return GrantLeaseResult(stored.grant_lease.lease_id, stored.grant_lease.ttl_ms)
        case "revoke_lease":
            return RevokeLeaseResult(stored.revoke_lease.deleted)
        case "done":
            return DoneResult()
        case "user_data":
            name = stored.user_data.WhichOneof("response")
            assert name is not None, "an answer without a response was stored"
            return UserDataResult(name, getattr(stored.user_data, name))
        case "failed":
            return Failed(FailureReason(stored.failed.reason), stored.failed.subject)
        case unknown:
            raise AssertionError(f"an answer of kind {unknown} was stored")


def _operation_result(stored: command_pb2.StoredAnswer) -> TxnOperationResult:
    match stored.WhichOneof("result"):
        case "get":
            return GetResult(_record(stored.get))
        case "range":
            rows = tuple([(row.key, _kv_record(row.record)) for row in stored.range.rows])
            return RangeResult(rows, stored.range.count)
        case _:
            result = _result(stored)
            assert isinstance(result, PutResult | DeleteResult | DeleteRangeResult | TxnResult), result
            return result


def _answers(stored: Sequence[command_pb2.StoredAnswer]) -> Iterator[Answer]:
    for each in stored:
        answer = _answer(each)
        yield answer
        for further in range(1, each.repeated + 1):
            yield Answer(answer.revision + further, answer.result)


def _record(
    stored: command_pb2.StoredAnswer.Put
    | command_pb2.StoredAnswer.Delete
    | command_pb2.StoredAnswer.Compared
    | command_pb2.StoredAnswer.Get,
) -> KvRecord | None:
    return _kv_record(stored.record) if stored.HasField("record") else None


def _kv_record(record: command_pb2.StoredAnswer.Record) -> KvRecord:
    return KvRecord(
        record.value, record.create_revision, record.mod_revision, record.version, record.lease_id
    )
