"""kvctl export"""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import click

from kvctl.connection import connect
from kvctl.encoding import from_typed
from kvctl.key_lines import render
from kvctl.output import print_note
from kvctl.parameters import BYTES, FILE
from kvctl.settings import Command, Settings, pass_settings


@click.command(cls=Command)
@click.option("--prefix", type=BYTES, default="", metavar="PREFIX", help="Only keys that start with it.")
@click.option("--file", "-f", "file", type=FILE, metavar="FILE", help="Default: stdout; .gz is packed.")
@pass_settings
def export(settings: Settings, *, prefix: str, file: Path | None) -> None:
    """Write keys and values, one JSON object a line, as 'kvctl import' reads them.

    Of one revision, byte for byte: what is not UTF-8 is base64. A FILE is there when it is whole. Leases are
    not exported: a key that is attached to one says so, and is imported without.

    \b
    kvctl export -f keys.jsonl.gz
    kvctl export --prefix users/ | kvctl --endpoints 10.1.0.1:7001 import -
    """
    from kvraft.client import KeyRange

    keys = KeyRange.prefix(from_typed(prefix, hexadecimal=settings.hex))
    count = leased = 0
    with connect(settings) as client, _opened(file) as out:
        for kv in client.kv.stream_range(keys):
            out.write(render(kv))
            count += 1
            leased += bool(kv.lease_id)
    if file is not None:
        print_note(f"{count:,} keys")
    if leased:
        print_note(f"{leased:,} keys are attached to leases, which are not exported")


@contextmanager
def _opened(file: Path | None) -> Iterator[IO[bytes]]:
    if file is None:
        yield sys.stdout.buffer
        return
    unfinished = file.with_name(f"{file.name}.part")
    try:
        with gzip.open(unfinished, "wb") if file.suffix == ".gz" else unfinished.open("wb") as opened:
            yield cast(IO[bytes], opened)
        unfinished.rename(file)
    finally:
        unfinished.unlink(missing_ok=True)
