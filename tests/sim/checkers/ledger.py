"""What the log says, against what the clients were told.

The log is the order of all commands, so nothing has to be searched for: a second, much simpler machine
(a dictionary) applies the very commands that the cluster has applied and says what each should have
answered. Commands carry the number of their operation in a field that the real machine does not know,
so that the ledger can tell whether a command was applied never, once, or twice.
"""

from __future__ import annotations

import operator
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kvraft.machine.records import KvRecord
from kvraft.machine.results import (
    BatchWriteResult,
    CompareAndSetResult,
    DeleteRangeResult,
    DeleteResult,
    GetResult,
    PutResult,
    RegisterClientResult,
    Result,
    TxnOperationResult,
    TxnResult,
)
from kvraft.raft.types import Entry, EntryKind, Index
from kvraft.v1 import command_pb2, kv_pb2
from tests.sim.history import (
    Batch,
    Change,
    Compare,
    CompareAndSet,
    Delete,
    DeleteRange,
    Freshness,
    Get,
    Operand,
    Operation,
    Outcome,
    Put,
    Read,
    Register,
    Relation,
    Rows,
    Txn,
    TxnOperations,
    Violation,
    Write,
)

Changes = list[tuple[bytes, bytes | None]]
NO_OPERATION = 0
"""Marks a command of nobody whose answers count; it changes nothing."""

_ON_THE_WIRE = {
    Relation.EQUAL: kv_pb2.Compare.RELATION_EQUAL,
    Relation.NOT_EQUAL: kv_pb2.Compare.RELATION_NOT_EQUAL,
    Relation.LESS: kv_pb2.Compare.RELATION_LESS,
    Relation.GREATER: kv_pb2.Compare.RELATION_GREATER,
}
_RELATES: dict[Relation, Callable[[Any, Any], bool]] = {
    Relation.EQUAL: operator.eq,
    Relation.NOT_EQUAL: operator.ne,
    Relation.LESS: operator.lt,
    Relation.GREATER: operator.gt,
}

# Field 2047 of `Command`, which does not exist, as a fixed 64-bit number: tag, then 8 bytes.
_TAG = b"\xf9\x7f"


def encode(request: Write, number: int, request_id: tuple[int, int] | None = None) -> bytes:
    """The command for a request, marked with its operation's number. A numbered one comes from a caller
    that has all its earlier answers."""
    command = command_pb2.Command()
    if request_id is not None:
        command.client_id, command.sequence = request_id
        command.first_unacknowledged = command.sequence
    match request:
        case Put():
            command.put.key, command.put.value = request.key, request.value
            command.put.return_previous = request.return_previous
        case Delete():
            command.delete.key = request.key
            command.delete.return_previous = request.return_previous
        case DeleteRange():
            command.delete_range.start, command.delete_range.end = request.start, request.end
            command.delete_range.limit = request.limit
        case CompareAndSet():
            command.compare_and_set.key = request.key
            command.compare_and_set.expected_revision = request.expected_revision
            command.compare_and_set.value = request.value or b""
            command.compare_and_set.delete = request.value is None
        case Batch():
            batch = command.batch_write
            for position, (key, value) in enumerate(request.operations):
                batch.keys.append(key)
                batch.values.append(value or b"")
                if value is None:
                    batch.deletes.append(position)
        case Txn():
            _fill_txn(command.txn, request)
        case Register():
            command.register_client.SetInParent()
    return mark(command, number)


def mark(command: command_pb2.Command, number: int) -> bytes:
    """The command's bytes, marked with its operation's number."""
    return command.SerializeToString() + _TAG + number.to_bytes(8, "little")


def _fill_txn(command: command_pb2.TxnCommand, request: Txn) -> None:
    for compare in request.compares:
        relation = _ON_THE_WIRE[compare.relation]
        added = command.compares.add(start=compare.key, relation=relation)
        to = bool(compare.to) if compare.operand is Operand.EXISTS else compare.to
        setattr(added, compare.operand.value, to)
    command.SetInParent()
    for branch, operations in ((command.success, request.success), (command.failure, request.failure)):
        for operation in operations:
            match operation:
                case Put(key=key, value=value, return_previous=previous):
                    branch.add(put=command_pb2.PutCommand(key=key, value=value, return_previous=previous))
                case Delete(key=key, return_previous=previous):
                    branch.add(delete=command_pb2.DeleteCommand(key=key, return_previous=previous))
                case Get(key=key):
                    branch.add(get=command_pb2.TxnCommand.Get(key=key))


def operation_number(command: bytes) -> int:
    """The number with which a command was marked."""
    assert command[-10:-8] == _TAG, command
    return int.from_bytes(command[-8:], "little")


@dataclass(frozen=True, slots=True)
class Posting:
    """A command in the log: its place among all commands, and what it should have answered."""

    position: int
    revision: int
    result: Result


class Ledger:
    """The committed commands of a whole run, applied to a dictionary."""

    def __init__(self, applied: Mapping[Index, Entry], operations: Mapping[int, Operation]) -> None:
        """`applied`: every entry that any node has applied. Raises Violation if one is missing, or
        if a command was applied twice."""
        self.rows: Rows = {}
        self.revision = 0
        self.postings: dict[int, Posting] = {}
        self.changes: dict[int, list[Change]] = {}
        """What each revision has changed, in order."""
        self._operations = operations
        self._versions: dict[bytes, list[tuple[int, KvRecord | None]]] = {}
        self._changed_by: dict[int, Operation] = {}
        """Which operation made each revision."""
        self._position_of: list[int] = [0]
        """Which position made each revision."""
        position = 0
        for index in range(1, len(applied) + 1):
            if Index(index) not in applied:
                raise Violation(f"entry {index} of {len(applied)} was never applied")
            entry = applied[Index(index)]
            if entry.kind is not EntryKind.COMMAND:
                continue
            for group in command_pb2.CommandBatch.FromString(entry.data).groups:
                for command in group.commands:
                    position += 1
                    self._post(position, operation_number(command))

    def _post(self, position: int, number: int) -> None:
        if number == NO_OPERATION:
            return
        operation = self._operations[number]
        if number in self.postings:
            if operation.request_id is not None:
                return  # repeated by its caller, and to be applied once
            raise Violation(f"applied twice: {operation}")
        assert not isinstance(operation.request, Read)
        changes, result = self._execute(operation.request)
        if changes or isinstance(operation.request, Register):
            self.revision += 1
            for key, value in changes:
                self._set(key, value)
            self._changed_by[self.revision] = operation
            self._position_of.append(position)
        self.postings[number] = Posting(position, self.revision, result)

    def _set(self, key: bytes, value: bytes | None) -> None:
        old, new = _write(self.rows, key, value, self.revision)
        self._versions.setdefault(key, []).append((self.revision, new))
        self.changes.setdefault(self.revision, []).append(Change(key, new, old))

    def _execute(self, request: Write) -> tuple[Changes, Result]:
        """What changes, and the answer."""
        rows = self.rows
        match request:
            case Put(key=key, value=value):
                return [(key, value)], PutResult(rows.get(key) if request.return_previous else None)
            case Delete(key=key):
                if key not in rows:
                    return [], DeleteResult(False, None)
                return [(key, None)], DeleteResult(True, rows[key] if request.return_previous else None)
            case DeleteRange():
                doomed = sorted(filter(request.covers, rows))
                result = DeleteRangeResult(min(len(doomed), request.limit), len(doomed) > request.limit)
                return [(key, None) for key in doomed[: request.limit]], result
            case CompareAndSet(key=key, value=value):
                current = rows.get(key)
                if (current.mod_revision if current else 0) != request.expected_revision:
                    return [], CompareAndSetResult(False, current)
                unchanged = value is None and current is None
                return [] if unchanged else [(key, value)], CompareAndSetResult(True, None)
            case Batch():
                return self._execute_batch(request)
            case Txn():
                return self._execute_txn(request)
            case Register():
                return [], RegisterClientResult(self.revision + 1)

    def _execute_batch(self, request: Batch) -> tuple[Changes, Result]:
        present = {key: key in self.rows for key, _ in request.operations}
        changes: Changes = []
        existed = []
        for key, value in request.operations:
            existed.append(present[key])
            if value is not None or present[key]:
                changes.append((key, value))
            present[key] = value is not None
        return changes, BatchWriteResult(tuple(existed))

    def _execute_txn(self, request: Txn) -> tuple[Changes, Result]:
        succeeded = all(_holds(compare, self.rows.get(compare.key)) for compare in request.compares)
        changes, results = self._do(request.success if succeeded else request.failure)
        return changes, TxnResult(succeeded, tuple(results))

    def _do(self, operations: TxnOperations) -> tuple[Changes, list[TxnOperationResult]]:
        """Each sees what those before it have done."""
        rows, revision = dict(self.rows), self.revision + 1
        changes: Changes = []
        results: list[TxnOperationResult] = []
        for operation in operations:
            key, held = operation.key, rows.get(operation.key)
            match operation:
                case Get():
                    results.append(GetResult(held))
                case Put(value=value):
                    results.append(PutResult(held if operation.return_previous else None))
                    _write(rows, key, value, revision)
                    changes.append((key, value))
                case Delete():
                    previous = held if operation.return_previous else None
                    results.append(DeleteResult(held is not None, previous))
                    if held is not None:
                        _write(rows, key, None, revision)
                        changes.append((key, None))
        return changes, results

    # --- checks -------------------------------------------------------------------------------

    def check(self) -> None:
        """Raises Violation for the first answer that the log contradicts."""
        for operation in self._operations.values():
            self._check_answer(operation)
        self._check_real_time()

    def rows_at(self, read: Read, revision: int) -> Rows:
        """What a read should see of the state at a revision."""
        seen: Rows = {}
        for key, versions in self._versions.items():
            if read.covers(key):
                place = bisect_right(versions, revision, key=lambda version: version[0])
                record = versions[place - 1][1] if place else None
                if record is not None:
                    seen[key] = record
        return seen

    def _check_answer(self, operation: Operation) -> None:
        posting = self.postings.get(operation.number)
        request = operation.request
        if isinstance(request, Read):
            if operation.outcome is Outcome.DONE:
                self._check_read(operation, request)
            return
        if operation.outcome is Outcome.NOT_APPLIED and posting is not None:
            raise Violation(f"applied all the same, at revision {posting.revision}: {operation}")
        if operation.outcome is not Outcome.DONE:
            return
        if posting is None:
            raise Violation(f"an acknowledged write is lost: {operation}")
        if (posting.revision, posting.result) != (operation.revision, operation.result):
            raise Violation(f"revision {posting.revision} and {posting.result} were due: {operation}")

    def _check_read(self, operation: Operation, read: Read) -> None:
        revision = operation.revision
        if revision > self.revision:
            raise Violation(f"revision {revision} was never committed: {operation}")
        if revision < read.min_revision:
            raise Violation(f"older than asked for: {operation}")
        due = self.rows_at(read, revision)
        if operation.rows != due:
            raise Violation(f"at revision {revision} the state is {due}: {operation}")
        maker = self._changed_by.get(revision)
        if maker is not None and maker.invoked > operation.returned:
            raise Violation(f"a read from the future:\n  {operation}\n  {maker}")

    def _check_real_time(self) -> None:
        """What was called after something had returned comes after it in the log."""
        moments: list[tuple[int, bool, Operation]] = []
        for operation in self._operations.values():
            request = operation.request
            if isinstance(request, Read):
                if operation.outcome is not Outcome.DONE or request.freshness is not Freshness.LINEARIZABLE:
                    continue
            elif operation.number not in self.postings:
                continue
            moments.append((operation.invoked, False, operation))
            if operation.outcome is Outcome.DONE:
                moments.append((operation.returned, True, operation))
        moments.sort(key=lambda moment: moment[0])
        floor, floor_revision, by = 0, 0, None
        for _, is_return, operation in moments:
            posting = self.postings.get(operation.number)
            if is_return:
                position = self._position_of[operation.revision] if posting is None else posting.position
                revision = operation.revision
                if position > floor or revision > floor_revision:
                    floor, floor_revision, by = max(position, floor), max(revision, floor_revision), operation
            elif posting is not None and posting.position <= floor:
                raise Violation(f"went before one that had returned:\n  {by}\n  {operation}")
        self._check_reads_are_fresh(moments)

    def _check_reads_are_fresh(self, moments: Iterable[tuple[int, bool, Operation]]) -> None:
        floor, by = 0, None
        floors: dict[int, tuple[int, Operation | None]] = {}
        for _, is_return, operation in moments:
            if not is_return:
                floors[operation.number] = floor, by
                continue
            if isinstance(operation.request, Read) and operation.revision < floors[operation.number][0]:
                raise Violation(f"a stale read:\n  {operation}\nafter\n  {floors[operation.number][1]}")
            if operation.revision > floor:
                floor, by = operation.revision, operation


def _write(
    rows: Rows, key: bytes, value: bytes | None, revision: int
) -> tuple[KvRecord | None, KvRecord | None]:
    """Makes a key hold a value (None: nothing). What it held before, and what it holds now."""
    old = rows.pop(key, None)
    if value is None:
        return old, None
    created, version = (old.create_revision, old.version + 1) if old else (revision, 1)
    rows[key] = new = KvRecord(value, created, revision, version)
    return old, new


def _holds(compare: Compare, record: KvRecord | None) -> bool:
    """Of a key that does not exist the numbers are 0, and no comparison with a value holds."""
    relates = _RELATES[compare.relation]
    match compare.operand:
        case Operand.VALUE:
            return record is not None and relates(record.value, compare.to)
        case Operand.VERSION:
            return relates(record.version if record else 0, compare.to)
        case Operand.MOD_REVISION:
            return relates(record.mod_revision if record else 0, compare.to)
        case Operand.EXISTS:
            return relates(int(record is not None), compare.to)
