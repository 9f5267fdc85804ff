"""Keys and values are bytes; command lines, tables and JSON are text. What becomes what is here.

| | as typed | in tables | in JSON |
|---|---|---|---|
| default | the argument's bytes | UTF-8, the rest escaped | `key` (`null` if not UTF-8) and `key_b64` |
| `--hex` | hexadecimal | hexadecimal | `key_hex` |
"""

from __future__ import annotations

import base64
import json
import os

import click


def from_typed(text: str, *, hexadecimal: bool) -> bytes:
    """The bytes an argument stands for."""
    if not hexadecimal:
        return os.fsencode(text)
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise click.UsageError(f"{text!r} is not hexadecimal ({error}), as --hex says it is") from None


def to_cell(data: bytes, *, hexadecimal: bool) -> str:
    """For one line of text: printable, so that no stored byte controls the terminal, and
    unambiguous: what cannot be printed is \\xNN, a backslash is doubled."""
    if hexadecimal:
        return data.hex()
    text = data.decode("utf-8", "surrogateescape")
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(map(_escaped, text))


def to_text(data: bytes) -> str:
    """For a terminal: like `to_cell`, but lines and tabs stay, and a backslash is itself."""
    return printable(data.decode("utf-8", "surrogateescape"))


def printable(text: str) -> str:
    """Text of anybody for a terminal: lines and tabs stay, whatever else would control it (escape sequences,
    the direction of the text) or cannot be seen is \\xNN."""
    if text.isprintable():
        return text
    return "".join(char if char in "\n\t\\" else _escaped(char) for char in text)


def printable_json(document: str) -> str:
    """The same for JSON, in which \\uNNNN is exactly that character."""
    if document.isprintable():
        return document
    return "".join(
        char if char.isprintable() or char in "\n\t" else json.dumps(char)[1:-1] for char in document
    )


def is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def to_json(name: str, data: bytes, *, hexadecimal: bool) -> dict[str, str | None]:
    """The fields of an object that give `data` under `name`."""
    if hexadecimal:
        return {f"{name}_hex": data.hex()}
    text = data.decode() if is_text(data) else None
    return {name: text, f"{name}_b64": base64.b64encode(data).decode()}


def _escaped(char: str) -> str:
    if char == "\\":
        return "\\\\"
    if char.isprintable():
        return char
    try:
        data = char.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        # Half of a pair, which no UTF-8 holds.
        return f"\\u{ord(char):04x}"
    return "".join(f"\\x{byte:02x}" for byte in data)
