"""Short histories, written by hand, for the tests of the checkers."""

from __future__ import annotations

from kvraft.machine.records import KvRecord
from kvraft.machine.results import Result
from tests.sim.history import FOREVER, Operation, Outcome, Read, Rows, Write

KEY = b"k"
END = b"k\x00"


class Story:
    """Operations as (invoked, returned), in any order."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def write(
        self, request: Write, invoked: int, returned: int, revision: int, result: Result | None
    ) -> Operation:
        """A write that was answered."""
        return self._add(request, invoked, returned, Outcome.DONE, revision, result)

    def unknown(self, request: Write, invoked: int) -> Operation:
        """A write whose answer never came."""
        return self._add(request, invoked, FOREVER, Outcome.UNKNOWN, 0, None)

    def not_applied(self, request: Write, invoked: int, returned: int) -> Operation:
        """A write that was refused for certain."""
        return self._add(request, invoked, returned, Outcome.NOT_APPLIED, 0, None)

    def read(self, invoked: int, returned: int, revision: int, rows: Rows, read: Read | None = None) -> None:
        """A read, of the one key if nothing else is said."""
        request = read or Read(KEY, END)
        self._add(request, invoked, returned, Outcome.DONE, revision, None).rows = rows

    def _add(
        self,
        request: Write | Read,
        invoked: int,
        returned: int,
        outcome: Outcome,
        revision: int,
        result: Result | None,
    ) -> Operation:
        number = len(self.operations) + 1
        operation = Operation(number, number, 1, request, invoked, returned, outcome, revision, result)
        self.operations.append(operation)
        return operation


def row(value: bytes, mod_revision: int, create_revision: int = 1, version: int = 1) -> Rows:
    """What a read of the one key sees."""
    return {KEY: KvRecord(value, create_revision, mod_revision, version)}
