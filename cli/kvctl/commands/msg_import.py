"""kvctl msg import"""

from __future__ import annotations

import asyncio
import hashlib
import sys
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click

from kvctl.connection import connect_async
from kvctl.exit_codes import ExitCode
from kvctl.failure import Failure
from kvctl.importing import Counts, Importer, Plan, Policy, StoppedError
from kvctl.message_lines import STDIN, open_lines
from kvctl.output import print_json, print_line, print_note
from kvctl.parameters import Seconds
from kvctl.settings import Command, Settings, pass_settings
from kvctl.signals import run as run_async

SHOW_S = 0.2


@click.command("import", cls=Command)
@click.argument("file", metavar="FILE")
@click.option("--name", default="", help="Of the mark that says how far it came; default: a hash of FILE.")
@click.option("--from-start", is_flag=True, help="Do not go on from the mark of an earlier run.")
@click.option("--device", default="main", show_default=True, help="What a new user's device is called.")
@click.option("--register/--no-register", default=True, show_default=True, help="Register unknown users.")
@click.option("--concurrency", type=click.IntRange(1, 10_000), default=1_000, show_default=True)
@click.option("--bad-lines", type=click.Choice(["stop", "skip"]), default="stop", show_default=True)
@click.option("--full-queues", type=click.Choice(["stop", "skip", "wait"]), default="stop", show_default=True)
@click.option("--patience", type=Seconds(), default=60.0, show_default=True, metavar="SECONDS")
@pass_settings
def import_(
    settings: Settings,
    *,
    file: str,
    name: str,
    from_start: bool,
    device: str,
    register: bool,
    concurrency: int,
    bad_lines: str,
    full_queues: str,
    patience: float,
) -> None:
    """Send the messages of FILE: JSON lines, plain or gzip; - is stdin.

    Users that are not known get a device. Each user and group gets messages in the order of the file, up to
    1,000 at a time on their way. A line that was sent before is found by its id and not sent again, so an
    import may be repeated: within a day, or from the mark that it leaves in the cluster, it goes on where it
    was (Ctrl-C included). The mark belongs to the contents of FILE; stdin has one if it is given a name.

    \b
    {"id":"m1","from":"alice","to":"bob","type":"TEXT","text":"hello"}
    {"id":"m2","from":"alice","group":"family","type":"IMAGE","media":{"uri":"s3://b/k"},"time":"2026-01-31T08:00:00Z"}

    \b
    kvctl msg import messages.jsonl.gz
    zcat old/*.gz | kvctl msg import - --name old --bad-lines skip

    A bad line stops the import (exit code 2), or is named on stderr and skipped. A full queue stops it (5),
    is skipped, or waited for; a cluster that is unavailable is waited for (--patience), then it stops (3).
    """
    mark = name.encode() or (b"" if file == STDIN else _fingerprint(Path(file)))
    plan = Plan(
        name=mark,
        device_id=device,
        register=register,
        concurrency=concurrency,
        bad_lines=Policy(bad_lines),
        full_queues=Policy(full_queues),
        patience_s=patience,
    )
    counts = run_async(_import(settings, plan, file, from_start=from_start))
    if settings.as_json:
        print_json(_object(counts))
        return
    if counts.resumed:
        print_line(f"{counts.resumed:,} lines were done before")
    print_line(
        f"{counts.sent:,} sent, {counts.duplicates:,} sent before, {counts.skipped:,} skipped, "
        f"{counts.users:,} users registered; {counts.elapsed_s:.1f} s, {counts.per_s:,.0f}/s"
    )


def _fingerprint(file: Path) -> bytes:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, lambda: hashlib.blake2b(digest_size=16)).hexdigest().encode()


async def _import(settings: Settings, plan: Plan, file: str, *, from_start: bool) -> Counts:
    async with connect_async(settings) as client:
        importer = Importer(client, plan, print_note)
        first = 0 if from_start else await importer.find_mark()
        # Interrupted it stops in good order: what is under way ends, and the mark is set.
        try:
            with open_lines(file) as (lines, raw):
                async with _progress(importer.counts, None if file == STDIN else raw):
                    await importer.run(lines, first)
        except StoppedError as error:
            raise _stopped(error, importer.counts) from error
        except (EOFError, zlib.error) as error:
            raise OSError(f"{file}: after {importer.counts.done:,} lines: {error}") from error
        except asyncio.CancelledError:
            print_note(f"kvctl: interrupted, {importer.counts.done:,} lines are done")
            raise
        return importer.counts


def _stopped(error: StoppedError, counts: Counts) -> Failure:
    full = getattr(error.__cause__, "reason", "") == "QUEUE_FULL"
    return Failure(
        f"{error}\nThe lines before {counts.done + 1:,} are done; run it again to go on.",
        exit_code=ExitCode.REFUSED if full else ExitCode.USAGE,
        reason="QUEUE_FULL" if full else "BAD_LINE",
        line=error.number,
        done=counts.done,
    )


def _object(counts: Counts) -> dict[str, Any]:
    return {
        "lines": counts.done,
        "resumed": counts.resumed,
        "sent": counts.sent,
        "duplicates": counts.duplicates,
        "skipped": counts.skipped,
        "users": counts.users,
        "elapsed_s": round(counts.elapsed_s, 3),
        "per_s": round(counts.per_s, 1),
    }


@asynccontextmanager
async def _progress(counts: Counts, raw: BinaryIO | None) -> AsyncIterator[None]:
    """A bar on stderr if that is a terminal; of stdin nobody knows how much there is."""
    if not sys.stderr.isatty():
        yield
        return

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("importing"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[now]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as bar:
        total = None if raw is None else raw.seek(0, 2)
        if raw is not None:
            raw.seek(0)
        task = bar.add_task("", total=total, now="")

        async def show() -> None:
            while True:
                now = f"{counts.done:,} lines, {counts.per_s:,.0f}/s"
                if counts.waiting:
                    now += f", {counts.waiting:,} wait for room"
                position = None if raw is None or raw.closed else raw.tell()
                bar.update(task, completed=position, now=now, refresh=True)
                await asyncio.sleep(SHOW_S)

        showing = asyncio.create_task(show())
        try:
            yield
        finally:
            showing.cancel()
            await asyncio.wait((showing,))
