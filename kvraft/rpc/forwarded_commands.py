"""Commands that another node forwards: checked as a client's are, before they are proposed.

What is in the log is applied on every node, and what cannot be applied would stop them all. A correct node
forwards only what its own services made of requests that they had checked, so whatever fails here is a broken
node's, or of a version that this leader does not know. The rules are those of the services; a rule of theirs
that the machine does not rely on (which fields of a request go together) is not asked for again.
"""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.message import DecodeError

from kvraft.machine.keys import KEY_BYTES_MAX
from kvraft.node.expiry import CANDIDATES_MAX
from kvraft.raft.types import Term
from kvraft.rpc import lease_requests, txn_requests
from kvraft.rpc.kv_requests import (
    BATCH_OPERATIONS_MAX,
    BOUND_BYTES_MAX,
    DELETE_RANGE_LIMIT_MAX,
    PAGE_SIZE_MAX,
    REQUEST_BYTES_MAX,
    VALUE_BYTES_MAX,
    check_key,
    invalid,
)
from kvraft.rpc.pipeline_requests import BATCH_COMMANDS_MAX
from kvraft.rpc.users import user_requests
from kvraft.v1 import command_pb2

COMMAND_BYTES_MAX = 2 * REQUEST_BYTES_MAX
"""A command says what its request said, in another form."""
_RELATIONS = range(1, 5)


def check_commands(commands: Sequence[bytes], term: Term) -> None:
    """Raises RequestError unless every one may be in the log of a leader of `term`."""
    for data in commands:
        if len(data) > COMMAND_BYTES_MAX:
            raise invalid("command", f"has {len(data):,} bytes; at most {COMMAND_BYTES_MAX:,} are allowed")
        try:
            command = command_pb2.Command.FromString(data)
        except DecodeError as error:
            raise invalid("command", f"of {len(data)} bytes cannot be decoded: {error}") from None
        if command.client_id:
            _check_number(command)
        _check(command, term, is_inner=False)


def _check_number(command: command_pb2.Command) -> None:
    if not command.sequence or command.first_unacknowledged > command.sequence:
        raise invalid(
            "command", f"has number {command.sequence}, first unacknowledged {command.first_unacknowledged}"
        )


def _check(command: command_pb2.Command, term: Term, *, is_inner: bool) -> None:
    kind = command.WhichOneof("command")
    match kind:
        case "put":
            _check_put(command.put)
        case "delete":
            check_key("key", command.delete.key)
        case "delete_range":
            _check_delete_range(command.delete_range)
        case "compare_and_set":
            check_key("key", command.compare_and_set.key)
            _check_value(command.compare_and_set.value)
        case "batch_write":
            _check_batch(command.batch_write)
        case "txn":
            _check_txn(command.txn, depth=1, counted=0)
        case "list" if not is_inner:
            _check_list(command.list, term)
        case "grant_lease":
            _check_ttl(command.grant_lease.ttl_ms)
        case "renew_leases":
            lease_requests.check_renewals(command.renew_leases.lease_ids)
        case "revoke_lease":
            lease_requests.check_lease_id("lease_id", command.revoke_lease.lease_id)
        case "user_data":
            user_requests.check_command(command.user_data)
        case "expire" if not is_inner:
            _check_expire(command.expire, term)
        case "register_client" | "unregister_client" if not is_inner:
            pass
        case _:
            raise invalid("command", f"is of kind {kind}, which this leader does not take from others")


def _check_put(put: command_pb2.PutCommand) -> None:
    key, value = put.key, put.value
    if not 0 < len(key) <= KEY_BYTES_MAX:
        check_key("key", key)
    if len(value) > VALUE_BYTES_MAX:
        _check_value(value)


def _check_value(value: bytes) -> None:
    if len(value) > VALUE_BYTES_MAX:
        raise invalid("value", f"has {len(value):,} bytes; a value has at most {VALUE_BYTES_MAX:,}")


def _check_bounds(start: bytes, end: bytes) -> None:
    if len(start) > BOUND_BYTES_MAX or len(end) > BOUND_BYTES_MAX or (end and start >= end):
        raise invalid("range", f"goes from {len(start)} bytes to {len(end)}, and can hold no key")


def _check_delete_range(delete: command_pb2.DeleteRangeCommand) -> None:
    _check_bounds(delete.start, delete.end)
    if not 0 < delete.limit <= DELETE_RANGE_LIMIT_MAX:
        raise invalid("limit", f"is {delete.limit}")


def _check_batch(batch: command_pb2.BatchWriteCommand) -> None:
    count = len(batch.keys)
    deletes, lease_ids = list(batch.deletes), batch.lease_ids
    if not 0 < count <= BATCH_OPERATIONS_MAX or len(batch.values) != count:
        raise invalid("batch_write", f"has {count} keys and {len(batch.values)} values")
    if deletes != sorted(set(deletes)) or (deletes and deletes[-1] >= count):
        raise invalid("batch_write.deletes", "are not ascending places of operations")
    if lease_ids and len(lease_ids) != count:
        raise invalid("batch_write.lease_ids", f"are {len(lease_ids)}, of {count} operations")
    for key, value in zip(batch.keys, batch.values, strict=True):
        check_key("batch_write.keys", key)
        _check_value(value)


def _check_list(commands: command_pb2.CommandList, term: Term) -> None:
    if not 0 < len(commands.commands) <= BATCH_COMMANDS_MAX:
        raise invalid("list", f"holds {len(commands.commands)} commands")
    for each in commands.commands:
        if each.client_id:
            raise invalid("list", "holds a command with a number of its own")
        if each.WhichOneof("command") == "put":  # as nearly all are
            _check_put(each.put)
        else:
            _check(each, term, is_inner=True)


def _check_txn(txn: command_pb2.TxnCommand, *, depth: int, counted: int) -> int:
    """How many comparisons and operations were counted."""
    counted += len(txn.compares) + len(txn.success) + len(txn.failure)
    if depth > txn_requests.DEPTH_MAX or counted > txn_requests.OPERATIONS_MAX:
        raise invalid("txn", f"has more than {counted} parts, {depth} inside each other")
    for compare in txn.compares:
        _check_compare(compare)
    for branch in (txn.success, txn.failure):
        for operation in branch:
            counted = _check_operation(operation, depth, counted)
    return counted


def _check_compare(compare: command_pb2.TxnCommand.Compare) -> None:
    operand = compare.WhichOneof("operand")
    if operand is None or compare.relation not in _RELATIONS or (operand == "exists" and compare.is_range):
        raise invalid("txn.compares", f"hold relation {compare.relation} to {operand}")
    if compare.is_range:
        _check_bounds(compare.start, compare.end)
    else:
        check_key("txn.compares.start", compare.start)
    _check_value(compare.value)


def _check_operation(operation: command_pb2.TxnCommand.Operation, depth: int, counted: int) -> int:
    match operation.WhichOneof("operation"):
        case "put":
            _check_put(operation.put)
        case "delete":
            check_key("key", operation.delete.key)
        case "delete_range":
            _check_delete_range(operation.delete_range)
        case "get":
            check_key("key", operation.get.key)
        case "range":
            _check_bounds(operation.range.start, operation.range.end)
            if not 0 < operation.range.limit <= PAGE_SIZE_MAX:
                raise invalid("txn", f"reads a range with limit {operation.range.limit}")
        case "txn":
            return _check_txn(operation.txn, depth=depth + 1, counted=counted)
        case kind:
            raise invalid("txn", f"holds an operation of kind {kind}")
    return counted


def _check_ttl(ttl_ms: int) -> None:
    if not lease_requests.TTL_MS_MIN <= ttl_ms <= lease_requests.TTL_MS_MAX:
        raise invalid("ttl_ms", f"is {ttl_ms:,}")


def _check_expire(expire: command_pb2.ExpireCommand, term: Term) -> None:
    """Of a leader that is one no longer, and does nothing any more."""
    if expire.term >= term or max(len(expire.lease_ids), len(expire.client_ids)) > CANDIDATES_MAX:
        raise invalid("expire", f"is of term {expire.term}, and only the leader of term {term} ends things")
