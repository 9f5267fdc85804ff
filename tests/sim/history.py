"""What clients asked and were told: the only thing most checkers look at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from kvraft.machine.records import KvRecord
from kvraft.machine.results import Result

FOREVER = 1 << 62
"""When an operation ended whose end nobody saw."""


class Outcome(Enum):
    """How an operation ended for its caller."""

    DONE = "done"
    NOT_APPLIED = "not applied"
    """Its caller was told that it has no effect, now and later."""
    UNKNOWN = "unknown"


class Freshness(Enum):
    """How fresh a read had to be."""

    LINEARIZABLE = "linearizable"
    AT_LEAST = "at least"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Put:
    key: bytes
    value: bytes
    return_previous: bool = False


@dataclass(frozen=True, slots=True)
class Delete:
    key: bytes
    return_previous: bool = False


@dataclass(frozen=True, slots=True)
class DeleteRange:
    start: bytes
    end: bytes
    """Exclusive; empty: to the end."""
    limit: int

    def covers(self, key: bytes) -> bool:
        return self.start <= key and (not self.end or key < self.end)


@dataclass(frozen=True, slots=True)
class CompareAndSet:
    key: bytes
    expected_revision: int
    expected_value: bytes | None
    """What the caller has read at that revision; None: the key is to be absent."""
    value: bytes | None
    """None: delete."""


@dataclass(frozen=True, slots=True)
class Batch:
    operations: tuple[tuple[bytes, bytes | None], ...]
    """(key, value), in order; None: delete."""


@dataclass(frozen=True, slots=True)
class Read:
    start: bytes
    end: bytes
    """Exclusive; empty: to the end."""
    freshness: Freshness = Freshness.LINEARIZABLE
    min_revision: int = 0

    def covers(self, key: bytes) -> bool:
        return self.start <= key and (not self.end or key < self.end)


@dataclass(frozen=True, slots=True)
class Register:
    """Become a client whose numbered writes may be repeated."""


Write = Put | Delete | DeleteRange | CompareAndSet | Batch | Register
Rows = dict[bytes, KvRecord]


@dataclass(slots=True)
class Operation:
    """One call. `invoked` and `returned` are places in the order of all invocations and returns of a
    run, so that no two are equal."""

    number: int
    client: int
    node: int
    request: Write | Read
    invoked: int
    returned: int = FOREVER
    outcome: Outcome = Outcome.UNKNOWN
    revision: int = 0
    """DONE: the revision that the answer named."""
    result: Result | None = None
    """Of a write that is DONE."""
    rows: Rows | None = None
    """Of a read that is DONE."""
    request_id: tuple[int, int] | None = None
    """Of a numbered write, which is repeated until it is answered: client id and sequence."""

    def __str__(self) -> str:
        end = "" if self.returned == FOREVER else self.returned
        told = f" at revision {self.revision}: {self.result or self.rows}"
        return (
            f"#{self.number} [{self.invoked}..{end}] client {self.client} at n{self.node}: {self.request}, "
            f"{self.outcome.value}{told if self.outcome is Outcome.DONE else ''}"
        )


class Violation(AssertionError):
    """A promise to the clients was broken."""
