"""kvctl health"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kvctl.connection import connect
from kvctl.exit_codes import ExitCode
from kvctl.failure import Failure
from kvctl.healthiness import Health, healths, unhealthy
from kvctl.output import print_json, print_line
from kvctl.settings import Command, Settings, pass_settings

if TYPE_CHECKING:
    from kvraft.client import KvraftError, SyncClient


@click.command(cls=Command)
@click.option("--cluster", is_flag=True, help="Ask every member of the cluster, not only --endpoints.")
@pass_settings
def health(settings: Settings, *, cluster: bool) -> None:
    """Tell whether the cluster reads and writes, and how each node is.

    Makes a linearizable read, which needs a leader and a majority, and asks every endpoint. The exit code
    is 3 if the read fails. 'kvctl status --check' also minds a single node.

    \b
    kvctl health
    kvctl health --cluster -o json | jq .healthy
    """
    endpoints = _members(settings) if cluster else None
    with connect(settings, endpoints=endpoints) as client:
        failure = _serves(client)
        found = healths(client.cluster.status_of_all())
    if settings.as_json:
        print_json(_object(failure, found))
    else:
        for each in found:
            print_line(f"{each.endpoint}  {each.text}")
    if failure is not None:
        raise Failure(
            f"the cluster does not serve: {failure}", exit_code=ExitCode.UNAVAILABLE, reason="UNHEALTHY"
        )
    if not settings.as_json:
        print_line("\n".join(["the cluster serves", *([but] if (but := unhealthy(found)) else [])]))


def _members(settings: Settings) -> str:
    """The addresses of all members."""
    with connect(settings) as client:
        members = client.cluster.status().members
    return ",".join(each.client_address for each in members if each.client_address)


def _serves(client: SyncClient) -> KvraftError | None:
    """Why a linearizable read fails."""
    from kvraft.client import KvraftError

    try:
        client.kv.get(b"\x00")
    except KvraftError as error:
        return error
    return None


def _object(failure: KvraftError | None, found: list[Health]) -> dict[str, Any]:
    return {
        "serves": failure is None,
        "healthy": failure is None and all(each.is_healthy for each in found),
        "endpoints": [
            {"endpoint": each.endpoint, "healthy": each.is_healthy, "message": each.text} for each in found
        ],
    }
