"""What the table of message queues says of each, and the percentiles of journeys."""

from __future__ import annotations

from rich.console import Console

from bench.latency import Times
from bench.load import Measured
from bench.peers.comparison import Result, table


def _result(peer: str, rate: float, *, callers: int, durable: bool, deduplicated: bool) -> Result:
    return Result(
        peer=peer,
        durable=durable,
        deduplicated=deduplicated,
        mailboxes=10,
        callers=callers,
        measured=Measured(operations_per_s=rate, p50_ms=1.0, p99_ms=2.0, calls=1),
    )


def _lines(results: list[Result]) -> list[str]:
    console = Console(width=160)
    with console.capture() as shown:
        console.print(table(results, "ours 1"))
    return shown.get().splitlines()


def test_a_peer_is_compared_in_the_same_place_and_its_promises_are_named() -> None:
    lines = _lines(
        [
            _result("ours 1", 3_000, callers=64, durable=True, deduplicated=True),
            _result("ours 1", 8_000, callers=1_000, durable=True, deduplicated=True),
            _result("theirs 2", 4_000, callers=1_000, durable=False, deduplicated=False),
        ]
    )
    (theirs,) = [line for line in lines if "theirs 2" in line]
    assert "2.00 x" in theirs
    assert "BEFORE fsync" in theirs
    assert "queued again" in theirs
    assert all("after fsync" in line and "queued once" in line for line in lines if "ours 1" in line)


def test_a_peer_that_is_measured_alone_is_compared_with_nothing() -> None:
    lines = _lines([_result("theirs 2", 4_000, callers=64, durable=True, deduplicated=False)])
    (theirs,) = [line for line in lines if "theirs 2" in line]
    assert " x " not in theirs


def test_percentiles_of_journeys_are_milliseconds() -> None:
    times = Times.of([number / 1_000 for number in range(1_000, 0, -1)])
    assert times == Times(p50_ms=501, p99_ms=991, p999_ms=1_000, most_ms=1_000)
