"""The client for code without an event loop: the asyncio client in a thread of its own.

Each method is the asyncio method itself, wrapped: same arguments, same results, same errors,
known to type checkers and editors, and nothing written twice.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar

from kvraft.client.admin import Admin
from kvraft.client.client import Client
from kvraft.client.cluster import Cluster
from kvraft.client.contacts import Contacts
from kvraft.client.errors import ClientClosed
from kvraft.client.gateway import Gateway
from kvraft.client.groups import Groups
from kvraft.client.held_lease import HeldLease
from kvraft.client.kv import Kv
from kvraft.client.lease import Leases
from kvraft.client.message import Message
from kvraft.client.messages import Messages
from kvraft.client.receiver import WINDOW_BYTES, WINDOW_MESSAGES, ReceivedMessage, Receiver
from kvraft.client.session_results import OpenMode, Session
from kvraft.client.session_watch import SessionEvent, SessionEventBatch, SessionWatch
from kvraft.client.sessions import Sessions
from kvraft.client.watch import Event, EventBatch, Watch

P = ParamSpec("P")
ResultT = TypeVar("ResultT")
ServiceT = TypeVar("ServiceT")
ItemT = TypeVar("ItemT")
ItemT_co = TypeVar("ItemT_co", covariant=True)


class _LoopThread:
    """Runs coroutines in an event loop of its own thread."""

    __slots__ = ("_loop", "_thread")

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        # A daemon, so that a client that was not closed does not keep the process alive.
        self._thread = threading.Thread(target=self._loop.run_forever, name="kvraft-client", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return not self._loop.is_closed()

    def run(self, begin: Callable[[], Coroutine[Any, Any, ResultT]]) -> ResultT:
        """What `begin` makes is made and awaited in the thread: a caller that is interrupted (Ctrl-C) at any
        moment leaves nothing behind. Raises ClientClosed."""
        if not self.alive:
            raise ClientClosed
        done: Future[ResultT] = Future()
        tasks: list[asyncio.Task[ResultT]] = []

        def start() -> None:
            task = self._loop.create_task(begin())
            tasks.append(task)
            task.add_done_callback(lambda task: _tell(task, done))

        self._loop.call_soon_threadsafe(start)
        try:
            return done.result()
        finally:
            if not done.done():
                self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])

    def call(self, action: Callable[[], None]) -> None:
        """Does something soon, after what was asked for before."""
        if self.alive:
            self._loop.call_soon_threadsafe(action)

    def stop(self) -> None:
        self.run(self._end_all)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end_all(self) -> None:
        """Whatever is still under way."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._loop.shutdown_asyncgens()


def _tell(task: asyncio.Task[ResultT], done: Future[ResultT]) -> None:
    """What became of a task."""
    if task.cancelled():
        done.cancel()
        done.set_running_or_notify_cancel()
    elif (error := task.exception()) is not None:
        done.set_exception(error)
    else:
        done.set_result(task.result())


class _Blocking(Generic[ServiceT]):
    """A service of the asyncio client, to be called from any thread."""

    __slots__ = ("_service", "_thread")

    def __init__(self, service: ServiceT, thread: _LoopThread) -> None:
        self._service = service
        self._thread = thread


def _blocking(
    method: Callable[Concatenate[ServiceT, P], Coroutine[Any, Any, ResultT]],
) -> Callable[Concatenate[_Blocking[ServiceT], P], ResultT]:
    @functools.wraps(method)
    def call(self: _Blocking[ServiceT], /, *args: P.args, **kwargs: P.kwargs) -> ResultT:
        return self._thread.run(lambda: method(self._service, *args, **kwargs))

    return call


class _Paged(Protocol[ItemT_co]):
    """What is read in pages: a range of any size, a list."""

    def pages(self) -> AsyncGenerator[tuple[ItemT_co, ...], None]: ...


def _blocking_stream(
    method: Callable[Concatenate[ServiceT, P], _Paged[ItemT_co]],
) -> Callable[Concatenate[_Blocking[ServiceT], P], Iterator[ItemT_co]]:
    @functools.wraps(method)
    def iterate(self: _Blocking[ServiceT], /, *args: P.args, **kwargs: P.kwargs) -> Iterator[ItemT_co]:
        pages = method(self._service, *args, **kwargs).pages()

        async def next_page() -> tuple[ItemT_co, ...] | None:
            return await anext(pages, None)

        async def close() -> None:
            await pages.aclose()

        try:
            # A thread hand-over per page, not per key.
            while page := self._thread.run(next_page):
                yield from page
        except GeneratorExit:
            # The caller left early, so the pages are at a pause and can be closed.
            if self._thread.alive:
                self._thread.run(close)
            raise

    return iterate


def _in_turn(batches: AsyncGenerator[ItemT, None], thread: _LoopThread) -> Generator[ItemT, None, None]:
    """The items of a generator that lives in the thread."""

    async def next_batch() -> ItemT:
        return await anext(batches)

    async def close() -> None:
        await batches.aclose()

    try:
        while True:
            yield thread.run(next_batch)
    except GeneratorExit:
        # The caller left early, so the batches are at a pause and can be closed.
        if thread.alive:
            thread.run(close)
        raise


class SyncWatch:
    """Iterates over changes and blocks until there is one: as `Watch`."""

    __slots__ = ("_thread", "_watch")

    def __init__(self, watch: Watch, thread: _LoopThread) -> None:
        self._watch = watch
        self._thread = thread

    def __iter__(self) -> Iterator[Event]:
        with closing(self.batches()) as batches:
            for batch in batches:
                yield from batch.events

    def batches(self) -> Generator[EventBatch, None, None]:
        """The same, one item for each revision that changed something."""
        return _in_turn(self._watch.batches(), self._thread)


def _blocking_watch(
    method: Callable[Concatenate[ServiceT, P], Watch],
) -> Callable[Concatenate[_Blocking[ServiceT], P], SyncWatch]:
    @functools.wraps(method)
    def watch(self: _Blocking[ServiceT], /, *args: P.args, **kwargs: P.kwargs) -> SyncWatch:
        return SyncWatch(method(self._service, *args, **kwargs), self._thread)

    return watch


class SyncSessionWatch:
    """Iterates over what happens to sessions and blocks until something does: as `SessionWatch`."""

    __slots__ = ("_thread", "_watch")

    def __init__(self, watch: SessionWatch, thread: _LoopThread) -> None:
        self._watch = watch
        self._thread = thread

    def __iter__(self) -> Iterator[SessionEvent]:
        with closing(self.batches()) as batches:
            for batch in batches:
                yield from batch.events

    def batches(self) -> Generator[SessionEventBatch, None, None]:
        """The same, one item for each revision at which something happened."""
        return _in_turn(self._watch.batches(), self._thread)


class SyncKv(_Blocking[Kv]):
    """`client.kv`: the methods of `Kv`, blocking."""

    __slots__ = ()

    put = _blocking(Kv.put)
    get = _blocking(Kv.get)
    delete = _blocking(Kv.delete)
    delete_range = _blocking(Kv.delete_range)
    range = _blocking(Kv.range)
    count = _blocking(Kv.count)
    stream_range = _blocking_stream(Kv.stream_range)
    watch = _blocking_watch(Kv.watch)
    compare_and_set = _blocking(Kv.compare_and_set)
    compare_and_delete = _blocking(Kv.compare_and_delete)
    batch_write = _blocking(Kv.batch_write)
    txn = _blocking(Kv.txn)


class SyncCluster(_Blocking[Cluster]):
    """`client.cluster`: the methods of `Cluster`, blocking."""

    __slots__ = ()

    status = _blocking(Cluster.status)
    status_of_all = _blocking(Cluster.status_of_all)


class SyncHeldLease:
    """A lease that is kept alive by the thread of the client while its block runs, as `HeldLease`."""

    __slots__ = ("_lease", "_thread", "lost")

    def __init__(self, lease: HeldLease, thread: _LoopThread) -> None:
        self._lease = lease
        self._thread = thread
        self.lost = threading.Event()
        """Set when the lease has ended, or may have."""
        lease.when_lost(self.lost.set)

    @property
    def lease_id(self) -> int:
        """What `put(..., lease_id=)` takes."""
        return self._lease.lease_id

    def __enter__(self) -> Self:
        self._thread.run(self._lease.begin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.run(self._lease.end)


class SyncLeases(_Blocking[Leases]):
    """`client.lease`: the methods of `Leases`, blocking."""

    __slots__ = ()

    grant = _blocking(Leases.grant)
    keep_alive = _blocking(Leases.keep_alive)
    revoke = _blocking(Leases.revoke)
    get = _blocking(Leases.get)
    list = _blocking(Leases.list)

    def hold(self, ttl_s: float = 10.0) -> SyncHeldLease:
        """A lease that is kept alive while a `with` block runs."""
        return SyncHeldLease(self._service.hold(ttl_s), self._thread)


class SyncContacts(_Blocking[Contacts]):
    """`client.contacts`: the methods of `Contacts`, blocking."""

    __slots__ = ()

    update = _blocking(Contacts.update)
    update_many = _blocking(Contacts.update_many)
    get = _blocking(Contacts.get)
    delete = _blocking(Contacts.delete)
    list = _blocking(Contacts.list)
    all = _blocking_stream(Contacts.all)
    sync = _blocking(Contacts.sync)
    block = _blocking(Contacts.block)
    unblock = _blocking(Contacts.unblock)
    blocked = _blocking(Contacts.blocked)
    all_blocked = _blocking_stream(Contacts.all_blocked)


class SyncGroups(_Blocking[Groups]):
    """`client.groups`: the methods of `Groups`, blocking."""

    __slots__ = ()

    create = _blocking(Groups.create)
    get = _blocking(Groups.get)
    update = _blocking(Groups.update)
    delete = _blocking(Groups.delete)
    add = _blocking(Groups.add)
    remove = _blocking(Groups.remove)
    set_role = _blocking(Groups.set_role)
    members = _blocking(Groups.members)
    all_members = _blocking_stream(Groups.all_members)
    of_user = _blocking(Groups.of_user)
    all_of_user = _blocking_stream(Groups.all_of_user)


class SyncGateway:
    """A gateway whose lease is kept alive by the thread of the client while its block runs, as `Gateway`."""

    __slots__ = ("_gateway", "_thread", "lost")

    def __init__(self, gateway: Gateway, thread: _LoopThread) -> None:
        self._gateway = gateway
        self._thread = thread
        self.lost = threading.Event()
        """Set when the lease has ended, or may have."""
        gateway.when_lost(self.lost.set)

    @property
    def lease_id(self) -> int:
        """What `client.sessions.watch(lease_id=...)` takes."""
        return self._gateway.lease_id

    def open(
        self, user_id: str, device_id: str, *, mode: OpenMode = OpenMode.TAKE_OVER, info: bytes = b""
    ) -> Session:
        """Opens the session of a device here. Raises LeaseLost, and what `Sessions.open` does."""
        return self._thread.run(lambda: self._gateway.open(user_id, device_id, mode=mode, info=info))

    def close(self, session: Session) -> bool:
        """Closes a session of this gateway. False: it has ended, or is another gateway's by now."""
        return self._thread.run(lambda: self._gateway.close(session))

    def __enter__(self) -> Self:
        self._thread.run(self._gateway.begin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.run(self._gateway.end)


class SyncSessions(_Blocking[Sessions]):
    """`client.sessions`: the methods of `Sessions`, blocking."""

    __slots__ = ()

    register_device = _blocking(Sessions.register_device)
    list_devices = _blocking(Sessions.list_devices)
    remove_device = _blocking(Sessions.remove_device)
    open = _blocking(Sessions.open)
    close = _blocking(Sessions.close)
    revoke = _blocking(Sessions.revoke)
    get = _blocking(Sessions.get)
    list = _blocking(Sessions.list)
    all = _blocking_stream(Sessions.all)
    presence = _blocking(Sessions.presence)

    def watch(
        self, *, user_ids: Sequence[str] = (), lease_id: int = 0, from_revision: int = 0
    ) -> SyncSessionWatch:
        """Watches the sessions of users, or of a lease, as `Sessions.watch`."""
        watch = self._service.watch(user_ids=user_ids, lease_id=lease_id, from_revision=from_revision)
        return SyncSessionWatch(watch, self._thread)

    def gateway(self, address: str, ttl_s: float = 10.0) -> SyncGateway:
        """A gateway, whose sessions live as long as a `with` block runs and its process lives."""
        return SyncGateway(self._service.gateway(address, ttl_s), self._thread)


class SyncReceivedMessage:
    """A message that was handed out, as `ReceivedMessage`."""

    __slots__ = ("_message", "_thread", "delivery")

    def __init__(self, message: ReceivedMessage, thread: _LoopThread) -> None:
        self._message = message
        self._thread = thread
        self.delivery = message.delivery

    @property
    def message(self) -> Message:
        return self.delivery.message

    @property
    def seq(self) -> int:
        """Its number in the queue; 0: it is ephemeral, and there is nothing to acknowledge."""
        return self.delivery.seq

    @property
    def text(self) -> str:
        """The payload as text."""
        return self.delivery.message.text

    def ack(self) -> None:
        """Acknowledges the message, and waits until that is confirmed. Raises KvraftError."""
        self._thread.run(self._message.ack)

    def ack_soon(self) -> None:
        """The same without waiting."""
        self._thread.call(self._message.ack_soon)

    def nack(self, delay_s: float = 0.0, reason: str = "") -> None:
        """It could not be handled: it is handed out again, at once or after `delay_s`."""
        self._thread.call(functools.partial(self._message.nack, delay_s, reason))


class SyncReceiver:
    """Iterates over the messages of a device and blocks until there is one: as `Receiver`."""

    __slots__ = ("_receiver", "_thread")

    def __init__(self, receiver: Receiver, thread: _LoopThread) -> None:
        self._receiver = receiver
        self._thread = thread

    def __iter__(self) -> Iterator[SyncReceivedMessage]:
        messages = aiter(self._receiver)
        step: asyncio.Task[Any] | None = None

        async def next_message() -> ReceivedMessage | None:
            nonlocal step
            step = asyncio.current_task()
            return await anext(messages, None)

        async def close() -> None:
            if step is not None:
                # Interrupted (Ctrl-C), it lets go in good order just now.
                await asyncio.wait((step,))
            await messages.aclose()

        try:
            while (message := self._thread.run(next_message)) is not None:
                yield SyncReceivedMessage(message, self._thread)
        finally:
            if self._thread.alive:
                self._thread.run(close)


class SyncMessages(_Blocking[Messages]):
    """`client.messages`: the methods of `Messages`, blocking."""

    __slots__ = ()

    send = _blocking(Messages.send)
    send_many = _blocking(Messages.send_many)
    pull = _blocking(Messages.pull)
    acknowledge = _blocking(Messages.acknowledge)
    queue = _blocking(Messages.queue)
    queues = _blocking(Messages.queues)
    all_queues = _blocking_stream(Messages.all_queues)
    purge = _blocking(Messages.purge)
    dead_letters = _blocking(Messages.dead_letters)
    all_dead_letters = _blocking_stream(Messages.all_dead_letters)
    redrive = _blocking(Messages.redrive)
    delete_dead_letters = _blocking(Messages.delete_dead_letters)

    def receive(
        self,
        user_id: str,
        device_id: str,
        *,
        epoch: int | None = None,
        window_messages: int = WINDOW_MESSAGES,
        window_bytes: int = WINDOW_BYTES,
        until_empty: bool = False,
        ttl_s: float = 10.0,
    ) -> SyncReceiver:
        """Receives the messages of a device: `for message in client.messages.receive("bob", "phone")`."""
        receiver = self._service.receive(
            user_id,
            device_id,
            epoch=epoch,
            window_messages=window_messages,
            window_bytes=window_bytes,
            until_empty=until_empty,
            ttl_s=ttl_s,
        )
        return SyncReceiver(receiver, self._thread)


class SyncAdmin(_Blocking[Admin]):
    """`client.admin`: the methods of `Admin`, blocking."""

    __slots__ = ()

    export_user = _blocking_stream(Admin.export_user)
    erase_user = _blocking(Admin.erase_user)
    erasure = _blocking(Admin.erasure)
    check = _blocking_stream(Admin.check)
    audit = _blocking(Admin.audit)
    all_audit_entries = _blocking_stream(Admin.all_audit_entries)


class SyncClient:
    """A client of one cluster, for any number of threads. Arguments as for `Client`."""

    __slots__ = (
        "_client",
        "_thread",
        "admin",
        "cluster",
        "contacts",
        "groups",
        "kv",
        "lease",
        "messages",
        "sessions",
    )

    kv: SyncKv
    lease: SyncLeases
    contacts: SyncContacts
    admin: SyncAdmin
    groups: SyncGroups
    messages: SyncMessages
    sessions: SyncSessions
    cluster: SyncCluster

    def __init__(self, endpoints: str, *, timeout_s: float = 5.0) -> None:
        self._client = Client(endpoints, timeout_s=timeout_s)
        self._thread = _LoopThread()
        self.kv = SyncKv(self._client.kv, self._thread)
        self.lease = SyncLeases(self._client.lease, self._thread)
        self.contacts = SyncContacts(self._client.contacts, self._thread)
        self.admin = SyncAdmin(self._client.admin, self._thread)
        self.groups = SyncGroups(self._client.groups, self._thread)
        self.messages = SyncMessages(self._client.messages, self._thread)
        self.sessions = SyncSessions(self._client.sessions, self._thread)
        self.cluster = SyncCluster(self._client.cluster, self._thread)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The addresses, as given."""
        return self._client.endpoints

    def close(self) -> None:
        """Ends the calls under way, disconnects, and ends the thread. May be repeated."""
        if self._thread.alive:
            self._thread.run(self._client.close)
            self._thread.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
