"""Every status a call can end with, and the error it becomes."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from kvraft.client import (
    DeadlineExceeded,
    FieldViolation,
    InternalError,
    InvalidArgument,
    KvraftError,
    OutcomeUnknown,
    ResourceExhausted,
    Unavailable,
)
from kvraft.client.status import error_from_status

Code = grpc.StatusCode
_TRAILER = "grpc-status-details-bin"


def bare(code: Code, text: str = "text") -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), text)


def detailed(code: Code, *details: Message, text: str = "text") -> grpc.aio.AioRpcError:
    packed = []
    for detail in details:
        packed.append(any_pb2.Any())
        packed[-1].Pack(detail)
    rich = status_pb2.Status(code=code.value[0], message=text, details=packed)
    trailers = grpc.aio.Metadata((_TRAILER, rich.SerializeToString()))
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailers, text)


def info(reason: str, applied: str = "no", domain: str = "kvraft") -> error_details_pb2.ErrorInfo:
    return error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata={"applied": applied})


def error(status: grpc.aio.AioRpcError, *, writes: bool) -> KvraftError:
    return error_from_status(
        status, call="Put" if writes else "Get", writes=writes, endpoint="127.0.0.1:7001"
    )


@pytest.mark.parametrize(
    ("code", "reason", "applied", "write", "read"),
    [
        (Code.INVALID_ARGUMENT, "INVALID_ARGUMENT", "no", InvalidArgument, InvalidArgument),
        (Code.UNAVAILABLE, "NO_LEADER", "no", Unavailable, Unavailable),
        (Code.UNAVAILABLE, "NOT_APPLIED", "no", Unavailable, Unavailable),
        (Code.UNAVAILABLE, "SHUTTING_DOWN", "no", Unavailable, Unavailable),
        (Code.UNAVAILABLE, "OUTCOME_UNKNOWN", "unknown", OutcomeUnknown, Unavailable),
        (Code.UNAVAILABLE, "NO_LEADER", "maybe?", OutcomeUnknown, Unavailable),
        (Code.RESOURCE_EXHAUSTED, "OVERLOADED", "no", ResourceExhausted, ResourceExhausted),
        (Code.RESOURCE_EXHAUSTED, "NO_SPACE", "no", ResourceExhausted, ResourceExhausted),
        (Code.DEADLINE_EXCEEDED, "REVISION_NOT_REACHED", "no", DeadlineExceeded, DeadlineExceeded),
        (Code.INTERNAL, "INTERNAL", "unknown", InternalError, InternalError),
    ],
)
def test_a_documented_failure(
    code: Code, reason: str, applied: str, write: type[KvraftError], read: type[KvraftError]
) -> None:
    of_write = error(detailed(code, info(reason, applied)), writes=True)
    assert type(of_write) is write
    assert of_write.reason == reason
    assert of_write.applied == ("no" if applied == "no" else "unknown")

    of_read = error(detailed(code, info(reason, applied)), writes=False)
    assert type(of_read) is read
    assert of_read.reason == reason
    assert of_read.applied == "no"


@pytest.mark.parametrize(
    ("code", "text", "reason", "write", "applied", "read"),
    [
        (
            Code.UNAVAILABLE,
            "failed to connect to all addresses; last error: UNKNOWN: Connection refused",
            "CONNECT_FAILED",
            Unavailable,
            "no",
            Unavailable,
        ),
        (
            Code.UNAVAILABLE,
            "errors resolving nosuch.invalid:1: [field:hostname lookup error:...]",
            "CONNECT_FAILED",
            Unavailable,
            "no",
            Unavailable,
        ),
        (Code.UNAVAILABLE, "Socket closed", "CONNECTION_LOST", OutcomeUnknown, "unknown", Unavailable),
        (
            Code.UNAVAILABLE,
            "upstream failed to connect to all addresses",
            "CONNECTION_LOST",
            OutcomeUnknown,
            "unknown",
            Unavailable,
        ),
        (
            Code.DEADLINE_EXCEEDED,
            "Deadline Exceeded",
            "DEADLINE_EXCEEDED",
            OutcomeUnknown,
            "unknown",
            DeadlineExceeded,
        ),
        (Code.CANCELLED, "CANCELLED", "CANCELLED", OutcomeUnknown, "unknown", Unavailable),
        (
            Code.RESOURCE_EXHAUSTED,
            "CLIENT: Sent message larger than max (9 vs. 8)",
            "MESSAGE_TOO_LARGE",
            ResourceExhausted,
            "no",
            ResourceExhausted,
        ),
        (
            Code.RESOURCE_EXHAUSTED,
            "SERVER: Received message larger than max (9 vs. 8)",
            "MESSAGE_TOO_LARGE",
            ResourceExhausted,
            "no",
            ResourceExhausted,
        ),
        (
            Code.RESOURCE_EXHAUSTED,
            "Stream removed (CLIENT: Received message larger than max (9 vs. 8))",
            "RESOURCE_EXHAUSTED",
            OutcomeUnknown,
            "unknown",
            ResourceExhausted,
        ),
        (
            Code.INTERNAL,
            "Internal error from Core",
            "CONNECTION_LOST",
            OutcomeUnknown,
            "unknown",
            Unavailable,
        ),
        (Code.INTERNAL, "RST_STREAM", "INTERNAL", InternalError, "unknown", InternalError),
        (Code.UNKNOWN, "boom", "UNKNOWN", InternalError, "unknown", InternalError),
        (Code.UNIMPLEMENTED, "404", "UNIMPLEMENTED", Unavailable, "no", Unavailable),
    ],
)
def test_a_failure_of_the_transport(
    code: Code, text: str, reason: str, write: type[KvraftError], applied: str, read: type[KvraftError]
) -> None:
    of_write = error(bare(code, text), writes=True)
    assert (type(of_write), of_write.reason, of_write.applied) == (write, reason, applied)
    of_read = error(bare(code, text), writes=False)
    assert (type(of_read), of_read.reason, of_read.applied) == (read, reason, "no")


def test_details_of_another_domain_are_not_believed() -> None:
    failure = error(detailed(Code.UNAVAILABLE, info("NO_LEADER", domain="proxy")), writes=True)
    assert type(failure) is OutcomeUnknown
    assert failure.reason == "CONNECTION_LOST"


@pytest.mark.parametrize("trailer", [b"\xff\xff", status_pb2.Status(code=5).SerializeToString()])
def test_broken_or_contradicting_details_are_not_believed(trailer: bytes) -> None:
    trailers = grpc.aio.Metadata((_TRAILER, trailer))
    status = grpc.aio.AioRpcError(Code.UNAVAILABLE, grpc.aio.Metadata(), trailers, "text")
    assert type(error(status, writes=True)) is OutcomeUnknown


def test_a_broken_detail_is_not_believed() -> None:
    packed = any_pb2.Any(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\xff\xff")
    rich = status_pb2.Status(code=Code.UNAVAILABLE.value[0], message="text", details=[packed])
    trailers = grpc.aio.Metadata((_TRAILER, rich.SerializeToString()))
    status = grpc.aio.AioRpcError(Code.UNAVAILABLE, grpc.aio.Metadata(), trailers, "text")
    assert type(error(status, writes=True)) is OutcomeUnknown


def test_the_delay_the_server_asks_for() -> None:
    retry = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=250_000_000))
    failure = error(detailed(Code.RESOURCE_EXHAUSTED, info("OVERLOADED"), retry), writes=True)
    assert isinstance(failure, ResourceExhausted)
    assert failure.retry_after_s == 0.25

    failure = error(detailed(Code.RESOURCE_EXHAUSTED, info("NO_SPACE")), writes=True)
    assert isinstance(failure, ResourceExhausted)
    assert failure.retry_after_s is None


def test_the_fields_that_are_wrong() -> None:
    violation = error_details_pb2.BadRequest.FieldViolation(field="key", description="is empty")
    bad = error_details_pb2.BadRequest(field_violations=[violation])
    failure = error(detailed(Code.INVALID_ARGUMENT, info("INVALID_ARGUMENT"), bad), writes=True)
    assert isinstance(failure, InvalidArgument)
    assert failure.violations == (FieldViolation("key", "is empty"),)
    assert "key: is empty" in str(failure)


def test_the_message_says_what_happened_whether_it_was_applied_and_what_to_do() -> None:
    refused = detailed(Code.UNAVAILABLE, info("NO_LEADER"), text="this node knows no leader")
    assert str(error(refused, writes=True)) == (
        "Put at 127.0.0.1:7001 failed: this node knows no leader [NO_LEADER]. It was not applied. "
        "The cluster cannot decide now: retry, and if it lasts check with `kvctl status` that a majority "
        "of the nodes is up."
    )
    assert str(error(bare(Code.UNAVAILABLE, "Socket closed"), writes=True)) == (
        "Put at 127.0.0.1:7001 failed: Socket closed [CONNECTION_LOST]. "
        "It may have been applied: read before writing again."
    )
    assert "applied" not in str(error(bare(Code.UNAVAILABLE, "Socket closed"), writes=False))
