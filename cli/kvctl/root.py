"""The root of the command line: global options, help, and the one place where whatever went wrong
becomes a message and an exit code."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from kvctl.commands.bench import bench
from kvctl.commands.cas import cas
from kvctl.commands.check import check
from kvctl.commands.completion import completion
from kvctl.commands.contact import contact
from kvctl.commands.delete import delete
from kvctl.commands.device import device
from kvctl.commands.elect import elect
from kvctl.commands.get import get
from kvctl.commands.group import group
from kvctl.commands.lease import lease
from kvctl.commands.list import list_
from kvctl.commands.lock import lock
from kvctl.commands.msg import msg
from kvctl.commands.presence import presence
from kvctl.commands.put import put
from kvctl.commands.session import session
from kvctl.commands.status import status
from kvctl.commands.txn import txn
from kvctl.commands.user import user
from kvctl.commands.watch import watch
from kvctl.exit_codes import ExitCode
from kvctl.failure import Failure, report
from kvctl.settings import Settings, global_options
from kvraft.version import __version__


class _Root(click.Group):
    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.params.extend(global_options(of_command=False))

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """As they are listed below, not by alphabet."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            super().invoke(ctx)
            # Here, where a reader that is gone can still be met quietly.
            sys.stdout.flush()
        except (click.UsageError, Failure) as error:
            report(error, as_json=ctx.ensure_object(Settings).as_json)
            ctx.exit(error.exit_code)
        except (KeyboardInterrupt, click.Abort):
            ctx.exit(ExitCode.INTERRUPTED)
        except BrokenPipeError:
            # What is still buffered would meet the broken pipe again when Python exits.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(ExitCode.BROKEN_PIPE)
        except OSError as error:
            report(
                Failure(str(error), exit_code=ExitCode.USAGE, reason="FILE_ERROR"),
                as_json=ctx.ensure_object(Settings).as_json,
            )
            ctx.exit(ExitCode.USAGE)


@click.group(
    cls=_Root,
    commands=[
        put,
        get,
        delete,
        list_,
        cas,
        txn,
        watch,
        lease,
        lock,
        elect,
        device,
        session,
        presence,
        contact,
        group,
        msg,
        user,
        check,
        status,
        bench,
        completion,
    ],
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
      2    the command line or the request is wrong
      3    unavailable: the cluster could not do it in time; nothing was changed
      4    outcome unknown: a write may have been applied; read before writing again
      5    refused by a limit: overloaded, out of space, too large; nothing was changed
      6    internal: a node failed in a way it should not
      7    a command that watch --exec ran failed
      8    the lock or the leadership was lost
      9    the actor may not do it; nothing was changed
      130  interrupted by Ctrl-C
      141  nobody reads the output any more
    """
