"""The options of commands that read: how fresh the answer must be."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kvctl.parameters import REVISION

if TYPE_CHECKING:
    from kvraft.client import Consistency

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def consistency_options(command: CommandT) -> CommandT:
    """Adds `--consistency` and `--min-revision`."""
    level = click.option(
        "--consistency",
        type=click.Choice(["linearizable", "at-least", "stale"]),
        default="linearizable",
        show_default=True,
        help="linearizable sees every acknowledged write; at-least waits for --min-revision on any "
        "node, without a leader; stale never waits.",
    )
    revision = click.option(
        "--min-revision",
        type=REVISION,
        metavar="REVISION",
        help="With --consistency at-least: the revision to wait for.",
    )
    return level(revision(command))


def consistency_from(level: str, min_revision: int | None) -> Consistency:
    """What the two options mean together."""
    from kvraft.client import LINEARIZABLE, STALE, AtLeast

    if (level == "at-least") != (min_revision is not None):
        raise click.UsageError("--consistency at-least and --min-revision REVISION go together")
    if min_revision is not None:
        return AtLeast(min_revision)
    return STALE if level == "stale" else LINEARIZABLE
