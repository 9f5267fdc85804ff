"""kvctl del"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from kvctl.connection import connect
from kvctl.encoding import from_typed, to_cell
from kvctl.exit_codes import ExitCode
from kvctl.failure import Failure
from kvctl.output import header_object, print_json, print_line
from kvctl.parameters import BYTES
from kvctl.settings import Command, Settings, pass_settings

if TYPE_CHECKING:
    from kvraft.client import KeyRange, SyncClient


_PREFIX_IS_KEY = "\0"
"""The value of `--prefix` without one, as in etcd's `del KEY --prefix`: no argument can be that."""


@click.command("del", cls=Command)
@click.argument("key", type=BYTES, required=False)
@click.option(
    "--prefix",
    type=BYTES,
    is_flag=False,
    flag_value=_PREFIX_IS_KEY,
    metavar="PREFIX",
    help="Delete every key that starts with PREFIX.",
)
@click.option(
    "--range",
    "start_end",
    nargs=2,
    type=BYTES,
    metavar="START END",
    help="Delete the keys from START up to and without END; an empty END is the end of the keys.",
)
@click.option("--yes", is_flag=True, help="Do not ask before a range is deleted.")
@pass_settings
def delete(
    settings: Settings, *, key: str | None, prefix: str | None, start_end: tuple[str, str] | None, yes: bool
) -> None:
    """Delete a key, or a range of keys.

    A range is deleted in steps of 10,000 keys, each of them atomic; on a terminal kvctl asks first.
    A key that does not exist is exit code 1; an empty range is not.

    \b
    kvctl del greeting
    kvctl del --prefix sessions/2023/ --yes
    kvctl del --range a m
    """
    if prefix == _PREFIX_IS_KEY:
        key, prefix = None, key
    if [key, prefix, start_end].count(None) != 2:
        raise click.UsageError("give one of KEY, --prefix PREFIX and --range START END")
    if key is not None:
        _delete_key(settings, from_typed(key, hexadecimal=settings.hex))
        return

    from kvraft.client import KeyRange

    if prefix is not None:
        keys = KeyRange.prefix(from_typed(prefix, hexadecimal=settings.hex))
    else:
        assert start_end is not None
        keys = KeyRange(*(from_typed(text, hexadecimal=settings.hex) for text in start_end))
    ask = sys.stdin.isatty() and not yes
    if keys == KeyRange() and not (ask or yes):
        # As an unset variable of a script would make it.
        raise click.UsageError("that is every key of the cluster: say --yes if it is meant")
    _delete_range(settings, keys, ask=ask)


def _delete_key(settings: Settings, key: bytes) -> None:
    with connect(settings) as client:
        result = client.kv.delete(key)
    if settings.as_json:
        print_json({"header": header_object(result.header), "deleted": int(result.deleted)})
        if not result.deleted:
            click.get_current_context().exit(ExitCode.NOT_FOUND)
    elif result.deleted:
        print_line(f"deleted 1 key, revision {result.header.revision}")
    else:
        raise Failure(
            f"{to_cell(key, hexadecimal=settings.hex)} does not exist",
            exit_code=ExitCode.NOT_FOUND,
            reason="NOT_FOUND",
        )


def _delete_range(settings: Settings, keys: KeyRange, *, ask: bool) -> None:
    from kvraft.client import KvraftError

    deleted = 0
    with connect(settings, register=True) as client:
        if ask:
            _confirm(client, keys)
        with _progress(client, keys) as show:
            while True:
                try:
                    result = client.kv.delete_range(keys)
                except KvraftError as error:
                    error.add_note(f"Before that {deleted:,} keys of the range were deleted.")
                    raise
                deleted += result.deleted
                show(deleted)
                if not result.more:
                    break
    if settings.as_json:
        print_json({"header": header_object(result.header), "deleted": deleted})
    else:
        print_line(f"deleted {deleted:,} keys, revision {result.header.revision}")


def _confirm(client: SyncClient, keys: KeyRange) -> None:
    count = client.kv.count(keys).count
    if not click.confirm(f"Delete {count:,} keys?", err=True):
        raise Failure("nothing was deleted", exit_code=ExitCode.USAGE, reason="NOT_CONFIRMED")


@contextmanager
def _progress(client: SyncClient, keys: KeyRange) -> Iterator[Callable[[int], None]]:
    """A bar on stderr if that is a terminal. Yields what is to be called with the keys deleted."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("deleting"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=client.kv.count(keys).count)
        yield lambda deleted: bar.update(task, completed=deleted)
