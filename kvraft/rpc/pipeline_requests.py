"""Batches of a pipeline: checked, and turned into one command of the log, and back into results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from google.protobuf.message import Message

from kvraft.errors import RequestError, answer_too_large
from kvraft.machine.keys import KEY_BYTES_MAX
from kvraft.machine.results import Answer, Failed, PutResult, Result
from kvraft.node.refusals import request_error
from kvraft.rpc import (
    kv_requests,
    kv_responses,
    lease_requests,
    lease_responses,
    txn_requests,
    txn_responses,
)
from kvraft.rpc.kv_requests import REQUEST_BYTES_MAX, VALUE_BYTES_MAX, Write, check_key, invalid, within
from kvraft.rpc.status import code_number
from kvraft.rpc.users import user_requests
from kvraft.v1 import command_pb2, pipeline_pb2

BATCH_COMMANDS_MAX = 1_000
BATCH_KEYS_MAX = 1_000
RESPONSE_BYTES_MAX = 3 << 20
"""Of the answers in one response, but that the first large one always fits; within what gRPC carries."""
SMALL_ANSWER_BYTES = 200
"""An answer without values, of which a whole batch fits beside the others."""

Made = TypeVar("Made")

_COMMANDS: dict[str, Callable[[Any], Write]] = {
    "delete": kv_requests.delete_command,
    "delete_range": kv_requests.delete_range_command,
    "compare_and_set": kv_requests.compare_and_set_command,
    "batch_write": kv_requests.batch_write_command,
    "txn": txn_requests.txn_command,
    "grant_lease": lease_requests.grant_command,
    "revoke_lease": lease_requests.revoke_command,
}
_RESPONSES: dict[str, Callable[[Any, Result], Message]] = {
    "put": kv_responses.put,
    "delete": kv_responses.delete,
    "delete_range": kv_responses.delete_range,
    "compare_and_set": kv_responses.compare_and_set,
    "batch_write": kv_responses.batch_write,
    "txn": txn_responses.txn_response,
    "grant_lease": lease_responses.grant_lease,
    "revoke_lease": lease_responses.revoke_lease,
}


def write_command(batch: pipeline_pb2.WriteBatch) -> Write:
    """The command of a whole batch; the hottest loop of the services."""
    count = len(batch.commands)
    if not 1 <= count <= BATCH_COMMANDS_MAX:
        raise invalid("writes.commands", f"holds {count:,} commands; 1 to {BATCH_COMMANDS_MAX:,} are allowed")
    size_bytes = batch.ByteSize()
    if size_bytes > REQUEST_BYTES_MAX:
        raise invalid(
            "writes.commands",
            f"make a batch of {size_bytes:,} bytes; at most {REQUEST_BYTES_MAX:,} are allowed",
        )
    command = command_pb2.Command()
    kv_requests.number(command, batch.request_id)
    add = command.list.commands.add
    grows_state = False
    work = count
    for position, each in enumerate(batch.commands):
        kind = each.WhichOneof("command")
        if kind != "put":
            grows_state |= _add(add(), position, kind, each)
            work = 0
            continue
        request = each.put
        key, value = request.key, request.value
        if not 0 < len(key) <= KEY_BYTES_MAX or len(value) > VALUE_BYTES_MAX:
            _named(position, kind, kv_requests.put_command, request)
        if request.HasField("request_id"):
            _refuse_number(position, kind)
        put = add().put
        put.key, put.value = key, value
        if request.lease_id:
            put.lease_id = request.lease_id
        if request.return_previous:
            put.return_previous = True
        grows_state = True
    return Write(command.SerializeToString(), grows_state, work)


def _add(
    command: command_pb2.Command, position: int, kind: str | None, each: pipeline_pb2.WriteCommand
) -> bool:
    if kind is None:
        raise invalid(f"writes.commands[{position}]", "is empty; set one of its fields")
    request = getattr(each, kind)
    if kind == "user_data":
        # Its request is the command: nothing is to be translated.
        return _named(position, kind, partial(user_requests.fill_pipelined, command.user_data), request)
    if request.HasField("request_id"):
        _refuse_number(position, kind)
    write = _named(position, kind, _COMMANDS[kind], request)
    command.MergeFromString(write.command)
    return write.grows_state


def growing_positions(batch: pipeline_pb2.WriteBatch) -> list[int]:
    """Returns which commands of a batch that was checked a full disk forbids."""
    command = command_pb2.Command
    return [
        position
        for position, each in enumerate(batch.commands)
        if (kind := each.WhichOneof("command")) == "put" or _add(command(), position, kind, each)
    ]


def _named(position: int, kind: str, make: Callable[[Any], Made], request: Message) -> Made:
    try:
        return make(request)
    except RequestError as error:
        raise within(f"writes.commands[{position}].{kind}", error) from None


def _refuse_number(position: int, kind: str) -> None:
    raise invalid(
        f"writes.commands[{position}].{kind}.request_id", "is set; inside a batch the batch has the number"
    )


def write_results(
    response: pipeline_pb2.PipelineResponse,
    commands: Sequence[pipeline_pb2.WriteCommand],
    answers: Sequence[Answer],
) -> None:
    """Fills in the results of a batch that was applied."""
    add = response.results.add
    bytes_left = RESPONSE_BYTES_MAX
    for command, answer in zip(commands, answers, strict=True):
        result = answer.result
        if isinstance(result, PutResult) and result.previous is None:
            add(revision=answer.revision)
            continue
        added = add(revision=answer.revision)
        if isinstance(result, Failed):
            fill_error(added.error, request_error(result))
            continue
        kind = command.WhichOneof("command")
        assert kind is not None
        answered = getattr(added, kind)
        if kind == "user_data":
            user_requests.fill_response(answered, command.user_data, result)
        else:
            answered.CopyFrom(_RESPONSES[kind](getattr(command, kind), result))
        size_bytes = answered.ByteSize()
        if size_bytes > max(bytes_left, SMALL_ANSWER_BYTES) and bytes_left < RESPONSE_BYTES_MAX:
            fill_error(added.error, answer_too_large())  # takes the place of the answer
            continue
        bytes_left -= size_bytes
        if kind == "user_data":
            # A message that was sent before has the revision of the first time.
            added.revision = added.user_data.send_message.header.revision or answer.revision


def fill_error(message: pipeline_pb2.PipelineError, error: RequestError) -> None:
    """A failure in the words of the pipeline."""
    message.code = code_number(error.reason)
    message.reason = error.reason.value
    message.message = str(error)
    message.maybe_applied = error.applied == "unknown"
    message.retry_after_ms = error.retry_after_ms or 0
    message.field = error.field or ""


def check_reads(batch: pipeline_pb2.ReadBatch) -> None:
    """Raises RequestError."""
    count = len(batch.keys)
    if not 1 <= count <= BATCH_KEYS_MAX:
        raise invalid("reads.keys", f"holds {count:,} keys; 1 to {BATCH_KEYS_MAX:,} are allowed")
    for position, key in enumerate(batch.keys):
        check_key(f"reads.keys[{position}]", key)
