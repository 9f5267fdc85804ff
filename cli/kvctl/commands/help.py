"""kvctl help"""

from __future__ import annotations

import click

from kvctl.output import print_line
from kvctl.settings import Command
from kvraft.version import __version__


@click.command(cls=Command)
def version() -> None:
    """Print the version of kvctl."""
    print_line(f"kvctl {__version__}")


@click.command("help", cls=Command)
@click.argument("words", metavar="[COMMAND]...", nargs=-1)
@click.pass_context
def help_(context: click.Context, words: tuple[str, ...]) -> None:
    """Show the help of a command, as --help behind it does.

    \b
    kvctl help msg send
    """
    shown = context.find_root()
    for word in words:
        if not isinstance(shown.command, click.Group):
            raise click.UsageError(f"'{shown.command_path}' has no commands")
        name, command, _ = shown.command.resolve_command(shown, [word])
        assert command is not None
        shown = click.Context(command, parent=shown, info_name=name, **command.context_settings)
    print_line(shown.get_help())
