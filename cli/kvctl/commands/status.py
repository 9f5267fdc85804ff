"""kvctl status"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from kvctl.connection import connect
from kvctl.exit_codes import ExitCode
from kvctl.failure import Failure
from kvctl.healthiness import healths
from kvctl.output import header_object, print_json, print_line, print_table
from kvctl.settings import Command, Settings, pass_settings

if TYPE_CHECKING:
    from kvraft.client import KvraftError, Status

COLUMNS = (
    "ENDPOINT",
    "ID",
    "ROLE",
    "LEADER",
    "TERM",
    "COMMIT",
    "APPLIED",
    "REVISION",
    "DIGEST",
    "STATE",
    "LOG",
    "VERSION",
    "ALARMS",
)


@click.command(cls=Command)
@click.option(
    "--check", is_flag=True, help="Exit with 3 if a node is down, follows no leader or has an alarm."
)
@pass_settings
def status(settings: Settings, *, check: bool) -> None:
    """Show what each node of --endpoints says about itself.

    Asks all of them at the same time, whether or not there is a leader. Equal APPLIED means equal
    DIGEST on healthy nodes. If none answers the exit code is 3; 'kvctl health' tells whether the cluster
    serves.

    \b
    kvctl --endpoints 10.0.0.1:7001,10.0.0.2:7001,10.0.0.3:7001 status
    kvctl status -o json | jq '.[] | select(.role == "leader") | .endpoint'
    """
    from kvraft.client import KvraftError

    with connect(settings) as client:
        answers = client.cluster.status_of_all()
    if settings.as_json:
        print_json([_object(endpoint, answer) for endpoint, answer in answers.items()])
    else:
        print_table(COLUMNS, [_row(endpoint, answer) for endpoint, answer in answers.items()])
        _print_alarms(answers)
    if all(isinstance(answer, KvraftError) for answer in answers.values()):
        raise Failure("no endpoint answers", exit_code=ExitCode.UNAVAILABLE, reason="UNAVAILABLE")
    found = [each for each in healths(answers) if not each.is_healthy]
    if check and found:
        problems = "\n".join(f"{each.endpoint}: {each.text}" for each in found)
        raise Failure(problems, exit_code=ExitCode.UNAVAILABLE, reason="UNHEALTHY")


def _object(endpoint: str, answer: Status | KvraftError) -> dict[str, Any]:
    from kvraft.client import KvraftError

    if isinstance(answer, KvraftError):
        return {"endpoint": endpoint, "reachable": False, "reason": answer.reason, "message": str(answer)}
    return {
        "endpoint": endpoint,
        "reachable": True,
        **asdict(answer),
        "header": header_object(answer.header),
        "state_digest": f"{answer.state_digest:016x}",
    }


def _row(endpoint: str, answer: Status | KvraftError) -> list[str]:
    from rich.filesize import decimal

    from kvraft.client import KvraftError

    if isinstance(answer, KvraftError):
        return [endpoint, "-", f"unreachable ({answer.reason})"]
    return [
        endpoint,
        str(answer.header.member_id),
        answer.role,
        str(answer.header.leader_id or "none"),
        str(answer.header.term),
        str(answer.commit_index),
        str(answer.applied_index),
        str(answer.header.revision),
        f"{answer.state_digest:016x}",
        decimal(answer.state_bytes),
        decimal(answer.log_bytes),
        answer.version,
        str(len(answer.alarms) or "none"),
    ]


def _print_alarms(answers: dict[str, Status | KvraftError]) -> None:
    from kvraft.client import KvraftError

    for endpoint, answer in answers.items():
        if not isinstance(answer, KvraftError):
            for alarm in answer.alarms:
                print_line(f"{endpoint}: {alarm.kind} on member {alarm.member_id}: {alarm.message}")
