"""`client.kv.txn` against the real services."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest

from kvraft.client import (
    Client,
    Compare,
    Delete,
    DeleteRange,
    DeleteRangeResult,
    DeleteResult,
    Get,
    GetResult,
    InvalidArgument,
    KeyRange,
    KeyValue,
    LeaseNotFound,
    Put,
    PutResult,
    Range,
    RangeResult,
    SyncClient,
    Txn,
    TxnResult,
)
from kvraft.v1 import kv_pb2
from tests.fakes.machine_server import MachineServer


@pytest.fixture
def endpoint() -> Iterator[str]:
    with MachineServer() as server:
        yield server.endpoint


def run(endpoint: str, story: Callable[[Client], Awaitable[None]]) -> None:
    async def run() -> None:
        async with Client(endpoint) as client:
            await story(client)

    asyncio.run(run())


# --- comparisons ------------------------------------------------------------------------------------

EQUAL, NOT_EQUAL = kv_pb2.Compare.RELATION_EQUAL, kv_pb2.Compare.RELATION_NOT_EQUAL
LESS, GREATER = kv_pb2.Compare.RELATION_LESS, kv_pb2.Compare.RELATION_GREATER
EVERY_KEY, FROM_A = kv_pb2.KeyRange(), kv_pb2.KeyRange(start=b"a", end=b"b")


@pytest.mark.parametrize(
    ("compare", "message"),
    [
        (Compare.version(b"k") == 0, kv_pb2.Compare(key=b"k", relation=EQUAL, version=0)),
        (Compare.value(b"k") != b"x", kv_pb2.Compare(key=b"k", relation=NOT_EQUAL, value=b"x")),
        (Compare.mod_revision(b"k") < 7, kv_pb2.Compare(key=b"k", relation=LESS, mod_revision=7)),
        (Compare.create_revision(b"k") > 7, kv_pb2.Compare(key=b"k", relation=GREATER, create_revision=7)),
        (Compare.lease_id(b"k") == 3, kv_pb2.Compare(key=b"k", relation=EQUAL, lease_id=3)),
        (9 > Compare.version(b"k"), kv_pb2.Compare(key=b"k", relation=LESS, version=9)),  # noqa: SIM300
        (Compare.exists(b"k"), kv_pb2.Compare(key=b"k", exists=True)),
        (Compare.missing(b"k"), kv_pb2.Compare(key=b"k", exists=False)),
        (
            Compare.version(KeyRange.prefix(b"a")) > 1,
            kv_pb2.Compare(range=FROM_A, relation=GREATER, version=1),
        ),
        (
            Compare.version(KeyRange()) == 1,
            kv_pb2.Compare(range=EVERY_KEY, relation=EQUAL, version=1),
        ),
    ],
)
def test_a_comparison_is_written_as_one(compare: Compare, message: kv_pb2.Compare) -> None:
    assert compare.message == message
    assert compare.message.WhichOneof("target") == message.WhichOneof("target")


def test_a_comparison_is_neither_true_nor_false_here() -> None:
    with pytest.raises(TypeError, match="as a list"):
        bool(Compare.version(b"a") == 0)


# --- transactions -----------------------------------------------------------------------------------


def test_every_operation_has_its_result(endpoint: str) -> None:
    async def story(client: Client) -> None:
        await client.kv.batch_write([Put(b"a", b"1"), Put(b"b", b"2"), Put(b"c", b"3")])
        result = await client.kv.txn(
            compare=[Compare.version(b"a") == 1, Compare.value(b"b") > b"1"],
            success=[
                Put(b"a", b"new", return_previous=True),
                Put(b"d", b"4"),
                Get(b"a"),
                Get(b"none"),
                Delete(b"b", return_previous=True),
                Delete(b"none"),
                Range(KeyRange(), limit=2, reverse=True),
                Range(KeyRange.prefix(b"a"), keys_only=True),
                Range(KeyRange(), count_only=True),
                DeleteRange(KeyRange(b"c"), limit=1),
                Txn(compare=[Compare.exists(b"c")], success=[Put(b"x", b"")], failure=[Get(b"d")]),
            ],
            failure=[Get(b"a")],
        )
        header = result.header
        created = header.revision - 1
        new = KeyValue(b"a", b"new", created, header.revision, 2)
        d = KeyValue(b"d", b"4", header.revision, header.revision, 1)
        c = KeyValue(b"c", b"3", created, created, 1)
        assert result == TxnResult(
            header,
            True,
            (
                PutResult(header, KeyValue(b"a", b"1", created, created, 1)),
                PutResult(header, None),
                GetResult(header, new),
                GetResult(header, None),
                DeleteResult(header, True, KeyValue(b"b", b"2", created, created, 1)),
                DeleteResult(header, False, None),
                RangeResult(header, (d, c), 3),
                RangeResult(header, (KeyValue(b"a", b"", created, header.revision, 2),), 1),
                RangeResult(header, (), 3),
                DeleteRangeResult(header, 1, True),
                TxnResult(header, False, (GetResult(header, d),)),
            ),
        )
        stored = await client.kv.get(b"a")
        assert stored.kv == new
        assert stored.header.revision == header.revision

    run(endpoint, story)


def test_the_other_branch_is_done_when_a_comparison_fails(endpoint: str) -> None:
    async def story(client: Client) -> None:
        take = {"compare": [Compare.missing(b"lock")], "failure": [Get(b"lock")]}
        mine = await client.kv.txn(success=[Put(b"lock", b"mine")], **take)
        yours = await client.kv.txn(success=[Put(b"lock", b"yours")], **take)
        assert (mine.succeeded, yours.succeeded) == (True, False)
        (held,) = yours.results
        assert isinstance(held, GetResult)
        assert held.kv is not None
        assert held.kv.value == b"mine"
        assert yours.header.revision == mine.header.revision

    run(endpoint, story)


def test_many_at_once_share_messages_and_each_has_its_own_answer(endpoint: str) -> None:
    async def story(client: Client) -> None:
        async def increment() -> int:
            while True:
                read = await client.kv.get(b"counter")
                value, revision = (int(read.kv.value), read.kv.mod_revision) if read.kv else (0, 0)
                result = await client.kv.txn(
                    compare=[Compare.mod_revision(b"counter") == revision],
                    success=[Put(b"counter", b"%d" % (value + 1))],
                )
                if result.succeeded:
                    return value + 1

        assert sorted(await asyncio.gather(*[increment() for _ in range(20)])) == list(range(1, 21))

    run(endpoint, story)


def test_a_missing_lease_changes_nothing(endpoint: str) -> None:
    async def story(client: Client) -> None:
        with pytest.raises(LeaseNotFound) as refused:
            await client.kv.txn(success=[Put(b"a", b"1"), Put(b"b", b"2", lease_id=99)])
        assert refused.value.applied == "no"
        assert (await client.kv.count()).count == 0

    run(endpoint, story)


def test_a_wrong_request_names_its_field(endpoint: str) -> None:
    async def story(client: Client) -> None:
        with pytest.raises(InvalidArgument) as refused:
            await client.kv.txn(success=[Put(b"a", b"1"), Txn(failure=[Get(b"")])])
        (violation,) = refused.value.violations
        assert violation.field == "success[1].txn.failure[0].get.key"
        assert refused.value.applied == "no"

    run(endpoint, story)


def test_a_batch_refuses_what_only_a_transaction_answers() -> None:
    for operation in (Put(b"a", b"1", return_previous=True), Delete(b"a", return_previous=True)):
        with pytest.raises(ValueError, match="use `txn`"):
            operation.to_message()


def test_without_an_event_loop(endpoint: str) -> None:
    with SyncClient(endpoint) as client:
        result = client.kv.txn(compare=[Compare.missing(b"k")], success=[Put(b"k", b"v"), Get(b"k")])
        _, got = result.results
        assert isinstance(got, GetResult)
        assert got.kv is not None
        assert got.kv.value == b"v"
