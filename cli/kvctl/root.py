"""The root of the command line: global options, help, and where what went wrong is told."""

from __future__ import annotations

import sys
from typing import Any

import click

from kvctl.failure import ending
from kvctl.groups import CommandGroup
from kvctl.settings import Settings, global_options
from kvraft.version import __version__

COMMANDS = {
    "put": "put.put",
    "get": "get.get",
    "del": "delete.delete",
    "ls": "list.list_",
    "cas": "cas.cas",
    "txn": "txn.txn",
    "watch": "watch.watch",
    "export": "export.export",
    "import": "import_.import_",
    "lease": "lease.lease",
    "lock": "lock.lock",
    "elect": "elect.elect",
    "device": "device.device",
    "session": "session.session",
    "presence": "presence.presence",
    "contact": "contact.contact",
    "group": "group.group",
    "msg": "msg.msg",
    "user": "user.user",
    "check": "check.check",
    "status": "status.status",
    "health": "health.health",
    "bench": "bench.bench",
    "completion": "completion.completion",
    "help": "help.help_",
    "version": "help.version",
}
"""Names, modules and their attributes, as they are listed in the help."""


class _Root(CommandGroup):
    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.params.extend(global_options(of_command=False))

    def main(self, *args: Any, **extra: Any) -> Any:
        try:
            with ending(Settings()):
                return super().main(*args, **extra)
        except click.exceptions.Exit as end:
            sys.exit(end.exit_code)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        settings = Settings()
        with ending(settings):
            return super().make_context(info_name, args, parent, obj=settings, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with ending(ctx.ensure_object(Settings)):
            return super().invoke(ctx)


@click.group(
    cls=_Root,
    lazily=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def kvctl() -> None:
    """Read, write and watch over a kvraft cluster.

    \b
    kvctl put greeting hello
    kvctl get greeting
    kvctl --endpoints 10.0.0.1:7001,10.0.0.2:7001,10.0.0.3:7001 status
    kvctl ls users/ -o json | jq -r .key

    \b
    Exit codes:
      0    done
      1    what it is about does not exist (or does, where it should not), or a comparison did not hold
      2    the command line or the request is wrong, or a file cannot be read or written
      3    unavailable: the cluster could not do it in time; nothing was changed
      4    outcome unknown: a write may have been applied; read before writing again
      5    refused by a limit: overloaded, out of space, too large; nothing was changed
      6    internal: a node or kvctl failed in a way it should not
      7    a command that watch --exec ran failed
      8    the lock or the leadership was lost
      9    the actor may not do it; nothing was changed
      129  the terminal was closed (SIGHUP)
      130  interrupted by Ctrl-C
      141  nobody reads the output any more
      143  ended by SIGTERM
    """
