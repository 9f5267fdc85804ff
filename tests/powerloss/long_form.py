"""The long form: every scenario, many disks at each moment, every careless node. Prints what was tried and
what came of it."""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.powerloss import scenarios, strace
from tests.powerloss.checker import LOST, MEMORY, RECOVERED, REFUSED, WRONG, Recording, Report, check
from tests.powerloss.cuts import QUICK, THOROUGH
from tests.powerloss.mutants import MUTANTS, mutated
from tests.powerloss.scenarios import recorded

PROCESSES = 2
SEEDS = (1, 2)
PUTS = 80
_MISSING = ("page", "size", "name")


def main() -> int:
    """0: nothing was lost, wrong or refused, and every careless node was found out."""
    if (reason := strace.why_not()) is not None:
        print(f"power loss cannot be tested: {reason}", file=sys.stderr)
        return 1
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        recordings = list(_record(Path(directory)))
    print(f"recorded {len(recordings)} nodes in {time.monotonic() - started:.0f} s\n", flush=True)
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        print(_HEAD)
        findings = []
        jobs = [(recording, seed) for recording in recordings for seed in SEEDS]
        for report in pool.imap(_check, jobs):
            print(_line(report), flush=True)
            findings.extend(report.findings)
        print("\n".join(("", *findings)), flush=True)
        by_name = {recording.name: recording for recording in recordings}
        missed = 0
        hunts = [(number, by_name[mutant.recording]) for number, mutant in enumerate(MUTANTS)]
        for mutant, report in zip(MUTANTS, pool.imap(_hunt, hunts), strict=True):
            found = report.verdicts[mutant.verdict] > 0
            missed += not found
            outcome = f"{mutant.verdict} after {report.opened} disks" if found else "NOT FOUND"
            print(f"{mutant.name:<48} {mutant.recording:<20} {outcome}", flush=True)
    print(f"\n{time.monotonic() - started:.0f} s")
    return 1 if findings or missed else 0


def _record(directory: Path) -> Iterator[Recording]:
    one_node = recorded(partial(scenarios.one_node, puts=PUTS), directory / "one")
    yield one_node
    with tempfile.TemporaryDirectory(dir=MEMORY) as scratch:
        again = partial(scenarios.one_node_again, first=one_node, scratch=Path(scratch), puts=PUTS // 2)
        yield recorded(again, directory / "again")
    yield from recorded(partial(scenarios.two_nodes, puts=PUTS), directory / "two")
    yield recorded(partial(scenarios.snapshot, puts=PUTS // 2), directory / "snapshot")


def _check(job: tuple[Recording, int]) -> Report:
    recording, seed = job
    scratch = Path(tempfile.mkdtemp(dir=MEMORY))
    report = check(recording, scratch, seed=seed, effort=THOROUGH)
    if not report.findings:
        scratch.rmdir()
    return report


def _hunt(job: tuple[int, Recording]) -> Report:
    number, recording = job
    mutant = MUTANTS[number]
    careless = mutated(recording, mutant)
    with tempfile.TemporaryDirectory(dir=MEMORY) as scratch:
        return check(
            careless, Path(scratch), seed=SEEDS[0], effort=QUICK, stop_at=frozenset({mutant.verdict})
        )


_HEAD = (
    f"{'':<20} {'':>8} {'':>6} {'':>7} {'differ-':>8} {'torn':>6} {'- with missing -':^20} "
    f"{'torn':>6} {'re-':>7} {'re-':>10} {'re-':>8}\n"
    f"{'node':<20} {'moments':>8} {'acks':>6} {'disks':>7} {'ent':>8} {'page':>6} "
    + " ".join(f"{what:>6}" for what in _MISSING)
    + f" {'tail':>6} {'played':>7} {'covered':>10} {'fused':>8} {'lost':>6} {'wrong':>6}"
)


def _line(report: Report) -> str:
    missing = [
        sum(count for kind, count in report.images.items() if kind.startswith("missing") and what in kind)
        for what in _MISSING
    ]
    verdicts = report.verdicts
    return (
        f"{report.name:<20} {report.moments:>8,} {report.acknowledged:>6,} {report.images.total():>7,} "
        f"{report.opened:>8,} {report.images['torn page']:>6,} "
        + " ".join(f"{count:>6,}" for count in missing)
        + f" {report.torn_tails:>6,} {report.replayed:>7,} {verdicts[RECOVERED]:>10,} "
        f"{verdicts[REFUSED]:>8,} {verdicts[LOST]:>6,} {verdicts[WRONG]:>6,}"
    )
