"""Every command of kvctl, from click's own tree."""

from __future__ import annotations

from collections.abc import Iterator

import click

from kvctl.root import kvctl

Words = tuple[str, ...]


def commands(group: click.Group = kvctl, path: Words = ()) -> Iterator[tuple[Words, click.Command]]:
    """The words and the command of each that is not a group."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def groups(group: click.Group = kvctl, path: Words = ()) -> Iterator[tuple[Words, click.Group]]:
    """The words and the group of each, the root's are none."""
    yield path, group
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from groups(command, (*path, name))


def named(path: Words) -> str:
    return " ".join(path)
