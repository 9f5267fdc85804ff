"""Arguments are checked where they are given, by the annotations that the caller sees.

`@checked` before a class does it for each of its public methods, and for the constructor of a dataclass: a
wrong type is a TypeError, a value that no message can hold a ValueError, both in words and before anything
is queued or sent. What is right but not in its plain form (a bytearray, the text of an enum, any iterable
for a sequence) is turned into that. A new method or field is covered by its annotation.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import operator
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import kvraft.client

ClassT = TypeVar("ClassT", bound=type)
Rule = Callable[[Any, str], Any]
"""From a value and what it is called to the value in its plain form. Raises TypeError, ValueError."""
_Function = Callable[..., Any]

_UINT64_MAX = 2**64 - 1
_ANYTHING = frozenset({Any, object})
_PLAIN_MAX = 64


def checked(cls: ClassT) -> ClassT:
    """The class, whose public methods check their arguments."""
    for name, member in list(vars(cls).items()):
        if name.startswith("_"):
            continue
        if inspect.isfunction(member):
            setattr(cls, name, _checking(member, skip_first=True))
        elif isinstance(member, staticmethod):
            setattr(cls, name, staticmethod(_checking(member.__func__, skip_first=False)))
        elif isinstance(member, classmethod):
            setattr(cls, name, classmethod(_checking(member.__func__, skip_first=True)))
    if dataclasses.is_dataclass(cls):
        init = vars(cls)["__init__"]
        setattr(cls, "__init__", _checking(init, skip_first=True, name=cls.__name__))  # noqa: B010
    return cls


def _checking(function: _Function, *, skip_first: bool, name: str | None = None) -> _Function:
    """The function behind a check. Its annotations are read at its first call, when all names are known."""
    name = name or function.__qualname__
    arguments: _Arguments | None = None
    skipped = int(skip_first)
    plain: set[tuple[type, ...]] = set()

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal arguments
        if not kwargs and tuple(map(type, args)) in plain:
            return function(*args)
        if arguments is None:
            arguments = _Arguments(function, name, skipped)
        args = arguments.check_positional(args)
        if kwargs:
            arguments.check_named(kwargs)
        elif len(plain) < _PLAIN_MAX and arguments.are_plain(args):
            plain.add(tuple(map(type, args)))
        return function(*args, **kwargs)

    return call


class _Arguments:
    """The rules for the arguments of one function."""

    __slots__ = ("_positional", "_rules", "_skipped")

    def __init__(self, function: _Function, name: str, skipped: int) -> None:
        hints = hints_of(function)
        parameters = list(inspect.signature(function).parameters.values())[skipped:]
        self._skipped = skipped
        self._rules = {
            parameter.name: (
                _rule(hints.get(parameter.name, Any)),
                f"{name}(): {parameter.name}",
                parameter.default,
            )
            for parameter in parameters
        }
        self._positional = [
            self._rules[parameter.name]
            for parameter in parameters
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        ]

    def check_positional(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        given = args[self._skipped :]
        if len(given) > len(self._positional):
            return args  # Python says it
        found = [
            value if value is default else rule(value, where)
            for value, (rule, where, default) in zip(given, self._positional, strict=False)
        ]
        return (*args[: self._skipped], *found)

    def check_named(self, kwargs: dict[str, Any]) -> None:
        for name, value in kwargs.items():
            known = self._rules.get(name)
            if known is not None and value is not known[2]:
                kwargs[name] = known[0](value, known[1])

    def are_plain(self, args: tuple[Any, ...]) -> bool:
        """Whether arguments of these very types need not be looked at again."""
        given = zip(args[self._skipped :], self._positional, strict=False)
        return all(rule is _bytes and type(value) is bytes for value, (rule, _, _) in given)


def hints_of(function: _Function) -> dict[str, Any]:
    """The types of its parameters. That of the result may be one that only type checkers import. So may what
    the library exports: its modules are imported now."""
    of_parameters = {name: hint for name, hint in function.__annotations__.items() if name != "return"}
    names = _Names(function.__globals__)
    return get_type_hints(types.SimpleNamespace(__annotations__=of_parameters), function.__globals__, names)


class _Names(dict[str, Any]):
    """What annotations of a module may name beside its own globals."""

    def __init__(self, own: dict[str, Any]) -> None:
        super().__init__()
        self._own = own

    def __missing__(self, name: str) -> Any:
        if name not in self._own and name in kvraft.client.__all__:
            return getattr(kvraft.client, name)
        raise KeyError(name)


# --- rules ------------------------------------------------------------------------------------


def _wrong(where: str, value: object, wanted: str) -> TypeError:
    return TypeError(f"{where} is {_of_type(value)}: give {wanted}")


def _of_type(value: object) -> str:
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _bytes(value: object, where: str) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if isinstance(value, str):
        argument = where.rpartition(" ")[2]
        raise _wrong(where, value, f"bytes, such as {argument}.encode()")
    raise _wrong(where, value, "bytes")


def _str(value: object, where: str) -> str:
    if isinstance(value, bytes):
        raise _wrong(where, value, f"a str, such as {where.rpartition(' ')[2]}.decode()")
    if not isinstance(value, str):
        raise _wrong(where, value, "a str")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{where} has half of a character at position {error.start} (a lone "
                "surrogate), which is no text"
            ) from None
    return value


def _int(value: object, where: str) -> int:
    if isinstance(value, bool):
        raise _wrong(where, value, "an int")
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise _wrong(where, value, "an int") from None
    if not 0 <= number <= _UINT64_MAX:
        raise ValueError(f"{where} is {number}: give 0 to {_UINT64_MAX}")
    return number


def _float(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(where, value, "a number")
    if not math.isfinite(value):
        raise ValueError(f"{where} is {value}: give a finite number")
    return value


def _bool(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong(where, value, "True or False")
    return value


_RULES: dict[Any, Rule] = {bytes: _bytes, str: _str, int: _int, float: _float, bool: _bool}


def _rule(annotation: Any) -> Rule:
    """The rule for what is annotated so."""
    if annotation in _RULES:
        return _RULES[annotation]
    origin, parts = get_origin(annotation), get_args(annotation)
    if annotation in _ANYTHING or isinstance(annotation, TypeVar):
        return lambda value, _: value
    if origin in (Union, types.UnionType):
        kinds = [part for part in parts if part is not type(None)]
        words = " or ".join(map(_words, kinds))
        rule = functools.partial(_one_of, tuple(map(_rule, kinds)), words)
        return functools.partial(_optional, rule) if len(kinds) < len(parts) else rule
    if origin is tuple and parts[1:] != (...,):
        return functools.partial(_row, tuple(map(_rule, parts)))
    if origin in (Sequence, tuple, list):
        return functools.partial(_sequence, _rule(parts[0]), _words(parts[0]))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return functools.partial(_enum, annotation)
    kind = origin or annotation
    return functools.partial(_instance, type(None) if kind is None else kind)


def _words(annotation: Any) -> str:
    """What an annotation asks for."""
    parts = get_args(annotation)
    if get_origin(annotation) in (Union, types.UnionType):
        return " or ".join(map(_words, parts))
    if parts:
        return f"a sequence of {_words(parts[0])}"
    return "None" if annotation is type(None) else getattr(annotation, "__name__", str(annotation))


def _instance(kind: type, value: object, where: str) -> object:
    if not isinstance(value, kind):
        raise _wrong(where, value, _words(kind))
    return value


def _enum(kind: type[Enum], value: object, where: str) -> Enum:
    if isinstance(value, kind):
        return value
    choices = ", ".join(str(each) for each in kind)
    if not (issubclass(kind, str) and isinstance(value, str)):
        raise _wrong(where, value, f"a {kind.__name__} ({choices})")
    try:
        return kind(value)
    except ValueError:
        raise ValueError(f"{where} is {value!r}: give a {kind.__name__} ({choices})") from None


def _sequence(rule: Rule, words: str, value: object, where: str) -> tuple[Any, ...]:
    if isinstance(value, str | bytes | bytearray | memoryview | Mapping) or not isinstance(value, Iterable):
        raise _wrong(where, value, f"a list of {words}")
    return tuple([rule(each, f"{where}[{position}]") for position, each in enumerate(value)])


def _row(rules: tuple[Rule, ...], value: object, where: str) -> tuple[Any, ...]:
    if not isinstance(value, tuple | list) or len(value) != len(rules):
        raise _wrong(where, value, f"a tuple of {len(rules)}")
    return tuple(
        [
            rule(each, f"{where}[{position}]")
            for position, (rule, each) in enumerate(zip(rules, value, strict=True))
        ]
    )


def _one_of(rules: tuple[Rule, ...], words: str, value: object, where: str) -> object:
    """The first of the alternatives that takes it."""
    refusals: list[TypeError] = []
    for rule in rules:
        try:
            return rule(value, where)
        except TypeError as error:
            refusals.append(error)
    raise refusals[0] if len(refusals) == 1 else _wrong(where, value, words)


def _optional(rule: Rule, value: object, where: str) -> object:
    return None if value is None else rule(value, where)
