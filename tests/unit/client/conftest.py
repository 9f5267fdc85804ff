from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.kv_server import FakeNode, FakeServer


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def node(server: FakeServer) -> FakeNode:
    return server.node


@pytest.fixture
def pair() -> Iterator[tuple[FakeServer, FakeServer]]:
    """Two servers; each has a state of its own, so that a test sees who answered."""
    with FakeServer() as first, FakeServer(FakeNode(member_id=2)) as second:
        yield first, second
