from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result

from kvctl.root import kvctl
from tests.cli.served import Served, serving
from tests.fakes.kv_server import FakeNode, FakeServer

Run = Callable[..., Result]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def node(server: FakeServer) -> FakeNode:
    return server.node


@pytest.fixture
def run(server: FakeServer) -> Run:
    """Runs a command line against the server: run("get", "k") -> exit code, stdout, stderr."""

    def run(*arguments: str, stdin: bytes | None = None) -> Result:
        environment = {"KVRAFT_ENDPOINTS": server.endpoint}
        result = CliRunner().invoke(kvctl, arguments, input=stdin, env=environment, prog_name="kvctl")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def served() -> Iterator[Served]:
    """The machine's own answers, where the fake of `server` would not do."""
    with serving() as served:
        yield served
