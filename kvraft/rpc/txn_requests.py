"""Requests of Txn: checked against the limits, and turned into the command of the log.

What holds for a put, a delete or a deleted range by itself holds inside a transaction, so
`kv_requests` judges those. A refusal names the field by its whole path, such as `success[2].put.key`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kvraft.errors import RequestError
from kvraft.rpc import kv_requests
from kvraft.rpc.kv_requests import PAGE_SIZE_MAX, REQUEST_BYTES_MAX, VALUE_BYTES_MAX, Write, invalid
from kvraft.v1 import command_pb2, kv_pb2

OPERATIONS_MAX = 128
"""Comparisons and operations, those of nested transactions counted with the rest."""
DEPTH_MAX = 8
"""Transactions inside each other, the outermost counted. Protobuf reads messages only so deep (100), and
what is proposed must be readable in every message that will carry it."""

_WRITES: dict[str, Callable[[Any], Write]] = {
    "put": kv_requests.put_command,
    "delete": kv_requests.delete_command,
    "delete_range": kv_requests.delete_range_command,
}

_RELATIONS = frozenset(kv_pb2.Compare.Relation.values())
_OF_EXISTENCE = (kv_pb2.Compare.RELATION_EQUAL, kv_pb2.Compare.RELATION_NOT_EQUAL)


def txn_command(request: kv_pb2.TxnRequest) -> Write:
    """The command of Txn. Raises RequestError."""
    size_bytes = request.ByteSize()
    if size_bytes > REQUEST_BYTES_MAX:
        raise invalid(
            "success",
            f"and the rest make a request of {size_bytes:,} bytes; at most {REQUEST_BYTES_MAX:,} are allowed",
        )
    command = command_pb2.Command()
    kv_requests.number(command, request.request_id)
    conversion = _Conversion()
    conversion.transaction(request, command.txn, depth=1)
    return Write(command.SerializeToString(), conversion.grows_state)


class _Conversion:
    """A request on its way to a command."""

    __slots__ = ("_operations", "grows_state")

    def __init__(self) -> None:
        self.grows_state = False
        """Whether any branch can."""
        self._operations = 0

    def transaction(self, request: kv_pb2.TxnRequest, txn: command_pb2.TxnCommand, *, depth: int) -> None:
        txn.SetInParent()
        for position, compare in enumerate(request.compares):
            try:
                self._count()
                _fill_compare(compare, txn.compares.add())
            except RequestError as error:
                raise _within(f"compares[{position}]", error) from None
        for name, operations, added in (
            ("success", request.success, txn.success),
            ("failure", request.failure, txn.failure),
        ):
            for position, operation in enumerate(operations):
                try:
                    self._operation(operation, added.add(), depth)
                except RequestError as error:
                    raise _within(f"{name}[{position}]", error) from None

    def _count(self) -> None:
        self._operations += 1
        if self._operations > OPERATIONS_MAX:
            raise invalid(
                "", f"is one too many: a transaction has at most {OPERATIONS_MAX} compares and operations"
            )

    def _operation(
        self, operation: kv_pb2.TxnOperation, added: command_pb2.TxnCommand.Operation, depth: int
    ) -> None:
        self._count()
        kind = operation.WhichOneof("operation")
        if kind is None:
            raise invalid("", "is empty; set one of its fields")
        try:
            match kind:
                case "get":
                    _fill_get(operation.get, added.get)
                case "range":
                    _fill_range(operation.range, added.range)
                case "txn":
                    _refuse_number(operation.txn)
                    if depth == DEPTH_MAX:
                        raise invalid(
                            "", f"is too deep: at most {DEPTH_MAX} transactions are inside each other"
                        )
                    self.transaction(operation.txn, added.txn, depth=depth + 1)
                case _:
                    request = getattr(operation, kind)
                    _refuse_number(request)
                    write = _WRITES[kind](request)
                    command = command_pb2.Command.FromString(write.command)
                    getattr(added, kind).CopyFrom(getattr(command, kind))
                    self.grows_state |= write.grows_state
        except RequestError as error:
            raise _within(kind, error) from None


def _fill_compare(compare: kv_pb2.Compare, added: command_pb2.TxnCommand.Compare) -> None:
    target, operand = compare.WhichOneof("target"), compare.WhichOneof("operand")
    if target is None:
        raise invalid("target", "is not set; set either `key` or `range`")
    if operand is None:
        raise invalid("operand", "is not set; say with what to compare, such as `version`")
    if compare.relation not in _RELATIONS:
        raise invalid("relation", f"is {compare.relation}, which this node does not know")
    relation = compare.relation or kv_pb2.Compare.RELATION_EQUAL
    if operand == "exists":
        if target == "range":
            raise invalid("exists", "is set with `range`; only of one key it can be asked whether it exists")
        if relation not in _OF_EXISTENCE:
            raise invalid("relation", "says that something exists more or less; use EQUAL or NOT_EQUAL")
    if operand == "value" and len(compare.value) > VALUE_BYTES_MAX:
        raise invalid("value", f"has {len(compare.value):,} bytes; a value has at most {VALUE_BYTES_MAX:,}")
    if target == "key":
        kv_requests.check_key("key", compare.key)
        added.start = compare.key
    else:
        added.start, added.end = kv_requests.check_range(compare.range)
        added.is_range = True
    added.relation = relation
    setattr(added, operand, getattr(compare, operand))


def _fill_get(request: kv_pb2.GetRequest, added: command_pb2.TxnCommand.Get) -> None:
    _refuse_consistency(request)
    kv_requests.check_key("key", request.key)
    added.key = request.key


def _fill_range(request: kv_pb2.RangeRequest, added: command_pb2.TxnCommand.Range) -> None:
    _refuse_consistency(request)
    if request.page_token:
        raise invalid("page_token", "is set; inside a transaction a range has no pages")
    added.start, added.end = kv_requests.check_range(request.range)
    limit = kv_requests.check_page_size(request.page_size)
    added.limit = PAGE_SIZE_MAX if request.count_only and not request.page_size else limit
    added.reverse = request.reverse
    added.keys_only = request.keys_only
    added.count_only = request.count_only


def _refuse_number(
    request: kv_pb2.PutRequest | kv_pb2.DeleteRequest | kv_pb2.DeleteRangeRequest | kv_pb2.TxnRequest,
) -> None:
    if request.HasField("request_id"):
        raise invalid("request_id", "is set; inside a transaction the outermost one has the number")


def _refuse_consistency(request: kv_pb2.GetRequest | kv_pb2.RangeRequest) -> None:
    for field in ("consistency", "min_revision"):
        if getattr(request, field):
            raise invalid(field, "is set; a transaction reads the newest state, which it changes")


def _within(path: str, error: RequestError) -> RequestError:
    """The refusal of a field inside; that of the thing itself has an empty field."""
    assert error.field is not None, error
    field = f"{path}.{error.field}" if error.field else path
    return invalid(field, str(error).removeprefix(error.field).lstrip())
