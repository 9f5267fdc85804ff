"""The power is cut at every moment of real runs, in a few of the possible ways each; `make powerloss` tries
many, with more runs. And careless nodes are found out."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.powerloss import scenarios, strace
from tests.powerloss.checker import BAD, MEMORY, RECOVERED, Recording, check
from tests.powerloss.cuts import QUICK
from tests.powerloss.mutants import MUTANTS, Mutant, mutated
from tests.powerloss.scenarios import recorded

SEED = 1
PUTS = 40
NAMES = ("one node", "snapshot, node 3")

pytestmark = pytest.mark.slow


@pytest.fixture
def scratch() -> Iterator[Path]:
    """Where disks are laid out, thousands of them."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as directory:
        yield Path(directory)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recording]:
    if (reason := strace.why_not()) is not None:
        pytest.skip(f"power loss is not tested: {reason}")
    made = (
        recorded(partial(scenarios.one_node, puts=PUTS), tmp_path_factory.mktemp("one_node")),
        recorded(partial(scenarios.snapshot, puts=PUTS // 2), tmp_path_factory.mktemp("snapshot")),
    )
    return {recording.name: recording for recording in made}


@pytest.mark.parametrize("name", NAMES)
def test_a_power_cut_loses_nothing(recordings: dict[str, Recording], scratch: Path, name: str) -> None:
    report = check(recordings[name], scratch, seed=SEED, effort=QUICK)
    assert not report.findings, report.findings
    assert report.verdicts.keys() == {RECOVERED}
    # What did not happen proves nothing.
    assert report.acknowledged >= PUTS // 2
    assert report.torn_tails > 0
    assert report.replayed > 0
    assert report.opened > report.moments
    for kind in ("page", "size", "name"):
        assert any(kind in each for each in report.images if each.startswith("missing")), report.images


@pytest.mark.parametrize(
    "mutant", [each for each in MUTANTS if each.recording in NAMES], ids=lambda m: m.name
)
def test_a_careless_node_is_found_out(
    recordings: dict[str, Recording], scratch: Path, mutant: Mutant
) -> None:
    assert mutant.verdict in BAD
    careless = mutated(recordings[mutant.recording], mutant)
    report = check(careless, scratch, seed=SEED, effort=QUICK, stop_at=frozenset({mutant.verdict}))
    assert report.verdicts[mutant.verdict] > 0, report
