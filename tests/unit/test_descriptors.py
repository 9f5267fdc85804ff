"""How many connections clients get of the files that may be open."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from kvraft.descriptors import CONNECTIONS_MIN, RESERVED, TooFewDescriptorsError, client_connections


def test_clients_get_what_they_may_have_if_there_is_enough() -> None:
    assert client_connections(10_000, 1 << 20) == 10_000
    assert client_connections(10_000, resource.RLIM_INFINITY) == 10_000


def test_clients_get_what_the_node_itself_does_not_need() -> None:
    inherited = len(os.listdir("/proc/self/fd"))
    assert client_connections(10_000, 1_024 + inherited) in range(1_024 - RESERVED - 5, 1_024 - RESERVED + 5)


def test_a_limit_that_leaves_too_few_is_refused() -> None:
    with pytest.raises(TooFewDescriptorsError, match=f"is {RESERVED}, and a node needs at least"):
        client_connections(10_000, RESERVED)
    assert client_connections(10_000, RESERVED + 2 * CONNECTIONS_MIN + len(os.listdir("/proc/self/fd"))) > 0


def test_the_limit_is_raised_as_far_as_the_system_lets_it() -> None:
    program = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (300, 900))
from kvraft.descriptors import raise_limit
print(raise_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["900", "900", "900"]
