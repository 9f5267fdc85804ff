"""Clusters whose nodes make their files anew all the time, under everything that may go wrong."""

from __future__ import annotations

from collections import Counter

import pytest

from kvraft.storage.state import rewrite
from tests.sim.simulation import DURATION_S, Simulation
from tests.sim.timeline import MS_US

SEEDS = range(2, 7)
EVENTS = {
    "crash kept an unconfirmed rebase",
    "crash lost a rebase",
    "rebase",
    "snapshot installed",
    "state rewritten",
}


class Rewriting(Simulation):
    """Every node has erased somebody again and again."""

    def begin(self) -> None:
        chance = self._stream("rewrites")

        def again() -> None:
            for host in self.world.hosts.values():
                if host.replica is not None and not host.is_paused and chance.random() < 0.5:
                    host.replica.upkeep.erasures.applied(host.replica.machine.revision, 0)
            self.timeline.after(chance.randrange(1_500) * MS_US, again)

        again()


@pytest.mark.slow
def test_clusters_keep_their_promises_while_they_make_their_files_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rewrite, "COPY_BYTES_PER_FLUSH", 4_000)
    monkeypatch.setattr(rewrite, "COMMIT_BYTES", 1_000)
    happened: Counter[str] = Counter()
    for seed in SEEDS:
        simulation = Rewriting(seed, duration_s=DURATION_S)
        simulation.begin()
        try:
            simulation.run()
        except Exception as error:
            raise AssertionError(f"seed {seed} at {simulation.timeline.now_us} us") from error
        happened += simulation.report.faults + simulation.report.events
    assert sorted(EVENTS - happened.keys()) == [], "this did not happen at all"
    assert happened["state rewritten"] > 100
