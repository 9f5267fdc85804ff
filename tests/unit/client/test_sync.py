from __future__ import annotations

import inspect
import threading

import grpc
import pytest

from kvraft.client import Client, InternalError, KeyRange, SyncClient
from tests.fakes.kv_server import Failure, FakeNode, FakeServer


def test_calls_return_what_the_asyncio_client_returns(server: FakeServer, node: FakeNode) -> None:
    with SyncClient(server.endpoint) as client:
        assert client.endpoints == (server.endpoint,)
        assert client.kv.put(b"k", b"v").header.revision == 1
        got = client.kv.get(key=b"k")
        assert got.kv is not None
        assert got.kv.value == b"v"
        assert client.kv.count(KeyRange.prefix(b"k")).count == 1
        assert client.cluster.status().header.member_id == 1
        assert list(client.cluster.status_of_all()) == [server.endpoint]
        node.fail("Put", Failure(code=grpc.StatusCode.INTERNAL, reason="INTERNAL"))
        with pytest.raises(InternalError):
            client.kv.put(b"k", b"w")


def test_it_has_every_method_with_signature_and_docstring() -> None:
    with SyncClient("127.0.0.1:7001") as blocking:
        asyncio_client = Client("127.0.0.1:7001")
        for blocking_service, service in (
            (blocking.kv, asyncio_client.kv),
            (blocking.cluster, asyncio_client.cluster),
            (blocking.contacts, asyncio_client.contacts),
            (blocking.groups, asyncio_client.groups),
        ):
            names = {name for name in dir(service) if not name.startswith("_")}
            assert names == {name for name in dir(blocking_service) if not name.startswith("_")}
            for name in names:
                ours, theirs = getattr(blocking_service, name), getattr(service, name)
                assert inspect.signature(ours) == inspect.signature(theirs)
                assert ours.__doc__ == theirs.__doc__


def test_a_stream_is_an_iterator_that_may_be_left_early(server: FakeServer, node: FakeNode) -> None:
    node.page_size = 2
    for number in range(7):
        node.put(b"%d" % number, b"")
    with SyncClient(server.endpoint) as client:
        assert [kv.key for kv in client.kv.stream_range(reverse=True, limit=5)] == [
            b"6", b"5", b"4", b"3", b"2",
        ]  # fmt: skip
        stream = client.kv.stream_range()
        assert next(stream).key == b"0"
        stream.close()
        assert client.kv.get(b"6").kv is not None


def test_one_client_serves_many_threads(server: FakeServer, node: FakeNode) -> None:
    with SyncClient(server.endpoint) as client:

        def put_ten(thread: int) -> None:
            for number in range(10):
                client.kv.put(b"%d/%d" % (thread, number), b"")

        threads = [threading.Thread(target=put_ten, args=[thread]) for thread in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(node.keys) == 40


def test_closing_ends_the_thread_and_may_be_repeated(server: FakeServer) -> None:
    client = SyncClient(server.endpoint)
    client.kv.get(b"k")
    stream = client.kv.stream_range()
    client.close()
    client.close()
    stream.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "kvraft-client"]
    with pytest.raises(RuntimeError, match="the client is closed"):
        client.kv.get(b"k")
