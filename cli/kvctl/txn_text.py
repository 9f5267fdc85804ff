r"""Transactions as text, in three blocks with an empty line between them: comparisons, requests if all of
them hold, requests if not.

    version("lock") = "0"
    value("mode") != "read-only"

    put lock me --lease 17

    get lock

Double quotes know \\, \", \n, \t and \xNN; what is in single quotes, or in none, is taken as it is.
"""

from __future__ import annotations

import os
import re

import click

from kvctl.encoding import from_typed
from kvraft.client import Compare, Delete, DeleteRange, Get, KeyRange, Put, Range, Txn, TxnOperation
from kvraft.client.compare import OperandT, Side

_SPACE = re.compile(r"[ \t\r]*")
_NAME = re.compile(r"[a-z]+")
_OPTION = re.compile(r"--[a-z-]+")
_OPEN, _CLOSE = re.compile(r"\("), re.compile(r"\)")
_RELATION = re.compile(r"!=|=|<|>")
_DOUBLE_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_SINGLE_QUOTED = re.compile(r"'([^']*)'")
_WORD = re.compile(r"[^\s\"']+")
_WORD_IN_PARENTHESES = re.compile(r"[^\s\"'()]+")
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPES = {b"\\": b"\\", b'"': b'"', b"n": b"\n", b"t": b"\t"}

_NUMBERS = {
    "version": Compare.version,
    "create": Compare.create_revision,
    "mod": Compare.mod_revision,
    "lease": Compare.lease_id,
}
_OPTIONS = {
    "put": {"--lease", "--print-previous"},
    "get": {"--prefix", "--limit"},
    "del": {"--prefix", "--limit", "--print-previous"},
}
_WITH_NUMBER = {"--lease", "--limit"}


def parse_text(text: str, *, hexadecimal: bool) -> Txn:
    """Raises click.UsageError, which names line and column."""
    blocks: list[list[_Line]] = [[]]
    no_more: list[list[_Line]] = [[], []]
    for number, content in enumerate(text.split("\n"), 1):
        line = _Line(content, number, hexadecimal=hexadecimal)
        if line.at_end:
            blocks.append([])
            continue
        if len(blocks) > 3:
            raise line.error("a transaction has three blocks, this would be a fourth")
        blocks[-1].append(line)
    compare, success, failure = [*blocks, *no_more][:3]
    return Txn(
        compare=list(map(_compare, compare)),
        success=list(map(_request, success)),
        failure=list(map(_request, failure)),
    )


class _Line:
    """A line, read from left to right."""

    __slots__ = ("_column", "_hexadecimal", "_number", "_start", "_text")

    def __init__(self, text: str, number: int, *, hexadecimal: bool) -> None:
        self._text = text
        self._number = number
        self._hexadecimal = hexadecimal
        self._column = 0
        self._start = 0
        """Where what was read last, or could not be read, begins."""

    @property
    def at_end(self) -> bool:
        self._skip()
        return self._column == len(self._text)

    def error(self, problem: str) -> click.UsageError:
        return click.UsageError(f"line {self._number}, column {self._start + 1}: {problem}")

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        self._skip()
        found = pattern.match(self._text, self._column)
        if found is not None:
            self._column = found.end()
        return found

    def expect(self, pattern: re.Pattern[str], what: str) -> str:
        found = self.take(pattern)
        if found is None:
            raise self.error(f"expected {what}")
        return found.group()

    def data(self, what: str, word: re.Pattern[str] = _WORD) -> bytes:
        """A string, in quotes or not."""
        text = self._string(what, word)
        try:
            return from_typed(text, hexadecimal=self._hexadecimal)
        except click.UsageError as error:
            raise self.error(error.message) from None

    def number(self, what: str) -> int:
        """A whole number, in quotes or not."""
        text = self._string(what, _WORD)
        if not (text.isascii() and text.isdigit()):
            raise self.error(f"expected {what}, and {text!r} is no whole number")
        if int(text) >= 1 << 64:
            raise self.error(f"{what} is too large")
        return int(text)

    def end(self) -> None:
        if not self.at_end:
            self._start = self._column
            raise self.error(f"{self._text[self._column :]!r} is too much")

    def _skip(self) -> None:
        space = _SPACE.match(self._text, self._column)
        assert space is not None
        self._column = self._start = space.end()

    def _string(self, what: str, word: re.Pattern[str]) -> str:
        if (quoted := self.take(_DOUBLE_QUOTED)) is not None:
            return self._unescaped(quoted[1])
        if (quoted := self.take(_SINGLE_QUOTED)) is not None:
            return quoted[1]
        if (bare := self.take(word)) is not None:
            return bare.group()
        if self._text[self._column : self._column + 1] in ('"', "'"):
            raise self.error("a quote without an end")
        raise self.error(f"expected {what}")

    def _unescaped(self, text: str) -> str:
        def replace(escape: re.Match[bytes]) -> bytes:
            code = escape[1]
            if len(code) == 3:
                return bytes.fromhex(code[1:].decode())
            if code not in _ESCAPES:
                raise self.error(f"{os.fsdecode(escape[0])} is no escape; a backslash is \\\\")
            return _ESCAPES[code]

        return os.fsdecode(_ESCAPE.sub(replace, os.fsencode(text)))


def _compare(line: _Line) -> Compare:
    name = line.expect(_NAME, 'a comparison, such as version("key") = "0"')
    if name not in {*_NUMBERS, "value", "exists", "missing"}:
        raise line.error(
            f"{name} cannot be compared; version, create, mod, lease, value, exists, missing can"
        )
    line.expect(_OPEN, '("key")')
    key = line.data("a key", _WORD_IN_PARENTHESES)
    line.expect(_CLOSE, ")")
    compare: Compare
    if name == "exists":
        compare = Compare.exists(key)
    elif name == "missing":
        compare = Compare.missing(key)
    else:
        relation = line.expect(_RELATION, "=, !=, < or >")
        if name == "value":
            compare = relate(Compare.value(key), relation, line.data("a value"))
        else:
            compare = relate(_NUMBERS[name](key), relation, line.number(f"a {name}"))
    line.end()
    return compare


def relate(side: Side[OperandT], relation: str, operand: OperandT) -> Compare:
    """The comparison by =, !=, < or >."""
    match relation:
        case "=":
            return side == operand
        case "!=":
            return side != operand
        case "<":
            return side < operand
        case _:
            return side > operand


def _request(line: _Line) -> TxnOperation:
    name = line.expect(_NAME, "put, get or del")
    if name not in _OPTIONS:
        raise line.error(f"{name} is no request; put, get and del are")
    key = line.data("a key")
    value = line.data("a value") if name == "put" else b""
    options: dict[str, int] = {}
    while (option := line.take(_OPTION)) is not None:
        if option.group() not in _OPTIONS[name]:
            raise line.error(f"{name} has no option {option.group()}")
        options[option.group()] = line.number("a number") if option.group() in _WITH_NUMBER else 1
    line.end()
    if "--limit" in options and "--prefix" not in options:
        raise line.error("--limit is of --prefix")
    previous, limit = "--print-previous" in options, options.get("--limit", 0)
    if name == "put":
        return Put(key, value, options.get("--lease", 0), previous)
    if "--prefix" not in options:
        return Get(key) if name == "get" else Delete(key, previous)
    if previous:
        raise line.error("--print-previous is of a single key")
    keys = KeyRange.prefix(key)
    return Range(keys, limit) if name == "get" else DeleteRange(keys, limit)
