"""`make bench-messages`: kvraft's device queues and the message queues they are compared with, in one run."""

from __future__ import annotations

import json
import os
import platform
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

import click
from rich.console import Console

from bench import messages
from bench.peers import nats, rabbitmq
from bench.peers.comparison import Result, measure, table
from bench.peers.mailboxes import Queueing

PEERS: dict[str, Queueing] = {"kvraft": messages, "rabbitmq": rabbitmq, "nats": nats}
TABLE_COLUMNS = 130


@click.command()
@click.option(
    "--seconds", default=4.0, show_default=True, help="How long each number of callers is measured."
)
@click.option("--callers", multiple=True, default=(64, 1_000), show_default=True, type=click.IntRange(1))
@click.option("--mailboxes", multiple=True, default=(10, 100), show_default=True, type=click.IntRange(1))
@click.option(
    "--peer", "names", multiple=True, default=tuple(PEERS), show_default=True, type=click.Choice(list(PEERS))
)
@click.option("--json", "json_file", type=click.File("w"), help="Write the numbers there as well.")
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Where the queues write; default: a temporary one."
)
def main(
    *,
    seconds: float,
    callers: tuple[int, ...],
    mailboxes: tuple[int, ...],
    names: tuple[str, ...],
    json_file: TextIO | None,
    data_dir: Path | None,
) -> None:
    """Measure kvraft, RabbitMQ quorum queues and NATS JetStream, three nodes each, one after the other."""
    # Raised like Ctrl-C, so that whatever ends the benchmark ends its nodes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    console = Console()
    console.print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}", highlight=False
    )
    results: list[Result] = []
    with tempfile.TemporaryDirectory(dir=data_dir, prefix="kvraft-bench-") as directory:
        for name in names:
            if hint := PEERS[name].missing():
                console.print(f"NOT MEASURED: {name} needs {hint}", style="bold red", highlight=False)
                continue
            console.print(f"{name}, three nodes")
            for result in measure(
                PEERS[name], Path(directory), mailboxes=mailboxes, callers=callers, seconds=seconds
            ):
                results.append(result)
                console.print(
                    f"  {result.mailboxes} mailboxes, {result.callers} callers:"
                    f" {result.measured.operations_per_s:,.0f}/s",
                    style="dim",
                    highlight=False,
                )
    Console(width=max(console.width, TABLE_COLUMNS)).print(table(results, messages.NAME))
    if json_file is not None:
        json.dump([asdict(result) for result in results], json_file)


if __name__ == "__main__":
    main()
