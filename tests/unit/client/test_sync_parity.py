"""The blocking client has whatever the asyncio client has: the lists are taken from the classes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

import kvraft.client
from kvraft.client import Client, SyncClient, SyncIterator

MISSING = object()


def _public(cls: type) -> set[str]:
    names = {name for each in cls.__mro__[:-1] for name in vars(each)} | set(
        getattr(cls, "__annotations__", {})
    )
    return {name for name in names if not name.startswith("_")}


def _is_async(cls: type) -> bool:
    """Whether it cannot be used without an event loop."""
    asynchronous = any(
        inspect.iscoroutinefunction(inspect.unwrap(member))
        or inspect.isasyncgenfunction(inspect.unwrap(member))
        for name in _public(cls)
        if callable(member := inspect.getattr_static(cls, name, None)) and name != "pages"
    )
    is_iterated = hasattr(cls, "__aiter__") and not hasattr(cls, "pages")
    return asynchronous or is_iterated or hasattr(cls, "__aenter__")


def _services() -> list[tuple[type, type]]:
    client, blocking = Client("127.0.0.1:1"), SyncClient("127.0.0.1:1")
    try:
        names = _public(Client) - {"endpoints"}
        made = [(getattr(client, name), getattr(blocking, name, MISSING)) for name in sorted(names)]
        return [(type(ours), type(theirs)) for ours, theirs in made if not callable(ours)]
    finally:
        blocking.close()


PAIRS: list[tuple[type, type | None]] = [
    *_services(),
    *(
        (cls, getattr(kvraft.client, f"Sync{cls.__name__}", None))
        for name in kvraft.client.__all__
        if inspect.isclass(cls := getattr(kvraft.client, name))
        and not name.startswith("Sync")
        and _is_async(cls)
    ),
]


def _parameters(function: Callable[..., Any]) -> list[tuple[str, Any, Any]]:
    found = list(inspect.signature(function).parameters.values())[1:]
    return [(each.name, each.kind, each.default) for each in found]


def test_the_lists_are_not_empty() -> None:
    names = {cls.__name__ for cls, _ in PAIRS}
    assert {"Client", "Kv", "Messages", "Lock", "Leadership", "Election", "Barrier", "HeldLease"} <= names
    assert {"Gateway", "Receiver", "ReceivedMessage", "Watch", "SessionWatch", "Admin"} <= names


@pytest.mark.parametrize(("cls", "blocking"), PAIRS, ids=[cls.__name__ for cls, _ in PAIRS])
def test_nothing_is_missing_and_takes_what_the_asyncio_one_takes(cls: type, blocking: type | None) -> None:
    assert blocking is not None, f"Sync{cls.__name__} is missing"
    # A dataclass of the asyncio client shows what it was made of.
    fields = set(getattr(cls, "__dataclass_fields__", {}))
    missing = _public(cls) - fields - _public(blocking) - set(_slots(blocking))
    assert not missing
    for name in sorted(_public(cls) - fields):
        ours, theirs = getattr(cls, name), getattr(blocking, name, None)
        if inspect.isfunction(ours):
            assert callable(theirs), name
            assert _parameters(ours) == _parameters(theirs), name
            assert theirs.__doc__, name
    if hasattr(cls, "__aenter__"):
        assert hasattr(blocking, "__enter__")
        assert hasattr(blocking, "__exit__")
    if hasattr(cls, "__aiter__"):
        assert hasattr(blocking, "__iter__")
        assert hasattr(blocking, "close")


def test_iterators_are_closed_by_anybody_and_by_a_block() -> None:
    for name in ("close", "__enter__", "__exit__", "__iter__", "__next__"):
        assert hasattr(SyncIterator, name)


def _slots(cls: type) -> set[str]:
    return {slot for each in cls.__mro__ for slot in getattr(each, "__slots__", ())}
