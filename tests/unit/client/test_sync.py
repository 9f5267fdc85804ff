from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from kvraft.client import (
    Client,
    ClientClosed,
    InternalError,
    KeyRange,
    Leader,
    OutgoingMessage,
    SendResult,
    SyncClient,
)
from tests.fakes.kv_server import Failure, FakeNode, FakeServer
from tests.fakes.one_node import one_node


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


# --- closing from another thread --------------------------------------------------------------------


def _in_thread(action: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Begins an action; its end is what it returned or raised."""
    ends: list[object] = []

    def work() -> None:
        try:
            ends.append(action())
        except BaseException as error:  # noqa: BLE001 - it is looked at
            ends.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, ends


@contextmanager
def _served() -> Iterator[SyncClient]:
    """A client of one node that leads, which serves from a thread of its own."""
    ready, leave = threading.Event(), threading.Event()
    endpoints: list[str] = []

    async def serve() -> None:
        async with one_node() as served:
            served.node.wall_ms = 1_700_000_000_000
            served.node.lead()
            endpoints.append(served.endpoints)
            ready.set()
            await asyncio.to_thread(leave.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(10)
        with SyncClient(endpoints[0]) as client:
            client.sessions.register_device("bob", "phone")
            yield client
    finally:
        leave.set()
        thread.join()


class _Noted:
    """Notes that the first item came, and goes on."""

    def __init__(self) -> None:
        self.began = threading.Event()

    def all_of(self, items: Iterable[object]) -> list[object]:
        found = []
        for item in items:
            found.append(item)
            self.began.set()
        return found


ITERATED: dict[str, Callable[[SyncClient], Any]] = {
    "watch": lambda client: client.kv.watch(KeyRange(), start_revision=1),
    "batches": lambda client: client.kv.watch(KeyRange(), start_revision=1).batches(),
    "receive": lambda client: client.messages.receive("bob", "phone"),
    "observe": lambda client: client.election("e").observe(),
}


@pytest.mark.parametrize("iterate", ITERATED.values(), ids=ITERATED)
def test_an_iteration_is_closed_from_another_thread_and_just_ends(
    iterate: Callable[[SyncClient], Any],
) -> None:
    with _served() as client:
        client.kv.put(b"k", b"v")
        client.messages.send("alice", to="bob", text="hi")
        noted, items = _Noted(), iterate(client)
        thread, ends = _in_thread(lambda: noted.all_of(items))
        assert noted.began.wait(10)
        items.close()
        thread.join(10)
        (found,) = ends
        assert isinstance(found, list), found
        items.close()
        assert client.kv.get(b"k").kv is not None


@pytest.mark.parametrize("iterate", ITERATED.values(), ids=ITERATED)
def test_closing_the_client_ends_an_iteration_with_client_closed(
    iterate: Callable[[SyncClient], Any],
) -> None:
    with _served() as client:
        client.kv.put(b"k", b"v")
        client.messages.send("alice", to="bob", text="hi")
        noted, items = _Noted(), iterate(client)
        thread, ends = _in_thread(lambda: noted.all_of(items))
        assert noted.began.wait(10)
        client.close()
        thread.join(10)
        (error,) = ends
        assert isinstance(error, ClientClosed), error


def test_closing_the_client_ends_who_waits_for_a_lock_or_a_message_with_client_closed() -> None:
    with _served() as client, pytest.raises(ClientClosed), client.lock("l") as lock:  # noqa: PT012
        noted = threading.Event()

        def wait() -> object:
            noted.set()
            with client.lock("l"):
                return None

        waiting = [_in_thread(wait), _in_thread(lambda: client.messages.pull("bob", "phone", wait_s=30))]
        assert noted.wait(10)
        client.close()
        for thread, ends in waiting:
            thread.join(10)
            assert isinstance(ends[0], ClientClosed), ends
        assert lock.lost.is_set()


def test_locks_elections_and_barriers_without_an_event_loop() -> None:
    with _served() as client:
        with client.lock("l", ttl_s=5) as lock:
            assert client.kv.get(lock.key).kv is not None
            assert lock.fencing_token > 0
            lock.check()
        assert client.kv.get(lock.key).kv is None
        election = client.election("e")
        with election.campaign(b"me") as leadership:
            assert election.leader() == Leader(b"me", leadership.fencing_token)
            with election.observe() as leaders:
                assert next(leaders) == election.leader()
        assert election.leader() is None
        barrier = client.barrier("b")
        assert barrier.hold()
        waiting, ends = _in_thread(barrier.wait)
        barrier.release()
        waiting.join(10)
        assert ends == [None]
        sent = client.messages.send_in_order([OutgoingMessage(sender_id="a", to="bob", text="1")])
        assert isinstance(sent[0], SendResult)
        with pytest.raises(ValueError, match="256"):
            next(iter(client.messages.receive("bob", "phone"))).nack(reason="x" * 257)


def test_a_callback_that_calls_the_client_is_told_and_not_left_waiting(server: FakeServer) -> None:
    with SyncClient(server.endpoint) as client:
        told: list[object] = []

        async def call() -> None:
            try:
                client.kv.get(b"k")
            except RuntimeError as error:
                told.append(error)

        client._thread.run(call)
        assert len(told) == 1
