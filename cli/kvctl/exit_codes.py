"""What the exit code tells a script. Part of the interface: numbers are never reused."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    OK = 0
    NOT_FOUND = 1
    """What it is about does not exist (or, where it was to be made, it does), or is in a state that does not
    allow it: a comparison of `cas` or `txn`, an etag, an epoch did not hold."""
    USAGE = 2
    """The command line, or what it asks for, is wrong."""
    UNAVAILABLE = 3
    """The cluster could not do it in time. Nothing was changed."""
    OUTCOME_UNKNOWN = 4
    """The answer to a write was lost: it may have been applied."""
    REFUSED = 5
    """A limit of the cluster refused it. Nothing was changed."""
    INTERNAL = 6
    """A node failed in a way it should not, or does not answer like a kvraft node."""
    COMMAND_FAILED = 7
    """A command that `watch --exec` ran failed."""
    LEASE_LOST = 8
    """The lock or the leadership that was held was lost."""
    DENIED = 9
    """The actor may not do it. Nothing was changed."""
    HUNG_UP = 129
    """SIGHUP: the terminal is gone."""
    INTERRUPTED = 130
    """Ctrl-C, as of a process that died of SIGINT."""
    BROKEN_PIPE = 141
    """Nobody reads the output any more, as of a process that died of SIGPIPE."""
    TERMINATED = 143
    """SIGTERM, as of a process that died of it."""
