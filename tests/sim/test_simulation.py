"""Whole clusters under everything that may go wrong. `make sim SEEDS=1..500` is the long form."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest

from tests.sim.simulation import run

SEEDS = 10
"""Two of them are runs of people who write to each other, one is of owners of leases."""


@pytest.mark.slow
def test_clusters_keep_their_promises() -> None:
    """The long form fails besides where something never went wrong."""
    happened: Counter[str] = Counter()
    for seed in range(1, SEEDS + 1):
        result = run(seed)
        assert result.failure is None, f"make sim SEED={seed}: {result.failure!r}"
        happened += result.faults + result.events
    assert {
        "leader elected",
        "crash of one",
        "log write",
        "watch event",
        "message delivered",
        "lease ended",
    } <= happened.keys()


@pytest.mark.slow
def test_a_seed_is_a_run_whatever_the_hash_seed_is() -> None:
    program = (
        "from tests.sim.simulation import run\n"
        "for seed in (8, 9, 10):\n"  # of leases, of keys, and of mail
        "    result = run(seed, duration_s=30, fingerprint=True)\n"
        "    print(result.fingerprint, result.operations, sorted(result.faults.items()))"
    )
    traces = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2", "3")
    }
    assert len(traces) == 1
    assert len(traces.pop()) > 200


def test_other_seeds_are_other_runs() -> None:
    fingerprints = {run(seed, duration_s=12, fingerprint=True).fingerprint for seed in (1, 2)}
    assert len(fingerprints) == 2
