"""How failures reach a client, and what never does."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from structlog.testing import capture_logs

from kvraft import errors
from kvraft.errors import Reason, RequestError
from kvraft.rpc.status import CODES, to_status
from kvraft.storage.errors import StorageError
from kvraft.v1 import cluster_pb2, kv_pb2
from tests.unit.rpc.conftest import Failed, Service
from tests.unit.rpc.fake_node import put_rows

SECRET = "a-key-nobody-should-see"
KEY = SECRET.encode()


def every_call(service: Service):
    """Each RPC of both services with a good request."""
    kv = service.kv
    operation = kv_pb2.WriteOperation(put=kv_pb2.PutOperation(key=KEY))
    return {
        "Put": (kv.Put, kv_pb2.PutRequest(key=KEY)),
        "Get": (kv.Get, kv_pb2.GetRequest(key=KEY)),
        "Delete": (kv.Delete, kv_pb2.DeleteRequest(key=KEY)),
        "DeleteRange": (kv.DeleteRange, kv_pb2.DeleteRangeRequest()),
        "Range": (kv.Range, kv_pb2.RangeRequest()),
        "StreamRange": (kv.StreamRange, kv_pb2.StreamRangeRequest()),
        "CompareAndSet": (kv.CompareAndSet, kv_pb2.CompareAndSetRequest(key=KEY, value=b"")),
        "BatchWrite": (kv.BatchWrite, kv_pb2.BatchWriteRequest(operations=[operation])),
        "Txn": (kv.Txn, kv_pb2.TxnRequest(success=[kv_pb2.TxnOperation(put=kv_pb2.PutRequest(key=KEY))])),
        "Status": (service.cluster.Status, cluster_pb2.StatusRequest()),
    }


RPCS = [
    method.name
    for file in (kv_pb2, cluster_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
    if not method.client_streaming
]


@pytest.mark.parametrize("rpc", RPCS)
def test_the_text_of_an_unexpected_error_stays_inside(service: Service, rpc: str) -> None:
    service.node.refusal = KeyError(SECRET)
    service.node.replica.machine = None  # Status asks nobody and meets this instead
    method, request = every_call(service)[rpc]
    with capture_logs() as logs, pytest.raises(Failed) as raised:
        service.call(method, request)
    failed = raised.value
    assert (failed.code, failed.reason, failed.applied) == (grpc.StatusCode.INTERNAL, "INTERNAL", "unknown")
    (log,) = logs
    assert log["method"] == rpc
    assert log["error"] in ("KeyError", "AttributeError")
    assert any("fake_node.py" in frame or "cluster_service.py" in frame for frame in log["frames"])
    assert SECRET not in failed.message + repr(log)


@pytest.mark.parametrize("rpc", ["Get", "Range", "StreamRange"])
def test_a_failing_disk_stops_the_node(service: Service, rpc: str) -> None:
    put_rows(service.node, 1)
    failure = StorageError(f"checksum of {SECRET}")
    service.node.state.failure = failure
    take_view = service.node.state.view

    def failing_view():
        view = take_view()
        view.failure = failure
        return view

    service.node.state.view = failing_view
    method, request = every_call(service)[rpc]
    with pytest.raises(Failed) as raised:
        service.call(method, request)
    assert (raised.value.reason, raised.value.applied) == ("INTERNAL", "unknown")
    assert SECRET not in raised.value.message
    assert service.node.failures == [failure]


@pytest.mark.parametrize(
    ("error", "code", "applied", "retry_after_ms"),
    [
        (errors.no_leader(2_000), "UNAVAILABLE", "no", 200),
        (errors.not_applied(), "UNAVAILABLE", "no", 50),
        (errors.outcome_unknown("the node stopped"), "UNAVAILABLE", "unknown", None),
        (errors.shutting_down(), "UNAVAILABLE", "no", 50),
        (errors.slow_reader(30), "UNAVAILABLE", "no", None),
        (errors.overloaded("too much waits"), "RESOURCE_EXHAUSTED", "no", 200),
        (errors.no_space(), "RESOURCE_EXHAUSTED", "no", 1_000),
        (errors.revision_not_reached(9, 8), "DEADLINE_EXCEEDED", "no", None),
        (RequestError(Reason.INTERNAL, "broken", applied="unknown"), "INTERNAL", "unknown", None),
    ],
    ids=lambda value: value.reason.value if isinstance(value, RequestError) else None,
)
def test_a_refusal_is_told_in_full(
    service: Service, error: RequestError, code: str, applied: str, retry_after_ms: int | None
) -> None:
    service.node.refusal = error
    for rpc, (method, request) in every_call(service).items():
        if rpc == "Status":
            continue
        with pytest.raises(Failed) as raised:
            service.call(method, request)
        failed = raised.value
        assert (failed.code.name, failed.reason, failed.applied) == (code, error.reason.value, applied)
        assert failed.message == str(error)
        assert (failed.retry_after_ms, failed.field) == (retry_after_ms, None)


def test_every_reason_has_a_code() -> None:
    assert set(CODES) == set(Reason)


def test_a_status_fits_the_metadata_of_a_cautious_client() -> None:
    error = RequestError(Reason.INVALID_ARGUMENT, "x" * 300, field="operations[999].delete.key")
    ((_, details),) = to_status(error).trailing_metadata
    assert len(details) < 4_096


def test_cancellation_reaches_the_handler(service: Service) -> None:
    cancelled = asyncio.Event()

    async def never() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    service.node.fresh = never

    async def cancel() -> None:
        call = service.kv.Get(kv_pb2.GetRequest(key=b"a"), timeout=0.05)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call
        assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        async with asyncio.timeout(5):
            await cancelled.wait()

    with capture_logs() as logs:
        service.runner.run(cancel())
    assert logs == []
