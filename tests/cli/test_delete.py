from __future__ import annotations

import json

import grpc
import pytest

from tests.cli.conftest import Run
from tests.fakes.kv_server import Failure, FakeNode


@pytest.fixture
def filled(node: FakeNode) -> FakeNode:
    for number in range(10):
        node.put(b"a/%d" % number, b"")
    node.put(b"b", b"")
    return node


def test_one_key(run: Run, filled: FakeNode) -> None:
    deleted = run("del", "b")
    assert (deleted.exit_code, deleted.stdout) == (0, "deleted 1 key, revision 12\n")
    missing = run("del", "b")
    assert (missing.exit_code, missing.stdout, missing.stderr) == (1, "", "kvctl: b does not exist\n")


def test_one_key_as_json(run: Run, filled: FakeNode) -> None:
    answer = json.loads(run("del", "b", "-o", "json").stdout)
    assert (answer["deleted"], answer["header"]["revision"]) == (1, 12)
    missing = run("del", "b", "-o", "json")
    assert (missing.exit_code, json.loads(missing.stdout)["deleted"], missing.stderr) == (1, 0, "")


def test_a_prefix_is_deleted_in_steps(run: Run, filled: FakeNode) -> None:
    filled.delete_range_max = 4
    result = run("del", "--prefix", "a/", "--yes")
    assert (result.exit_code, result.stdout) == (0, "deleted 10 keys, revision 14\n")
    assert list(filled.keys) == [b"b"]
    assert filled.methods() == ["DeleteRange"] * 3


def test_a_range(run: Run, filled: FakeNode) -> None:
    answer = json.loads(run("del", "--range", "a/3", "a/7", "-o", "json").stdout)
    assert answer["deleted"] == 4
    assert json.loads(run("del", "--range", "a/8", "", "-o", "json").stdout)["deleted"] == 3
    empty = run("del", "--prefix", "x")
    assert (empty.exit_code, empty.stdout) == (0, "deleted 0 keys, revision 13\n")


def test_every_key_is_deleted_only_when_it_is_meant(run: Run, filled: FakeNode) -> None:
    refused = run("del", "--prefix", "")
    assert (refused.exit_code, filled.calls) == (2, [])
    assert "say --yes" in refused.stderr
    assert run("del", "--prefix", "", "--yes").stdout == "deleted 11 keys, revision 12\n"


def test_a_failure_on_the_way_says_how_far_it_came(run: Run, filled: FakeNode) -> None:
    filled.delete_range_max = 4
    ordinary = Failure(code=grpc.StatusCode.UNAVAILABLE, reason="NOT_APPLIED")
    filled.fail("DeleteRange", ordinary)
    assert run("del", "--range", "a/0", "a/3").exit_code == 0

    # The first step succeeds, the second one fails.
    filled.fail_after("DeleteRange", 1, Failure(code=grpc.StatusCode.INTERNAL, reason="INTERNAL"))
    result = run("del", "--prefix", "a/")
    assert result.exit_code == 6
    assert "Before that 4 keys of the range were deleted." in result.stderr


@pytest.mark.parametrize("arguments", [[], ["k", "--prefix", "p"], ["--prefix", "p", "--range", "a", "b"]])
def test_exactly_one_kind_of_what_to_delete(run: Run, node: FakeNode, arguments: list[str]) -> None:
    assert run("del", *arguments).exit_code == 2
    assert node.calls == []
