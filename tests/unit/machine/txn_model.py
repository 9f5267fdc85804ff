"""What a transaction means, said as simply as possible: a dict, copied before and thrown away on failure.

Operations and comparisons are those of `command.proto`; failures and results those of the machine.
"""

from __future__ import annotations

import operator

from kvraft.machine import compares, txn
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
from kvraft.v1 import command_pb2

TxnCommand = command_pb2.TxnCommand


class _FailedError(Exception):
    pass


class Model:
    """Keys with what they hold, and a revision."""

    def __init__(self, leases: set[int], revision: int) -> None:
        self.leases = leases
        self.keys: dict[bytes, KvRecord] = {}
        self.revision = revision
        self._changed = False
        self._deleted = self._answer_bytes = 0

    def apply(self, command: command_pb2.TxnCommand) -> TxnResult | Failed:
        before = self.keys.copy()
        self._changed = False
        self._deleted = self._answer_bytes = 0
        try:
            result = self._run(command)
        except _FailedError as error:
            self.keys = before
            (failed,) = error.args
            return failed
        self.revision += self._changed
        return result

    def attached(self, lease_id: int) -> list[bytes]:
        return sorted(key for key, record in self.keys.items() if record.lease_id == lease_id)

    def _select(self, start: bytes, end: bytes) -> list[bytes]:
        return sorted(key for key in self.keys if start <= key and (not end or key < end))

    def _run(self, command: command_pb2.TxnCommand) -> TxnResult:
        succeeded = True
        for compare in command.compares:
            succeeded = succeeded and self._holds(compare)
        chosen = command.success if succeeded else command.failure
        results: list[TxnOperationResult] = []
        for operation in chosen:
            kind = operation.WhichOneof("operation")
            results.append(getattr(self, f"_{kind}")(getattr(operation, kind)))
        return TxnResult(succeeded, tuple(results))

    def _holds(self, compare: command_pb2.TxnCommand.Compare) -> bool:
        if not compare.is_range:
            return self._relates(compare, self.keys.get(compare.start))
        keys = self._select(compare.start, compare.end)
        if len(keys) > compares.COMPARED_KEYS_MAX:
            self._too_large(compares.COMPARED_KEYS_MAX)
        return all(self._relates(compare, self.keys[key]) for key in keys)

    @staticmethod
    def _relates(compare: command_pb2.TxnCommand.Compare, record: KvRecord | None) -> bool:
        relates = [operator.eq, operator.ne, operator.lt, operator.gt][compare.relation - 1]
        kind = compare.WhichOneof("operand")
        operand = getattr(compare, kind)
        if kind == "exists":
            return relates(record is not None, operand)
        if kind == "value":
            return record is not None and relates(record.value, operand)
        return relates(getattr(record, kind) if record else 0, operand)

    def _put(self, put: command_pb2.PutCommand) -> PutResult:
        if put.lease_id and put.lease_id not in self.leases:
            raise _FailedError(Failed(FailureReason.LEASE_NOT_FOUND, put.lease_id))
        previous = self.keys.get(put.key)
        revision = self.revision + 1
        self.keys[put.key] = KvRecord(
            put.value,
            previous.create_revision if previous else revision,
            revision,
            previous.version + 1 if previous else 1,
            put.lease_id,
        )
        self._changed = True
        return PutResult(self._answer(put.key, previous) if put.return_previous else None)

    def _delete(self, delete: command_pb2.DeleteCommand) -> DeleteResult:
        previous = self.keys.pop(delete.key, None)
        self._changed |= previous is not None
        return DeleteResult(
            previous is not None, self._answer(delete.key, previous) if delete.return_previous else None
        )

    def _delete_range(self, command: command_pb2.DeleteRangeCommand) -> DeleteRangeResult:
        keys = self._select(command.start, command.end)
        doomed = keys[: command.limit]
        for key in doomed:
            del self.keys[key]
        self._changed |= bool(doomed)
        self._deleted += len(doomed)
        if self._deleted > txn.DELETED_KEYS_MAX:
            self._too_large(txn.DELETED_KEYS_MAX)
        return DeleteRangeResult(len(doomed), len(keys) > len(doomed))

    def _get(self, get: command_pb2.TxnCommand.Get) -> GetResult:
        return GetResult(self._answer(get.key, self.keys.get(get.key)))

    def _range(self, command: command_pb2.TxnCommand.Range) -> RangeResult:
        keys = self._select(command.start, command.end)
        if command.reverse:
            keys.reverse()
        rows = []
        if not command.count_only:
            for key in keys[: command.limit]:
                record = self.keys[key]
                if command.keys_only:
                    record = KvRecord(
                        b"", record.create_revision, record.mod_revision, record.version, record.lease_id
                    )
                self._answer(key, record)
                rows.append((key, record))
        return RangeResult(tuple(rows), min(len(keys), command.limit + 1))

    def _txn(self, command: command_pb2.TxnCommand) -> TxnResult:
        return self._run(command)

    def _answer(self, key: bytes, record: KvRecord | None) -> KvRecord | None:
        if record is not None:
            self._answer_bytes += len(key) + len(record.value) + txn.RECORD_BYTES
            if self._answer_bytes > txn.ANSWER_BYTES_MAX:
                self._too_large(txn.ANSWER_BYTES_MAX)
        return record

    @staticmethod
    def _too_large(limit: int) -> None:
        raise _FailedError(Failed(FailureReason.RANGE_TOO_LARGE, limit))
