"""From a failed request to a gRPC status, and the one place where a handler's exceptions end.

Every status this node means carries `google.rpc.ErrorInfo` with the reason and whether the request
was applied, so that a client need not read prose. What nobody expected is logged here and answered
as INTERNAL: its text may hold keys or values, so neither the client nor the log sees it.
"""

from __future__ import annotations

import functools
import traceback
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import grpc
import structlog
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from kvraft.errors import DOMAIN, Reason, RequestError
from kvraft.storage.errors import StorageError

CODES: dict[Reason, grpc.StatusCode] = {
    Reason.INVALID_ARGUMENT: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.NO_LEADER: grpc.StatusCode.UNAVAILABLE,
    Reason.NOT_APPLIED: grpc.StatusCode.UNAVAILABLE,
    Reason.OUTCOME_UNKNOWN: grpc.StatusCode.UNAVAILABLE,
    Reason.DIVERGED: grpc.StatusCode.UNAVAILABLE,
    Reason.SHUTTING_DOWN: grpc.StatusCode.UNAVAILABLE,
    Reason.OVERLOADED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.NO_SPACE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.UNKNOWN_CLIENT: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.STALE_SEQUENCE: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.TOO_MANY_UNACKNOWLEDGED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.REQUEST_ID_REUSED: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.LEASE_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.LEASE_EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    Reason.RANGE_TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.TOO_MUCH_WORK: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.COMPACTED: grpc.StatusCode.OUT_OF_RANGE,
    Reason.ANSWER_TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.SLOW_READER: grpc.StatusCode.UNAVAILABLE,
    Reason.REVISION_NOT_REACHED: grpc.StatusCode.DEADLINE_EXCEEDED,
    Reason.NOT_LEADER: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.USER_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.DEVICE_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.TOO_MANY_DEVICES: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.LAST_DEVICE: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.LEASE_EXPIRED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.SESSION_OPEN: grpc.StatusCode.ALREADY_EXISTS,
    Reason.SESSION_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.SESSION_SUPERSEDED: grpc.StatusCode.ABORTED,
    Reason.SESSION_CLOSED: grpc.StatusCode.ABORTED,
    Reason.SESSION_EXPIRED: grpc.StatusCode.ABORTED,
    Reason.SESSION_REVOKED: grpc.StatusCode.UNAUTHENTICATED,
    Reason.SLOW_CONSUMER: grpc.StatusCode.ABORTED,
    Reason.CONTACT_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.ETAG_MISMATCH: grpc.StatusCode.ABORTED,
    Reason.TOO_MANY_CONTACTS: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.TOO_MANY_BLOCKED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.RESYNC_REQUIRED: grpc.StatusCode.OUT_OF_RANGE,
    Reason.GROUP_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.GROUP_EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    Reason.GROUP_FULL: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.NOT_ADMIN: grpc.StatusCode.PERMISSION_DENIED,
    Reason.NOT_MEMBER: grpc.StatusCode.PERMISSION_DENIED,
    Reason.LAST_OWNER: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.MEMBER_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.TOO_MANY_GROUPS: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.MESSAGE_ID_REUSED: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.QUEUE_FULL: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.SEQ_NOT_GIVEN: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.TIME_NOT_AHEAD: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.UNIMPLEMENTED: grpc.StatusCode.UNIMPLEMENTED,
    Reason.INTERNAL: grpc.StatusCode.INTERNAL,
}
"""The code of each reason."""


def code_number(reason: Reason) -> int:
    """The number of a reason's code."""
    return int(CODES[reason].value[0])


_log = structlog.get_logger(__name__)


class GuardedServicer(Protocol):
    """A servicer whose handlers are `answering_errors`."""

    def on_storage_error(self, error: StorageError) -> None:
        """The disk failed under a request: the node must stop."""
        ...


ServicerT = TypeVar("ServicerT", bound=GuardedServicer)
RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")
ContextT = TypeVar("ContextT", bound="grpc.aio.ServicerContext[Message, Message]")

Handler = Callable[[ServicerT, RequestT, ContextT], Awaitable[ResponseT]]


def answering_errors(
    handler: Handler[ServicerT, RequestT, ContextT, ResponseT],
) -> Handler[ServicerT, RequestT, ContextT, ResponseT]:
    """A handler whose exceptions become statuses. Cancellation passes through: the caller is gone."""

    @functools.wraps(handler)
    async def guarded(servicer: ServicerT, request: RequestT, context: ContextT) -> ResponseT:
        try:
            return await handler(servicer, request, context)
        except Exception as error:  # noqa: BLE001 - whatever it is, its text must not reach the client
            status = to_status(request_error_of(error, servicer, handler.__name__))
            # Whoever still has it keeps no frames, with requests and answers in them.
            error.__traceback__ = error.__context__ = None
        return await context.abort(status.code, status.details, status.trailing_metadata)

    return guarded


def request_error_of(error: Exception, servicer: GuardedServicer, method: str) -> RequestError:
    """What a client may know of an exception; what nobody expected is logged, a broken disk told on."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, StorageError):
        servicer.on_storage_error(error)
        return _internal("the disk of this node failed, and the node stops")
    frames = [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)]
    _log.error("request failed unexpectedly", method=method, error=type(error).__name__, frames=frames)
    return _internal("this node met an unexpected error; its log says more")


def to_status(error: RequestError) -> grpc.Status:
    """The gRPC status of a failed request, with its details."""
    details: list[Message] = [
        error_details_pb2.ErrorInfo(
            reason=error.reason.value, domain=DOMAIN, metadata={**error.metadata, "applied": error.applied}
        )
    ]
    if error.retry_after_ms is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(error.retry_after_ms)
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    if error.field is not None:
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=str(error))
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    packed = [any_pb2.Any() for _ in details]
    for box, detail in zip(packed, details, strict=True):
        box.Pack(detail)
    code = code_number(error.reason)
    status: grpc.Status = rpc_status.to_status(
        status_pb2.Status(code=code, message=str(error), details=packed)
    )
    return status


def _internal(what: str) -> RequestError:
    return RequestError(
        Reason.INTERNAL,
        f"{what}; a write may have been applied or may still be; read before you write again",
        applied="unknown",
    )
