"""What holds of every method of both clients: they are found in the classes, not listed here."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import signal
import traceback
import typing
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import pytest

from kvraft.client import Client, ClientClosed, ContactUpdate, OutgoingMessage, SyncClient
from kvraft.client.arguments import hints_of
from kvraft.client.lazily import lazily
from tests.fakes.kv_server import FakeServer, dead_endpoint

DEADLINE_S = 10.0
NOT_CALLS = {"close", "with_timeout"}


@dataclass(frozen=True, slots=True)
class Found:
    """A method, and where it is."""

    service: str
    """Of the client; empty: it is the client's own."""
    name: str

    def of(self, client: Client | SyncClient) -> Callable[..., Any]:
        owner = getattr(client, self.service) if self.service else client
        method: Callable[..., Any] = getattr(owner, self.name)
        return method

    def is_of(self, client: Client | SyncClient) -> bool:
        return hasattr(getattr(client, self.service) if self.service else client, self.name)

    def __str__(self) -> str:
        return f"{self.service}.{self.name}".lstrip(".")


def methods(kind: type[Client] | type[SyncClient]) -> list[Found]:
    client = Client("h:1")
    owners: dict[str, type] = {"": Client}
    for name, member in vars(kind).items():
        if isinstance(member, lazily):
            owners[name] = type(getattr(client, name))
    found = [
        Found(service, name)
        for service, owner in owners.items()
        for name, member in vars(owner).items()
        if inspect.isfunction(member) and not name.startswith("_") and name not in NOT_CALLS
    ]
    sync = SyncClient("h:1")
    if kind is SyncClient:
        found = [each for each in found if each.is_of(sync)]
    sync.close()
    return found


def parameters_of(method: Callable[..., Any]) -> dict[str, tuple[Any, bool]]:
    """Of each parameter what it takes, and whether it may be left out."""
    function = inspect.unwrap(getattr(method, "__func__", method))
    hints = hints_of(function)
    return {
        name: (hints[name], parameter.default is not parameter.empty)
        for name, parameter in inspect.signature(function).parameters.items()
        if name != "self"
    }


ASYNC, SYNC = methods(Client), methods(SyncClient)
PLAIN = Client("h:1")


def right(hint: Any, name: str) -> Any:
    """A value of what is annotated so."""
    if name == "endpoint":
        return "h:1"
    values: dict[Any, Any] = {bytes: b"k", str: "k", int: 5, float: 5.0, bool: False}
    if hint is datetime:
        return datetime.now(UTC)
    if hint in values:
        return values[hint]
    parts = [part for part in typing.get_args(hint) if part is not type(None)]
    if typing.get_origin(hint) is Sequence:
        return [right(parts[0], name)]
    if typing.get_origin(hint) is tuple:
        return tuple(right(part, name) for part in parts)
    if parts:
        return right(parts[0], name)
    if issubclass(hint, Enum):
        return next(iter(hint))
    if hint is ContactUpdate:
        return ContactUpdate(contact_id="k", display_name="k")
    if hint is OutgoingMessage:
        return OutgoingMessage(sender_id="k", to="k")
    return hint(**needed_by(hint.__init__))


def wrong(hint: Any) -> list[Any]:
    """Values of other types than what is annotated so."""
    found: list[Any] = [object(), 1.5 + 2j, Ellipsis]
    parts = typing.get_args(hint)
    if type(None) not in parts:
        found.append(None)
    if hint is bytes:
        found += ["k", 1, ["k"]]
    if hint is str:
        found += [b"k", 1, 1.5, True, ["k"]]
    if hint is int:
        found += ["1", 1.5, True, b"1", [1]]
    if hint is float:
        found += ["1", True, [1.0]]
    if typing.get_origin(hint) is Sequence:
        found += ["ab", b"ab", 5, {"a": 1}, [object()], [None]]
    return found


def needed_by(method: Callable[..., Any]) -> dict[str, Any]:
    parameters = parameters_of(method).items()
    return {name: right(hint, name) for name, (hint, has_default) in parameters if not has_default}


def required(method: Callable[..., Any]) -> dict[str, Any]:
    needed = needed_by(method)
    # One of two is to be given.
    if method.__qualname__ in ("Sessions.list", "Sessions.watch"):
        needed["lease_id"] = 5
    if method.__qualname__ == "Messages.send":
        needed["to"] = "bob"
    if method.__qualname__ == "Groups.update":
        needed["title"] = "k"
    return needed


def arguments(found: list[Found]) -> list[Any]:
    return [
        pytest.param(each, name, hint, id=f"{each}-{name}")
        for each in found
        for name, (hint, _) in parameters_of(each.of(PLAIN)).items()
    ]


async def use(made: Any) -> object:
    """Does what was asked for: a call, an iteration, a block."""
    if isinstance(made, Awaitable):
        return await made
    if isinstance(made, AsyncIterable):
        return await anext(aiter(made))
    if hasattr(made, "__aenter__"):
        async with made:
            return None
    waits = getattr(made, "wait", None) or made.leader
    return await waits()


def use_blocking(made: Any) -> object:
    if hasattr(made, "__iter__"):
        return next(iter(made))
    if hasattr(made, "__enter__"):
        with made:
            return None
    return None if made is None else (getattr(made, "wait", None) or made.leader)()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with FakeServer() as server:
        yield server.endpoint


def test_there_are_many() -> None:
    assert len(ASYNC) > 60
    assert {"kv", "lease", "contacts", "groups", "sessions", "messages", "admin", "cluster"} <= {
        each.service for each in SYNC
    }


# --- arguments --------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "name", "hint"), arguments(ASYNC))
def test_a_wrong_type_is_a_type_error_that_names_the_argument(method: Found, name: str, hint: Any) -> None:
    call = method.of(PLAIN)
    for value in wrong(hint):
        with pytest.raises(TypeError, match=rf"{method.name}\(\): {name}\b"):
            call(**(required(call) | {name: value}))


@pytest.mark.parametrize(("method", "name", "hint"), arguments(ASYNC))
def test_what_no_message_can_hold_is_a_value_error_of_the_call(method: Found, name: str, hint: Any) -> None:
    call = method.of(PLAIN)
    values: dict[Any, list[Any]] = {
        str: ["half \ud83d"],
        int: [-1, 1 << 64],
        float: [float("nan"), float("inf")],
        Sequence[str]: [["\udc00"]],
        Sequence[int]: [[-1], [1 << 64]],
    }
    for value in values.get(hint, []):
        with pytest.raises(ValueError, match=rf"{method.name}\(\): {name}\b"):
            call(**(required(call) | {name: value}))


@pytest.mark.parametrize(("method", "name", "hint"), arguments(SYNC))
def test_a_blocking_call_raises_the_same(sync: SyncClient, method: Found, name: str, hint: Any) -> None:
    needed = required(method.of(PLAIN))
    with pytest.raises(TypeError, match=rf"{method.name}\(\): {name}\b"):
        use_blocking(method.of(sync)(**(needed | {name: object()})))


@pytest.fixture(scope="module")
def sync() -> Iterator[SyncClient]:
    with SyncClient(dead_endpoint()) as client:
        yield client


# --- loops, processes, ends -------------------------------------------------------------------


async def attempt(method: Found, client: Client) -> BaseException | None:
    """What a call raises, within the deadline. (The node serves keys only.)"""
    call = method.of(client)
    async with asyncio.timeout(DEADLINE_S):
        try:
            await use(call(**required(call)))
        except Exception as error:  # noqa: BLE001 - whatever it is, is looked at
            return error
    return None


def test_in_another_loop_every_method_says_so(address: str) -> None:
    client = Client(address)
    asyncio.run(client.kv.put(b"k", b"v"))
    for method in ASYNC:
        error = asyncio.run(attempt(method, client))
        assert isinstance(error, RuntimeError), (str(method), error)
        assert "another event loop, which is closed" in str(error), str(method)
    asyncio.run(client.close())


def test_after_the_end_every_method_says_so(address: str) -> None:
    async def run() -> None:
        client = Client(address)
        await client.kv.put(b"k", b"v")
        await client.close()
        await client.close()
        for method in ASYNC:
            error = await attempt(method, client)
            assert isinstance(error, ClientClosed), (str(method), error)

    asyncio.run(run())
    client = SyncClient(address)
    client.close()
    client.close()
    for method in SYNC:
        with pytest.raises(ClientClosed):
            use_blocking(method.of(client)(**required(method.of(PLAIN))))


def test_after_all_tasks_were_cancelled_every_method_goes_on(address: str) -> None:
    async def run() -> None:
        async with Client(address, timeout_s=1.0) as client:
            for method in ASYNC:
                await client.kv.put(b"k", b"v")
                for task in asyncio.all_tasks() - {asyncio.current_task()}:
                    task.cancel()
                error = await attempt(method, client)
                assert not isinstance(error, RuntimeError | TimeoutError), (str(method), error)
                await client.kv.get(b"k")

    asyncio.run(run())


def in_child(check: Callable[[], None]) -> None:
    """Runs something in a fork, which has to end by itself and in good order."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(int(DEADLINE_S) * 3)
            check()
            code = 0
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_after_a_fork_every_method_says_so_and_the_parent_goes_on(address: str) -> None:
    async def all_of(client: Client) -> None:
        for method in ASYNC:
            error = await attempt(method, client)
            assert isinstance(error, RuntimeError), (str(method), error)
            assert "before a fork" in str(error), str(method)
        await client.close()

    def check(client: Client, blocking: SyncClient) -> None:
        asyncio.run(all_of(client))
        for method in SYNC:
            with pytest.raises(RuntimeError, match="before a fork"):
                use_blocking(method.of(blocking)(**required(method.of(PLAIN))))
        blocking.close()
        for kind in (Client, SyncClient):
            with pytest.raises(RuntimeError, match="forked from one that had used a client"):
                kind(address)

    with SyncClient(address) as blocking:
        blocking.kv.put(b"k", b"v")
        client = Client(address)
        asyncio.run(client.kv.put(b"k", b"v"))
        in_child(functools.partial(check, client, blocking))
        assert blocking.kv.get(b"k").kv is not None
