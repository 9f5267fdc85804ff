"""Keys leave a cluster and come back as they were."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.fakes.kv_server import FakeNode

KEYS = {
    b"a/1": b"text",
    b"a/\xff": b"\x00\xfe",
    b"b": b"",
    b"c\x9b\xe2\x80\xae": "\u202e\x1b[2J".encode(),
    b"\x00": b"\n",
}


@pytest.mark.parametrize("name", ["keys.jsonl", "keys.jsonl.gz"])
def test_a_round_trip_is_exact(run: Run, node: FakeNode, tmp_path: Path, name: str) -> None:
    for key, value in KEYS.items():
        node.put(key, value)
    file = tmp_path / name
    assert run("export", "-f", str(file)).stderr == f"{len(KEYS)} keys\n"
    data = gzip.decompress(file.read_bytes()) if name.endswith(".gz") else file.read_bytes()
    assert all(char.isprintable() or char == "\n" for char in data.decode())
    node.keys.clear()
    assert run("import", str(file), "--dry-run").stdout == f"{len(KEYS)} keys could be stored, 0 skipped\n"
    assert not node.keys
    assert run("import", str(file)).stdout == f"{len(KEYS)} keys stored, 0 skipped\n"
    assert {key: kv.value for key, kv in node.keys.items()} == KEYS
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_a_prefix_goes_through_a_pipe(run: Run, node: FakeNode) -> None:
    for key, value in KEYS.items():
        node.put(key, value)
    exported = run("export", "--prefix", "a/")
    assert [json.loads(line) for line in exported.stdout.splitlines()] == [
        {"key": "a/1", "value": "text"},
        {"key_b64": "YS//", "value_b64": "AP4="},
    ]
    node.keys.clear()
    answer = json.loads(run("import", "-", "-o", "json", stdin=exported.stdout_bytes).stdout)
    assert answer == {"lines": 2, "stored": 2, "skipped": 0, "leased": 0, "dry_run": False}
    assert set(node.keys) == {b"a/1", b"a/\xff"}


def test_what_ls_prints_can_be_imported(run: Run, node: FakeNode) -> None:
    node.put(b"k\xff", b"v\xff")
    listed = run("ls", "-o", "json").stdout_bytes
    node.keys.clear()
    assert run("import", "-", stdin=listed).exit_code == 0
    assert node.keys[b"k\xff"].value == b"v\xff"


BAD = [
    b"{",
    b"[]",
    b"{}",
    b'{"key":"","value":""}',
    b'{"key":"k","value":"\\ud83d"}',
    b'{"key":"k","value_b64":"?"}',
    b"\xff",
]


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_line_is_named_and_told_how_to_go_on(run: Run, node: FakeNode, bad: bytes) -> None:
    lines = b'{"key":"a","value":"1"}\n' + bad + b'\n{"key":"b","value":"2"}\n'
    stopped = run("import", "-", stdin=lines)
    assert stopped.exit_code == 2
    assert "line 2: " in stopped.stderr
    assert "1 lines are done; go on with --from-line 2" in stopped.stderr
    assert set(node.keys) == {b"a"}
    skipped = run("import", "-", "--from-line", "2", "--bad-lines", "skip", stdin=lines)
    assert skipped.stdout == "1 keys stored, 1 skipped\n"
    assert set(node.keys) == {b"a", b"b"}
