"""The exit code of the demonstration. The whole story is told on real nodes in `tests/cluster`."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvraft import demo
from kvraft.client import Unavailable
from kvraft.demo.stage import Stage


async def kept(stage: Stage) -> None:
    stage.screen.promise("it holds", kept=True)


async def broken(stage: Stage) -> None:
    stage.screen.promise("it holds", kept=False)


async def cut_short(stage: Stage) -> None:
    raise Unavailable("nobody answers at [::1]:7001 [no leader]", reason="NO_LEADER")


async def without_a_leader(stage: Stage) -> None:
    raise TimeoutError


@pytest.mark.parametrize(
    ("scenes", "exit_code", "last_line"),
    [
        ([kept, kept], 0, "all 2 promises held"),
        ([kept, broken, kept], 1, "1 of 3 promises were broken"),
        ([kept, cut_short, kept], 1, "1 of 2 promises were broken"),
        ([without_a_leader], 1, "1 of 1 promises were broken"),
    ],
)
def test_only_promises_that_all_hold_are_a_success(
    scenes: list[object],
    exit_code: int,
    last_line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(demo, "SCENES", [("A scene", scene) for scene in scenes])
    assert demo.main(tmp_path) == exit_code
    output = capsys.readouterr().out
    assert output.splitlines()[-1] == last_line
    assert ("nobody answers at [::1]:7001 [no leader]" in output) == (cut_short in scenes)
