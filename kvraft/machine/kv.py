"""The commands of the key-value space, and how it is read."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat

from kvraft.machine import keys, leases
from kvraft.machine.records import KvRecord, mod_revision
from kvraft.machine.results import (
    BatchWriteResult,
    CompareAndSetResult,
    DeleteRangeResult,
    DeleteResult,
    Failed,
    FailureReason,
    PutResult,
)
from kvraft.machine.space import KvSpace
from kvraft.machine.work import COMMAND_WORK_MAX, of_row
from kvraft.storage.interfaces import StateReader
from kvraft.v1 import command_pb2

_PLAIN_PUT = PutResult(None)


def put(space: KvSpace, command: command_pb2.PutCommand) -> PutResult | Failed:
    """Stores the value."""
    lease_id = command.lease_id
    if lease_id and not leases.exists(space.state, lease_id):
        return Failed(FailureReason.LEASE_NOT_FOUND, lease_id)
    previous = space.put(command.key, command.value, lease_id)
    if previous is None or not command.return_previous:
        return _PLAIN_PUT
    return PutResult(KvRecord.decode(previous))


def delete(space: KvSpace, command: command_pb2.DeleteCommand) -> DeleteResult:
    """Deletes the key, if it exists."""
    previous = space.get(command.key)
    if previous is None:
        return DeleteResult(False, None)
    space.delete(command.key, previous)
    return DeleteResult(True, KvRecord.decode(previous) if command.return_previous else None)


def delete_range(space: KvSpace, command: command_pb2.DeleteRangeCommand) -> DeleteRangeResult:
    """Deletes the first `limit` keys of the range, or fewer if that would be more work than a command may
    take."""
    rows = space.state.scan(*keys.kv_range(command.start, command.end))
    doomed: list[tuple[bytes, bytes]] = []
    left = COMMAND_WORK_MAX - space.work
    more = False
    for row_key, row in rows:
        left -= of_row(row)
        more = len(doomed) == command.limit or left < 0
        if more:
            break
        doomed.append((row_key, row))
    for row_key, row in doomed:
        space.delete(keys.kv_user_key(row_key), row)
    return DeleteRangeResult(len(doomed), more)


def compare_and_set(
    space: KvSpace, command: command_pb2.CompareAndSetCommand
) -> CompareAndSetResult | Failed:
    """Stores or deletes if the modification revision is the expected one."""
    previous = space.get(command.key)
    if mod_revision(previous) != command.expected_revision:
        return CompareAndSetResult(False, None if previous is None else KvRecord.decode(previous))
    if not command.delete:
        if command.lease_id and not leases.exists(space.state, command.lease_id):
            return Failed(FailureReason.LEASE_NOT_FOUND, command.lease_id)
        space.put(command.key, command.value, command.lease_id)
    elif previous is not None:
        space.delete(command.key, previous)
    return CompareAndSetResult(True, None)


def batch_write(space: KvSpace, command: command_pb2.BatchWriteCommand) -> BatchWriteResult | Failed:
    """Applies puts and deletes in order, all or, if a lease does not exist, none."""
    for lease_id in command.lease_ids:
        if lease_id and not leases.exists(space.state, lease_id):
            return Failed(FailureReason.LEASE_NOT_FOUND, lease_id)
    deletes = set(command.deletes)
    existed: list[bool] = []
    space.work += len(command.keys)
    operations = zip(command.keys, command.values, command.lease_ids or repeat(0), strict=False)
    for number, (key, value, lease_id) in enumerate(operations):
        if number not in deletes:
            existed.append(space.put(key, value, lease_id) is not None)
            continue
        previous = space.get(key)
        existed.append(previous is not None)
        if previous is not None:
            space.delete(key, previous)
    return BatchWriteResult(tuple(existed))


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
