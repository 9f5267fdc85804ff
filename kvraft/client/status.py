"""From the status of a failed attempt to an error, and to the one question that decides about
a repetition: is it certain that nothing was applied?

A kvraft node attaches `google.rpc.ErrorInfo` of the domain "kvraft" to each error it means, with
the reason and, for writes, whether it was applied; `RetryInfo` and `BadRequest` where they help. A
status without it comes from gRPC itself: a write is then of unknown outcome, unless the status
says that the request never left this process or never reached the service.
"""

from __future__ import annotations

from dataclasses import dataclass

import grpc
from google.protobuf.message import DecodeError

from kvraft.client.errors import (
    Aborted,
    AlreadyExists,
    Applied,
    Compacted,
    DeadlineExceeded,
    FailedPrecondition,
    FieldViolation,
    InternalError,
    InvalidArgument,
    KvraftError,
    LeaseExists,
    LeaseNotFound,
    NotFound,
    OutcomeUnknown,
    OutOfRange,
    PermissionDenied,
    RefusedError,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)
from kvraft.client.method import Method, ResponseT
from kvraft.v1 import pipeline_pb2

DOMAIN = "kvraft"

UNIMPLEMENTED = "UNIMPLEMENTED"
"""The reason where nothing serves kvraft's clients."""
NOT_SENT = frozenset({"CONNECT_FAILED", UNIMPLEMENTED})
"""Reasons for which no request of a stream can have reached a service."""

# What gRPC's asyncio layer says of a call that broke before its status was known.
_CORE_FAILED = "Internal error from Core"
# gRPC says so when no connection could be made, or no address be found, to send the call over.
_CONNECT_FAILED = ("failed to connect to all addresses", "errors resolving")
# The request was refused by gRPC's own size limit, on this side or on the other, before any service
# saw it. (A response refused by size says "CLIENT: Received".)
_REQUEST_TOO_LARGE = ("CLIENT: Sent message larger than max", "SERVER: Received message larger than max")

_ADVICE = {
    "NO_LEADER": "The cluster cannot decide now: retry, and if it lasts check with `kvctl status` that a "
    "majority of the nodes is up.",
    "NOT_APPLIED": "Leadership changed on the way: retry.",
    "SHUTTING_DOWN": "Retry on another node.",
    "DIVERGED": "Retry on another node; `kvctl status` names the one that has to be re-seeded.",
    "CONNECT_FAILED": "Check the address, and that the node runs.",
    "OVERLOADED": "Send less, or retry later.",
    "NO_SPACE": "Free disk space, or delete keys; reads and deletes go on.",
    "REVISION_NOT_REACHED": "Wait longer, or read linearizably.",
    "MESSAGE_TOO_LARGE": "Send at most 4 MiB in one call.",
    UNIMPLEMENTED: "Nothing at this address serves kvraft's clients: it looks like a peer port, another "
    "program, or a node of an older version. Give the client addresses of the nodes.",
}
_IN_DOUBT = {
    True: "It may have been applied: read before writing again.",
    False: "It may have been applied: make the same call again, which is safe.",
}
"""By whether a repetition could do harm."""


_SAID = "nothing was applied"
"""What nodes say by themselves."""


@dataclass(frozen=True, slots=True)
class _Details:
    """What the server attached; all absent for a status of gRPC's own."""

    reason: str | None = None
    applied: Applied = "unknown"
    retry_after_s: float | None = None
    violations: tuple[FieldViolation, ...] = ()
    oldest_revision: int = 0
    """Of COMPACTED."""


def error_of_attempt(status: grpc.aio.AioRpcError, method: Method[ResponseT], endpoint: str) -> KvraftError:
    """The error for an attempt of `method` at `endpoint` that ended with `status`."""
    return error_from_status(
        status,
        call=method.name,
        writes=method.changes_state,
        endpoint=endpoint,
        read_first=not method.is_repeatable,
    )


def error_from_status(
    status: grpc.aio.AioRpcError, *, call: str, writes: bool, endpoint: str, read_first: bool = True
) -> KvraftError:
    """The error for an attempt of `call` at `endpoint` that ended with `status`. `read_first`: the advice
    where the outcome is unknown; otherwise the call can simply be made again."""
    code = status.code()
    text = status.details() or ""
    details = _details_of(status)
    if details.reason is None:
        if code is grpc.StatusCode.INTERNAL and text.startswith(_CORE_FAILED):
            code = grpc.StatusCode.UNAVAILABLE
        details = _of_transport(code, text)
    return _error(code, text, details, call=call, writes=writes, endpoint=endpoint, read_first=read_first)


def in_doubt(error: KvraftError, *, maybe_applied: bool) -> KvraftError:
    """The error of a call that was attempted before: where an earlier attempt may have been applied, the
    failure of the last one does not make it certain that it was not."""
    if maybe_applied and isinstance(error, Unavailable | DeadlineExceeded | ResourceExhausted):
        return OutcomeUnknown(
            f"{error} But an earlier attempt may have been applied, or may still be.", reason=error.reason
        )
    return error


def error_of_batch(
    error: pipeline_pb2.PipelineError, *, call: str, writes: bool, endpoint: str
) -> KvraftError:
    """The error for `call`, one of a batch that failed, or the one that failed alone in its batch."""
    field = (error.field.partition("].")[2] or error.field).removeprefix("user_data.")
    field = field.removeprefix(f"{_snake(call)}.")
    # Of the caller's own request; where it travelled is nothing of theirs.
    problem = error.message.removeprefix(error.field).lstrip() if error.field else error.message
    text = f"{field} {problem}" if field else problem
    details = _Details(
        reason=error.reason,
        applied="unknown" if error.maybe_applied else "no",
        retry_after_s=error.retry_after_ms / 1000 if error.retry_after_ms else None,
        violations=(FieldViolation(field, problem),) if field else (),
    )
    return _error(
        _CODES.get(error.code, grpc.StatusCode.UNKNOWN),
        text,
        details,
        call=call,
        writes=writes,
        endpoint=endpoint,
    )


def _error(
    code: grpc.StatusCode,
    text: str,
    details: _Details,
    *,
    call: str,
    writes: bool,
    endpoint: str,
    read_first: bool = True,
) -> KvraftError:
    reason = details.reason or code.name
    applied: Applied = details.applied if writes else "no"

    outcome = ""
    if writes and not (applied == "no" and _SAID in text):
        outcome = " It was not applied." if applied == "no" else f" {_IN_DOUBT[read_first]}"
    advice = f" {_ADVICE[reason]}" if reason in _ADVICE else ""
    message = f"{call} at {endpoint} failed: {text.rstrip('.') or code.name} [{reason}].{outcome}{advice}"

    if code is grpc.StatusCode.INVALID_ARGUMENT:
        return InvalidArgument(
            _with_violations(message, details.violations), reason=reason, violations=details.violations
        )
    if reason in _LEASE_ERRORS:
        return _LEASE_ERRORS[reason](message)
    if reason == "COMPACTED":
        return Compacted(message, oldest_revision=details.oldest_revision)
    if code in _REFUSALS and applied == "no" and details.reason is not None:
        return _REFUSALS[code](message, reason=reason)
    if code in _OUTCOME_CODES:
        if applied == "unknown":
            return OutcomeUnknown(message, reason=reason)
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            return ResourceExhausted(message, reason=reason, retry_after_s=details.retry_after_s)
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return DeadlineExceeded(message, reason=reason)
        return Unavailable(message, reason=reason)
    return InternalError(message, reason=reason, applied=applied)


_LEASE_ERRORS = {"LEASE_NOT_FOUND": LeaseNotFound, "LEASE_EXISTS": LeaseExists}
_REFUSALS: dict[grpc.StatusCode, type[RefusedError]] = {
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.ABORTED: Aborted,
    grpc.StatusCode.OUT_OF_RANGE: OutOfRange,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
}
_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}

_OUTCOME_CODES = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)
"""Codes after which `applied` alone decides between OutcomeUnknown and the class of the code."""


def _with_violations(message: str, violations: tuple[FieldViolation, ...]) -> str:
    more = [violation for violation in violations if violation.description not in message]
    return "\n".join([message, *(f"  {violation.field}: {violation.description}" for violation in more)])


def _of_transport(code: grpc.StatusCode, text: str) -> _Details:
    if code is grpc.StatusCode.UNAVAILABLE:
        if text.startswith(_CONNECT_FAILED):
            return _Details(reason="CONNECT_FAILED", applied="no")
        return _Details(reason="CONNECTION_LOST")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and text.startswith(_REQUEST_TOO_LARGE):
        return _Details(reason="MESSAGE_TOO_LARGE", applied="no")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return _Details(reason=UNIMPLEMENTED, applied="no")
    if code is grpc.StatusCode.INVALID_ARGUMENT:
        return _Details(applied="no")
    return _Details()


def _details_of(status: grpc.aio.AioRpcError) -> _Details:
    # Most programs that end soon never need them.
    from google.rpc import error_details_pb2
    from grpc_status import rpc_status

    try:
        rich = rpc_status.from_call(status)
    except (ValueError, DecodeError):
        # The details contradict the status, or are not what they should be: believe neither.
        return _Details()
    if rich is None:
        return _Details()

    reason: str | None = None
    applied: Applied = "unknown"
    retry_after_s: float | None = None
    violations: tuple[FieldViolation, ...] = ()
    oldest_revision = 0
    for packed in rich.details:
        info = error_details_pb2.ErrorInfo()
        retry = error_details_pb2.RetryInfo()
        bad = error_details_pb2.BadRequest()
        try:
            if packed.Unpack(info) and info.domain == DOMAIN:
                reason = info.reason
                applied = "no" if info.metadata.get("applied") == "no" else "unknown"
                oldest = info.metadata.get("oldest_revision", "")
                oldest_revision = int(oldest) if oldest.isdecimal() else 0
            elif packed.Unpack(retry):
                retry_after_s = retry.retry_delay.ToNanoseconds() / 1e9
            elif packed.Unpack(bad):
                violations = tuple(FieldViolation(v.field, v.description) for v in bad.field_violations)
        except DecodeError:
            return _Details()
    if reason is None:
        return _Details()
    return _Details(reason, applied, retry_after_s, violations, oldest_revision)


def _snake(name: str) -> str:
    """compare_and_set of CompareAndSet."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
