from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kvraft.v1 import common_pb2, kv_pb2
from tests.cli.conftest import Run
from tests.fakes.kv_server import FakeNode, FakeServer

Response = kv_pb2.WatchResponse
HEADER = common_pb2.ResponseHeader(member_id=1, leader_id=1, revision=9)
CREATED = Response(header=HEADER, watch_id=1, created=True)


def end(reason: str = "INVALID_ARGUMENT", **fields: int) -> Response:
    """What lets a command end that goes on for ever otherwise."""
    return Response(header=HEADER, canceled=kv_pb2.WatchCanceled(reason=reason, message="the end", **fields))


def kv(key: bytes, value: bytes, revision: int) -> kv_pb2.KeyValue:
    return kv_pb2.KeyValue(key=key, value=value, create_revision=2, mod_revision=revision, version=3)


def changes(node: FakeNode, last: Response) -> None:
    put = kv_pb2.Event(kind=kv_pb2.EVENT_KIND_PUT, kv=kv(b"a", b"new", 8), previous=kv(b"a", b"old\n", 7))
    delete = kv_pb2.Event(
        kind=kv_pb2.EVENT_KIND_DELETE,
        kv=kv_pb2.KeyValue(key=b"b\xff", mod_revision=9),
        previous=kv(b"b", b"x", 3),
    )
    node.watches.append([CREATED, Response(header=HEADER, watch_id=1, events=[put, delete]), last])


def test_a_line_for_each_change(run: Run, node: FakeNode) -> None:
    changes(node, end())
    result = run("watch", "a")
    assert result.stdout == "8\tPUT\ta\tnew\n9\tDELETE\tb\\xff\t\n"
    changes(node, end())
    assert run("watch", "a", "--previous").stdout == "8\tPUT\ta\tnew\told\\x0a\n9\tDELETE\tb\\xff\t\tx\n"


def test_json_has_an_object_a_line(run: Run, node: FakeNode) -> None:
    changes(node, end())
    put, delete = map(json.loads, run("watch", "a", "--previous", "-o", "json").stdout.splitlines())
    assert (put["revision"], put["kind"], put["kv"]["value"], put["kv"]["version"]) == (8, "PUT", "new", 3)
    assert put["previous"]["mod_revision"] == 7
    assert delete["kv"] == {"key": None, "key_b64": "Yv8=", "mod_revision": 9}


@pytest.mark.parametrize(
    ("arguments", "start", "stop"),
    [
        (["k"], b"k", b"k\0"),
        (["k", "--prefix"], b"k", b"l"),
        (["", "--prefix"], b"", b""),
        (["6b", "--hex"], b"k", b"k\0"),
    ],
)
def test_which_keys(run: Run, node: FakeNode, arguments: list[str], start: bytes, stop: bytes) -> None:
    node.watches.append([end()])
    assert run("watch", *arguments, "--start-revision", "42").exit_code == 2
    [(_, request)] = node.calls
    assert (request.range.start, request.range.end, request.start_revision) == (start, stop, 42)


@pytest.mark.parametrize(
    "arguments", [[""], ["k", "--exec", ""], ["k", "--exec", "'"], ["k", "--start-revision", "0"]]
)
def test_what_makes_no_sense_is_refused(run: Run, node: FakeNode, arguments: list[str]) -> None:
    assert run("watch", *arguments).exit_code == 2
    assert node.calls == []


def test_changes_that_are_no_longer_kept(run: Run, node: FakeNode) -> None:
    node.watches.append([end("COMPACTED", oldest_revision=77)])
    result = run("watch", "k", "--start-revision", "3", "-o", "json")
    assert result.exit_code == 5
    error = json.loads(result.stderr)["error"]
    assert (error["reason"], error["oldest_revision"]) == ("COMPACTED", 77)


def test_a_command_is_run_for_each_change(run: Run, node: FakeNode, tmp_path: Path) -> None:
    changes(node, end())
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys\n"
        "found = {k[13:]: v for k, v in sorted(os.environ.items()) if k.startswith('KVRAFT_WATCH_')}\n"
        f"print(sys.argv[1:], found, sys.stdin.read(), file=open({str(tmp_path / 'out')!r}, 'a'))\n"
    )
    result = run("watch", "a", "--previous", "--exec", f"{sys.executable} {script} 'one two'")
    assert (result.exit_code, result.stdout) == (2, "")
    assert (tmp_path / "out").read_text().splitlines() == [
        "['one two'] {'EVENT_TYPE': 'PUT', 'KEY': 'a', 'PREVIOUS_VALUE': 'old\\\\x0a', 'REVISION': '8', "
        "'VALUE': 'new'} new",
        "['one two'] {'EVENT_TYPE': 'DELETE', 'KEY': 'b\\\\xff', 'PREVIOUS_VALUE': 'x', 'REVISION': '9', "
        "'VALUE': ''} ",
    ]


def test_a_command_that_fails_ends_the_watch(run: Run, node: FakeNode) -> None:
    changes(node, end())
    result = run("watch", "a", "--exec", "false")
    assert result.exit_code == 7
    assert "--start-revision 8" in result.stderr


def test_ctrl_c_ends_it_quietly(server: FakeServer, node: FakeNode) -> None:
    changes(node, Response(header=HEADER, watch_id=1))
    with subprocess.Popen(
        [sys.executable, "-m", "kvctl", "watch", "a"],
        env={**os.environ, "KVRAFT_ENDPOINTS": server.endpoint},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"8\tPUT\ta\tnew\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30)[1] == b""
    assert process.returncode == 130
