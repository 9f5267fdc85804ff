"""kvctl watch"""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from kvctl import children
from kvctl.connection import connect
from kvctl.encoding import from_typed, to_cell, to_json
from kvctl.exit_codes import ExitCode
from kvctl.failure import Failure
from kvctl.output import kv_object, print_json, print_line
from kvctl.parameters import BYTES, POSITIVE
from kvctl.settings import Command, Settings, pass_settings

if TYPE_CHECKING:
    from kvraft.client import Event, KeyRange

VARIABLE_BYTES_MAX = 64 << 10
"""A longer key or value is not given to the command as a variable: the kernel refuses it at 128 KiB."""


@click.command(cls=Command)
@click.argument("key", type=BYTES)
@click.option("--prefix", is_flag=True, help="Watch every key that begins with KEY; '' with this: every key.")
@click.option(
    "--start-revision",
    type=POSITIVE,
    metavar="REVISION",
    help="Begin with the changes of this revision, not with those from now on.",
)
@click.option("--previous", is_flag=True, help="Also print what the key held before.")
@click.option(
    "--exec",
    "command",
    metavar="COMMAND",
    help="Run a command for each change, with KVRAFT_WATCH_* variables, one after the other.",
)
@pass_settings
def watch(
    settings: Settings,
    *,
    key: str,
    prefix: bool,
    start_revision: int | None,
    previous: bool,
    command: str | None,
) -> None:
    """Print the changes of a key as they are made.

    Prints a line for each change: revision, PUT or DELETE, key, value. Goes on until Ctrl-C; when a node
    fails it goes on at another one, without missing or repeating a change.

    The command of --exec gets the value on stdin, byte for byte, and these variables, in which what cannot
    be printed is escaped (--hex: hexadecimal): KVRAFT_WATCH_REVISION, KVRAFT_WATCH_EVENT_TYPE,
    KVRAFT_WATCH_KEY, KVRAFT_WATCH_VALUE and, with --previous, KVRAFT_WATCH_PREVIOUS_VALUE. It is run
    without a shell. If it fails, the watch ends. A signal that ends the watch is passed on to a command that
    runs, whose exit code is then the answer.

    \b
    kvctl watch greeting
    kvctl watch --prefix users/ --start-revision 42 -o json
    kvctl watch --prefix flags/ --exec './reload --quick'
    """
    arguments = None if command is None else _arguments(command)
    keys = _keys(settings, key, prefix=prefix)
    with connect(settings) as client:
        from kvraft.client import Compacted

        try:
            for event in client.kv.watch(keys, start_revision=start_revision or 0, previous=previous):
                if arguments is not None:
                    _run(arguments, event, settings)
                elif settings.as_json:
                    print_json(_object(event, settings, previous=previous))
                else:
                    print_line(_line(event, settings, previous=previous))
                sys.stdout.flush()
        except Compacted as error:
            raise Failure(
                str(error),
                exit_code=ExitCode.REFUSED,
                reason=error.reason,
                oldest_revision=error.oldest_revision,
            ) from error


def _keys(settings: Settings, key: str, *, prefix: bool) -> KeyRange:
    from kvraft.client import KeyRange

    wanted = from_typed(key, hexadecimal=settings.hex)
    if prefix:
        return KeyRange.prefix(wanted)
    if not wanted:
        raise click.UsageError("the key is empty; give --prefix as well to watch every key")
    return KeyRange.single(wanted)


def _arguments(command: str) -> list[str]:
    try:
        arguments = shlex.split(command)
    except ValueError as error:
        raise click.UsageError(f"--exec {command!r} is not a command: {error}") from None
    if not arguments:
        raise click.UsageError("--exec is empty; give a command")
    return arguments


def _line(event: Event, settings: Settings, *, previous: bool) -> str:
    cells = [event.kv.key, event.kv.value]
    if previous:
        cells.append(b"" if event.previous is None else event.previous.value)
    texts = [to_cell(cell, hexadecimal=settings.hex) for cell in cells]
    return "\t".join([str(event.revision), event.kind, *texts])


def _object(event: Event, settings: Settings, *, previous: bool) -> dict[str, Any]:
    kv: dict[str, Any] | None
    if event.kind == "DELETE":
        kv = {
            **to_json("key", event.kv.key, hexadecimal=settings.hex),
            "mod_revision": event.revision,
        }
    else:
        kv = kv_object(event.kv, hexadecimal=settings.hex)
    before = {"previous": kv_object(event.previous, hexadecimal=settings.hex)} if previous else {}
    return {"revision": event.revision, "kind": event.kind, "kv": kv, **before}


def _run(arguments: list[str], event: Event, settings: Settings) -> None:
    variables = {
        "KVRAFT_WATCH_REVISION": str(event.revision),
        "KVRAFT_WATCH_EVENT_TYPE": str(event.kind),
        "KVRAFT_WATCH_KEY": to_cell(event.kv.key, hexadecimal=settings.hex),
        "KVRAFT_WATCH_VALUE": to_cell(event.kv.value, hexadecimal=settings.hex),
    }
    if event.previous is not None:
        before = to_cell(event.previous.value, hexadecimal=settings.hex)
        variables["KVRAFT_WATCH_PREVIOUS_VALUE"] = before
    small = {name: text for name, text in variables.items() if len(text.encode()) <= VARIABLE_BYTES_MAX}
    try:
        code = children.run(arguments, environment={**os.environ, **small}, stdin=event.kv.value)
    except children.ChildEnded as ended:
        click.get_current_context().exit(ended.exit_code)
    if code:
        raise Failure(
            f"{shlex.join(arguments)} ended with {code} at revision {event.revision}; to go on, "
            f"watch with --start-revision {event.revision}",
            exit_code=ExitCode.COMMAND_FAILED,
            reason="COMMAND_FAILED",
            revision=event.revision,
        )
