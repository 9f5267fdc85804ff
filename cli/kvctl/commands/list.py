"""kvctl ls"""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import click

from kvctl.connection import connect
from kvctl.encoding import from_typed, to_cell
from kvctl.output import header_object, kv_object, print_json, print_line, print_note
from kvctl.parameters import BYTES, POSITIVE
from kvctl.reading import consistency_from, consistency_options
from kvctl.settings import Command, Settings, pass_settings

if TYPE_CHECKING:
    from kvraft.client import KeyRange, KeyValue


@click.command("ls", cls=Command)
@click.argument("prefix", type=BYTES, required=False)
@click.option("--start", type=BYTES, metavar="KEY", help="First key, instead of a prefix.")
@click.option("--end", type=BYTES, metavar="KEY", help="Last key, exclusive, instead of a prefix.")
@click.option("--limit", type=POSITIVE, metavar="N", help="Stop after N keys.")
@click.option("--reverse", is_flag=True, help="Descending key order.")
@click.option("--keys-only", is_flag=True, help="Leave the values out.")
@click.option("--count", is_flag=True, help="Only count the keys.")
@click.option(
    "--page-size", type=click.IntRange(1, 1000), metavar="N", help="Print one page of at most N keys."
)
@click.option("--page-token", metavar="TOKEN", help="Which page; the page before printed the token.")
@consistency_options
@pass_settings
def list_(
    settings: Settings,
    *,
    prefix: str | None,
    start: str | None,
    end: str | None,
    limit: int | None,
    reverse: bool,
    keys_only: bool,
    count: bool,
    page_size: int | None,
    page_token: str | None,
    consistency: str,
    min_revision: int | None,
) -> None:
    """List keys and values: those that start with PREFIX, or all.

    One key a line, a tab, its value; with -o json one object a line. A listing is of one revision; if
    the node that serves it fails, it goes on from another one at the same revision or a later one.
    On a terminal lines are cut to its width.

    \b
    kvctl ls users/ --limit 10
    kvctl ls --start a --end m --reverse --keys-only
    kvctl ls users/ --count
    kvctl ls users/ --page-size 100 -o json
    """
    keys = _key_range(settings, prefix, start, end)
    freshness = consistency_from(consistency, min_revision)
    paged = page_size is not None or page_token is not None
    if count and (paged or limit or reverse or keys_only):
        raise click.UsageError("--count counts the whole range: leave the other options out")
    if paged and limit:
        raise click.UsageError("a page is limited by --page-size: leave --limit out")

    with connect(settings) as client:
        if count:
            counted = client.kv.count(keys, consistency=freshness)
            if settings.as_json:
                print_json({"header": header_object(counted.header), "count": counted.count})
            else:
                print_line(str(counted.count))
        elif paged:
            page = client.kv.range(
                keys,
                page_size=page_size or 100,
                page_token=page_token or "",
                reverse=reverse,
                keys_only=keys_only,
                consistency=freshness,
            )
            if settings.as_json:
                kvs = [kv_object(kv, hexadecimal=settings.hex, keys_only=keys_only) for kv in page.kvs]
                token = page.next_page_token
                print_json({"header": header_object(page.header), "kvs": kvs, "next_page_token": token})
                return
            for kv in page.kvs:
                print_line(_line(kv, settings, keys_only=keys_only))
            if page.next_page_token:
                print_note(f"next page: --page-token {page.next_page_token}")
        else:
            for kv in client.kv.stream_range(
                keys, limit=limit or 0, reverse=reverse, keys_only=keys_only, consistency=freshness
            ):
                if settings.as_json:
                    print_json(kv_object(kv, hexadecimal=settings.hex, keys_only=keys_only))
                else:
                    print_line(_line(kv, settings, keys_only=keys_only))


def _key_range(settings: Settings, prefix: str | None, start: str | None, end: str | None) -> KeyRange:
    from kvraft.client import KeyRange

    if prefix is not None and (start is not None or end is not None):
        raise click.UsageError("give PREFIX, or --start and --end, not both")
    if prefix is not None:
        return KeyRange.prefix(from_typed(prefix, hexadecimal=settings.hex))
    bounds = (from_typed(text or "", hexadecimal=settings.hex) for text in (start, end))
    return KeyRange(*bounds)


def _line(kv: KeyValue, settings: Settings, *, keys_only: bool) -> str:
    line = to_cell(kv.key, hexadecimal=settings.hex)
    if not keys_only:
        line += f"\t{to_cell(kv.value, hexadecimal=settings.hex)}"
    if not sys.stdout.isatty():
        return line
    width = shutil.get_terminal_size().columns
    shown = line.expandtabs()
    return shown if len(shown) <= width else f"{shown[: width - 1]}…"
