from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.fakes.kv_server import FakeNode

HEADER = {"cluster_id": "0123456789abcdef", "member_id": 1, "leader_id": 1, "term": 3}


def test_put_prints_the_revision_and_get_the_value_alone(run: Run) -> None:
    put = run("put", "k", "v")
    assert (put.exit_code, put.stdout, put.stderr) == (0, "revision 1\n", "")
    got = run("get", "k")
    assert (got.exit_code, got.stdout, got.stderr) == (0, "v\n", "")


def test_put_and_get_as_json(run: Run) -> None:
    assert json.loads(run("-o", "json", "put", "k", "v").stdout) == {"header": {**HEADER, "revision": 1}}
    again = json.loads(run("put", "k", "w", "--print-previous", "-o", "json").stdout)
    first = {"key": "k", "key_b64": "aw==", "value": "v", "value_b64": "dg=="}
    first |= {"create_revision": 1, "mod_revision": 1, "version": 1, "lease_id": 0}
    assert again == {"header": {**HEADER, "revision": 2}, "previous": first}
    second = {**first, "value": "w", "value_b64": "dw==", "mod_revision": 2, "version": 2}
    answer = {"header": {**HEADER, "revision": 2}, "kv": second}
    assert json.loads(run("get", "k", "-o", "json").stdout) == answer


def test_what_a_key_held_before(run: Run) -> None:
    assert run("put", "k", "1", "--print-previous").stdout == "revision 1\nno previous value\n"
    assert run("put", "k", "2", "--print-previous").stdout == "revision 2\nprevious 1\n"


def test_values_from_stdin_and_files_are_taken_byte_for_byte(
    run: Run, node: FakeNode, tmp_path: Path
) -> None:
    data = b"\x00\xff\r\n"
    file = tmp_path / "value"
    file.write_bytes(data)
    for arguments in (["--file", str(file)], ["-"], [], ["--hex"], ["--hex", "-"]):
        node.keys.clear()
        assert run("put", "6b", *arguments, stdin=data).exit_code == 0
        [kv] = node.keys.values()
        assert kv.value == data


def test_two_values_are_one_too_many(run: Run, tmp_path: Path) -> None:
    (tmp_path / "value").touch()
    result = run("put", "k", "v", "--file", str(tmp_path / "value"))
    assert result.exit_code == 2
    assert "not both" in result.stderr


def test_an_empty_value_is_a_value(run: Run, node: FakeNode) -> None:
    assert run("put", "k", "").exit_code == 0
    assert node.keys[b"k"].value == b""
    assert run("get", "k").stdout == "\n"


def test_hexadecimal_goes_in_and_out(run: Run, node: FakeNode) -> None:
    assert run("--hex", "put", "00ff", "fe").exit_code == 0
    assert node.keys[b"\x00\xff"].value == b"\xfe"
    assert run("get", "00ff", "--hex").stdout == "fe\n"
    kv = json.loads(run("--hex", "-o", "json", "get", "00ff").stdout)["kv"]
    assert (kv["key_hex"], kv["value_hex"]) == ("00ff", "fe")
    bad = run("--hex", "get", "xyz")
    assert (bad.exit_code, "is not hexadecimal" in bad.stderr) == (2, True)


def test_a_missing_key_is_exit_code_1(run: Run) -> None:
    missing = run("get", "k")
    assert (missing.exit_code, missing.stdout, missing.stderr) == (1, "", "kvctl: k does not exist\n")
    answer = run("get", "k", "-o", "json")
    assert (answer.exit_code, answer.stderr) == (1, "")
    assert json.loads(answer.stdout) == {"header": {**HEADER, "revision": 0}, "kv": None}


def test_text_goes_into_a_pipe_as_it_is_and_the_rest_escaped_with_a_note(run: Run, node: FakeNode) -> None:
    node.put(b"text", b"a\r\nb\\\x1b")
    assert run("get", "text").stdout_bytes == b"a\r\nb\\\x1b\n"
    node.put(b"binary", b"\xff\n")
    binary = run("get", "binary")
    assert (binary.exit_code, binary.stdout) == (0, "\\xff\\x0a\n")
    assert "--to-file" in binary.stderr


def test_a_value_into_a_file(run: Run, node: FakeNode, tmp_path: Path) -> None:
    node.put(b"k", b"\xff\x00")
    result = run("get", "k", "--to-file", str(tmp_path / "value"))
    assert (result.exit_code, result.stdout) == (0, "")
    assert (tmp_path / "value").read_bytes() == b"\xff\x00"
    assert run("get", "k", "--to-file", str(tmp_path / "value"), "-o", "json").exit_code == 2


def test_a_file_that_cannot_be_written(run: Run, node: FakeNode, tmp_path: Path) -> None:
    node.put(b"k", b"v")
    result = run("get", "k", "--to-file", str(tmp_path / "none" / "value"))
    assert result.exit_code == 2
    assert "No such file or directory" in result.stderr


def test_metadata(run: Run, node: FakeNode) -> None:
    node.put(b"k", b"1")
    node.put(b"other", b"")
    node.put(b"k", b"2\n")
    head, row = (line.split() for line in run("get", "k", "--metadata").stdout.splitlines())
    assert head == ["KEY", "VALUE", "CREATED", "MODIFIED", "VERSION", "READ", "AT"]
    assert row == ["k", r"2\x0a", "1", "3", "2", "3"]


def test_consistency(run: Run, node: FakeNode) -> None:
    run("get", "k")
    run("get", "k", "--consistency", "stale")
    run("ls", "--consistency", "at-least", "--min-revision", "7")
    asked = [(request.consistency, request.min_revision) for _, request in node.calls]
    assert asked == [(1, 0), (3, 0), (2, 7)]


@pytest.mark.parametrize(
    "arguments",
    [["--consistency", "at-least"], ["--min-revision", "7"], ["--min-revision", str(2**64)]],
)
def test_a_minimum_revision_and_at_least_go_together(run: Run, arguments: list[str]) -> None:
    assert run("get", "k", *arguments).exit_code == 2
