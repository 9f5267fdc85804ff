"""A closed-loop load generator: N callers on one connection each wait for their answer and ask again.

Requests are serialised before the clock starts and answers are not decoded, so that the generator
costs the same whatever it talks to.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass

import grpc.aio

MakeRequest = Callable[[int], bytes]
"""The serialised request of the n-th call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What is asked."""

    path: str
    """/package.Service/Method"""
    make_request: MakeRequest
    callers: int
    operations_per_call: int = 1
    seconds: float = 5.0
    warmup_seconds: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What came of it."""

    operations_per_s: float
    p50_ms: float
    p99_ms: float
    calls: int


async def run(address: str, workload: Workload) -> Measured:
    """Drives `workload` against one address. Any failed call fails the run."""
    options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
    latencies: list[float] = []
    numbers = itertools.count()
    requests = [workload.make_request(n) for n in range(max(1_024, workload.callers))]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        call = channel.unary_unary(workload.path)
        start = time.perf_counter() + workload.warmup_seconds
        end = start + workload.seconds

        async def caller() -> None:
            while True:
                began = time.perf_counter()
                if began >= end:
                    return
                await call(requests[next(numbers) % len(requests)])
                now = time.perf_counter()
                if began >= start and now <= end:
                    latencies.append(now - began)

        await asyncio.gather(*(caller() for _ in range(workload.callers)))
    latencies.sort()
    if not latencies:
        raise RuntimeError(f"no call of {workload.path} finished within {workload.seconds} s")
    return Measured(
        operations_per_s=len(latencies) * workload.operations_per_call / workload.seconds,
        p50_ms=latencies[len(latencies) // 2] * 1e3,
        p99_ms=latencies[len(latencies) * 99 // 100] * 1e3,
        calls=len(latencies),
    )
