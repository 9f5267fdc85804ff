"""The key-value space: how its commands change it and how it is read.

A command that changes something is given `revision` and says so; one that changes nothing leaves
the state as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from kvraft.machine import keys
from kvraft.machine.records import KvRecord, encode_next, mod_revision
from kvraft.machine.results import (
    BatchWriteResult,
    CompareAndSetResult,
    DeleteRangeResult,
    DeleteResult,
    PutResult,
)
from kvraft.storage.interfaces import StateReader, StateTransaction
from kvraft.v1 import command_pb2


def put(state: StateTransaction, command: command_pb2.PutCommand, revision: int) -> tuple[bool, PutResult]:
    """Stores the value."""
    row_key = keys.kv_key(command.key)
    previous = state.get(row_key)
    state.put(row_key, encode_next(previous, command.value, revision), previous)
    wanted = previous if command.return_previous else None
    return True, PutResult(None if wanted is None else KvRecord.decode(wanted))


def delete(
    state: StateTransaction, command: command_pb2.DeleteCommand, _revision: int
) -> tuple[bool, DeleteResult]:
    """Deletes the key, if it exists."""
    row_key = keys.kv_key(command.key)
    previous = state.get(row_key)
    if previous is None:
        return False, DeleteResult(False, None)
    state.delete(row_key, previous)
    return True, DeleteResult(True, KvRecord.decode(previous) if command.return_previous else None)


def delete_range(
    state: StateTransaction, command: command_pb2.DeleteRangeCommand, _revision: int
) -> tuple[bool, DeleteRangeResult]:
    """Deletes the first `limit` keys of the range."""
    rows = state.scan(*keys.kv_range(command.start, command.end))
    doomed = list(islice(rows, command.limit + 1))
    more = len(doomed) > command.limit
    if more:
        doomed.pop()
    for row_key, row in doomed:
        state.delete(row_key, row)
    return bool(doomed), DeleteRangeResult(len(doomed), more)


def compare_and_set(
    state: StateTransaction, command: command_pb2.CompareAndSetCommand, revision: int
) -> tuple[bool, CompareAndSetResult]:
    """Stores or deletes if the modification revision is the expected one."""
    row_key = keys.kv_key(command.key)
    previous = state.get(row_key)
    if mod_revision(previous) != command.expected_revision:
        return False, CompareAndSetResult(False, None if previous is None else KvRecord.decode(previous))
    if not command.delete:
        state.put(row_key, encode_next(previous, command.value, revision), previous)
        return True, CompareAndSetResult(True, None)
    if previous is None:
        return False, CompareAndSetResult(True, None)
    state.delete(row_key, previous)
    return True, CompareAndSetResult(True, None)


def batch_write(
    state: StateTransaction, command: command_pb2.BatchWriteCommand, revision: int
) -> tuple[bool, BatchWriteResult]:
    """Applies puts and deletes in order; the hottest loop of the machine."""
    get, put_row, kv_key = state.get, state.put, keys.kv_key
    changed = False
    existed: list[bool] = []
    for operation in command.operations:
        row_key = kv_key(operation.key)
        previous = get(row_key)
        existed.append(previous is not None)
        if not operation.delete:
            put_row(row_key, encode_next(previous, operation.value, revision), previous)
            changed = True
        elif previous is not None:
            state.delete(row_key, previous)
            changed = True
    return changed, BatchWriteResult(tuple(existed))


def get(reader: StateReader, key: bytes) -> KvRecord | None:
    """What the key holds."""
    row = reader.get(keys.kv_key(key))
    return None if row is None else KvRecord.decode(row)


def scan(
    reader: StateReader, start: bytes, end: bytes, *, reverse: bool = False
) -> Iterator[tuple[bytes, KvRecord]]:
    """The keys of [start, end) with what they hold; an empty `end` is the end of the space."""
    for row_key, row in reader.scan(*keys.kv_range(start, end), reverse=reverse):
        yield keys.kv_user_key(row_key), KvRecord.decode(row)
