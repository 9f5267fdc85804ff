"""The pytest plugin: one fixture. Found by pytest through the entry point `pytest11`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kvraft.testing.local_cluster import LocalCluster


@pytest.fixture(scope="session")
def kvraft_cluster() -> Iterator[LocalCluster]:
    """A cluster of three real nodes for the whole session. Tests share its keys: let each use its own."""
    with LocalCluster(nodes=3) as cluster:
        yield cluster
