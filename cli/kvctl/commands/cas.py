"""kvctl cas"""

from __future__ import annotations

import click

from kvctl.connection import connect
from kvctl.encoding import from_typed, to_cell
from kvctl.exit_codes import ExitCode
from kvctl.failure import Failure
from kvctl.output import header_object, kv_object, print_json, print_line
from kvctl.parameters import BYTES, REVISION
from kvctl.settings import Command, Settings, pass_settings


@click.command(cls=Command)
@click.argument("key", type=BYTES)
@click.argument("value", type=BYTES, required=False)
@click.option(
    "--expect",
    type=REVISION,
    required=True,
    metavar="REVISION",
    help="The revision that must have written the key last; 0: the key must not exist.",
)
@click.option("--delete", is_flag=True, help="Delete the key instead of storing a value.")
@pass_settings
def cas(settings: Settings, *, key: str, value: str | None, expect: int, delete: bool) -> None:
    """Compare and set: store a value only if nobody wrote the key in between.

    'kvctl get KEY --metadata' shows the revision to expect under MODIFIED. If the key is at another
    one, nothing is changed and the exit code is 1.

    \b
    kvctl cas lock --expect 0 me
    kvctl cas counter --expect 17 4
    kvctl cas lock --expect 18 --delete
    """
    if (value is None) != delete:
        raise click.UsageError("give one of VALUE and --delete")
    name = from_typed(key, hexadecimal=settings.hex)
    with connect(settings) as client:
        if value is None:
            result = client.kv.compare_and_delete(name, expected_revision=expect)
        else:
            stored = from_typed(value, hexadecimal=settings.hex)
            result = client.kv.compare_and_set(name, stored, expected_revision=expect)

    if settings.as_json:
        current = kv_object(result.current, hexadecimal=settings.hex)
        header = header_object(result.header)
        print_json({"header": header, "succeeded": result.succeeded, "current": current})
        if not result.succeeded:
            click.get_current_context().exit(ExitCode.NOT_FOUND)
    elif result.succeeded:
        print_line(f"revision {result.header.revision}")
    else:
        shown = to_cell(name, hexadecimal=settings.hex)
        found = f"is at revision {result.current.mod_revision}" if result.current else "does not exist"
        expected = f"revision {expect}" if expect else "no such key"
        raise Failure(
            f"nothing was changed: {shown} {found}, expected was {expected}",
            exit_code=ExitCode.NOT_FOUND,
            reason="COMPARE_FAILED",
        )
