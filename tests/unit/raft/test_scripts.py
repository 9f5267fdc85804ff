"""Golden scripts: what the cluster does, step by step, as a reader would want to see it.

`pytest --rewrite-scripts` records the output anew; the diff is the review.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.raft.script import run_script

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.txt"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_script(path: Path, request: pytest.FixtureRequest) -> None:
    recorded = path.read_text()
    printed = run_script(recorded)
    if request.config.getoption("--rewrite-scripts"):
        path.write_text(printed)
    else:
        assert printed == recorded


def test_a_script_that_prints_something_else_fails() -> None:
    assert run_script("> cluster 1\n> status\n1: leader\n") != "> cluster 1\n> status\n1: leader\n"
