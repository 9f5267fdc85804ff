"""kvctl health and status --check."""

from __future__ import annotations

import json

import grpc

from tests.cli.conftest import Run
from tests.fakes.kv_server import Failure, FakeNode, FakeServer, dead_endpoint


def test_a_cluster_that_serves_is_healthy(run: Run) -> None:
    result = run("health")
    assert result.exit_code == 0
    assert result.stdout.endswith("the cluster serves\n")
    assert run("status", "--check").exit_code == 0


def test_without_a_majority_the_exit_code_is_3_and_each_endpoint_is_told(
    run: Run, server: FakeServer, node: FakeNode
) -> None:
    no_leader = Failure(code=grpc.StatusCode.UNAVAILABLE, reason="NO_LEADER")
    for method in ("Get", "Put"):
        node.fail(method, no_leader, times=1000)
    node.leader_id = 0
    dead = dead_endpoint()
    flags = ["--endpoints", f"{server.endpoint},{dead}", "--timeout", "0.5"]
    result = run(*flags, "health")
    assert result.exit_code == 3
    assert f"{dead}  does not answer (CONNECT_FAILED)" in result.stdout
    assert "knows no leader" in result.stdout
    answer = json.loads(run(*flags, "health", "-o", "json").stdout)
    assert (answer["serves"], answer["healthy"]) == (False, False)
    assert run(*flags, "status").exit_code == 0
    assert run(*flags, "status", "--check").exit_code == 3
    put = run(*flags, "put", "k", "v")
    assert put.exit_code == 3
    lines = put.stderr.splitlines()
    assert "knows no leader" in lines[-2]
    assert lines[-1] == f"  {dead}: does not answer (CONNECT_FAILED)"


def test_a_node_that_is_down_is_told_and_minded_by_status_alone(run: Run, server: FakeServer) -> None:
    flags = ["--endpoints", f"{server.endpoint},{dead_endpoint()}"]
    result = run(*flags, "health")
    assert result.exit_code == 0
    assert result.stdout.endswith("the cluster serves\n1 of 2 endpoints is not healthy\n")
    assert run(*flags, "status", "--check").exit_code == 3
