"""A watch gives every event once and in order, whatever becomes of the nodes it comes from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from kvraft.client import (
    Client,
    Compacted,
    DeadlineExceeded,
    Event,
    EventKind,
    InvalidArgument,
    KeyRange,
    ResourceExhausted,
    SyncClient,
    Unavailable,
)
from kvraft.v1 import common_pb2, kv_pb2
from tests.fakes.kv_server import Failure, FakeNode, FakeServer

Pair = tuple[FakeServer, FakeServer]
Response = kv_pb2.WatchResponse


def header(revision: int, leader_id: int = 1) -> common_pb2.ResponseHeader:
    return common_pb2.ResponseHeader(member_id=1, leader_id=leader_id, revision=revision)


def created(revision: int = 0) -> Response:
    return Response(header=header(revision), watch_id=1, created=True)


def put(revision: int, key: bytes = b"key") -> kv_pb2.Event:
    kv = kv_pb2.KeyValue(key=key, value=b"%d" % revision, create_revision=1, mod_revision=revision, version=1)
    return kv_pb2.Event(kind=kv_pb2.EVENT_KIND_PUT, kv=kv)


def sent(*events: kv_pb2.Event, fragment: bool = False, leader_id: int = 1) -> Response:
    last = events[-1].kv.mod_revision
    return Response(header=header(last, leader_id), watch_id=1, events=events, fragment=fragment)


def progress(revision: int, leader_id: int = 1) -> Response:
    return Response(header=header(revision, leader_id), watch_id=1)


def canceled(reason: str, *, oldest_revision: int = 0) -> Response:
    return Response(
        header=header(0),
        watch_id=1,
        canceled=kv_pb2.WatchCanceled(reason=reason, message="for a test", oldest_revision=oldest_revision),
    )


def endpoints(*servers: FakeServer) -> str:
    return ",".join(server.endpoint for server in servers)


def watch(
    addresses: str, count: int, *, timeout_s: float = 5.0, **options: object
) -> list[tuple[int, bytes]]:
    """The first `count` events."""

    async def run() -> list[tuple[int, bytes]]:
        got: list[tuple[int, bytes]] = []
        async with Client(addresses, timeout_s=timeout_s) as client, asyncio.timeout(10):
            events: AsyncIterator[Event] = aiter(client.kv.watch(KeyRange(), **options))
            while len(got) < count:
                event = await anext(events)
                got.append((event.revision, event.kv.key))
            await events.aclose()
        return got

    return asyncio.run(run())


def starts(node: FakeNode) -> list[int]:
    return [request.start_revision for method, request in node.calls if method == "Watch"]


def test_what_is_asked_for(server: FakeServer, node: FakeNode) -> None:
    node.watches.append([created(), sent(put(7))])

    async def run() -> None:
        async with Client(server.endpoint) as client:
            watch = client.kv.watch(b"key", start_revision=7, previous=True, exclude=[EventKind.DELETE])
            async for event in watch:
                assert event.kind is EventKind.PUT
                assert (event.kv.value, event.previous) == (b"7", None)
                break

    asyncio.run(run())
    [(_, request)] = node.calls
    assert (request.range.start, request.range.end) == (b"key", b"key\0")
    assert (request.start_revision, request.previous, request.progress_notify) == (7, True, True)
    assert list(request.exclude) == [kv_pb2.EVENT_KIND_DELETE]


def test_a_batch_is_a_revision_however_it_came(server: FakeServer, node: FakeNode) -> None:
    node.watches.append(
        [
            created(),
            sent(put(1), put(2, b"a"), put(2, b"b"), put(3, b"a"), fragment=True),
            sent(put(3, b"b"), fragment=True),
            sent(put(3, b"c"), put(4)),
        ]
    )

    async def run() -> None:
        async with Client(server.endpoint) as client:
            got = []
            async for batch in client.kv.watch(KeyRange()).batches():
                got.append((batch.revision, [event.kv.key for event in batch.events]))
                if batch.revision == 4:
                    break
            assert got == [(1, [b"key"]), (2, [b"a", b"b"]), (3, [b"a", b"b", b"c"]), (4, [b"key"])]

    asyncio.run(run())


def test_it_goes_on_at_the_next_node_behind_the_last_whole_revision(pair: Pair) -> None:
    first, second = pair
    first.node.watches += [[created(4), sent(put(5)), sent(put(6, b"a"), fragment=True)], []]
    second.node.watches.append([created(4), sent(put(6, b"a"), put(6, b"b")), sent(put(7))])
    assert watch(endpoints(first, second), 4) == [(5, b"key"), (6, b"a"), (6, b"b"), (7, b"key")]
    assert starts(second.node) == [6]


def test_a_watch_from_now_on_misses_nothing_when_its_first_node_dies(pair: Pair) -> None:
    first, second = pair
    first.node.watches += [[created(41)], []]
    second.node.watches.append([created(39), sent(put(42))])
    assert watch(endpoints(first, second), 1) == [(42, b"key")]
    assert (starts(first.node), starts(second.node)) == ([0], [42])


def test_progress_moves_the_place_to_go_on_from(pair: Pair) -> None:
    first, second = pair
    first.node.watches += [[created(4), progress(90), progress(89)], []]
    second.node.watches.append([created(95), sent(put(95))])
    assert watch(endpoints(first, second), 1) == [(95, b"key")]
    assert starts(second.node) == [91]


@pytest.mark.parametrize("reason", ["SHUTTING_DOWN", "SLOW_CONSUMER"])
def test_a_watch_that_a_node_ends_goes_on_elsewhere(pair: Pair, reason: str) -> None:
    first, second = pair
    first.node.watches.append([created(4), sent(put(5)), canceled(reason)])
    second.node.watches.append([created(5), sent(put(6))])
    assert watch(endpoints(first, second), 2) == [(5, b"key"), (6, b"key")]
    assert starts(second.node) == [6]


def test_a_node_that_has_lost_its_leader_is_left(pair: Pair) -> None:
    first, second = pair
    first.node.watches.append([created(4), progress(4, leader_id=0)])
    second.node.watches.append([created(9), sent(put(5))])
    assert watch(endpoints(first, second), 1) == [(5, b"key")]


def test_history_that_is_gone_on_one_node_may_be_on_another(pair: Pair) -> None:
    first, second = pair
    first.node.watches.append([canceled("COMPACTED", oldest_revision=50)])
    second.node.watches.append([created(60), sent(put(7))])
    assert watch(endpoints(first, second), 1, start_revision=7) == [(7, b"key")]


def test_history_that_is_gone_everywhere_is_an_error_that_says_what_is_left(pair: Pair) -> None:
    first, second = pair
    first.node.watches.append([canceled("COMPACTED", oldest_revision=50)])
    second.node.watches.append([created(3), sent(put(7)), canceled("COMPACTED", oldest_revision=40)])
    first.node.watches.append([canceled("COMPACTED", oldest_revision=50)])
    with pytest.raises(Compacted) as error:
        watch(endpoints(first, second), 2, start_revision=7)
    assert (error.value.oldest_revision, error.value.applied) == (40, "no")


@pytest.mark.parametrize(
    ("reason", "kind"), [("INVALID_ARGUMENT", InvalidArgument), ("TOO_MANY_WATCHES", ResourceExhausted)]
)
def test_what_another_node_would_refuse_as_well_ends_it(
    server: FakeServer, node: FakeNode, reason: str, kind: type[Exception]
) -> None:
    node.watches.append([canceled(reason)])
    with pytest.raises(kind, match="for a test"):
        watch(server.endpoint, 1)


def test_without_a_node_it_ends_after_the_timeout(server: FakeServer, node: FakeNode) -> None:
    node.fail("Watch", Failure(code=grpc.StatusCode.UNAVAILABLE, reason="SHUTTING_DOWN"), times=1_000)
    with pytest.raises(Unavailable):
        watch(server.endpoint, 1, timeout_s=0.15)
    node.failures.clear()
    node.hanging.add("Watch")
    with pytest.raises(DeadlineExceeded):
        watch(server.endpoint, 1, timeout_s=0.15)


def test_leaving_early_ends_the_call(server: FakeServer, node: FakeNode) -> None:
    node.watches.append([created(), sent(put(1), put(2))])
    assert watch(server.endpoint, 1) == [(1, b"key")]


def test_the_blocking_client_iterates_as_well(server: FakeServer, node: FakeNode) -> None:
    responses = [created(), sent(put(1, b"a"), put(1, b"b"), put(2))]
    node.watches += [responses]
    with SyncClient(server.endpoint) as client:
        got = []
        for event in client.kv.watch(KeyRange()):
            got.append((event.revision, event.kv.key))
            if event.revision == 2:
                break
        assert got == [(1, b"a"), (1, b"b"), (2, b"key")]
        node.watches += [responses]
        batches = client.kv.watch(KeyRange()).batches()
        assert [len(next(batches).events), len(next(batches).events)] == [2, 1]
        batches.close()
