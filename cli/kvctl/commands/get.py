"""kvctl get"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kvctl.connection import connect
from kvctl.encoding import from_typed, is_text, to_cell, to_text
from kvctl.exit_codes import ExitCode
from kvctl.failure import Failure
from kvctl.output import (
    header_object,
    kv_object,
    print_json,
    print_line,
    print_note,
    print_table,
    print_value,
)
from kvctl.parameters import BYTES, FILE
from kvctl.reading import consistency_from, consistency_options
from kvctl.settings import Command, Settings, pass_settings

if TYPE_CHECKING:
    from kvraft.client import GetResult, KeyValue


@click.command(cls=Command)
@click.argument("key", type=BYTES)
@click.option("--metadata", is_flag=True, help="Print the key's revisions beside the value.")
@click.option(
    "--to-file",
    type=FILE,
    metavar="FILE",
    help="Write the value to a file, byte for byte, and print nothing.",
)
@consistency_options
@pass_settings
def get(
    settings: Settings,
    *,
    key: str,
    metadata: bool,
    to_file: Path | None,
    consistency: str,
    min_revision: int | None,
) -> None:
    """Print the value of a key.

    Prints the value alone. A value that is not UTF-8 text is printed escaped; --to-file and -o json
    give its bytes. A key that does not exist is exit code 1.

    \b
    kvctl get greeting
    kvctl get avatar --to-file avatar.png
    kvctl get greeting --consistency at-least --min-revision 42
    """
    if to_file is not None and (metadata or settings.as_json):
        raise click.UsageError("--to-file prints nothing: leave out --metadata and -o json")
    wanted = from_typed(key, hexadecimal=settings.hex)
    freshness = consistency_from(consistency, min_revision)
    with connect(settings) as client:
        result = client.kv.get(wanted, consistency=freshness)

    if settings.as_json:
        kv = kv_object(result.kv, hexadecimal=settings.hex)
        print_json({"header": header_object(result.header), "kv": kv})
        if result.kv is None:
            click.get_current_context().exit(ExitCode.NOT_FOUND)
        return
    if result.kv is None:
        raise Failure(
            f"{to_cell(wanted, hexadecimal=settings.hex)} does not exist",
            exit_code=ExitCode.NOT_FOUND,
            reason="NOT_FOUND",
        )
    if to_file is not None:
        to_file.write_bytes(result.kv.value)
    elif metadata:
        _print_metadata(result, result.kv, settings)
    else:
        _print_value(result.kv.value, settings)


def _print_value(value: bytes, settings: Settings) -> None:
    if settings.hex:
        print_line(value.hex())
    elif not is_text(value):
        print_note("kvctl: not UTF-8 text: printed escaped; --to-file FILE gives the bytes")
        print_line(to_cell(value, hexadecimal=False))
    else:
        # What goes into a pipe is not tampered with; what goes to a terminal must not control it.
        print_value(to_text(value) if sys.stdout.isatty() else value.decode())


def _print_metadata(result: GetResult, kv: KeyValue, settings: Settings) -> None:
    print_table(
        ["KEY", "VALUE", "CREATED", "MODIFIED", "VERSION", "READ AT"],
        [
            [
                to_cell(kv.key, hexadecimal=settings.hex),
                to_cell(kv.value, hexadecimal=settings.hex),
                str(kv.create_revision),
                str(kv.mod_revision),
                str(kv.version),
                str(result.header.revision),
            ]
        ],
    )
