"""The reads of KvService: freshness, pages, counts and streams."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator

import grpc
import grpc.aio
import pytest

from kvraft.node.sharing import Share
from kvraft.v1 import command_pb2, common_pb2, kv_pb2
from tests.unit.rpc.conftest import READER_TIMEOUT_S, Failed, Service
from tests.unit.rpc.fake_node import FakeNode, put_rows

LINEARIZABLE = common_pb2.CONSISTENCY_LINEARIZABLE
AT_LEAST = common_pb2.CONSISTENCY_AT_LEAST
STALE = common_pb2.CONSISTENCY_STALE


def page(service: Service, **fields: object) -> kv_pb2.RangeResponse:
    return service.call(service.kv.Range, kv_pb2.RangeRequest(**fields))


def pages(service: Service, **fields: object) -> Iterator[kv_pb2.RangeResponse]:
    answer = page(service, **fields)
    yield answer
    while answer.next_page_token:
        answer = page(service, page_token=answer.next_page_token, **fields)
        yield answer


def stream(service: Service, **fields: object) -> list[kv_pb2.StreamRangeResponse]:
    return service.call(service.kv.StreamRange, kv_pb2.StreamRangeRequest(**fields))


async def rest_of(call) -> list[kv_pb2.StreamRangeResponse]:
    """What a stream that was begun with `read` still brings. Raises Failed."""
    answers = []
    try:
        while (answer := await call.read()) is not grpc.aio.EOF:
            answers.append(answer)
    except grpc.aio.AioRpcError as error:
        raise Failed(error) from None
    return answers


def keys_of(answers) -> list[bytes]:
    return [kv.key for answer in answers for kv in answer.kvs]


def refused(service: Service, field: str, **fields: object) -> str:
    with pytest.raises(Failed) as raised:
        page(service, **fields)
    assert (raised.value.code, raised.value.field) == (grpc.StatusCode.INVALID_ARGUMENT, field)
    return raised.value.message


# --- freshness --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "waits"),
    [
        ({}, ["fresh"]),
        ({"consistency": LINEARIZABLE}, ["fresh"]),
        ({"consistency": AT_LEAST, "min_revision": 1}, ["at least 1"]),
        ({"consistency": AT_LEAST}, ["at least 0"]),
        ({"consistency": STALE}, []),
    ],
)
def test_each_read_waits_as_its_consistency_says(service: Service, fields: dict, waits: list[str]) -> None:
    (key,) = put_rows(service.node, 1)
    assert service.call(service.kv.Get, kv_pb2.GetRequest(key=key, **fields)).kv.key == key
    assert service.node.waits == waits
    assert keys_of([page(service, **fields)]) == [key]
    assert page(service, count_only=True, **fields).count == 1
    assert keys_of(stream(service, **fields)) == [key]
    assert service.node.waits == waits * 4


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"consistency": 4}, "consistency"),
        ({"min_revision": 1}, "min_revision"),
        ({"consistency": LINEARIZABLE, "min_revision": 1}, "min_revision"),
        ({"consistency": STALE, "min_revision": 1}, "min_revision"),
    ],
)
def test_a_consistency_that_cannot_be_is_refused_everywhere(
    service: Service, fields: dict, field: str
) -> None:
    for method, request in (
        (service.kv.Get, kv_pb2.GetRequest(key=b"a", **fields)),
        (service.kv.Range, kv_pb2.RangeRequest(**fields)),
        (service.kv.Range, kv_pb2.RangeRequest(count_only=True, **fields)),
        (service.kv.StreamRange, kv_pb2.StreamRangeRequest(**fields)),
    ):
        with pytest.raises(Failed) as raised:
            service.call(method, request)
        assert (raised.value.reason, raised.value.field) == ("INVALID_ARGUMENT", field)


def test_a_get_tells_the_history_of_the_key(service: Service) -> None:
    (key,) = put_rows(service.node, 1, value=b"1")
    put_rows(service.node, 1, value=b"2")
    answer = service.call(service.kv.Get, kv_pb2.GetRequest(key=key))
    assert answer.kv == kv_pb2.KeyValue(key=key, value=b"2", create_revision=1, mod_revision=2, version=2)
    assert answer.header.revision == 2


def test_a_key_that_does_not_exist_is_an_answer(service: Service) -> None:
    assert not service.call(service.kv.Get, kv_pb2.GetRequest(key=b"a")).HasField("kv")


# --- pages ------------------------------------------------------------------------------------------


def test_pages_make_up_the_range_in_order(service: Service) -> None:
    keys = put_rows(service.node, 10)
    put_rows(service.node, 3, prefix=b"other")
    for fields, expected in (
        ({}, keys),
        ({"reverse": True}, keys[::-1]),
    ):
        for page_size in (1, 3, 5, 10, 11):
            answers = list(pages(service, range={"prefix": b"key"}, page_size=page_size, **fields))
            assert keys_of(answers) == expected
            assert len(answers) == -(-10 // page_size)


def test_a_page_holds_100_keys_unless_asked(service: Service) -> None:
    put_rows(service.node, 101)
    assert [len(answer.kvs) for answer in pages(service)] == [100, 1]


def test_a_page_holds_at_most_1000_keys(service: Service) -> None:
    put_rows(service.node, 1_001)
    assert [len(answer.kvs) for answer in pages(service, page_size=1_000)] == [1_000, 1]
    assert "1,001" in refused(service, "page_size", page_size=1_001)


def test_a_page_ends_at_1_mib(service: Service) -> None:
    put_rows(service.node, 4, value=b"v" * (512 << 10))
    assert [len(answer.kvs) for answer in pages(service)] == [2, 2]
    assert [len(answer.kvs) for answer in pages(service, keys_only=True)] == [4]


def test_keys_only_leaves_the_values_out(service: Service) -> None:
    keys = put_rows(service.node, 2, value=b"value")
    answer = page(service, keys_only=True)
    assert keys_of([answer]) == keys
    assert {kv.value for kv in answer.kvs} == {b""}
    assert {kv.mod_revision for kv in answer.kvs} == {1}


def test_a_later_page_is_not_older_than_the_one_before(service: Service) -> None:
    keys = put_rows(service.node, 2)
    first = page(service, page_size=1, consistency=STALE)
    page(service, page_size=1, consistency=STALE, page_token=first.next_page_token)
    assert service.node.waits == ["at least 1"]

    other = FakeNode()
    service.node.replica.machine, service.node.replica.state = other.replica.machine, other.replica.state
    with pytest.raises(Failed) as raised:
        page(service, page_size=1, page_token=first.next_page_token)
    assert raised.value.reason == "REVISION_NOT_REACHED"
    assert raised.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert keys


def test_a_later_page_also_waits_for_its_own_min_revision(service: Service) -> None:
    put_rows(service.node, 3)
    first = page(service, page_size=1)
    put_rows(service.node, 3)
    request = {"page_size": 1, "page_token": first.next_page_token}
    page(service, consistency=AT_LEAST, min_revision=2, **request)
    assert service.node.waits[-1] == "at least 2"


def test_paging_survives_that_the_last_key_was_deleted(service: Service) -> None:
    keys = put_rows(service.node, 4)
    first = page(service, page_size=2)
    command = command_pb2.Command(delete={"key": keys[1]})
    service.runner.run(service.node.write(command.SerializeToString(), grows_state=False))
    assert keys_of([page(service, page_token=first.next_page_token)]) == keys[2:]


def test_the_longest_keys_can_be_paged(service: Service) -> None:
    keys = [b"k" * 479 + bytes((byte,)) for byte in (1, 255)]
    for key in keys:
        command = command_pb2.Command(put={"key": key, "value": b"v"})
        service.runner.run(service.node.write(command.SerializeToString(), grows_state=True))
    assert keys_of(pages(service, page_size=1)) == keys
    assert keys_of(pages(service, page_size=1, reverse=True)) == keys[::-1]


def test_the_page_size_may_change_on_the_way(service: Service) -> None:
    keys = put_rows(service.node, 6)
    first = page(service, page_size=1)
    assert keys_of([page(service, page_size=5, page_token=first.next_page_token)]) == keys[1:]


def test_a_token_of_another_query_is_refused(service: Service) -> None:
    put_rows(service.node, 4)
    token = page(service, range={"prefix": b"key"}, page_size=2).next_page_token
    for fields in (
        {},
        {"range": {"prefix": b"ke"}},
        {"range": {"start": b"key"}},
        {"range": {"prefix": b"key"}, "reverse": True},
        {"range": {"prefix": b"key"}, "keys_only": True},
    ):
        assert "another query" in refused(service, "page_token", page_token=token, **fields)
    # The same range, said differently, is the same query.
    assert page(service, range={"start": b"key", "end": b"kez"}, page_token=token).kvs


def test_garbage_is_not_a_token(service: Service) -> None:
    put_rows(service.node, 4)
    token = page(service, page_size=2).next_page_token
    whole = base64.urlsafe_b64decode(token)
    encode = base64.urlsafe_b64encode
    for garbage in (
        "x",
        "????",
        "schlüssel",
        token[:-1],
        token + "\n",
        encode(whole[:16]).decode(),
        encode(whole[:17]).decode(),
        encode(b"\x02" + whole[1:]).decode(),
        encode(whole[:17] + b"k" * 481).decode(),
    ):
        refused(service, "page_token", page_token=garbage)


def test_a_token_cannot_lead_out_of_its_range(service: Service) -> None:
    put_rows(service.node, 4)
    fields = {"range": {"start": b"key", "end": b"kez"}, "page_size": 1}
    whole = base64.urlsafe_b64decode(page(service, **fields).next_page_token)
    for key in (b"kex", b"kez", b"a"):
        forged = base64.urlsafe_b64encode(whole[:17] + key).decode()
        refused(service, "page_token", page_token=forged, **fields)


# --- counts and streams -----------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 1_000])
def test_a_count_counts(service: Service, count: int) -> None:
    put_rows(service.node, count)
    put_rows(service.node, 3, prefix=b"other")
    answer = page(service, range={"prefix": b"key"}, count_only=True)
    assert (answer.count, len(answer.kvs), answer.next_page_token) == (count, 0, "")
    assert [view.closed.is_set() for view in service.node.state.views] == [True]


def test_a_count_has_no_pages(service: Service) -> None:
    put_rows(service.node, 4)
    token = page(service, page_size=2).next_page_token
    refused(service, "page_token", count_only=True, page_token=token)


def test_the_node_goes_on_while_a_count_runs(service: Service) -> None:
    put_rows(service.node, 1_000)

    async def count_and_write() -> tuple[kv_pb2.RangeResponse, int]:
        counting = service.kv.Range(kv_pb2.RangeRequest(count_only=True))
        await service.node.state.viewed.wait()
        assert not service.node.state.views[0].closed.is_set()
        put_rows(service.node, 5, prefix=b"later")
        return await counting, service.node.replica.machine.revision

    answer, revision = service.runner.run(count_and_write())
    assert (answer.count, answer.header.revision, revision) == (1_000, 1, 2)


@pytest.mark.parametrize("count", [1, 100, 101, 1_200])
def test_a_stream_brings_the_range_at_one_revision(service: Service, count: int) -> None:
    keys = put_rows(service.node, count)
    put_rows(service.node, 3, prefix=b"other")
    answers = stream(service, range={"prefix": b"key"})
    assert keys_of(answers) == keys
    assert {answer.header.revision for answer in answers} == {2}
    assert keys_of(stream(service, range={"prefix": b"key"}, reverse=True)) == keys[::-1]
    assert [view.closed.is_set() for view in service.node.state.views] == [True, True]


def test_a_stream_of_nothing_tells_its_revision(service: Service) -> None:
    put_rows(service.node, 1)
    (answer,) = stream(service, range={"prefix": b"none"})
    assert (answer.header.revision, len(answer.kvs)) == (1, 0)


@pytest.mark.parametrize("limit", [1, 99, 100, 101, 1_200, 1_201, (1 << 64) - 1])
def test_a_stream_stops_at_its_limit(service: Service, limit: int) -> None:
    keys = put_rows(service.node, 1_200)
    assert keys_of(stream(service, limit=limit)) == keys[:limit]


def test_a_page_of_a_stream_ends_at_256_kib(service: Service) -> None:
    put_rows(service.node, 10, value=b"v" * (64 << 10))
    assert [len(answer.kvs) for answer in stream(service)] == [4, 4, 2]
    assert [len(answer.kvs) for answer in stream(service, keys_only=True)] == [10]


def test_a_stream_sees_no_later_write(service: Service) -> None:
    keys = put_rows(service.node, 600)

    async def read_and_write() -> list[kv_pb2.StreamRangeResponse]:
        call = service.kv.StreamRange(kv_pb2.StreamRangeRequest())
        answers = [await call.read()]
        put_rows(service.node, 600, value=b"later")
        return [*answers, *await rest_of(call)]

    answers = service.runner.run(read_and_write())
    assert keys_of(answers) == keys
    assert {kv.value for answer in answers for kv in answer.kvs} == {b"v"}


def test_a_node_reads_a_limited_number_of_moments(service: Service) -> None:
    service.node.replica.views.share = Share(2)
    keys = put_rows(service.node, 60, value=b"v" * (1 << 20))

    async def read_two() -> list[kv_pb2.StreamRangeResponse]:
        call = service.kv.StreamRange(kv_pb2.StreamRangeRequest())
        first = await call.read()
        for refused in (
            service.kv.StreamRange(kv_pb2.StreamRangeRequest()).read(),
            service.kv.Range(kv_pb2.RangeRequest(count_only=True)),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as overloaded:
                await refused
            assert overloaded.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        return [first, *await rest_of(call)]

    assert keys_of(service.runner.run(read_two())) == keys
    assert service.call(service.kv.Range, kv_pb2.RangeRequest(count_only=True)).count == len(keys)


def test_a_stream_outlives_the_state_it_began_with(service: Service) -> None:
    keys = put_rows(service.node, 60, value=b"v" * (1 << 20))

    async def read_on() -> list[kv_pb2.StreamRangeResponse]:
        call = service.kv.StreamRange(kv_pb2.StreamRangeRequest())
        first = await call.read()
        service.node.replace_state()
        return [first, *await rest_of(call)]

    answers = service.runner.run(read_on())
    assert keys_of(answers) == keys
    assert {answer.header.revision for answer in answers} == {1}
    assert not page(service).kvs


def test_a_caller_that_reads_nothing_is_cut_off(service: Service) -> None:
    put_rows(service.node, 60, value=b"v" * (1 << 20))

    async def read_late() -> None:
        call = service.kv.StreamRange(kv_pb2.StreamRangeRequest())
        await call.read()
        view = service.node.state.views[0]
        async with asyncio.timeout(10 * READER_TIMEOUT_S):
            await view.closed.wait()
        await rest_of(call)

    with pytest.raises(Failed) as raised:
        service.runner.run(read_late())
    assert (raised.value.code, raised.value.reason) == (grpc.StatusCode.UNAVAILABLE, "SLOW_READER")


def test_a_cancelled_stream_lets_go_of_its_view(service: Service) -> None:
    put_rows(service.node, 60, value=b"v" * (1 << 20))

    async def cancel() -> None:
        call = service.kv.StreamRange(kv_pb2.StreamRangeRequest())
        await call.read()
        call.cancel()
        view = service.node.state.views[0]
        async with asyncio.timeout(READER_TIMEOUT_S):
            await view.closed.wait()

    service.runner.run(cancel())
    assert service.call(service.kv.Get, kv_pb2.GetRequest(key=b"a")).header.revision == 1
