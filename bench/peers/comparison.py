"""Message queues measured one after the other on the same file system, and the table of what came of it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from bench.load import Measured
from bench.peers.mailboxes import PAYLOAD_BYTES, Queueing

WARMUP_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One cell of the comparison."""

    peer: str
    durable: bool
    deduplicated: bool
    mailboxes: int
    callers: int
    measured: Measured


def measure(
    queueing: Queueing, directory: Path, *, mailboxes: Iterable[int], callers: Iterable[int], seconds: float
) -> Iterator[Result]:
    """Each number of mailboxes on a cluster of its own below `directory`, each number of callers in turn."""
    callers = list(callers)
    for mailbox_count in mailboxes:
        with (
            tempfile.TemporaryDirectory(dir=directory) as name,
            queueing.cluster(Path(name), mailbox_count) as peer,
        ):
            # Not counted: nodes load code on first use, and new queues elect leaders and begin their logs.
            peer.run(min(callers), WARMUP_SECONDS)
            for caller_count in callers:
                yield Result(
                    peer=peer.name,
                    durable=peer.durable,
                    deduplicated=peer.deduplicated,
                    mailboxes=mailbox_count,
                    callers=caller_count,
                    measured=peer.run(caller_count, seconds),
                )


def table(results: Sequence[Result], reference: str) -> Table:
    """A row for each result, and how many times as much `reference`, the name of a peer, sends in the same
    place."""
    references = {
        (result.mailboxes, result.callers): result.measured.operations_per_s
        for result in results
        if result.peer == reference
    }
    found = Table(
        title=f"sends, each awaiting its own confirmation, {PAYLOAD_BYTES}-byte messages, three nodes"
    )
    found.add_column("queue")
    for name in ("mailboxes", "callers", "sends/s", "p50 ms", "p99 ms"):
        found.add_column(name, justify="right")
    found.add_column("confirmed")
    found.add_column("repeated ones")
    found.add_column("kvraft sends", justify="right")
    for result in results:
        of_reference = references.get((result.mailboxes, result.callers))
        found.add_row(
            result.peer,
            f"{result.mailboxes:,}",
            f"{result.callers:,}",
            f"{result.measured.operations_per_s:,.0f}",
            f"{result.measured.p50_ms:.1f}",
            f"{result.measured.p99_ms:.1f}",
            "after fsync" if result.durable else "BEFORE fsync",
            "queued once" if result.deduplicated else "queued again",
            f"{of_reference / result.measured.operations_per_s:.2f} x" if of_reference else "",
        )
    return found
