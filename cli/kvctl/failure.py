"""How kvctl says that something went wrong: to stderr, as text or as a JSON object."""

from __future__ import annotations

import json
from typing import Any

import click

from kvctl.exit_codes import ExitCode


class Failure(Exception):
    """Ends the command with a message and an exit code.

    `fields` go into the JSON object beside the message; `reason` and `applied` always do.
    """

    def __init__(
        self, message: str, *, exit_code: ExitCode, reason: str, applied: str = "no", **fields: Any
    ) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.fields = {"reason": reason, "applied": applied, **fields}


def report(error: Failure | click.UsageError, *, as_json: bool) -> None:
    """To stderr."""
    if isinstance(error, Failure):
        message, fields = str(error), error.fields
    else:
        message, fields = error.format_message(), {"reason": "USAGE", "applied": "no"}
    if as_json:
        about = {"message": message, "exit_code": int(error.exit_code), **fields}
        click.echo(json.dumps({"error": about}, ensure_ascii=False), err=True)
        return
    click.echo(f"kvctl: {message}", err=True)
    if isinstance(error, click.UsageError) and error.ctx is not None:
        click.echo(f"Try '{error.ctx.command_path} --help'.", err=True)
