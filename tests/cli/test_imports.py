"""What kvctl waits for before it does anything: the time of a short command is that of its imports."""

from __future__ import annotations

import ast
import os
import subprocess
import sys

import pytest

from tests.fakes.kv_server import FakeNode, FakeServer

HEAVY = {"grpc", "google.protobuf", "rich", "asyncio", "kvraft.client", "kvraft.v1", "subprocess"}
SERVICES = {"admin", "contacts", "groups", "messages", "recipes", "sessions", "message", "session_results"}
OTHER_CALLS = {
    "cluster_results",
    "compare",
    "kv_results",
    "operations",
    "stream",
    "sync.watch",
    "txn",
    "watch",
}


def imported(*arguments: str, **environment: str) -> set[str]:
    """The modules that a command line has imported when it ends."""
    look = (
        "import os, sys; os._exit = lambda code: print(sorted(sys.modules), file=sys.stderr);"
        "from kvctl.__main__ import main; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", look, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(ast.literal_eval(result.stderr.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [["--version"], ["version"], ["help"], ["--help"]])
def test_what_needs_no_cluster_waits_for_no_library(arguments: list[str]) -> None:
    assert not imported(*arguments) & (HEAVY - {"asyncio", "subprocess"})


def test_a_version_waits_for_no_command() -> None:
    modules = imported("--version")
    assert not modules & HEAVY
    assert not {name for name in modules if name.startswith("kvctl.commands.")}


@pytest.mark.parametrize("words", ["kvctl ge", "kvctl get --", "kvctl msg se"])
def test_a_completion_waits_for_no_library(words: str) -> None:
    count = str(len(words.split()) - 1)
    modules = imported(_KVCTL_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=count)
    assert not modules & (HEAVY - {"asyncio", "subprocess"})


def test_a_read_waits_for_what_it_uses(server: FakeServer, node: FakeNode) -> None:
    node.put(b"k", b"v")
    modules = imported("get", "k", KVRAFT_ENDPOINTS=server.endpoint)
    assert "grpc" in modules
    assert not modules & {
        "rich",
        "grpc_status",
        *(f"kvraft.client.{name}" for name in SERVICES | OTHER_CALLS),
    }
    assert {name for name in modules if name.startswith("kvctl.commands.")} == {"kvctl.commands.get"}
