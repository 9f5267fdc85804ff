"""python -m tests.crashpoints [OPERATION ...]    every fault at every disk call, and what became of it"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from dataclasses import replace

from rich.console import Console
from rich.table import Table

from tests.crashpoints.operations import OPERATIONS, Operation
from tests.crashpoints.strace import Fault, Point, why_not
from tests.crashpoints.sweep import Findings, sweep


def main(arguments: list[str]) -> int:
    """0: every call met every fault, and nothing was found."""
    chosen = [each for each in OPERATIONS if not arguments or each.name in arguments]
    if len(chosen) < len(arguments):
        print(__doc__, "\noperations:", ", ".join(each.name for each in OPERATIONS), file=sys.stderr)
        return 2
    if (reason := why_not()) is not None:
        print(f"not possible here: {reason}", file=sys.stderr)
        return 2
    started = time.monotonic()
    found = asyncio.run(_sweep_all(chosen))
    Console().print(_table(found))
    problems = [each for findings in found for each in (*findings.failures, *findings.missed)]
    print("\n".join(problems) or "nothing was found", f"in {time.monotonic() - started:.0f} s")
    return 1 if problems else 0


async def _sweep_all(operations: list[Operation]) -> list[Findings]:
    """All at once, since each waits most of the time."""
    return await asyncio.gather(*map(sweep, operations))


def _table(found: list[Findings]) -> Table:
    table = Table("operation", "system call", "points", *(fault.name for fault in Fault))
    for findings in found:
        for kind in sorted({replace(point, number=0) for point in findings.points}):
            points = [point for point in findings.points if replace(point, number=0) == kind]
            what = f"{kind.call} {kind.file}" + (", loop" if kind.in_loop else "")
            became = (_became(findings, kind, fault) for fault in Fault)
            table.add_row(findings.operation, what, str(len(points)), *became)
        table.add_section()
    return table


def _became(findings: Findings, kind: Point, fault: Fault) -> str:
    outcomes = Counter(
        outcome
        for (point, met), outcomes in findings.outcomes.items()
        if (replace(point, number=0), met) == (kind, fault)
        for outcome in outcomes
    )
    return ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
