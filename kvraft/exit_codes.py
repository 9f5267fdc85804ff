"""How `kvraft serve` ends, for supervisors and scripts; docs/operations.md says what to do then."""

from __future__ import annotations

OK = 0
"""It was told to stop, and did so in good order."""
UNEXPECTED = 1
"""A bug; the log says more."""
USAGE = 2
"""Arguments, environment or configuration file are wrong; nothing was started."""
ADDRESS_IN_USE = 3
"""Another process listens at the client or the peer address."""
DATA_DIRECTORY_REFUSED = 4
"""The data directory is taken by another process, or belongs to another node or cluster."""
STORAGE_FAILURE = 5
"""A read, write or fsync failed."""
CORRUPTION = 6
"""Stored bytes are not those that were written."""
UNKNOWN_COMMAND = 7
"""The log holds a command this version does not know."""

MEANINGS = {
    OK: "orderly stop",
    UNEXPECTED: "unexpected error",
    USAGE: "wrong arguments or configuration",
    ADDRESS_IN_USE: "address in use",
    DATA_DIRECTORY_REFUSED: "data directory refused",
    STORAGE_FAILURE: "storage failure",
    CORRUPTION: "corrupt data",
    UNKNOWN_COMMAND: "unknown command in the log",
}
"""A few words for each, for people."""
