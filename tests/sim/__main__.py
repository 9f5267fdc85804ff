"""python -m tests.sim SEED [SECONDS]  one run, with its trace; of so many seconds of faults
python -m tests.sim FIRST..LAST     many runs, in two processes, with what was injected"""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections import Counter

from rich.progress import Progress

from tests.sim.faults import EVENTS, FAULTS
from tests.sim.simulation import HEALED_S, REST_S, Result, run

PROCESSES = 2


def main(arguments: list[str]) -> int:
    """0: nothing was found, and everything was tried."""
    if not arguments or len(arguments) > 2:
        print(__doc__, file=sys.stderr)
        return 2
    first, separator, last = arguments[0].partition("..")
    if separator:
        return _many(int(first), int(last))
    return _one(int(first), int(arguments[1]) if len(arguments) == 2 else HEALED_S)


def _one(seed: int, faults_s: int) -> int:
    result = run(seed, duration_s=faults_s + REST_S, show=print)
    _print_counts("faults", result.faults)
    _print_counts("events", result.events)
    if result.failure is not None:
        print(_describe(result))
        return 1
    print(f"seed {seed}: {result.operations} operations, served again after {result.recovery_ms} ms")
    return 0


def _many(first: int, last: int) -> int:
    faults: Counter[str] = Counter()
    events: Counter[str] = Counter()
    recoveries: list[int] = []
    failure: Result | None = None
    count, started = 0, time.monotonic()
    with multiprocessing.Pool(PROCESSES) as pool, Progress() as progress:
        bar = progress.add_task("simulating", total=last - first + 1)
        for result in pool.imap(run, range(first, last + 1)):
            progress.advance(bar)
            count += 1
            faults += result.faults
            events += result.events
            recoveries.append(result.recovery_ms)
            if result.failure is not None:
                failure = result
                break
    _print_counts("faults", faults)
    _print_counts("events", events)
    if failure is not None:
        print(_describe(failure))
        faults_s, shortest = shortened(failure)
        if shortest is not failure:
            print(f"with {faults_s} s of faults: {_describe(shortest)}")
        print(f"replay it with: make sim SEED='{failure.seed} {faults_s}'")
        return 1
    recoveries.sort()
    print(
        f"{count} runs in {time.monotonic() - started:.0f} s; every node served again after "
        f"{recoveries[len(recoveries) // 2]} ms (median), {recoveries[-1]} ms (longest)"
    )
    never = sorted((FAULTS - faults.keys()) | (EVENTS - events.keys()))
    if never:
        print(f"never happened: {', '.join(never)}; run more seeds", file=sys.stderr)
        return 1
    return 0


def _print_counts(title: str, counts: Counter[str]) -> None:
    print(f"{title}:")
    for kind, count in sorted(counts.items(), key=lambda each: (-each[1], each[0])):
        print(f"{count:>10,}  {kind}")


def _describe(result: Result) -> str:
    failure = result.failure
    return (
        f"seed {result.seed} failed at {result.failed_at_us / 1e6:.6f} s: {type(failure).__name__}: {failure}"
    )


def shortened(failed: Result) -> tuple[int, Result]:
    """The same seed with 1, 2, 4 and so on seconds of faults until it fails: how many, and that run. It heals
    earlier, so it may fail in another way: that is a failure as well."""
    faults_s = 1
    while faults_s < HEALED_S:
        result = run(failed.seed, duration_s=faults_s + REST_S)
        if result.failure is not None:
            return faults_s, result
        faults_s *= 2
    return HEALED_S, failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
