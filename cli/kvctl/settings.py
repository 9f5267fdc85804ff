"""The global options. Each may come before the command or after it: `kvctl -o json ls` and
`kvctl ls -o json` are the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click


@dataclass(slots=True)
class Settings:
    """What the global options say."""

    endpoints: str = "127.0.0.1:7001"
    timeout_s: float = 5.0
    output: str = "table"
    hex: bool = False

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

    def option(*declarations: str, **attributes: Any) -> click.Option:
        return click.Option(
            declarations,
            default=None,
            expose_value=False,
            callback=_remember,
            hidden=of_command,
            **attributes,
        )

    return [
        option(
            "--endpoints",
            "endpoints",
            metavar="HOST:PORT,...",
            envvar=None if of_command else "KVRAFT_ENDPOINTS",
            show_envvar=True,
            help="Nodes of the cluster, some or all.  [default: 127.0.0.1:7001]",
        ),
        option(
            "--timeout",
            "timeout_s",
            metavar="SECONDS",
            type=click.FloatRange(min=0, min_open=True),
            help="What a call may take, repetitions included.  [default: 5]",
        ),
        option(
            "-o",
            "--output",
            "output",
            type=click.Choice(["table", "json"]),
            help="Text for people, or JSON for scripts.  [default: table]",
        ),
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
        self.epilog = "The global options of 'kvctl --help' may come before or after the command."
