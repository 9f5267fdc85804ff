"""A client that is lost by no wrong argument, cancelled task, other loop, fork or blocked loop."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from kvraft.testing import LocalCluster

PROGRAM = Path(__file__).parent / "client_faults.py"
PATIENCE_S = 60.0


def test_an_application_that_makes_every_mistake_goes_on() -> None:
    with LocalCluster(nodes=3) as cluster:
        peer = cluster._members[1].peer_address
        command = [sys.executable, PROGRAM, cluster.endpoints, peer]
        ended = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=False)
    assert ended.returncode == 0, ended.stderr.decode()
    assert ended.stdout.endswith(b"all is well\n")
