"""A few known bugs are found in a few seeds. `make mutants` tries them all."""

from __future__ import annotations

import pytest

from tests.sim.__main__ import shortened
from tests.sim.mutants import MUTANTS, hunt
from tests.sim.simulation import HEALED_S, REST_S, run

QUICK = {
    "read served before its index is applied": "ledger",
    "group given to a leader twice": "ledger",
    "history trimmed but not told": "watches",
    "an election extends leases": "owners of leases",
    "lease expired by a deposed leader": "leases and the log",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_a_known_bug_is_found(name: str) -> None:
    mutant = next(mutant for mutant in MUTANTS if mutant.name == name)
    catch = hunt(mutant, only_clients=False, seeds_max=8)
    assert catch is not None
    assert catch.checker == QUICK[name], catch


@pytest.mark.slow
def test_a_run_that_fails_is_made_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    next(each for each in MUTANTS if each.name == "read served before its index is applied").apply(
        monkeypatch
    )
    faults_s, shortest = shortened(run(1))
    assert faults_s < HEALED_S
    assert shortest.failure is not None
    assert str(run(1, duration_s=faults_s + REST_S).failure) == str(shortest.failure)
