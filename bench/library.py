"""kvraft driven as an application drives it: concurrent calls of the client library in one process.

The library batches them by itself, so this is not the cost of a unary call but what an application gets
for the same number of callers.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence

from bench.load import Measured
from kvraft.client import Client

Call = Callable[[Client, bytes], Awaitable[object]]

KEYS = 1_024
"""The same as of the calls that are one message each."""
WARMUP_SECONDS = 1.0


async def run(addresses: Sequence[str], call: Call, *, callers: int, seconds: float) -> Measured:
    """`callers` of one client, each calling again as soon as it is answered."""
    latencies: list[float] = []
    keys = [b"key%08d" % number for number in range(KEYS)]
    numbers = itertools.count()
    async with Client(",".join(addresses), timeout_s=30) as client:
        await call(client, b"warm")
        start = time.perf_counter() + WARMUP_SECONDS
        end = start + seconds

        async def caller() -> None:
            while (began := time.perf_counter()) < end:
                await call(client, keys[next(numbers) % len(keys)])
                now = time.perf_counter()
                if began >= start and now <= end:
                    latencies.append(now - began)

        await asyncio.gather(*(caller() for _ in range(callers)))
    latencies.sort()
    if not latencies:
        raise RuntimeError(f"no call finished within {seconds} s")
    return Measured(
        operations_per_s=len(latencies) / seconds,
        p50_ms=latencies[len(latencies) // 2] * 1e3,
        p99_ms=latencies[len(latencies) * 99 // 100] * 1e3,
        calls=len(latencies),
    )


def put(value: bytes) -> Call:
    return lambda client, key: client.kv.put(key, value)


def get() -> Call:
    return lambda client, key: client.kv.get(key)
