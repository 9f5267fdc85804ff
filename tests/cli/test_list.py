from __future__ import annotations

import json

import grpc
import pytest

from tests.cli.conftest import Run
from tests.fakes.kv_server import Failure, FakeNode


@pytest.fixture(autouse=True)
def filled(node: FakeNode) -> None:
    node.page_size = 2
    for number in range(5):
        node.put(b"a/%d" % number, b"v%d" % number)
    node.put(b"b\xff", b"\x00")


def test_keys_and_values(run: Run) -> None:
    lines = "a/0\tv0\na/1\tv1\na/2\tv2\na/3\tv3\na/4\tv4\n"
    assert run("ls").stdout == lines + "b\\xff\t\\x00\n"
    assert run("ls", "a/").stdout == lines
    assert run("ls", "x").stdout == ""


def test_part_of_a_range(run: Run) -> None:
    assert run("ls", "--start", "a/1", "--end", "a/3", "--keys-only").stdout == "a/1\na/2\n"
    assert run("ls", "--start", "a/4", "--keys-only").stdout == "a/4\nb\\xff\n"
    assert run("ls", "a/", "--reverse", "--limit", "3", "--keys-only").stdout == "a/4\na/3\na/2\n"
    assert run("ls", "--hex", "62").stdout == "62ff\t00\n"


def test_one_json_object_a_line(run: Run) -> None:
    objects = [json.loads(line) for line in run("ls", "-o", "json").stdout.splitlines()]
    assert [one["key"] for one in objects] == ["a/0", "a/1", "a/2", "a/3", "a/4", None]
    assert objects[5] == {
        "key": None,
        "key_b64": "Yv8=",
        "value": "\x00",
        "value_b64": "AA==",
        "create_revision": 6,
        "mod_revision": 6,
        "version": 1,
        "lease_id": 0,
    }
    alone = json.loads(run("ls", "a/", "--limit", "1", "--keys-only", "-o", "json").stdout)
    assert "value" not in alone
    assert "value_b64" not in alone


def test_count(run: Run) -> None:
    assert run("ls", "--count").stdout == "6\n"
    answer = json.loads(run("ls", "a/", "--count", "-o", "json").stdout)
    assert (answer["count"], answer["header"]["revision"]) == (5, 6)


def test_pages(run: Run) -> None:
    first = run("ls", "a/", "--page-size", "3", "--keys-only")
    assert first.stdout == "a/0\na/1\na/2\n"
    assert first.stderr == "next page: --page-token 3\n"
    last = run("ls", "a/", "--page-size", "3", "--page-token", "3")
    assert (last.stdout, last.stderr) == ("a/3\tv3\na/4\tv4\n", "")

    page = json.loads(run("ls", "a/", "--page-size", "4", "-o", "json").stdout)
    assert ([kv["key"] for kv in page["kvs"]], page["next_page_token"]) == (["a/0", "a/1", "a/2", "a/3"], "4")
    assert page["header"]["revision"] == 6


def test_a_listing_goes_on_after_a_broken_stream(run: Run, node: FakeNode) -> None:
    node.fail("StreamRange", Failure(code=grpc.StatusCode.UNAVAILABLE, after_pages=2))
    assert run("ls", "--keys-only").stdout == "a/0\na/1\na/2\na/3\na/4\nb\\xff\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["a/", "--start", "b"],
        ["--count", "--limit", "1"],
        ["--count", "--page-size", "1"],
        ["--page-size", "1", "--limit", "1"],
        ["--page-size", "0"],
        ["--page-size", "1001"],
        ["--limit", "0"],
    ],
)
def test_options_that_do_not_go_together(run: Run, node: FakeNode, arguments: list[str]) -> None:
    assert run("ls", *arguments).exit_code == 2
    assert node.calls == []
