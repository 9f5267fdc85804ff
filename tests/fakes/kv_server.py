"""A node that keeps its keys in a dict and fails when it is told to: a real gRPC server for the
tests of the client library and of kvctl."""

# ruff: noqa: N802 - gRPC names the methods

from __future__ import annotations

import socket
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from kvraft.v1 import (
    client_pb2,
    client_pb2_grpc,
    cluster_pb2,
    cluster_pb2_grpc,
    common_pb2,
    kv_pb2,
    kv_pb2_grpc,
    pipeline_pb2,
    pipeline_pb2_grpc,
)

CLUSTER_ID = 0x0123456789ABCDEF


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """How the next call of a method fails."""

    code: grpc.StatusCode
    reason: str | None = None
    """`None`: without details, as gRPC itself fails."""
    applied: str = "no"
    message: str = "told to fail"
    retry_after_ms: int | None = None
    violations: tuple[tuple[str, str], ...] = ()
    after_applying: bool = False
    """Apply the write, then fail: the answer is lost."""
    after_pages: int = 0
    """StreamRange: send this many pages, then fail."""


@dataclass(slots=True)
class FakeNode:
    """The state and the orders. Thread-safe as far as the tests need."""

    member_id: int = 1
    leader_id: int = 1
    page_size: int = 100
    """Keys per page of StreamRange."""
    delete_range_max: int = 10_000
    keys: dict[bytes, kv_pb2.KeyValue] = field(default_factory=dict)
    revision: int = 0
    alarms: list[cluster_pb2.Alarm] = field(default_factory=list)
    calls: list[tuple[str, object]] = field(default_factory=list)
    """(method, request) of everything that arrived."""
    failures: defaultdict[str, deque[Failure | None]] = field(default_factory=lambda: defaultdict(deque))
    hanging: set[str] = field(default_factory=set)
    """Methods that never answer."""
    watches: deque[list[kv_pb2.WatchResponse]] = field(default_factory=deque)
    """What each call of Watch is sent. Then the connection breaks; the last one stays open."""
    arrived: threading.Event = field(default_factory=threading.Event)
    """Set when a call begins to hang."""
    clients: set[int] = field(default_factory=set)
    """Registered ones."""
    answers: dict[tuple[int, int], pipeline_pb2.PipelineResponse] = field(default_factory=dict)
    """To numbered batches; nodes that share it are one cluster."""
    batches: list[pipeline_pb2.PipelineRequest] = field(default_factory=list)
    """Everything that came by pipeline, as it was grouped."""

    def fail(self, method: str, failure: Failure, *, times: int = 1) -> None:
        self.failures[method].extend([failure] * times)

    def fail_after(self, method: str, successes: int, failure: Failure) -> None:
        """Let some calls pass first."""
        self.failures[method].extend([None] * successes)
        self.failures[method].append(failure)

    def methods(self) -> list[str]:
        return [method for method, _ in self.calls]

    def put(self, key: bytes, value: bytes) -> None:
        self.revision += 1
        old = self.keys.get(key)
        self.keys[key] = kv_pb2.KeyValue(
            key=key,
            value=value,
            create_revision=old.create_revision if old else self.revision,
            mod_revision=self.revision,
            version=old.version + 1 if old else 1,
        )

    def delete(self, key: bytes) -> kv_pb2.KeyValue | None:
        if key in self.keys:
            self.revision += 1
        return self.keys.pop(key, None)

    def header(self) -> common_pb2.ResponseHeader:
        return common_pb2.ResponseHeader(
            cluster_id=CLUSTER_ID,
            member_id=self.member_id,
            leader_id=self.leader_id,
            term=3,
            revision=self.revision,
        )

    def select(self, keys: kv_pb2.KeyRange, *, reverse: bool = False) -> list[kv_pb2.KeyValue]:
        chosen = [
            key
            for key in self.keys
            if key.startswith(keys.prefix) and key >= keys.start and (not keys.end or key < keys.end)
        ]
        return [self.keys[key] for key in sorted(chosen, reverse=reverse)]


def _abort(context: grpc.ServicerContext, failure: Failure) -> None:
    if failure.reason is None:
        context.abort(failure.code, failure.message)
    details = [
        error_details_pb2.ErrorInfo(
            reason=failure.reason, domain="kvraft", metadata={"applied": failure.applied}
        )
    ]
    if failure.retry_after_ms is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(failure.retry_after_ms)
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    if failure.violations:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=name, description=description)
            for name, description in failure.violations
        ]
        details.append(error_details_pb2.BadRequest(field_violations=violations))
    packed = []
    for detail in details:
        packed.append(any_pb2.Any())
        packed[-1].Pack(detail)
    status = status_pb2.Status(code=failure.code.value[0], message=failure.message, details=packed)
    context.abort_with_status(rpc_status.to_status(status))


class _Servicer:
    def __init__(self, node: FakeNode) -> None:
        self._node = node

    def _hang(self, context: grpc.ServicerContext) -> None:
        """Until the client or the server gives the call up."""
        given_up = threading.Event()
        if context.add_callback(given_up.set):
            self._node.arrived.set()
            given_up.wait()
        context.abort(grpc.StatusCode.CANCELLED, "nobody waits any more")

    def _begin(self, method: str, request: object, context: grpc.ServicerContext) -> Failure | None:
        """Notes the call, and fails or hangs where told to. Returns a failure that is to come later."""
        node = self._node
        node.calls.append((method, request))
        if method in node.hanging:
            self._hang(context)
        if not node.failures[method]:
            return None
        failure = node.failures[method].popleft()
        if failure and not failure.after_applying and not failure.after_pages:
            _abort(context, failure)
        return failure


class _KvServicer(_Servicer, kv_pb2_grpc.KvServiceServicer):
    def Put(self, request, context):
        later = self._begin("Put", request, context)
        previous = self._node.keys.get(request.key) if request.return_previous else None
        self._node.put(request.key, request.value)
        if later:
            _abort(context, later)
        return kv_pb2.PutResponse(header=self._node.header(), previous=previous)

    def Get(self, request, context):
        self._begin("Get", request, context)
        return kv_pb2.GetResponse(header=self._node.header(), kv=self._node.keys.get(request.key))

    def Delete(self, request, context):
        self._begin("Delete", request, context)
        old = self._node.delete(request.key)
        previous = old if request.return_previous else None
        return kv_pb2.DeleteResponse(header=self._node.header(), deleted=old is not None, previous=previous)

    def DeleteRange(self, request, context):
        self._begin("DeleteRange", request, context)
        found = self._node.select(request.range)
        doomed = found[: min(request.limit or 10_000, self._node.delete_range_max)]
        for kv in doomed:
            del self._node.keys[kv.key]
        self._node.revision += bool(doomed)
        return kv_pb2.DeleteRangeResponse(
            header=self._node.header(), deleted=len(doomed), more=len(found) > len(doomed)
        )

    def Range(self, request, context):
        self._begin("Range", request, context)
        found = self._node.select(request.range, reverse=request.reverse)
        if request.count_only:
            return kv_pb2.RangeResponse(header=self._node.header(), count=len(found))
        first = int(request.page_token or 0)
        end = first + (request.page_size or 100)
        page = [_without_value(kv) if request.keys_only else kv for kv in found[first:end]]
        token = str(end) if end < len(found) else ""
        return kv_pb2.RangeResponse(header=self._node.header(), kvs=page, next_page_token=token)

    def StreamRange(self, request, context) -> Iterator[kv_pb2.StreamRangeResponse]:
        later = self._begin("StreamRange", request, context)
        found = self._node.select(request.range, reverse=request.reverse)
        if request.limit:
            found = found[: request.limit]
        if request.keys_only:
            found = [_without_value(kv) for kv in found]
        header = self._node.header()
        size = self._node.page_size
        for number, first in enumerate(range(0, len(found), size)):
            if later and number == later.after_pages:
                _abort(context, later)
            if f"StreamRange page {number}" in self._node.hanging:
                self._hang(context)
            yield kv_pb2.StreamRangeResponse(header=header, kvs=found[first : first + size])
        if later:
            _abort(context, later)

    def Watch(self, requests, context) -> Iterator[kv_pb2.WatchResponse]:
        self._begin("Watch", next(requests).create, context)
        watches = self._node.watches
        yield from watches.popleft()
        if watches:
            context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
        self._hang(context)

    def CompareAndSet(self, request, context):
        self._begin("CompareAndSet", request, context)
        current = self._node.keys.get(request.key)
        succeeded = (current.mod_revision if current else 0) == request.expected_revision
        if succeeded and request.WhichOneof("update") == "value":
            self._node.put(request.key, request.value)
        elif succeeded:
            self._node.delete(request.key)
        return kv_pb2.CompareAndSetResponse(
            header=self._node.header(), succeeded=succeeded, current=None if succeeded else current
        )

    def BatchWrite(self, request, context):
        self._begin("BatchWrite", request, context)
        existed = []
        for operation in request.operations:
            if operation.WhichOneof("operation") == "put":
                existed.append(operation.put.key in self._node.keys)
                self._node.put(operation.put.key, operation.put.value)
            else:
                existed.append(self._node.delete(operation.delete.key) is not None)
        return kv_pb2.BatchWriteResponse(header=self._node.header(), existed=existed)


class _Refused(Exception):
    """A handler aborted."""

    def __init__(self, code: grpc.StatusCode, message: str, rich: status_pb2.Status | None) -> None:
        super().__init__(message)
        self.code = code
        self.rich = rich


class _CommandContext:
    """Stands for a call where there is only one command of a batch."""

    def __init__(self, stream: grpc.ServicerContext) -> None:
        self.add_callback = stream.add_callback

    def abort(self, code: grpc.StatusCode, message: str) -> None:
        raise _Refused(code, message, None)

    def abort_with_status(self, status: grpc.Status) -> None:
        packed = dict(status.trailing_metadata)["grpc-status-details-bin"]
        raise _Refused(status.code, status.details, status_pb2.Status.FromString(packed))


class _PipelineServicer(_KvServicer, pipeline_pb2_grpc.PipelineServiceServicer):
    """Every command of a batch is what it would be as a call of its own, failures included; one that
    fails fails the batch."""

    def Pipeline(self, request_iterator, context) -> Iterator[pipeline_pb2.PipelineResponse]:
        for request in request_iterator:
            self._node.batches.append(request)
            try:
                yield self._answer(request, _CommandContext(context))
            except _Refused as refused:
                if refused.rich is None:
                    context.abort(refused.code, str(refused))
                yield pipeline_pb2.PipelineResponse(tag=request.tag, error=_pipeline_error(refused))

    def _answer(self, request, context) -> pipeline_pb2.PipelineResponse:
        response = pipeline_pb2.PipelineResponse(tag=request.tag)
        if request.WhichOneof("batch") == "reads":
            for key in request.reads.keys:
                read = kv_pb2.GetRequest(key=key, consistency=request.reads.consistency)
                found = self.Get(read, context)
                response.values.add(kv=found.kv if found.HasField("kv") else None)
            response.header.CopyFrom(self._node.header())
            return response
        number = request.writes.request_id
        is_numbered = number.client_id != 0
        if is_numbered and number.client_id not in self._node.clients:
            _abort(context, Failure(code=grpc.StatusCode.FAILED_PRECONDITION, reason="UNKNOWN_CLIENT"))
        key = (number.client_id, number.sequence)
        if is_numbered and key in self._node.answers:
            response.CopyFrom(self._node.answers[key])
            response.tag = request.tag
            return response
        lost: _Refused | None = None
        for command in request.writes.commands:
            kind = command.WhichOneof("command")
            method = "".join(word.title() for word in kind.split("_"))
            before = self._node.revision
            try:
                answered = getattr(self, method)(getattr(command, kind), context)
            except _Refused as refused:
                if self._node.revision == before:
                    raise
                lost = refused
                response.results.add(revision=self._node.revision)
                continue
            result = response.results.add(revision=self._node.revision)
            answered.ClearField("header")
            if kind != "put" or answered.HasField("previous"):
                getattr(result, kind).CopyFrom(answered)
        response.header.CopyFrom(self._node.header())
        self._node.answers[key] = response
        if lost is not None:
            raise lost
        return response


def _pipeline_error(refused: _Refused) -> pipeline_pb2.PipelineError:
    error = pipeline_pb2.PipelineError(code=refused.code.value[0], message=str(refused))
    for packed in refused.rich.details:
        info = error_details_pb2.ErrorInfo()
        retry = error_details_pb2.RetryInfo()
        bad = error_details_pb2.BadRequest()
        if packed.Unpack(info):
            error.reason = info.reason
            error.maybe_applied = info.metadata["applied"] == "unknown"
        elif packed.Unpack(retry):
            error.retry_after_ms = retry.retry_delay.ToMilliseconds()
        elif packed.Unpack(bad):
            error.field = bad.field_violations[0].field
            error.message = bad.field_violations[0].description
    return error


class _ClientServicer(_Servicer, client_pb2_grpc.ClientServiceServicer):
    """Registrations are not among the calls: tests are about the others."""

    def RegisterClient(self, request, context):
        client_id = 100 + len(self._node.clients)
        self._node.clients.add(client_id)
        return client_pb2.RegisterClientResponse(header=self._node.header(), client_id=client_id)

    def UnregisterClient(self, request, context):
        return client_pb2.UnregisterClientResponse(header=self._node.header())


class _ClusterServicer(_Servicer, cluster_pb2_grpc.ClusterServiceServicer):
    def Status(self, request, context):
        self._begin("Status", request, context)
        leads = self._node.member_id == 1
        return cluster_pb2.StatusResponse(
            header=self._node.header(),
            version="9.8.7",
            cluster_name="test",
            role=cluster_pb2.ROLE_LEADER if leads else cluster_pb2.ROLE_FOLLOWER,
            commit_index=41,
            applied_index=40,
            first_log_index=1,
            last_log_index=42,
            state_digest=0xFEDCBA9876543210,
            flushed_index=30,
            state_bytes=3 * 1024 * 1024,
            memory_table_bytes=1000,
            log_bytes=64 * 1024 * 1024,
            uptime_ms=5000,
            members=[
                cluster_pb2.Member(
                    id=1,
                    client_address="127.0.0.1:7001",
                    peer_address="127.0.0.1:7101",
                    match_index=42,
                    active=True,
                )
            ],
            alarms=self._node.alarms,
        )


def _without_value(kv: kv_pb2.KeyValue) -> kv_pb2.KeyValue:
    copy = kv_pb2.KeyValue()
    copy.CopyFrom(kv)
    copy.ClearField("value")
    return copy


class FakeServer:
    """Serves a node on a free port of the loopback for as long as it is entered."""

    def __init__(self, node: FakeNode | None = None) -> None:
        self.node = node or FakeNode()
        self._threads = ThreadPoolExecutor(8)
        self._server = grpc.server(
            self._threads,
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", 4 * 1024 * 1024 + 64 * 1024),
            ],
        )
        kv_pb2_grpc.add_KvServiceServicer_to_server(_KvServicer(self.node), self._server)
        client_pb2_grpc.add_ClientServiceServicer_to_server(_ClientServicer(self.node), self._server)
        pipeline_pb2_grpc.add_PipelineServiceServicer_to_server(_PipelineServicer(self.node), self._server)
        cluster_pb2_grpc.add_ClusterServiceServicer_to_server(_ClusterServicer(self.node), self._server)
        self.endpoint = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def stop(self) -> None:
        """At once: calls under way are cut off, as when the process dies."""
        stopped = self._server.stop(None)
        stopped.wait()
        self._threads.shutdown()

    def __enter__(self) -> FakeServer:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> Literal[False]:
        self.stop()
        return False


def dead_endpoint() -> str:
    """An address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"127.0.0.1:{taken.getsockname()[1]}"
