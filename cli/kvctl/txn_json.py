"""Transactions as JSON, in the words of kvctl's own answers: bytes are `key` (text), `key_b64` or `key_hex`.

{"compare": [{"key": "lock", "version": 0}],
 "success": [{"put": {"key": "lock", "value": "me", "lease_id": 17}}],
 "failure": [{"get": {"key": "lock"}}]}
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

from kvctl.txn_text import relate
from kvraft.client import Compare, Delete, DeleteRange, Get, KeyRange, Put, Range, Txn, TxnOperation

_RELATIONS = ("=", "!=", "<", ">")
_NUMBERS = {
    "version": Compare.version,
    "create_revision": Compare.create_revision,
    "mod_revision": Compare.mod_revision,
    "lease_id": Compare.lease_id,
}
_DECODERS: dict[str, Callable[[str], bytes]] = {
    "": str.encode,
    "_b64": lambda text: base64.b64decode(text, validate=True),
    "_hex": bytes.fromhex,
}

ItemT = TypeVar("ItemT")


def parse_json(text: str) -> Txn:
    """Raises click.UsageError, which names line and column, or the place in the document."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise click.UsageError(f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    return _txn(_Object("", document))


class _Object:
    """An object of the document, whose fields are taken one by one."""

    __slots__ = ("_fields", "path")

    def __init__(self, path: str, value: Any) -> None:
        self.path = path
        if not isinstance(value, dict):
            raise self.error("", "is not an object")
        self._fields = dict(value)

    def error(self, name: str, problem: str) -> click.UsageError:
        place = f"{self.path}.{name}" if self.path and name else self.path or name or "the document"
        return click.UsageError(f"{place} {problem}")

    def names(self) -> list[str]:
        return list(self._fields)

    def take(self, name: str, kind: type[ItemT], default: ItemT) -> ItemT:
        value = self._fields.pop(name, default)
        if type(value) is not kind:  # a bool is an int
            raise self.error(name, f"is not of type {_KINDS[kind]}")
        return value

    def number(self, name: str) -> int:
        """0 if it is not there."""
        value = self.take(name, int, 0)
        if not 0 <= value < 1 << 64:
            raise self.error(name, "is not a number from 0 to 2**64-1")
        return value

    def has(self, name: str) -> bool:
        return name in self._fields

    def data(self, name: str) -> bytes | None:
        """Bytes in one of their three forms; None if they are not there."""
        forms = [suffix for suffix in _DECODERS if name + suffix in self._fields]
        if not forms:
            return None
        if len(forms) > 1:
            raise self.error(name, "is given twice")
        field = name + forms[0]
        try:
            return _DECODERS[forms[0]](self.take(field, str, ""))
        except ValueError as error:
            raise self.error(field, f"cannot be decoded: {error}") from None

    def key(self) -> bytes:
        key = self.data("key")
        if key is None:
            raise self.error("key", "is missing")
        return key

    def keys(self) -> KeyRange:
        """`prefix`, or `start` and `end`; every key if none is there."""
        prefix = self.data("prefix")
        bounds = KeyRange(self.data("start") or b"", self.data("end") or b"")
        if prefix is None:
            return bounds
        if bounds != KeyRange():
            raise self.error("prefix", "is given together with start or end")
        return KeyRange.prefix(prefix)

    def objects(self, name: str, make: Callable[[_Object], ItemT]) -> list[ItemT]:
        """A list of objects; empty if it is not there."""
        items: list[Any] = self.take(name, list, [])
        path = f"{self.path}.{name}" if self.path else name
        return [make(_Object(f"{path}[{number}]", item)) for number, item in enumerate(items)]

    def object(self, name: str) -> _Object:
        path = f"{self.path}.{name}" if self.path else name
        return _Object(path, self._fields.pop(name))

    def end(self) -> None:
        """Nothing may be left."""
        for name in self._fields:
            raise self.error(name, "is not known")


_KINDS: dict[type[Any], str] = {int: "number", bool: "true or false", str: "string", list: "array"}


def _txn(txn: _Object) -> Txn:
    parsed = Txn(
        compare=txn.objects("compare", _compare),
        success=txn.objects("success", _operation),
        failure=txn.objects("failure", _operation),
    )
    txn.end()
    return parsed


def _compare(fields: _Object) -> Compare:
    key = fields.data("key")
    target = fields.keys() if key is None else key
    relation = fields.take("relation", str, "=")
    if relation not in _RELATIONS:
        raise fields.error("relation", "is none of =, !=, < and >")
    compare: Compare
    if fields.has("exists"):
        if isinstance(target, KeyRange) or relation != "=":
            raise fields.error("exists", "is of a key, and has no relation")
        exists = fields.take("exists", bool, True)
        compare = Compare.exists(target) if exists else Compare.missing(target)
    elif (value := fields.data("value")) is not None:
        compare = relate(Compare.value(target), relation, value)
    else:
        operand = next(filter(fields.has, _NUMBERS), None)
        if operand is None:
            raise fields.error("", f"compares nothing: give one of value, exists, {', '.join(_NUMBERS)}")
        compare = relate(_NUMBERS[operand](target), relation, fields.number(operand))
    fields.end()
    return compare


def _operation(operation: _Object) -> TxnOperation:
    names = operation.names()
    if len(names) != 1 or names[0] not in _OPERATIONS:
        raise operation.error("", f"is not one of {', '.join(_OPERATIONS)}")
    (name,) = names
    fields = operation.object(name)
    parsed = _OPERATIONS[name](fields)
    fields.end()
    return parsed


def _put(fields: _Object) -> Put:
    key, value = fields.key(), fields.data("value")
    if value is None:
        raise fields.error("value", "is missing")
    return Put(key, value, fields.number("lease_id"), fields.take("print_previous", bool, False))


def _range(fields: _Object) -> Range:
    return Range(
        fields.keys(),
        fields.number("limit"),
        fields.take("reverse", bool, False),
        fields.take("keys_only", bool, False),
        fields.take("count_only", bool, False),
    )


_OPERATIONS: dict[str, Callable[[_Object], TxnOperation]] = {
    "put": _put,
    "get": lambda fields: Get(fields.key()),
    "delete": lambda fields: Delete(fields.key(), fields.take("print_previous", bool, False)),
    "range": _range,
    "delete_range": lambda fields: DeleteRange(fields.keys(), fields.number("limit")),
    "txn": _txn,
}
