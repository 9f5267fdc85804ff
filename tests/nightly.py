"""python -m tests.nightly [MINUTES]    every long proof, random ones with seeds that were never tried

Half of the minutes (60 if none are given) go to simulated clusters, a quarter to the property tests; what is
not random (known bugs, crash points, power cuts) runs once, however long it takes. All of it runs whatever
fails; the table at the end names each failure's seed.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

MINUTES = 60
SIMULATIONS_PER_ROUND = 500
"""So many meet every kind of fault; `tests.sim` fails where one never happened."""


@dataclass(slots=True)
class Outcome:
    """What became of one proof."""

    name: str
    rounds: int = 0
    elapsed_s: float = 0.0
    failures: list[str] = field(default_factory=list)
    """Commands that repeat what failed."""


def main(arguments: Sequence[str]) -> int:
    """Runs every proof and returns 0 if none failed."""
    if len(arguments) > 1 or not all(each.isdecimal() for each in arguments):
        print(__doc__, file=sys.stderr)
        return 2
    budget_s = 60.0 * int(arguments[0] if arguments else MINUTES)
    outcomes = list(_outcomes(budget_s))
    table = Table("proof", "rounds", "minutes", "failed: repeat with")
    for each in outcomes:
        table.add_row(each.name, str(each.rounds), f"{each.elapsed_s / 60:.1f}", "\n".join(each.failures))
    Console().print(table)
    failed = sum(bool(each.failures) for each in outcomes)
    print(f"{len(outcomes) - failed} passed, {failed} failed")
    return 1 if failed else 0


def _outcomes(budget_s: float) -> Iterator[Outcome]:
    yield _repeat("simulated clusters", budget_s / 2, _simulation)
    yield _repeat("property tests", budget_s / 4, _property_tests)
    yield _repeat("known bugs", 0, lambda _: ["tests.sim.mutants"])
    yield _repeat("crash points", 0, lambda _: ["tests.crashpoints"])
    yield _repeat("power cuts", 0, lambda _: ["tests.powerloss"])


def _simulation(seed: int) -> list[str]:
    return ["tests.sim", f"{seed}..{seed + SIMULATIONS_PER_ROUND - 1}"]


def _property_tests(seed: int) -> list[str]:
    return ["pytest", "-q", "-m", "hypothesis", "--hypothesis-profile=fresh", f"--hypothesis-seed={seed}"]


def _repeat(name: str, budget_s: float, module_of: Callable[[int], list[str]]) -> Outcome:
    """Runs a module at least once, with fresh seeds, until its time is over."""
    outcome = Outcome(name)
    started = time.monotonic()
    while outcome.rounds == 0 or time.monotonic() - started < budget_s:
        module = module_of(random.SystemRandom().randrange(1_000_000, 1_000_000_000))
        command = f"python -m {' '.join(module)}"
        print(f"\n{name}: {command}", flush=True)
        if subprocess.run([sys.executable, "-m", *module], check=False).returncode != 0:
            outcome.failures.append(command)
        outcome.rounds += 1
    outcome.elapsed_s = time.monotonic() - started
    return outcome


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
