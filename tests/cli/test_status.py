from __future__ import annotations

import json

from kvctl.commands.status import COLUMNS
from kvraft.v1 import cluster_pb2
from tests.cli.conftest import Run
from tests.fakes.kv_server import FakeNode, FakeServer, dead_endpoint


def test_every_endpoint_has_a_row_also_one_that_does_not_answer(run: Run, server: FakeServer) -> None:
    dead = dead_endpoint()
    with FakeServer(FakeNode(member_id=2)) as other:
        result = run("--endpoints", f"{server.endpoint},{dead},{other.endpoint}", "status")
    assert result.exit_code == 0
    head, first, missing, second = result.stdout.splitlines()
    assert tuple(head.split()) == COLUMNS
    assert first.split() == [
        server.endpoint, "1", "leader", "1", "3", "41", "40", "0",
        "fedcba9876543210", "3.1", "MB", "67.1", "MB", "9.8.7", "none",
    ]  # fmt: skip
    assert missing.split() == [dead, "-", "unreachable", "(CONNECT_FAILED)"]
    assert second.split()[:3] == [other.endpoint, "2", "follower"]


def test_alarms_are_told_in_full(run: Run, server: FakeServer, node: FakeNode) -> None:
    node.alarms.append(
        cluster_pb2.Alarm(kind=cluster_pb2.ALARM_KIND_DIVERGED, member_id=3, message="re-seed it")
    )
    result = run("status")
    assert result.stdout.splitlines()[1].split()[-1] == "1"
    assert result.stdout.splitlines()[2] == f"{server.endpoint}: diverged on member 3: re-seed it"


def test_as_json(run: Run, server: FakeServer) -> None:
    dead = dead_endpoint()
    result = run("--endpoints", f"{server.endpoint},{dead}", "-o", "json", "status")
    assert result.exit_code == 0
    node, missing = json.loads(result.stdout)
    assert (node["endpoint"], node["reachable"], node["role"]) == (server.endpoint, True, "leader")
    assert (node["state_digest"], node["header"]["cluster_id"]) == ("fedcba9876543210", "0123456789abcdef")
    assert node["members"][0]["match_index"] == 42
    assert (missing["endpoint"], missing["reachable"]) == (dead, False)
    assert missing["reason"] == "CONNECT_FAILED"


def test_no_endpoint_at_all_is_exit_code_3(run: Run) -> None:
    dead = dead_endpoint()
    result = run("--endpoints", dead, "status")
    assert (result.exit_code, result.stderr) == (3, "kvctl: no endpoint answers\n")
    assert dead in result.stdout
    result = run("--endpoints", dead, "status", "-o", "json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)[0]["reachable"] is False
    assert json.loads(result.stderr)["error"]["exit_code"] == 3
