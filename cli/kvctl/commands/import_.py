"""kvctl import"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING

import click

from kvctl.connection import connect
from kvctl.exit_codes import ExitCode
from kvctl.failure import Failure
from kvctl.key_lines import parse
from kvctl.message_lines import BadLineError, open_lines
from kvctl.output import print_json, print_line, print_note
from kvctl.parameters import POSITIVE
from kvctl.settings import Command, Settings, pass_settings

if TYPE_CHECKING:
    from kvraft.client import Put, SyncClient

BATCH_KEYS = 500
BATCH_BYTES = 1 << 20
"""A batch ends with the key that reaches it."""


@dataclass(slots=True)
class Counts:
    """What came of it."""

    lines: int = 0
    """Up to which everything is done."""
    stored: int = 0
    skipped: int = 0
    leased: int = 0
    """Of those stored: they were attached to leases, and are not any more."""


@dataclass(frozen=True, slots=True)
class _Batch:
    puts: list[Put]
    leased: int
    skipped: int
    last: int
    """Its last line."""


@click.command("import", cls=Command)
@click.argument("file", metavar="FILE")
@click.option("--from-line", type=POSITIVE, default=1, metavar="N", help="Begin with this line.")
@click.option("--dry-run", is_flag=True, help="Only look whether every line can be stored.")
@click.option("--bad-lines", type=click.Choice(["stop", "skip"]), default="stop", show_default=True)
@pass_settings
def import_(settings: Settings, *, file: str, from_line: int, dry_run: bool, bad_lines: str) -> None:
    """Store the keys of FILE: JSON lines, plain or gzip, as 'kvctl export' writes them; - is stdin.

    In batches of up to 500 keys, each of them atomic. An import that ends early says with which line to go
    on; to store a line twice does no harm. Keys that are there are overwritten, no others are touched.

    \b
    kvctl import keys.jsonl.gz --dry-run
    kvctl import keys.jsonl.gz
    """
    counts = Counts(lines=from_line - 1)
    try:
        with open_lines(file) as (lines, _), connect(settings, register=True) as client:
            for batch in _batches(lines, from_line, skip=bad_lines == "skip"):
                _store(None if dry_run else client, batch, counts)
                if sys.stderr.isatty() and not settings.as_json:
                    click.echo(f"\r{counts.lines:,} lines", nl=False, err=True)
    except (EOFError, zlib.error) as error:
        raise OSError(f"{file}: {error}{_go_on(counts)}") from error
    except (Failure, KeyboardInterrupt, OSError):
        print_note(f"kvctl: {counts.lines:,} lines are done; go on with --from-line {counts.lines + 1}")
        raise
    _print(settings, counts, dry_run=dry_run)


def _store(client: SyncClient | None, batch: _Batch, counts: Counts) -> None:
    if client is not None and batch.puts:
        client.kv.batch_write(batch.puts)
    counts.lines = batch.last
    counts.stored += len(batch.puts)
    counts.leased += batch.leased
    counts.skipped += batch.skipped


def _batches(lines: IO[bytes], from_line: int, *, skip: bool) -> Iterator[_Batch]:
    """What is before a bad line is given before that is told. Raises Failure."""
    puts: list[Put] = []
    leased = skipped = size_bytes = number = 0
    for number, line in enumerate(lines, 1):
        if number < from_line or not line.strip():
            continue
        try:
            put, is_leased = parse(line)
        except BadLineError as error:
            if not skip:
                yield _Batch(puts, leased, skipped, number - 1)
                raise Failure(
                    f"line {number:,}: {error}", exit_code=ExitCode.USAGE, reason="BAD_LINE", line=number
                ) from None
            print_note(f"line {number:,} is skipped: {error}")
            skipped += 1
            continue
        puts.append(put)
        leased += is_leased
        size_bytes += len(put.key) + len(put.value)
        if len(puts) >= BATCH_KEYS or size_bytes >= BATCH_BYTES:
            yield _Batch(puts, leased, skipped, number)
            puts, leased, skipped, size_bytes = [], 0, 0, 0
    yield _Batch(puts, leased, skipped, max(number, from_line - 1))


def _go_on(counts: Counts) -> str:
    return f" (after {counts.lines:,} lines)"


def _print(settings: Settings, counts: Counts, *, dry_run: bool) -> None:
    if settings.as_json:
        print_json({**asdict(counts), "dry_run": dry_run})
        return
    done = "could be stored" if dry_run else "stored"
    print_line(f"{counts.stored:,} keys {done}, {counts.skipped:,} skipped")
    if counts.leased:
        print_note(f"{counts.leased:,} keys were attached to leases, which are not imported")
