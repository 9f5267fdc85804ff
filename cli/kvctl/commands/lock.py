"""kvctl lock"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import click

from kvctl.children import exit_code_of, pass_on
from kvctl.connection import checked, connect_async
from kvctl.parameters import HELD_TTL
from kvctl.settings import Command, Settings, pass_settings
from kvctl.signals import run as run_async
from kvctl.signals import signal_of_cancellation

if TYPE_CHECKING:
    from kvraft.client import Lock


@click.command(cls=Command, context_settings={"allow_interspersed_args": False})
@click.option(
    "--ttl",
    "ttl_s",
    type=HELD_TTL,
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the lock outlives a kvctl that dies.",
)
@click.argument("name")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@pass_settings
def lock(settings: Settings, *, ttl_s: float, name: str, command: tuple[str, ...]) -> None:
    """Wait for the lock NAME, run COMMAND while it is held, and release it.

    The exit code is that of the command, or 128 and the number of the signal that ended it. SIGINT, SIGTERM
    and SIGHUP are passed on to it. If the lock is lost the command is killed and the exit code is 8.

    KVRAFT_FENCING_TOKEN, in the environment of the command, is greater for each later holder: what the lock
    protects should refuse a smaller one than it has seen. A lock by itself excludes nobody for certain.

    \b
    kvctl lock nightly-report -- ./report --verbose
    kvctl lock --ttl 30 deploy -- sh -c 'deploy --fence $KVRAFT_FENCING_TOKEN'
    """
    if command[0] == "--":
        command = command[1:]
    if not command:
        raise click.UsageError("give a command to run under the lock")
    click.get_current_context().exit(run_async(_run_locked(settings, name, ttl_s, command)))


async def _run_locked(settings: Settings, name: str, ttl_s: float, command: tuple[str, ...]) -> int:
    async with connect_async(settings) as client:
        with checked():
            named = client.lock(name, ttl_s=ttl_s)
        async with named as lock:
            return await _run(lock, command)


async def _run(lock: Lock, command: tuple[str, ...]) -> int:
    environment = {**os.environ, "KVRAFT_FENCING_TOKEN": str(lock.fencing_token)}
    process = await asyncio.create_subprocess_exec(*command, env=environment)
    ended = asyncio.create_task(process.wait())
    lost = asyncio.create_task(lock.lost.wait())
    while not ended.done() and not lost.done():
        try:
            await asyncio.wait((ended, lost), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError as cancelled:
            # And its exit code tells what came of it.
            pass_on(process, signal_of_cancellation(cancelled))
    lost.cancel()
    if not ended.done():
        process.kill()
    return exit_code_of(await ended)
