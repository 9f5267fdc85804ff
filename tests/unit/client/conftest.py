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
    """Two servers; each has keys of its own, so that a test sees who answered. They know the same clients
    and their numbers, as the nodes of one cluster do."""
    node = FakeNode()
    other = FakeNode(member_id=2, leader_id=2, clients=node.clients, answers=node.answers)
    with FakeServer(node) as first, FakeServer(other) as second:
        yield first, second
