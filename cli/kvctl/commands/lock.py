"""kvctl lock"""

from __future__ import annotations

import asyncio
import os
import signal

import click

from kvctl.connection import connect_async
from kvctl.settings import Command, Settings, pass_settings


@click.command(cls=Command, context_settings={"allow_interspersed_args": False})
@click.option(
    "--ttl",
    "ttl_s",
    type=click.FloatRange(min=1),
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

    The exit code is that of the command, or 128 and the number of the signal that ended it. If the lock is
    lost the command is killed and the exit code is 8.

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
    try:
        code = asyncio.run(_run_locked(settings, name, ttl_s, command))
    except asyncio.CancelledError:
        code = 128 + signal.SIGTERM  # while it waited for the lock
    click.get_current_context().exit(code)


async def _run_locked(settings: Settings, name: str, ttl_s: float, command: tuple[str, ...]) -> int:
    this = asyncio.current_task()
    assert this is not None
    # As Ctrl-C does it. Otherwise the lock would be released only when its lease ends.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    async with connect_async(settings) as client, client.lock(name, ttl_s=ttl_s) as lock:
        environment = {**os.environ, "KVRAFT_FENCING_TOKEN": str(lock.fencing_token)}
        process = await asyncio.create_subprocess_exec(*command, env=environment)
        ended = asyncio.create_task(process.wait())
        lost = asyncio.create_task(lock.lost.wait())
        while not ended.done() and not lost.done():
            try:
                await asyncio.wait((ended, lost), return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:
                process.terminate()  # and its exit code tells what came of it
        lost.cancel()
        if not ended.done():
            process.kill()
        code = await ended
        return code if code >= 0 else 128 - code
