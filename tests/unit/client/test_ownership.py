"""Calls end by themselves, whatever becomes of what works for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest

from kvraft.client import Client, DeadlineExceeded, ResourceExhausted, SyncClient, Unavailable
from kvraft.client.endpoint import CHANNEL_OPTIONS
from tests.fakes.kv_server import FakeNode, FakeServer, dead_endpoint


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


@pytest.fixture
def address(node: FakeNode) -> Iterator[str]:
    with FakeServer(node) as server:
        yield server.endpoint


@pytest.fixture
def stranger() -> Iterator[str]:
    """A gRPC server that has none of kvraft's services, such as a peer port."""
    server = grpc.server(futures.ThreadPoolExecutor(2))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def test_a_wrong_key_hurts_no_other_call(address: str) -> None:
    async def run() -> None:
        async with Client(address) as client:
            wrong: Any = "a"
            right = [asyncio.ensure_future(client.kv.get(b"a")) for _ in range(10)]
            with pytest.raises(
                TypeError, match=r"Kv.get\(\): key is a str: give bytes, such as key.encode\(\)"
            ):
                await client.kv.get(wrong)
            await asyncio.gather(*right)
            await client.kv.put(bytearray(b"a"), memoryview(b"b"))
            found = (await client.kv.get(memoryview(b"a"))).kv
            assert found is not None
            assert found.value == b"b"

    asyncio.run(run())


def test_a_key_that_is_too_large_for_any_message_hurts_no_other_call(address: str) -> None:
    async def run() -> None:
        async with Client(address) as client:
            results = await asyncio.gather(
                client.kv.get(b"a"),
                client.kv.get(bytes(5 << 20)),
                client.kv.get(b"b"),
                return_exceptions=True,
            )
            assert isinstance(results[1], ResourceExhausted)
            assert [type(each).__name__ for each in (results[0], results[2])] == ["GetResult", "GetResult"]

    asyncio.run(run())


@pytest.mark.parametrize("name", ["kvraft-pipeline", "kvraft-register", ""])
def test_who_cancels_a_task_of_the_library_does_not_stop_it(address: str, name: str) -> None:
    async def run() -> None:
        async with Client(address, timeout_s=5.0) as client:
            for _ in range(3):
                call = asyncio.ensure_future(client.kv.put(b"a", b"b"))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                for task in asyncio.all_tasks() - {asyncio.current_task(), call}:
                    if name in task.get_name():
                        task.cancel()
                await call

    asyncio.run(run())


def test_a_loop_that_was_blocked_for_longer_than_the_timeout_goes_on(address: str) -> None:
    async def run() -> None:
        async with Client(address, timeout_s=0.5) as client:
            await client.kv.put(b"a", b"b")
            call = asyncio.ensure_future(client.kv.get(b"a"))
            await asyncio.sleep(0)
            time.sleep(1.0)  # noqa: ASYNC251 - the very fault
            await asyncio.gather(call, return_exceptions=True)
            await client.kv.get(b"a")

    asyncio.run(run())


def test_a_timeout_for_one_call(address: str, node: FakeNode) -> None:
    node.hanging.update({"Get", "Range"})

    async def run() -> None:
        async with Client(address, timeout_s=30.0) as client:
            hasty = client.with_timeout(0.2)
            began = asyncio.get_running_loop().time()
            with pytest.raises(DeadlineExceeded, match=r"0\.2 s"):
                await hasty.kv.get(b"a")
            with pytest.raises(DeadlineExceeded):
                await hasty.kv.range()
            assert asyncio.get_running_loop().time() - began < 15.0
            with pytest.raises(ValueError, match="timeout_s"):
                client.with_timeout(0)

    asyncio.run(run())
    with SyncClient([address], timeout_s=30.0) as client, pytest.raises(DeadlineExceeded):
        client.with_timeout(0.2).kv.get(b"a")


def test_an_endpoint_that_serves_no_clients_is_passed_over(address: str, stranger: str) -> None:
    async def run() -> None:
        async with Client([dead_endpoint(), stranger, address]) as client:
            await client.kv.put(b"a", b"b")
            await client.kv.range()
            assert [each.key async for each in client.kv.stream_range()] == [b"a"]

    asyncio.run(run())


def test_where_nothing_serves_clients_it_is_said_at_once(stranger: str) -> None:
    async def run() -> None:
        async with Client(stranger, timeout_s=60.0) as client, asyncio.timeout(30.0):
            for call in (client.kv.put(b"a", b"b"), client.kv.get(b"a"), client.kv.range()):
                with pytest.raises(Unavailable, match=f"{stranger}.*looks like a peer port") as failed:
                    await call
                assert failed.value.applied == "no"

    asyncio.run(run())


def test_names_are_looked_up_again_every_second() -> None:
    assert dict(CHANNEL_OPTIONS)["grpc.dns_min_time_between_resolutions_ms"] == 1_000
