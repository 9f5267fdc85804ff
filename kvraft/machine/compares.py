"""The comparisons of transactions: of a key, or of every key of a range, with an operand."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from kvraft.machine import kv
from kvraft.machine.errors import UnknownCommandError
from kvraft.machine.records import KvRecord
from kvraft.machine.space import KvSpace
from kvraft.machine.work import of_row
from kvraft.v1 import command_pb2, kv_pb2

COMPARED_KEYS_MAX = 1_000
"""Keys that exist in the range of one comparison."""

_RELATIONS: dict[int, Callable[[Any, Any], bool]] = {
    kv_pb2.Compare.RELATION_EQUAL: operator.eq,
    kv_pb2.Compare.RELATION_NOT_EQUAL: operator.ne,
    kv_pb2.Compare.RELATION_LESS: operator.lt,
    kv_pb2.Compare.RELATION_GREATER: operator.gt,
}
_ABSENT = KvRecord(b"", create_revision=0, mod_revision=0, version=0)


class TooManyKeysError(Exception):
    """A comparison is over more than `COMPARED_KEYS_MAX` keys."""


def holds(space: KvSpace, compare: command_pb2.TxnCommand.Compare) -> bool:
    """Raises TooManyKeysError, TooMuchWorkError, UnknownCommandError."""
    if not compare.is_range:
        record = kv.get(space.state, compare.start)
        space.spend(of_row(None if record is None else record.value))
        return _holds(compare, record)
    every = True
    # Counted to the end even when one does not hold: whether a range is too large must depend on its keys
    # alone.
    for count, (_, record) in enumerate(kv.scan(space.state, compare.start, compare.end), 1):
        if count > COMPARED_KEYS_MAX:
            raise TooManyKeysError
        space.spend(of_row(record.value))
        every = every and _holds(compare, record)
    return every


def _holds(compare: command_pb2.TxnCommand.Compare, record: KvRecord | None) -> bool:
    """For one key, and what it holds (None: it does not exist)."""
    relates = _RELATIONS.get(compare.relation)
    if relates is None:
        raise UnknownCommandError(
            f"a comparison has relation {compare.relation}, which this node does not know"
        )
    numbers = record or _ABSENT
    match compare.WhichOneof("operand"):
        case "value":
            return record is not None and relates(record.value, compare.value)
        case "version":
            return relates(numbers.version, compare.version)
        case "create_revision":
            return relates(numbers.create_revision, compare.create_revision)
        case "mod_revision":
            return relates(numbers.mod_revision, compare.mod_revision)
        case "lease_id":
            return relates(numbers.lease_id, compare.lease_id)
        case "exists":
            return relates(record is not None, compare.exists)
        case kind:
            raise UnknownCommandError(f"a comparison is with {kind}, which this node does not know")
