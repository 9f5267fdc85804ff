"""Every exception of the packages survives `pickle` and `copy`: they are found, not listed."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import pkgutil
from collections.abc import Callable
from typing import Any

import pytest

import kvctl
import kvraft
from kvraft.client.errors import FieldViolation

ROUNDS: list[Callable[[Any], Any]] = [
    lambda error: pickle.loads(pickle.dumps(error)),
    copy.copy,
    copy.deepcopy,
]


def exceptions() -> list[type[Exception]]:
    found: dict[str, type[Exception]] = {}
    for package in (kvraft, kvctl):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if module.name.endswith("__main__"):
                continue
            for value in vars(importlib.import_module(module.name)).values():
                if (
                    inspect.isclass(value)
                    and issubclass(value, Exception)
                    and value.__module__.split(".")[0] in ("kvraft", "kvctl")
                ):
                    found[f"{value.__module__}.{value.__qualname__}"] = value
    return [found[name] for name in sorted(found)]


def made(kind: type[Exception]) -> Exception:
    """One with something in every argument."""
    if "__init__" not in {
        name for base in kind.__mro__ if base.__module__ != "builtins" for name in vars(base)
    }:
        return kind("something")
    arguments: list[object] = []
    named: dict[str, object] = {}
    for name, parameter in inspect.signature(kind).parameters.items():
        value: object = {
            "violations": (FieldViolation("f", "d"),),
            "retry_after_s": 0.25,
            "oldest_revision": 7,
            "number": 3,
            "applied": "unknown",
        }.get(name, f"some {name}")
        if parameter.kind is parameter.KEYWORD_ONLY:
            named[name] = value if name != "metadata" else {"a": "b"}
        elif parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            arguments.append(value)
    error = kind(*arguments, **named)
    error.add_note("a note")
    return error


@pytest.mark.parametrize("kind", exceptions(), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("again", ROUNDS, ids=("pickle", "copy", "deepcopy"))
def test_a_copy_of_an_exception_says_the_same(kind: type[Exception], again: Callable[[Any], Any]) -> None:
    error = made(kind)
    copied = again(error)
    assert type(copied) is kind
    assert copied.args == error.args
    assert str(copied) == str(error)
    assert vars(copied) == vars(error)


def test_there_are_some() -> None:
    assert len(exceptions()) > 30
