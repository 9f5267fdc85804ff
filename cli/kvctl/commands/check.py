"""kvctl check"""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from kvctl.connection import connect
from kvctl.exit_codes import ExitCode
from kvctl.failure import Failure
from kvctl.output import print_json, print_line
from kvctl.settings import Command, Settings, pass_settings

if TYPE_CHECKING:
    from kvraft.client import CheckProgress


@click.command(cls=Command)
@click.option(
    "--max-findings",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    metavar="N",
    help="Stop after N findings.",
)
@pass_settings
def check(settings: Settings, *, max_findings: int) -> None:
    """Look at every row of user data for broken laws.

    Counters of queues, references between rows, shared bodies, indexes: of one revision, on the node that
    answers. One finding a line; the exit code is 1 if there is one. None is expected, ever: report it.

    \b
    kvctl check -o json | jq .law
    """
    found = 0
    last: CheckProgress | None = None
    is_bar = sys.stderr.isatty() and not settings.as_json
    with connect(settings) as client:
        for step in client.admin.check(max_findings=max_findings):
            last = step
            for finding in step.findings:
                found += 1
                if settings.as_json:
                    print_json(asdict(finding))
                else:
                    print_line(f"{finding.law}  {finding.subject}: {finding.detail}")
            if is_bar:
                click.echo(f"\r{_bar(step)}", nl=False, err=True)
    if is_bar:
        click.echo(err=True)
    if last is None or not last.done:
        raise Failure("the check ended early; ask again", exit_code=ExitCode.INTERNAL, reason="INCOMPLETE")
    if found:
        raise Failure(
            f"{found} findings in {last.checked_rows} rows", exit_code=ExitCode.NOT_FOUND, reason="FINDINGS"
        )
    if not settings.as_json:
        print_line(f"{last.checked_rows} rows at revision {last.header.revision}, nothing wrong")


def _bar(step: CheckProgress) -> str:
    part = 1.0 if step.done else min(1.0, step.checked_rows / max(1, step.total_rows))
    return f"[{'#' * round(30 * part):<30}] {step.checked_rows:,} rows"
