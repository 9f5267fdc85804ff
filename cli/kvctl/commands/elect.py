"""kvctl elect"""

from __future__ import annotations

import sys

import click

from kvctl.connection import checked, connect_async
from kvctl.encoding import from_typed, to_cell, to_json
from kvctl.output import print_json, print_line
from kvctl.parameters import BYTES, HELD_TTL
from kvctl.settings import Command, Settings, pass_settings
from kvctl.signals import run as run_async


@click.command(cls=Command)
@click.argument("name")
@click.argument("value", type=BYTES, required=False)
@click.option(
    "--ttl",
    "ttl_s",
    type=HELD_TTL,
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the leadership outlives a kvctl that dies.",
)
@click.option("--listen", is_flag=True, help="Only print who leads, now and at each change.")
@pass_settings
def elect(settings: Settings, *, name: str, value: str | None, ttl_s: float, listen: bool) -> None:
    """Campaign in the election NAME with VALUE, and lead until Ctrl-C.

    Prints the value and the fencing token when elected. If the leadership is lost the exit code is 8.

    \b
    kvctl elect scheduler host-3
    kvctl elect scheduler --listen
    """
    if listen == (value is not None):
        raise click.UsageError("give a VALUE to campaign with, or --listen")
    if value is None:
        run_async(_listen(settings, name))
    else:
        run_async(_lead(settings, name, from_typed(value, hexadecimal=settings.hex), ttl_s))


async def _lead(settings: Settings, name: str, value: bytes, ttl_s: float) -> None:
    async with connect_async(settings) as client:
        with checked():
            election = client.election(name)
        async with await election.campaign(value, ttl_s=ttl_s) as leadership:
            _print(settings, value, leadership.fencing_token)
            await leadership.lost.wait()


async def _listen(settings: Settings, name: str) -> None:
    async with connect_async(settings) as client:
        with checked():
            election = client.election(name)
        async for leader in election.observe():
            if leader is not None:
                _print(settings, leader.value, leader.fencing_token)
            elif settings.as_json:
                print_json(None)
            else:
                print_line("nobody leads")
            sys.stdout.flush()


def _print(settings: Settings, value: bytes, fencing_token: int) -> None:
    if settings.as_json:
        print_json({**to_json("value", value, hexadecimal=settings.hex), "fencing_token": fencing_token})
    else:
        print_line(f"{to_cell(value, hexadecimal=settings.hex)}\t{fencing_token}")
    sys.stdout.flush()
