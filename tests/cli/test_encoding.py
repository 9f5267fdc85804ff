from __future__ import annotations

import base64

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvctl.encoding import from_typed, to_cell, to_json, to_text


@pytest.mark.parametrize(
    ("data", "cell"),
    [
        (b"plain text", "plain text"),
        ("grüße 🙂".encode(), "grüße 🙂"),
        (b"a\nb\tc", r"a\x0ab\x09c"),
        (b"\x1b[31mred", r"\x1b[31mred"),
        (b"\xff\x00", r"\xff\x00"),
        (rb"\xff", r"\\xff"),
        ("\u202e".encode(), r"\xe2\x80\xae"),
        (b"", ""),
    ],
)
def test_a_cell_is_printable(data: bytes, cell: str) -> None:
    assert to_cell(data, hexadecimal=False) == cell


@given(st.binary())
def test_a_cell_is_printable_and_stands_for_one_value_only(data: bytes) -> None:
    cell = to_cell(data, hexadecimal=False)
    assert cell.isprintable()
    # What is escaped is a Python escape of latin-1 code points; everything else is itself.
    pieces = cell.split("\\\\")
    back = b"\\".join(
        b"".join(
            bytes.fromhex(part[1:3]) + part[3:].encode() if number else part.encode()
            for number, part in enumerate(piece.split("\\"))
        )
        for piece in pieces
    )
    assert back == data


def test_text_for_a_terminal_keeps_lines_and_does_not_control_it() -> None:
    assert to_text(b"a\\b\n\tc\x1b[31m\r") == "a\\b\n\tc\\x1b[31m\\x0d"


@given(st.binary())
def test_json_always_has_the_bytes_and_the_text_where_there_is_one(data: bytes) -> None:
    fields = to_json("key", data, hexadecimal=False)
    assert list(fields) == ["key", "key_b64"]
    encoded = fields["key_b64"]
    assert encoded is not None
    assert base64.b64decode(encoded) == data
    if fields["key"] is not None:
        assert fields["key"].encode() == data
    assert to_json("key", data, hexadecimal=True) == {"key_hex": data.hex()}


def test_json_of_what_is_not_text() -> None:
    assert to_json("key", b"\xff", hexadecimal=False) == {"key": None, "key_b64": "/w=="}


def test_typed_arguments() -> None:
    assert from_typed("grüße", hexadecimal=False) == "grüße".encode()
    assert from_typed("\udcff", hexadecimal=False) == b"\xff"
    assert from_typed("00fF", hexadecimal=True) == b"\x00\xff"
    with pytest.raises(click.UsageError, match="'xyz' is not hexadecimal"):
        from_typed("xyz", hexadecimal=True)
