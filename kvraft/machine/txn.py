"""Transactions: comparisons, then one of two lists of operations, all as one revision.

Operations are done one after another on the state itself, so each sees the ones before it, and so do
the comparisons of a transaction inside another one. A transaction may therefore fail after it has
changed something; then it is undone, and the state is as if it had never been. Whether it fails
depends only on what is really done: a branch that is not taken is never looked at.

What one transaction may look at is limited (`kvraft.machine.work`), because every node does it between two
turns of its loop, and again when it recovers.
"""

from __future__ import annotations

from itertools import islice

from kvraft.copyable import Copyable
from kvraft.machine import kv
from kvraft.machine.compares import COMPARED_KEYS_MAX, TooManyKeysError, holds
from kvraft.machine.errors import UnknownCommandError
from kvraft.machine.records import KvRecord
from kvraft.machine.results import (
    DeleteRangeResult,
    DeleteResult,
    Failed,
    FailureReason,
    GetResult,
    PutResult,
    RangeResult,
    TxnOperationResult,
    TxnResult,
)
from kvraft.machine.space import KvSpace
from kvraft.machine.undo import undo
from kvraft.machine.work import COMMAND_WORK_MAX, TooMuchWorkError, of_row
from kvraft.v1 import command_pb2

DELETED_KEYS_MAX = 10_000
"""Keys that the ranges of one transaction delete, as many as one DeleteRange."""
ANSWER_BYTES_MAX = 3 << 20
"""Of the records that one transaction answers: they then fit a response, and the answers that are
kept for a client."""
RECORD_BYTES = 64
"""What is counted for a record beside its key and value, at least what it takes in a response."""


def txn(space: KvSpace, command: command_pb2.TxnCommand) -> TxnResult | Failed:
    """Does the whole transaction, or fails and changes nothing."""
    try:
        return _Transaction(space).run(command)
    except _RefusedError as refused:
        failed = refused.failed
    except TooManyKeysError:
        failed = Failed(FailureReason.RANGE_TOO_LARGE, COMPARED_KEYS_MAX)
    except TooMuchWorkError:
        failed = Failed(FailureReason.RANGE_TOO_LARGE, COMMAND_WORK_MAX)
    undo(space)
    return failed


class _RefusedError(Copyable):
    """Ends a transaction from however deep inside; never leaves this module."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed)
        self.failed = failed


class _Transaction:
    """A transaction with those inside it, and what it may still delete and answer."""

    __slots__ = ("_answer_bytes_left", "_deletions_left", "_space")

    def __init__(self, space: KvSpace) -> None:
        self._space = space
        self._deletions_left = DELETED_KEYS_MAX
        self._answer_bytes_left = ANSWER_BYTES_MAX

    def run(self, command: command_pb2.TxnCommand) -> TxnResult:
        succeeded = all(holds(self._space, compare) for compare in command.compares)
        operations = command.success if succeeded else command.failure
        return TxnResult(succeeded, tuple([self._do(operation) for operation in operations]))

    def _do(self, operation: command_pb2.TxnCommand.Operation) -> TxnOperationResult:
        match operation.WhichOneof("operation"):
            case "put":
                return self._put(operation.put)
            case "delete":
                return self._delete(operation.delete)
            case "delete_range":
                return self._delete_range(operation.delete_range)
            case "get":
                return self._get(operation.get.key)
            case "range":
                return self._range(operation.range)
            case "txn":
                return self.run(operation.txn)
            case kind:
                raise UnknownCommandError(
                    f"an operation of a transaction is of kind {kind}, which this node does not know"
                )

    def _put(self, command: command_pb2.PutCommand) -> PutResult:
        self._space.spend(1)
        result = kv.put(self._space, command)
        if isinstance(result, Failed):
            raise _RefusedError(result)
        self._answers(command.key, result.previous)
        return result

    def _delete(self, command: command_pb2.DeleteCommand) -> DeleteResult:
        self._space.spend(1)
        result = kv.delete(self._space, command)
        self._answers(command.key, result.previous)
        return result

    def _delete_range(self, command: command_pb2.DeleteRangeCommand) -> DeleteRangeResult:
        result = kv.delete_range(self._space, command)
        self._deletions_left -= result.deleted
        if self._deletions_left < 0:
            raise _too_large(DELETED_KEYS_MAX)
        if result.more and result.deleted < command.limit:
            raise TooMuchWorkError
        return result

    def _get(self, key: bytes) -> GetResult:
        record = kv.get(self._space.state, key)
        self._space.spend(of_row(None if record is None else record.value))
        self._answers(key, record)
        return GetResult(record)

    def _range(self, command: command_pb2.TxnCommand.Range) -> RangeResult:
        found: list[tuple[bytes, KvRecord]] = []
        count = 0
        rows = kv.scan(self._space.state, command.start, command.end, reverse=command.reverse)
        for key, record in islice(rows, command.limit + 1):
            count += 1
            self._space.spend(of_row(record.value))
            if command.count_only or count > command.limit:
                continue
            answered = _without_value(record) if command.keys_only else record
            self._answers(key, answered)
            found.append((key, answered))
        return RangeResult(tuple(found), count)

    def _answers(self, key: bytes, record: KvRecord | None) -> None:
        """Each record as it is taken, so that no more than the limit is ever held in memory."""
        if record is not None:
            self._answer_bytes_left -= len(key) + len(record.value) + RECORD_BYTES
            if self._answer_bytes_left < 0:
                raise _too_large(ANSWER_BYTES_MAX)


def _too_large(limit: int) -> _RefusedError:
    return _RefusedError(Failed(FailureReason.RANGE_TOO_LARGE, limit))


def _without_value(record: KvRecord) -> KvRecord:
    return KvRecord(b"", record.create_revision, record.mod_revision, record.version, record.lease_id)
