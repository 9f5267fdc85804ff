"""kvctl put"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from kvctl.connection import connect
from kvctl.encoding import from_typed, to_cell
from kvctl.output import header_object, kv_object, print_json, print_line
from kvctl.parameters import BYTES, FILE_THAT_EXISTS, POSITIVE
from kvctl.settings import Command, Settings, pass_settings


@click.command(cls=Command)
@click.argument("key", type=BYTES)
@click.argument("value", type=BYTES, required=False)
@click.option(
    "--file",
    "file",
    type=FILE_THAT_EXISTS,
    metavar="FILE",
    help="Take the value from a file, byte for byte.",
)
@click.option("--print-previous", is_flag=True, help="Also print what the key held before.")
@click.option(
    "--lease",
    "lease_id",
    type=POSITIVE,
    metavar="ID",
    help="Attach the key to a lease, with which it ends.",
)
@pass_settings
def put(
    settings: Settings,
    *,
    key: str,
    value: str | None,
    file: Path | None,
    print_previous: bool,
    lease_id: int | None,
) -> None:
    """Store a value under a key.

    The value is the argument, the content of a file, or, with - or without either, what comes from
    stdin. Files and stdin are taken byte for byte, also with --hex.

    \b
    kvctl put greeting hello
    kvctl put avatar --file avatar.png
    date | kvctl put now
    kvctl put -- temperature -3
    """
    stored = _value(value, file, hexadecimal=settings.hex)
    with connect(settings) as client:
        result = client.kv.put(
            from_typed(key, hexadecimal=settings.hex),
            stored,
            return_previous=print_previous,
            lease_id=lease_id or 0,
        )
    if settings.as_json:
        answer: dict[str, Any] = {"header": header_object(result.header)}
        if print_previous:
            answer["previous"] = kv_object(result.previous, hexadecimal=settings.hex)
        print_json(answer)
        return
    print_line(f"revision {result.header.revision}")
    if print_previous:
        old = result.previous
        print_line(f"previous {to_cell(old.value, hexadecimal=settings.hex)}" if old else "no previous value")


def _value(value: str | None, file: Path | None, *, hexadecimal: bool) -> bytes:
    if value is not None and file is not None:
        raise click.UsageError("give the value as an argument or as --file, not both")
    if file is not None:
        return file.read_bytes()
    if value is not None and value != "-":
        return from_typed(value, hexadecimal=hexadecimal)
    if value is None and sys.stdin.isatty():
        raise click.UsageError("no value: give it as an argument, as --file FILE, or on stdin")
    return sys.stdin.buffer.read()
