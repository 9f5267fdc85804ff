"""Every way a call can fail, as exit code, as text and as JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path

import grpc
import pytest
from click.testing import Result

from kvctl.exit_codes import ExitCode
from kvctl.root import kvctl
from tests.cli.command_tree import commands
from tests.cli.conftest import Run
from tests.fakes.kv_server import Failure, FakeNode, dead_endpoint

Code = grpc.StatusCode

FAILURES = [
    (Failure(code=Code.INVALID_ARGUMENT, reason="INVALID_ARGUMENT"), 2, "no"),
    pytest.param(Failure(code=Code.UNAVAILABLE, reason="NO_LEADER"), 3, "no", marks=pytest.mark.slow),
    (Failure(code=Code.UNAVAILABLE, reason="OUTCOME_UNKNOWN", applied="unknown"), 4, "unknown"),
    (Failure(code=Code.UNAVAILABLE, message="Socket closed"), 4, "unknown"),
    (Failure(code=Code.RESOURCE_EXHAUSTED, reason="OVERLOADED", retry_after_ms=250), 5, "no"),
    (Failure(code=Code.RESOURCE_EXHAUSTED, reason="NO_SPACE"), 5, "no"),
    (Failure(code=Code.INTERNAL, reason="INTERNAL", applied="unknown"), 6, "unknown"),
    (Failure(code=Code.UNIMPLEMENTED), 3, "no"),
]


def in_time(run: Run, exit_code: int, *arguments: str) -> Result:
    """What became of a call. One that is repeated until its time is up may be under way at that very moment,
    on a busy machine; its outcome is unknown then, and it is made again."""
    for _ in range(5):
        result = run(*arguments)
        if exit_code == ExitCode.OUTCOME_UNKNOWN or result.exit_code != ExitCode.OUTCOME_UNKNOWN:
            break
    return result


@pytest.mark.parametrize(("failure", "exit_code", "applied"), FAILURES)
def test_a_failed_put(run: Run, node: FakeNode, failure: Failure, exit_code: int, applied: str) -> None:
    node.fail("Put", failure, times=100)
    as_text = in_time(run, exit_code, "--timeout", "1", "put", "k", "v")
    assert (as_text.exit_code, as_text.stdout) == (exit_code, "")
    assert as_text.stderr.startswith("kvctl: Put at 127.0.0.1:")
    assert len(as_text.stderr.splitlines()) <= 2

    as_json = in_time(run, exit_code, "--timeout", "1", "put", "k", "v", "-o", "json")
    assert (as_json.exit_code, as_json.stdout) == (exit_code, "")
    error = json.loads(as_json.stderr)["error"]
    assert (error["exit_code"], error["applied"]) == (exit_code, applied)
    assert error["reason"] in (failure.reason, "CONNECTION_LOST", "UNIMPLEMENTED")


def test_a_revision_that_does_not_come(run: Run, node: FakeNode) -> None:
    node.fail("Get", Failure(code=Code.DEADLINE_EXCEEDED, reason="REVISION_NOT_REACHED"), times=100)
    result = run("--timeout", "0.2", "get", "k", "--consistency", "at-least", "--min-revision", "9")
    assert result.exit_code == 3
    assert "[REVISION_NOT_REACHED]" in result.stderr


def test_what_is_wrong_with_a_request(run: Run, node: FakeNode) -> None:
    violation = ("key", "is empty")
    wrong = Failure(code=Code.INVALID_ARGUMENT, reason="INVALID_ARGUMENT", violations=(violation,))
    node.fail("Put", wrong, times=2)
    assert "key is empty" in run("put", "", "v").stderr
    error = json.loads(run("-o", "json", "put", "", "v").stderr)["error"]
    assert error["violations"] == [{"field": "key", "description": "is empty"}]


def test_the_delay_after_an_overload(run: Run, node: FakeNode) -> None:
    overloaded = Failure(code=Code.RESOURCE_EXHAUSTED, reason="OVERLOADED", retry_after_ms=250)
    node.fail("Put", overloaded)
    assert json.loads(run("-o", "json", "put", "k", "v").stderr)["error"]["retry_after_s"] == 0.25


def test_nothing_listens(run: Run) -> None:
    result = run("--endpoints", dead_endpoint(), "--timeout", "0.1", "put", "k", "v")
    assert result.exit_code == 3
    assert "It was not applied." in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--endpoints", "nonsense", "get", "k"],
        ["--timeout", "0", "get", "k"],
        ["nonsense"],
        ["get"],
        ["get", "k", "--nonsense"],
        ["-o", "yaml", "get", "k"],
    ],
)
def test_a_wrong_command_line(run: Run, node: FakeNode, arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr
    assert node.calls == []


@pytest.mark.parametrize("arguments", [["-o", "json", "ls", "a", "--start", "b"], ["-o", "json", "nonsense"]])
def test_a_wrong_command_line_in_json(run: Run, arguments: list[str]) -> None:
    result = run(*arguments)
    error = json.loads(result.stderr)["error"]
    assert (result.exit_code, error["exit_code"], error["reason"]) == (2, 2, "USAGE")


def test_help_names_every_exit_code_and_every_command_gives_an_example(run: Run) -> None:
    shown = run("--help").stdout
    for code in ExitCode:
        assert f"\n    {int(code)} " in shown
    for name in kvctl.commands:
        assert re.search(rf"^  .*kvctl.* {name}\b", run(name, "--help").stdout, re.MULTILINE)


def test_the_manual_names_every_exit_code_and_every_command() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "kvctl.md").read_text()
    for code in ExitCode:
        assert f"\n| {int(code)} |" in manual
    for path, _ in commands():
        assert f"{path[-1]}" in manual, path


def test_options_before_the_command_and_after_it_are_the_same(run: Run, node: FakeNode) -> None:
    node.put(b"k", b"v")
    assert run("-o", "json", "get", "k").stdout == run("get", "k", "-o", "json").stdout
    # What was typed last holds, and the environment never overrides what was typed.
    assert run("-o", "json", "get", "k", "-o", "table").stdout == "v\n"
    nowhere = run("--endpoints", dead_endpoint(), "--timeout", "0.1", "get", "k")
    assert nowhere.exit_code == 3
