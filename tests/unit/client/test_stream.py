from __future__ import annotations

import asyncio

import grpc
import pytest

from kvraft.client import STALE, Client, DeadlineExceeded, InternalError, KeyRange, Unavailable
from kvraft.client.kv import EVERY_KEY
from kvraft.v1 import common_pb2
from tests.fakes.kv_server import Failure, FakeNode, FakeServer

Code = grpc.StatusCode
Pair = tuple[FakeServer, FakeServer]
ALL = [b"%02d" % number for number in range(10)]


def fill(*nodes: FakeNode) -> None:
    for node in nodes:
        node.page_size = 3
        for key in ALL:
            node.put(key, b"v" + key)


def read(endpoints: str, keys: KeyRange = EVERY_KEY, *, timeout_s: float = 5.0, **options) -> list[bytes]:
    async def run() -> list[bytes]:
        async with Client(endpoints, timeout_s=timeout_s) as client:
            return [kv.key async for kv in client.kv.stream_range(keys, **options)]

    return asyncio.run(run())


def test_a_whole_range_in_both_directions(server: FakeServer, node: FakeNode) -> None:
    fill(node)
    assert read(server.endpoint) == ALL
    assert read(server.endpoint, reverse=True) == ALL[::-1]
    assert read(server.endpoint, KeyRange(b"02", b"07")) == ALL[2:7]
    assert read(server.endpoint, limit=4) == ALL[:4]
    assert read(server.endpoint, KeyRange.prefix(b"x")) == []


def test_keys_alone_come_without_values(server: FakeServer, node: FakeNode) -> None:
    fill(node)

    async def run() -> None:
        async with Client(server.endpoint) as client:
            assert {kv.value async for kv in client.kv.stream_range(keys_only=True)} == {b""}
            assert {kv.value async for kv in client.kv.stream_range(limit=1)} == {b"v00"}

    asyncio.run(run())


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("after_pages", [1, 2, 3, 4])
@pytest.mark.parametrize("limit", [0, 3, 7])
def test_a_broken_stream_goes_on_behind_the_last_key(
    pair: Pair, reverse: bool, after_pages: int, limit: int
) -> None:
    first, second = pair
    fill(first.node, second.node)
    broken = Failure(code=Code.UNAVAILABLE, message="Socket closed", after_pages=after_pages)
    first.node.fail("StreamRange", broken)
    endpoints = f"{first.endpoint},{second.endpoint}"
    wanted = ALL[::-1] if reverse else ALL
    assert read(endpoints, reverse=reverse, limit=limit) == wanted[: limit or None]


def test_a_stream_goes_on_at_the_same_revision_or_a_later_one(pair: Pair) -> None:
    first, second = pair
    fill(first.node, second.node)
    first.node.fail("StreamRange", Failure(code=Code.UNAVAILABLE, after_pages=2))
    assert read(f"{first.endpoint},{second.endpoint}", limit=8, consistency=STALE) == ALL[:8]
    [(_, request)] = second.node.calls
    assert (request.consistency, request.min_revision) == (common_pb2.CONSISTENCY_AT_LEAST, 10)
    assert (request.range.start, request.limit) == (b"05\0", 2)


def test_a_stream_that_never_began_begins_elsewhere_as_asked(pair: Pair) -> None:
    first, second = pair
    fill(first.node, second.node)
    first.node.fail("StreamRange", Failure(code=Code.UNAVAILABLE, reason="NO_LEADER"))
    assert read(f"{first.endpoint},{second.endpoint}") == ALL
    assert second.node.calls[0][1] == first.node.calls[0][1]


def test_each_page_renews_the_deadline_and_a_hanging_node_is_left(pair: Pair) -> None:
    first, second = pair
    fill(first.node, second.node)
    first.node.hanging.add("StreamRange page 1")
    assert read(f"{first.endpoint},{second.endpoint}", timeout_s=0.4) == ALL
    assert second.node.calls[0][1].range.start == b"02\0"


def test_a_stream_without_progress_ends(server: FakeServer, node: FakeNode) -> None:
    fill(node)
    node.hanging.add("StreamRange page 1")
    with pytest.raises(DeadlineExceeded) as failed:
        read(server.endpoint, timeout_s=0.15)
    assert failed.value.applied == "no"
    assert server.endpoint in str(failed.value)


def test_failures_that_repeating_does_not_mend_end_the_stream(server: FakeServer, node: FakeNode) -> None:
    fill(node)
    node.fail("StreamRange", Failure(code=Code.INTERNAL, after_pages=1))
    with pytest.raises(InternalError):
        read(server.endpoint)
    node.fail("StreamRange", Failure(code=Code.UNAVAILABLE, reason="NO_LEADER"), times=1000)
    with pytest.raises(Unavailable):
        read(server.endpoint, timeout_s=0.15)


def test_leaving_a_stream_early_leaves_nothing_behind(server: FakeServer, node: FakeNode) -> None:
    fill(node)

    async def run() -> None:
        async with Client(server.endpoint) as client:
            stream = aiter(client.kv.stream_range())
            assert (await anext(stream)).key == b"00"
            await stream.aclose()
            assert (await client.kv.get(b"00")).kv is not None

    asyncio.run(run())
