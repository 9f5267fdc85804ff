"""kvctl msg export"""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import click

from kvctl.connection import connect
from kvctl.message_lines import render
from kvctl.output import print_note
from kvctl.parameters import FILE
from kvctl.settings import Command, Settings, pass_settings

if TYPE_CHECKING:
    from kvraft.client import Queue, SyncClient

_PULLED = 256


@click.command(cls=Command)
@click.argument("user_id", metavar="[USER]", default="")
@click.option("--device", "device_id", default="", help="Only the queue of this device of USER.")
@click.option("--file", "-f", "file", type=FILE, help="Default: stdout; .gz is packed.")
@pass_settings
def export(settings: Settings, *, user_id: str, device_id: str, file: Path | None) -> None:
    """Write the messages that are queued for a user, or for everybody, and leave them there.

    One JSON object a line, as `msg import` reads it, queue by queue in their order; the field `queue` says
    whose it is. A message for several devices is there once for each; an import of the file sends it once.

    \b
    kvctl msg export -f queued.jsonl.gz
    kvctl msg export bob --device phone | jq -r .text
    """
    if device_id and not user_id:
        raise click.UsageError("--device needs USER")
    count = queues = 0
    with connect(settings) as client, _open(file) as out, _progress() as show:
        for queue in client.messages.all_queues(user_id, only_nonempty=True):
            if not queue.live or device_id not in ("", queue.device_id):
                continue
            queues += 1
            for line in _lines(client, queue):
                out.write(line)
                count += 1
            show(count, queues)
    if file is not None:
        print_note(f"{count:,} messages of {queues:,} queues")


def _lines(client: SyncClient, queue: Queue) -> Iterator[bytes]:
    after_seq = 0
    while True:
        pulled = client.messages.pull(
            queue.user_id, queue.device_id, max_messages=_PULLED, after_seq=after_seq
        )
        for delivery in pulled.deliveries:
            yield render(delivery, queue.user_id, queue.device_id)
        if not pulled.more:
            return
        after_seq = pulled.deliveries[-1].seq


@contextmanager
def _open(file: Path | None) -> Iterator[IO[bytes]]:
    if file is None:
        yield sys.stdout.buffer
    elif file.suffix == ".gz":
        with gzip.open(file, "wb") as packed:
            yield cast(IO[bytes], packed)
    else:
        with file.open("wb") as plain:
            yield plain


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Counts on stderr if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _count, _queues: None
        return

    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("exporting {task.fields[now]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, now="")
        yield lambda count, queues: bar.update(task, now=f"{count:,} messages of {queues:,} queues")
