"""What a command costs the nodes, in units of work: about a row that is looked at or written.

A unit takes some 3 microseconds. All nodes count alike, since what may be done is decided by it: a single
command that has to look at more than `COMMAND_WORK_MAX` is cut short or refused, and of a list no more
commands are done once it has cost `LIST_WORK_MAX`. So no entry of the log, however few bytes it has, keeps a
node busy for long, and none takes more memory than it may.
"""

from __future__ import annotations

COMMAND_WORK_MAX = 20_000
"""Of one command on the key-value space: some 60 ms."""
LIST_WORK_MAX = 50_000
"""Of the commands of a list, but that the one that exceeds it is done: some 150 ms."""
QUEUE_WORK = 8
"""Of a message for each queue that it is put into."""
ENDLESS = 1 << 62
"""Never used up."""
PAGE_BYTES = 4096
"""A row is copied and hashed: its first bytes up to this are one unit, and so are the next."""


class TooMuchWorkError(Exception):
    """A command would take more than `COMMAND_WORK_MAX`."""


def of_row(row: bytes | None) -> int:
    """The work of looking at a row, or at what it holds (None: at the place of one)."""
    return 1 if row is None else 1 + len(row) // PAGE_BYTES
