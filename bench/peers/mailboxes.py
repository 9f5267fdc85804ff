"""What every message queue of the comparison is asked, and how the answer is measured.

There are some mailboxes. N callers in one Python process each send a 256-byte message to the next mailbox
and wait until that message is confirmed, then send again: a closed loop, as in `bench.load`, but through
the client library that an application would use, so that what the library costs is in the number.
Nobody receives meanwhile: it is the sending that is measured, and the backlog of a few seconds is small.

A peer is a module with `missing` and `cluster` (`Queueing` below), so that one that is not installed costs
nothing, and what `cluster` yields is a `Peer`.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from bench.load import Measured

PAYLOAD_BYTES = 256
CONFIRMATION_SECONDS_MAX = 30.0
"""How long after the end the last confirmations may take."""

Send = Callable[[int], Awaitable[object]]
"""Sends the n-th message; done when that message is confirmed, an exception when it is not."""


class Peer(Protocol):
    """A running cluster with its mailboxes."""

    @property
    def name(self) -> str:
        """Product, version and kind of queue."""

    @property
    def durable(self) -> bool:
        """Whether a majority has a message on its disks, fsynced, before the message is confirmed."""

    @property
    def deduplicated(self) -> bool:
        """Whether a message that is sent again, as it was measured, is queued once."""

    def run(self, callers: int, seconds: float) -> Measured:
        """Sends for `seconds` after a warm-up. Any message that is not confirmed fails the run."""


class Queueing(Protocol):
    """The module of a peer."""

    def missing(self) -> str | None:
        """What has to be installed, and how; None where everything is there."""

    def cluster(self, directory: Path, mailboxes: int) -> AbstractContextManager[Peer]:
        """Runs three nodes below `directory` and makes the mailboxes, each kept on all three."""


async def drive(send: Send, *, callers: int, seconds: float, warmup_seconds: float = 1.0) -> Measured:
    """`callers` loops, each sending again as soon as its own message is confirmed.

    Raises what `send` raises, and TimeoutError where a confirmation does not come.
    """
    latencies: list[float] = []
    numbers = itertools.count()
    start = time.perf_counter() + warmup_seconds
    end = start + seconds

    async def caller() -> None:
        while (began := time.perf_counter()) < end:
            await send(next(numbers))
            now = time.perf_counter()
            if began >= start and now <= end:
                latencies.append(now - began)

    async with asyncio.timeout(warmup_seconds + seconds + CONFIRMATION_SECONDS_MAX):
        await asyncio.gather(*(caller() for _ in range(callers)))
    latencies.sort()
    if not latencies:
        raise RuntimeError(f"no message was sent and confirmed within {seconds} s")
    return Measured(
        operations_per_s=len(latencies) / seconds,
        p50_ms=latencies[len(latencies) // 2] * 1e3,
        p99_ms=latencies[len(latencies) * 99 // 100] * 1e3,
        calls=len(latencies),
    )
