"""Batches of commands and reads on one stream: what each is answered, and what happens to the others when
one is wrong."""

from __future__ import annotations

import asyncio

import grpc.aio
import pytest

from kvraft import errors
from kvraft.errors import no_leader
from kvraft.rpc import outbox, pipeline_requests
from kvraft.storage.errors import StorageError
from kvraft.v1 import client_pb2, common_pb2, kv_pb2, pipeline_pb2
from tests.unit.rpc.conftest import Failed, Service

WriteCommand = pipeline_pb2.WriteCommand
Request = pipeline_pb2.PipelineRequest
Response = pipeline_pb2.PipelineResponse


def put(key: bytes, value: bytes = b"v", **more: object) -> WriteCommand:
    return WriteCommand(put=kv_pb2.PutRequest(key=key, value=value, **more))  # type: ignore[arg-type]


def writes(tag: int, *commands: WriteCommand, request_id: common_pb2.RequestId | None = None) -> Request:
    return Request(tag=tag, writes=pipeline_pb2.WriteBatch(commands=commands, request_id=request_id))


def reads(tag: int, *keys: bytes, consistency: int = 0, min_revision: int = 0) -> Request:
    batch = pipeline_pb2.ReadBatch(keys=keys, consistency=consistency, min_revision=min_revision)  # type: ignore[arg-type]
    return Request(tag=tag, reads=batch)


def pipeline(service: Service, *requests: Request) -> list[Response]:
    """The answers, in the order of their tags."""

    async def converse() -> list[Response]:
        async def send() -> object:
            for request in requests:
                yield request

        return [response async for response in service.pipeline.Pipeline(send())]

    return sorted(service.runner.run(converse()), key=lambda response: response.tag)


def error(service: Service, request: Request) -> pipeline_pb2.PipelineError:
    (response,) = pipeline(service, request)
    assert response.HasField("error"), response
    assert not response.results
    return response.error


def test_every_command_has_its_answer_and_revision(service: Service) -> None:
    first, second = pipeline(
        service,
        writes(
            1,
            put(b"a", b"1"),
            put(b"a", b"2", return_previous=True),
            WriteCommand(delete=kv_pb2.DeleteRequest(key=b"x")),
            WriteCommand(compare_and_set={"key": b"a", "expected_revision": 9, "value": b""}),
            WriteCommand(compare_and_set={"key": b"a", "expected_revision": 2, "value": b"3"}),
            WriteCommand(batch_write={"operations": [{"put": {"key": b"b", "value": b""}}]}),
            WriteCommand(delete_range={"range": {"prefix": b"a"}}),
        ),
        reads(2, b"a", b"b"),
    )
    assert [result.revision for result in first.results] == [1, 2, 2, 2, 3, 4, 5]
    kinds = [result.WhichOneof("result") for result in first.results]
    assert kinds == [
        None,
        "put",
        "delete",
        "compare_and_set",
        "compare_and_set",
        "batch_write",
        "delete_range",
    ]
    assert first.results[1].put.previous.value == b"1"
    assert not first.results[2].delete.deleted
    assert first.results[3].compare_and_set.current.mod_revision == 2
    assert first.results[4].compare_and_set.succeeded
    assert list(first.results[5].batch_write.existed) == [False]
    assert first.results[6].delete_range.deleted == 1
    assert first.header.revision == 5
    assert [value.HasField("kv") for value in second.values] == [False, True]
    assert len(service.node.log) == 1, "one command of the log"


def test_a_transaction_is_a_command_too(service: Service) -> None:
    txn = kv_pb2.TxnRequest(success=[kv_pb2.TxnOperation(put=kv_pb2.PutRequest(key=b"t", value=b"1"))])
    (response,) = pipeline(service, writes(1, put(b"a"), WriteCommand(txn=txn)))
    assert response.results[1].txn.succeeded
    assert response.results[1].revision == 2


def test_a_command_that_fails_does_not_stop_the_others(service: Service) -> None:
    (response,) = pipeline(service, writes(1, put(b"a"), put(b"b", lease_id=77), put(b"c")))
    assert [result.revision for result in response.results] == [1, 1, 2]
    failed = response.results[1].error
    assert (failed.reason, failed.code) == ("LEASE_NOT_FOUND", grpc.StatusCode.NOT_FOUND.value[0])
    assert not failed.maybe_applied


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (Request(tag=1), "batch"),
        (writes(1), "writes.commands"),
        (writes(1, *[put(b"k")] * 1_001), "writes.commands"),
        (writes(1, *[put(b"k", bytes(1 << 20))] * 4), "writes.commands"),
        (writes(1, put(b"k"), WriteCommand()), "writes.commands[1]"),
        (writes(1, put(b"k"), put(b"")), "writes.commands[1].put.key"),
        (writes(1, put(bytes(481))), "writes.commands[0].put.key"),
        (writes(1, put(b"k", bytes((1 << 20) + 1))), "writes.commands[0].put.value"),
        (
            writes(1, put(b"k", request_id=common_pb2.RequestId(client_id=1, sequence=1))),
            "writes.commands[0].put.request_id",
        ),
        (writes(1, WriteCommand(delete=kv_pb2.DeleteRequest())), "writes.commands[0].delete.key"),
        (
            writes(1, WriteCommand(compare_and_set=kv_pb2.CompareAndSetRequest(key=b"k"))),
            "writes.commands[0].compare_and_set.update",
        ),
        (writes(1, put(b"k"), request_id=common_pb2.RequestId(sequence=1)), "request_id.client_id"),
        (writes(1, put(b"k"), request_id=common_pb2.RequestId(client_id=1)), "request_id.sequence"),
        (
            writes(
                1,
                put(b"k"),
                request_id=common_pb2.RequestId(client_id=1, sequence=1, first_unacknowledged=2),
            ),
            "request_id.first_unacknowledged",
        ),
        (reads(1), "reads.keys"),
        (reads(1, *[b"k"] * 1_001), "reads.keys"),
        (reads(1, b"k", b""), "reads.keys[1]"),
        (reads(1, b"k", consistency=9), "consistency"),
        (reads(1, b"k", min_revision=9), "min_revision"),
    ],
)
def test_a_wrong_batch_is_refused_as_a_whole(service: Service, request_: Request, field: str) -> None:
    failed = error(service, request_)
    assert (failed.reason, failed.field, failed.maybe_applied) == ("INVALID_ARGUMENT", field, False)
    assert failed.message.startswith(field)
    assert service.node.log == []


def test_the_stream_goes_on_after_a_batch_that_failed(service: Service) -> None:
    responses = pipeline(service, writes(1, put(b"")), writes(2, put(b"a")), reads(3, b"a"))
    assert [response.HasField("error") for response in responses] == [True, False, False]


def test_a_failure_says_what_a_unary_call_would(service: Service) -> None:
    service.node.refusal = no_leader(250)
    for request in (writes(1, put(b"a")), reads(1, b"a")):
        failed = error(service, request)
        assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE.value[0], "NO_LEADER")
        assert failed.retry_after_ms == 200
    service.node.refusal = StorageError("the text stays inside")
    failed = error(service, writes(1, put(b"a")))
    assert failed.reason == "INTERNAL"
    assert "the text" not in failed.message
    assert len(service.node.failures) == 1


def test_a_numbered_batch_is_applied_once(service: Service) -> None:
    client = service.call(service.client.RegisterClient, client_pb2.RegisterClientRequest())
    assert client.client_id == client.header.revision == 1
    number = common_pb2.RequestId(client_id=client.client_id, sequence=1, first_unacknowledged=1)
    batch = writes(7, put(b"a", return_previous=True), put(b"b", lease_id=5), request_id=number)
    first, again = (pipeline(service, batch)[0] for _ in range(2))
    assert first == again
    batch.tag = 8
    ((response,), (read,)) = pipeline(service, batch), pipeline(service, reads(1, b"a"))
    assert response.results == first.results
    assert read.values[0].kv.version == 1
    service.call(service.client.UnregisterClient, client_pb2.UnregisterClientRequest(client_id=1))
    assert error(service, batch).reason == "UNKNOWN_CLIENT"


def test_a_unary_write_can_be_numbered_as_well(service: Service) -> None:
    client = service.call(service.client.RegisterClient, client_pb2.RegisterClientRequest())
    number = common_pb2.RequestId(client_id=client.client_id, sequence=1)
    request = kv_pb2.PutRequest(key=b"a", value=b"1", return_previous=True, request_id=number)
    first, again = (service.call(service.kv.Put, request) for _ in range(2))
    assert first == again
    delete = kv_pb2.DeleteRequest(key=b"a", request_id=common_pb2.RequestId(client_id=99, sequence=1))
    with pytest.raises(Failed) as failed:
        service.call(service.kv.Delete, delete)
    assert (failed.value.reason, failed.value.applied) == ("UNKNOWN_CLIENT", "no")


def test_no_client_is_number_0(service: Service) -> None:
    with pytest.raises(Failed) as failed:
        service.call(service.client.UnregisterClient, client_pb2.UnregisterClientRequest())
    assert failed.value.field == "client_id"


@pytest.mark.parametrize(
    ("consistency", "min_revision", "waits"),
    [
        (common_pb2.CONSISTENCY_UNSPECIFIED, 0, ["fresh"]),
        (common_pb2.CONSISTENCY_LINEARIZABLE, 0, ["fresh"]),
        (common_pb2.CONSISTENCY_AT_LEAST, 1, ["at least 1"]),
        (common_pb2.CONSISTENCY_STALE, 0, []),
    ],
)
def test_the_reads_of_a_batch_wait_once(
    service: Service, consistency: int, min_revision: int, waits: list[str]
) -> None:
    pipeline(service, writes(1, put(b"a")))
    request = reads(2, *[b"a"] * 100, consistency=consistency, min_revision=min_revision)
    (response,) = pipeline(service, request)
    assert len(response.values) == 100
    assert service.node.waits == waits


def test_values_that_do_not_fit_are_to_be_asked_for_again(service: Service) -> None:
    for number in range(5):
        pipeline(service, writes(1, put(b"%d" % number, bytes(1 << 20))))
    (response,) = pipeline(service, reads(2, *(b"%d" % number for number in range(5)), b"none"))
    assert [value.omitted for value in response.values] == [False, False, False, True, True, True]
    assert response.ByteSize() < 4 << 20


def test_an_answer_that_does_not_fit_says_so(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_requests, "RESPONSE_BYTES_MAX", 4_000)
    batch = [put(b"k", bytes(3_000), return_previous=True) for _ in range(4)]
    (response,) = pipeline(service, writes(1, *batch))
    too_large = "ANSWER_TOO_LARGE"
    assert [result.error.reason for result in response.results] == ["", "", too_large, too_large]
    assert [result.revision for result in response.results] == [1, 2, 3, 4]
    assert response.results[3].error.maybe_applied


def test_answers_come_as_they_are_ready_and_a_window_bounds_what_is_under_way(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "BATCHES_MAX", 3)
    gate, full = asyncio.Event(), asyncio.Event()
    waiting = 0
    fresh = service.node.fresh

    async def slow() -> None:
        nonlocal waiting
        waiting += 1
        if waiting == 3:
            full.set()
        await gate.wait()
        await fresh()

    async def story() -> list[int]:
        monkeypatch.setattr(service.node, "fresh", slow)
        call = service.pipeline.Pipeline()
        for tag in (1, 2):
            await call.write(reads(tag, b"a"))
        stale = common_pb2.CONSISTENCY_STALE
        await call.write(reads(3, b"a", consistency=stale))
        tags = [(await call.read()).tag]
        for tag in range(4, 9):
            await call.write(reads(tag, b"a"))
        async with asyncio.timeout(30):
            await full.wait()
        # The server's tasks run in this very loop: a few rounds of it would show a fourth.
        for _ in range(50):
            await asyncio.sleep(0.001)
        assert waiting == 3, "the window is full"
        gate.set()
        await call.done_writing()
        return [*tags, *[(await call.read()).tag for _ in range(7)]]

    tags = service.runner.run(story())
    assert tags[0] == 3
    assert sorted(tags) == list(range(1, 9))


def test_a_caller_that_does_not_read_is_cut_off(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline(service, writes(1, put(b"k", bytes(1 << 20))))
    given_up = asyncio.Event()

    def slow_reader(waited_s: float) -> errors.RequestError:
        given_up.set()
        return real(waited_s)

    real = errors.slow_reader
    monkeypatch.setattr(errors, "slow_reader", slow_reader)

    async def story() -> None:
        call = service.pipeline.Pipeline()
        for tag in range(60):
            await call.write(reads(tag, b"k"))
        async with asyncio.timeout(30):
            await given_up.wait()
        with pytest.raises(grpc.aio.AioRpcError) as cut:
            async for _ in call:
                pass
        assert cut.value.code() is grpc.StatusCode.UNAVAILABLE

    service.runner.run(story())
