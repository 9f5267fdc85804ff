"""Groups of commands: imported when they are run, found also by the names that other tools have for them."""

from __future__ import annotations

import importlib
from typing import Any

import click

from kvctl.aliases import hint, replaced


class CommandGroup(click.Group):
    """Commands, of which each may be a function of `kvctl.commands` that is imported when it is needed."""

    def __init__(self, *args: Any, lazily: dict[str, str] | None = None, **attributes: Any) -> None:
        """`lazily` says for names which attribute of which module they are, such as `msg_dead.dead`."""
        super().__init__(*args, **attributes)
        self._lazily = lazily or {}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """As they are listed in the code, not by alphabet."""
        return [*self.commands, *self._lazily]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self._lazily:
            module, _, attribute = self._lazily[cmd_name].partition(".")
            found: click.Command = getattr(importlib.import_module(f"kvctl.commands.{module}"), attribute)
            return found
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word, *following = args
        path = _path(ctx)
        known = set(self.list_commands(ctx))
        if word not in known:
            if (meant := replaced(path, word, following, known)) is not None:
                return super().resolve_command(ctx, meant)
            if (instead := hint(path, word, following)) is not None:
                typed = " ".join((*path, word))
                raise click.UsageError(f"There is no 'kvctl {typed}'. Use: {instead}", ctx)
        return super().resolve_command(ctx, args)


def _path(ctx: click.Context) -> tuple[str, ...]:
    """The words of a command without the program's."""
    names: list[str] = []
    at: click.Context | None = ctx
    while at is not None and at.parent is not None:
        names.insert(0, at.info_name or "")
        at = at.parent
    return tuple(names)
