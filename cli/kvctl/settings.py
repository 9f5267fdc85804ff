"""The global options. Each may come before the command or after it: `kvctl -o json ls` and
`kvctl ls -o json` are the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from kvctl.aliases import OPTION_HINTS
from kvctl.parameters import TEXT, TIMEOUT


@dataclass(slots=True)
class Settings:
    """What the global options say."""

    endpoints: str = "127.0.0.1:7001"
    timeout_s: float = 5.0
    output: str = "table"
    hex: bool = False
    is_connected: bool = False
    """Whether something may have been asked of the cluster."""

    @property
    def as_json(self) -> bool:
        return self.output == "json"


pass_settings = click.make_pass_decorator(Settings, ensure=True)


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    # Also without a value: the root's context then holds the settings that its commands share.
    settings = context.ensure_object(Settings)
    if value is not None:
        assert parameter.name is not None
        setattr(settings, parameter.name, value)


def global_options(*, of_command: bool) -> list[click.Parameter]:
    """The options, once for the root and once for each command. The environment is read at the
    root only, so that it never overrides what was typed there."""

    def option(*declarations: str, is_hidden: bool = False, **attributes: Any) -> click.Option:
        return click.Option(
            declarations,
            default=None,
            expose_value=False,
            callback=_remember,
            hidden=of_command or is_hidden,
            **attributes,
        )

    return [
        option(
            "--endpoints",
            "endpoints",
            metavar="HOST:PORT,...",
            type=TEXT,
            envvar=None if of_command else "KVRAFT_ENDPOINTS",
            show_envvar=True,
            help="Nodes of the cluster, some or all.  [default: 127.0.0.1:7001]",
        ),
        option(
            "--timeout",
            "timeout_s",
            metavar="SECONDS",
            type=TIMEOUT,
            help="What a call may take, repetitions included.  [default: 5]",
        ),
        option(
            "-o",
            "--output",
            "output",
            type=click.Choice(["table", "json"]),
            help="Text for people, or JSON for scripts.  [default: table]",
        ),
        # As etcdctl calls them.
        option("-w", "--write-out", "output", type=click.Choice(["table", "simple", "json"]), is_hidden=True),
        option("--command-timeout", "timeout_s", type=TIMEOUT, is_hidden=True),
        option(
            "--hex",
            "hex",
            is_flag=True,
            flag_value=True,
            type=bool,
            help="Keys and values are hexadecimal, typed and printed.",
        ),
    ]


class Command(click.Command):
    """A command that takes the global options as well."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.params.extend(global_options(of_command=True))
        for parameter in self.params:
            if parameter.type is click.STRING:
                parameter.type = TEXT
        self.epilog = "The global options of 'kvctl --help' may come before or after the command."

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            instead = OPTION_HINTS.get((ctx.info_name or "", error.option_name))
            if instead is None:
                raise
            raise click.UsageError(f"No such option '{error.option_name}'. Use: {instead}", ctx) from None
