"""Open files: how many this process may have, and for whom they are.

Log, state and peers need theirs whatever clients do. So the limit is raised as far as the system lets it, and
clients' connections get what is left when those are set aside.
"""

from __future__ import annotations

import os
import resource

RESERVED = 256
"""For the log, the state, snapshots on their way in and out, peers, and what the libraries open."""
CONNECTIONS_MIN = 32
"""With less left for clients a node does not start."""


class TooFewDescriptorsError(Exception):
    """The limit of open files leaves too few for clients."""


def raise_limit() -> int:
    """Raises the soft limit of open files to the hard one, and returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def client_connections(wanted: int, limit: int) -> int:
    """How many connections clients may have: `wanted`, or what `limit` open files leave. Raises
    TooFewDescriptorsError."""
    if limit == resource.RLIM_INFINITY:
        return wanted
    inherited = len(os.listdir("/proc/self/fd"))
    left = limit - inherited - RESERVED
    if left < CONNECTIONS_MIN:
        raise TooFewDescriptorsError(
            f"the limit of open files is {limit}, and a node needs at least "
            f"{inherited + RESERVED + CONNECTIONS_MIN}; raise it (ulimit -n, LimitNOFILE= of systemd)"
        )
    return min(wanted, left)
