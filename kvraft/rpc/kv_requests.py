"""Requests of KvService: checked against the limits, and turned into the commands of the log.

What passes here is stored for ever and applied on every node, so every rule of `kv.proto` is
enforced here and nowhere else. A refusal names the field as it is called in the request.
"""

from __future__ import annotations

from typing import NamedTuple

from kvraft.errors import Reason, RequestError
from kvraft.machine.keys import KEY_BYTES_MAX, prefix_end
from kvraft.v1 import command_pb2, common_pb2, kv_pb2

VALUE_BYTES_MAX = 1 << 20
REQUEST_BYTES_MAX = 4 << 20
"""Of a whole serialised request. Only a batch can come near it within the other limits."""
BATCH_OPERATIONS_MAX = 1_000
DELETE_RANGE_LIMIT_MAX = 10_000
"""Also the default."""
PAGE_SIZE_DEFAULT = 100
PAGE_SIZE_MAX = 1_000
BOUND_BYTES_MAX = KEY_BYTES_MAX + 1
"""Of a range's `start` and `end`: the first key after the longest key can be named."""


class Write(NamedTuple):
    """A command for the log."""

    command: bytes
    grows_state: bool
    work: int = 0
    """About how much it is, if that is known; 0: it is to be estimated."""


class Bounds(NamedTuple):
    """The keys from `start` up to and without `end`; an empty `end` is the end of the space."""

    start: bytes
    end: bytes


def invalid(field: str, problem: str) -> RequestError:
    """The refusal of a request because of one field."""
    return RequestError(Reason.INVALID_ARGUMENT, f"{field} {problem}", field=field)


def within(prefix: str, error: RequestError) -> RequestError:
    """What is wrong with a field of a part, as what is wrong with the field `prefix`.field of the whole; any
    other error as it is."""
    if error.reason is not Reason.INVALID_ARGUMENT or error.field is None:
        return error
    return invalid(f"{prefix}.{error.field}", str(error).removeprefix(error.field).lstrip())


def number(command: command_pb2.Command, request_id: common_pb2.RequestId) -> None:
    """Makes the command that of a registered client, if the request has a number."""
    if not request_id.client_id:
        if request_id.sequence or request_id.first_unacknowledged:
            raise invalid("request_id.client_id", "is not set, but another field of `request_id` is")
        return
    if not request_id.sequence:
        raise invalid("request_id.sequence", "is 0; numbers begin at 1")
    if request_id.first_unacknowledged > request_id.sequence:
        raise invalid("request_id.first_unacknowledged", "is greater than `sequence`")
    command.client_id = request_id.client_id
    command.sequence = request_id.sequence
    command.first_unacknowledged = request_id.first_unacknowledged


def put_command(request: kv_pb2.PutRequest) -> Write:
    """The command of Put."""
    key, value = request.key, request.value
    check_key("key", key)
    _check_value("value", value)
    command = command_pb2.Command(
        put={
            "key": key,
            "value": value,
            "return_previous": request.return_previous,
            "lease_id": request.lease_id,
        }
    )
    number(command, request.request_id)
    return Write(command.SerializeToString(), True)


def delete_command(request: kv_pb2.DeleteRequest) -> Write:
    """The command of Delete."""
    check_key("key", request.key)
    command = command_pb2.Command(delete={"key": request.key, "return_previous": request.return_previous})
    number(command, request.request_id)
    return Write(command.SerializeToString(), False)


def delete_range_command(request: kv_pb2.DeleteRangeRequest) -> Write:
    """The command of DeleteRange."""
    start, end = check_range(request.range)
    limit = request.limit or DELETE_RANGE_LIMIT_MAX
    if limit > DELETE_RANGE_LIMIT_MAX:
        raise invalid("limit", f"is {limit:,}; at most {DELETE_RANGE_LIMIT_MAX:,} keys are deleted at once")
    command = command_pb2.Command(delete_range={"start": start, "end": end, "limit": limit})
    number(command, request.request_id)
    return Write(command.SerializeToString(), False)


def compare_and_set_command(request: kv_pb2.CompareAndSetRequest) -> Write:
    """The command of CompareAndSet."""
    check_key("key", request.key)
    update = request.WhichOneof("update")
    if update is None:
        raise invalid("update", "is not set; set either `value` or `delete`")
    if update == "value":
        _check_value("value", request.value)
    elif not request.delete:
        raise invalid("delete", "is false; set it to true to delete the key, or set `value`")
    elif request.lease_id:
        raise invalid("lease_id", "is set, but a deleted key has no lease")
    command = command_pb2.Command(
        compare_and_set={
            "key": request.key,
            "expected_revision": request.expected_revision,
            "value": request.value,
            "delete": request.delete,
            "lease_id": request.lease_id,
        }
    )
    number(command, request.request_id)
    return Write(command.SerializeToString(), update == "value")


def batch_write_command(request: kv_pb2.BatchWriteRequest) -> Write:
    """The command of BatchWrite; the hottest loop of the services, about 1 us an operation."""
    count = len(request.operations)
    if not 1 <= count <= BATCH_OPERATIONS_MAX:
        raise invalid("operations", f"holds {count:,} operations; 1 to {BATCH_OPERATIONS_MAX:,} are allowed")
    size_bytes = request.ByteSize()
    if size_bytes > REQUEST_BYTES_MAX:
        raise invalid(
            "operations", f"make a request of {size_bytes:,} bytes; at most {REQUEST_BYTES_MAX:,} are allowed"
        )
    keys: list[bytes] = []
    values: list[bytes] = []
    deletes: list[int] = []
    lease_ids: list[int] = []
    for position, operation in enumerate(request.operations):
        kind = operation.WhichOneof("operation")
        if kind == "put":
            put = operation.put
            key, value = put.key, put.value
            if not 0 < len(key) <= KEY_BYTES_MAX:
                check_key(f"operations[{position}].put.key", key)
            if len(value) > VALUE_BYTES_MAX:
                _check_value(f"operations[{position}].put.value", value)
            lease_ids.append(put.lease_id)
        elif kind == "delete":
            key, value = operation.delete.key, b""
            if not 0 < len(key) <= KEY_BYTES_MAX:
                check_key(f"operations[{position}].delete.key", key)
            deletes.append(position)
            lease_ids.append(0)
        else:
            raise invalid(f"operations[{position}]", "is empty; set either `put` or `delete`")
        keys.append(key)
        values.append(value)
    command = command_pb2.Command()
    batch = command.batch_write
    batch.keys.extend(keys)
    batch.values.extend(values)
    batch.deletes.extend(deletes)
    if any(lease_ids):
        batch.lease_ids.extend(lease_ids)
    number(command, request.request_id)
    return Write(command.SerializeToString(), grows_state=len(deletes) < count)


def check_key(field: str, key: bytes) -> None:
    """Raises unless `key` can be a key."""
    if not 0 < len(key) <= KEY_BYTES_MAX:
        raise invalid(field, f"has {len(key):,} bytes; a key has 1 to {KEY_BYTES_MAX}")


def _check_value(field: str, value: bytes) -> None:
    if len(value) > VALUE_BYTES_MAX:
        raise invalid(field, f"has {len(value):,} bytes; a value has at most {VALUE_BYTES_MAX:,}")


def check_range(key_range: kv_pb2.KeyRange) -> Bounds:
    """The bounds of a range, whichever way it was given."""
    start, end, prefix = key_range.start, key_range.end, key_range.prefix
    if prefix:
        if start or end:
            raise invalid("range.prefix", "is set together with `start` or `end`; set one or the other")
        if len(prefix) > KEY_BYTES_MAX:
            raise invalid("range.prefix", f"has {len(prefix):,} bytes; at most {KEY_BYTES_MAX} are allowed")
        return Bounds(prefix, prefix_end(prefix))
    for field, bound in (("range.start", start), ("range.end", end)):
        if len(bound) > BOUND_BYTES_MAX:
            raise invalid(field, f"has {len(bound):,} bytes; at most {BOUND_BYTES_MAX} are allowed")
    if end and start >= end:
        raise invalid("range.end", "is not after `start`, so the range can hold no key")
    return Bounds(start, end)


def check_page_size(page_size: int) -> int:
    """The keys per page that were asked for."""
    if page_size > PAGE_SIZE_MAX:
        raise invalid("page_size", f"is {page_size:,}; at most {PAGE_SIZE_MAX:,} keys fit a page")
    return page_size or PAGE_SIZE_DEFAULT


def check_consistency(consistency: int, min_revision: int) -> None:
    """Raises unless the two name a way to read."""
    if consistency not in common_pb2.Consistency.values():
        raise invalid("consistency", f"is {consistency}, which this node does not know")
    if min_revision and consistency != common_pb2.CONSISTENCY_AT_LEAST:
        raise invalid("min_revision", "is set, but only CONSISTENCY_AT_LEAST waits for a revision")
