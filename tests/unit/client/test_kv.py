from __future__ import annotations

import asyncio

import pytest

from kvraft.client import (
    STALE,
    AtLeast,
    Client,
    Delete,
    Header,
    KeyRange,
    KeyValue,
    Put,
    ResourceExhausted,
)
from kvraft.v1 import common_pb2, kv_pb2, pipeline_pb2
from tests.fakes.kv_server import CLUSTER_ID, FakeNode, FakeServer


def header(revision: int) -> Header:
    return Header(cluster_id=CLUSTER_ID, member_id=1, leader_id=1, term=3, revision=revision)


def test_put_get_delete(server: FakeServer) -> None:
    async def run() -> None:
        async with Client(server.endpoint) as client:
            missing = await client.kv.get(b"k")
            assert (missing.header, missing.kv) == (header(0), None)

            first = await client.kv.put(b"k", b"1")
            assert (first.header, first.previous) == (header(1), None)
            second = await client.kv.put(b"k", b"2", return_previous=True)
            assert second.previous == KeyValue(b"k", b"1", 1, 1, 1)
            assert (await client.kv.get(b"k")).kv == KeyValue(b"k", b"2", 1, 2, 2)

            deleted = await client.kv.delete(b"k", return_previous=True)
            assert (deleted.header, deleted.deleted) == (header(3), True)
            assert deleted.previous == KeyValue(b"k", b"2", 1, 2, 2)
            again = await client.kv.delete(b"k", return_previous=True)
            assert (again.deleted, again.previous) == (False, None)

    asyncio.run(run())


def test_compare_and_set(server: FakeServer, node: FakeNode) -> None:
    async def run() -> None:
        async with Client(server.endpoint) as client:
            created = await client.kv.compare_and_set(b"k", b"", expected_revision=0)
            assert (created.succeeded, created.current) == (True, None)
            assert node.keys[b"k"].value == b""
            refused = await client.kv.compare_and_set(b"k", b"2", expected_revision=0)
            assert (refused.succeeded, refused.current) == (False, KeyValue(b"k", b"", 1, 1, 1))
            assert not (await client.kv.compare_and_delete(b"k", expected_revision=7)).succeeded
            assert (await client.kv.compare_and_delete(b"k", expected_revision=1)).succeeded
            assert node.keys == {}

    asyncio.run(run())


def test_batch_write_applies_in_order(server: FakeServer, node: FakeNode) -> None:
    async def run() -> None:
        async with Client(server.endpoint) as client:
            result = await client.kv.batch_write([Put(b"a", b"1"), Delete(b"a"), Put(b"b", b"2")])
            assert result.existed == (False, True, False)
            assert list(node.keys) == [b"b"]

    asyncio.run(run())


def test_range_in_pages_counted_and_deleted(server: FakeServer, node: FakeNode) -> None:
    for name in (b"a/1", b"a/2", b"a/3", b"b"):
        node.put(name, b"v")

    async def run() -> None:
        async with Client(server.endpoint) as client:
            keys = KeyRange.prefix(b"a/")
            page = await client.kv.range(keys, page_size=2, keys_only=True)
            assert [(kv.key, kv.value) for kv in page.kvs] == [(b"a/1", b""), (b"a/2", b"")]
            last = await client.kv.range(keys, page_size=2, page_token=page.next_page_token)
            assert [(kv.key, kv.value) for kv in last.kvs] == [(b"a/3", b"v")]
            assert last.next_page_token == ""
            backwards = await client.kv.range(KeyRange(b"a/2"), reverse=True)
            assert [kv.key for kv in backwards.kvs] == [b"b", b"a/3", b"a/2"]
            assert (await client.kv.count(keys)).count == 3

            first = await client.kv.delete_range(keys, limit=2)
            assert (first.deleted, first.more) == (2, True)
            rest = await client.kv.delete_range(keys)
            assert (rest.deleted, rest.more) == (1, False)
            assert (await client.kv.count()).count == 1

    asyncio.run(run())


def test_consistency_is_linearizable_unless_asked_otherwise(server: FakeServer, node: FakeNode) -> None:
    async def run() -> None:
        async with Client(server.endpoint) as client:
            await client.kv.get(b"k")
            await client.kv.get(b"k", consistency=STALE)
            await client.kv.range(consistency=AtLeast(7))
            await client.kv.count(consistency=AtLeast(8))

    asyncio.run(run())
    requests = [request for _, request in node.calls]
    assert [(request.consistency, request.min_revision) for request in requests] == [
        (common_pb2.CONSISTENCY_LINEARIZABLE, 0),
        (common_pb2.CONSISTENCY_STALE, 0),
        (common_pb2.CONSISTENCY_AT_LEAST, 7),
        (common_pb2.CONSISTENCY_AT_LEAST, 8),
    ]


def test_a_call_of_4_mib_passes_and_a_larger_one_is_refused_as_not_applied(
    server: FakeServer, node: FakeNode
) -> None:
    command = pipeline_pb2.WriteCommand(put=kv_pb2.PutRequest(key=b"k", value=bytes(4_000_000)))
    room = 4 * 1024 * 1024 - command.ByteSize() + 4_000_000

    async def run() -> None:
        async with Client(server.endpoint) as client:
            await client.kv.put(b"k", bytes(room))
            assert len(node.keys[b"k"].value) == room
            for size in (room + 1, room + 1_000_000):
                with pytest.raises(ResourceExhausted) as refused:
                    await client.kv.put(b"k", bytes(size))
                assert (refused.value.reason, refused.value.applied) == ("MESSAGE_TOO_LARGE", "no")
            assert node.methods() == ["Put"]

    asyncio.run(run())
