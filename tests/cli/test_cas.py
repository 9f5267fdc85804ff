from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Run
from tests.fakes.kv_server import FakeNode


def test_create_change_delete(run: Run, node: FakeNode) -> None:
    assert run("cas", "k", "--expect", "0", "1").stdout == "revision 1\n"
    assert run("cas", "k", "2", "--expect", "1").stdout == "revision 2\n"
    assert node.keys[b"k"].value == b"2"
    assert run("cas", "k", "--expect", "2", "--delete").stdout == "revision 3\n"
    assert node.keys == {}


def test_a_comparison_that_does_not_hold(run: Run, node: FakeNode) -> None:
    absent = run("cas", "k", "--expect", "7", "v")
    assert (absent.exit_code, absent.stdout) == (1, "")
    assert absent.stderr == "kvctl: nothing was changed: k does not exist, expected was revision 7\n"
    node.put(b"k", b"v")
    present = run("cas", "k", "--expect", "0", "v")
    assert present.exit_code == 1
    assert present.stderr == "kvctl: nothing was changed: k is at revision 1, expected was no such key\n"


def test_as_json(run: Run, node: FakeNode) -> None:
    held = run("cas", "k", "--expect", "0", "v", "-o", "json")
    answer = json.loads(held.stdout)
    assert (held.exit_code, answer["succeeded"], answer["current"]) == (0, True, None)
    failed = run("cas", "k", "--expect", "0", "w", "-o", "json")
    answer = json.loads(failed.stdout)
    assert (failed.exit_code, failed.stderr, answer["succeeded"]) == (1, "", False)
    assert (answer["current"]["value"], answer["current"]["mod_revision"]) == ("v", 1)


@pytest.mark.parametrize(
    "arguments", [["v"], ["--expect", "1"], ["v", "--expect", "1", "--delete"], ["v", "--expect", "-1"]]
)
def test_what_is_missing_or_too_much(run: Run, node: FakeNode, arguments: list[str]) -> None:
    assert run("cas", "k", *arguments).exit_code == 2
    assert node.calls == []
