"""Whether a state that another node sends can be this node's: asked while its rows arrive, before anything of
it counts. Its digest says that it came as it was sent, and not that a start could go on from it."""

from __future__ import annotations

import struct

from google.protobuf.message import DecodeError

from kvraft.machine import keys
from kvraft.machine.clients import answer_of_row
from kvraft.machine.errors import UnknownCommandError
from kvraft.machine.machine import decode_memory
from kvraft.machine.users import audit
from kvraft.machine.users import keys as user_keys


class SnapshotCheck:
    """Of one state, which is at a later entry than this node's."""

    __slots__ = ("_clock_ms", "_own_clock_ms", "_own_revision", "_revision")

    def __init__(self, *, revision: int, clock_ms: int) -> None:
        """What this node's state has come to."""
        self._own_revision = revision
        self._own_clock_ms = clock_ms
        self._revision = self._clock_ms = 0

    def row(self, key: bytes, row: bytes) -> None:
        """Takes a row. Raises ValueError if a node could not start with it."""
        try:
            if key == keys.MACHINE:
                self._revision, self._clock_ms = decode_memory(row)
            elif keys.ANSWERS[0] <= key < keys.ANSWERS[1]:
                answer_of_row(row)
            elif user_keys.AUDIT[0] <= key < user_keys.AUDIT[1]:
                audit.decode(row).time.ToMilliseconds()
        except (ValueError, struct.error, DecodeError, AssertionError, UnknownCommandError) as error:
            raise ValueError(f"row {key[:32].hex()} cannot be read: {error}") from error

    def finish(self) -> None:
        """Raises ValueError if a state that is ahead cannot be so: revisions and time only rise."""
        if self._revision < self._own_revision or self._clock_ms < self._own_clock_ms:
            raise ValueError(
                f"a state of revision {self._revision} and replicated time {self._clock_ms} ms does not "
                f"follow this node's of revision {self._own_revision} and {self._own_clock_ms} ms"
            )
