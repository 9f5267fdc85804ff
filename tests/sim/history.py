"""What clients asked and were told: the only thing most checkers look at."""

from __future__ import annotations

from dataclasses import dataclass, field
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


class Operand(Enum):
    """With what of a key a comparison is."""

    VALUE = "value"
    VERSION = "version"
    MOD_REVISION = "mod_revision"
    EXISTS = "exists"


class Relation(Enum):
    EQUAL = "=="
    NOT_EQUAL = "!="
    LESS = "<"
    GREATER = ">"


@dataclass(frozen=True, slots=True)
class Compare:
    key: bytes
    operand: Operand
    relation: Relation
    to: bytes | int
    """A value is bytes; whether the key exists is 0 or 1."""


@dataclass(frozen=True, slots=True)
class Get:
    key: bytes


TxnOperations = tuple[Put | Delete | Get, ...]


@dataclass(frozen=True, slots=True)
class Txn:
    compares: tuple[Compare, ...]
    success: TxnOperations
    failure: TxnOperations
    """What is done, in order, if all comparisons hold and if not."""


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


Write = Put | Delete | DeleteRange | CompareAndSet | Batch | Txn | Register
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


@dataclass(frozen=True, slots=True)
class Change:
    """What a revision did to a key."""

    key: bytes
    record: KvRecord | None
    """What the key holds since; None: it was deleted."""
    previous: KvRecord | None
    """What it held before; None: it did not exist."""


@dataclass(frozen=True, slots=True)
class Watched:
    """Which changes a watch wants."""

    start: bytes
    end: bytes
    """Exclusive; empty: to the end."""
    puts: bool = True
    deletes: bool = True

    def wants(self, change: Change) -> bool:
        covers = self.start <= change.key and (not self.end or change.key < self.end)
        return covers and (self.deletes if change.record is None else self.puts)


@dataclass(slots=True)
class WatchStory:
    """What a watch was told, through however many nodes it went on."""

    watcher: int
    watched: Watched
    first: int
    """The revision that it begins with."""
    next: int
    """It was told of everything before this revision, as far as it knows: from here it goes on."""
    told: list[tuple[int, tuple[Change, ...]]] = field(default_factory=list)
    """Revisions and what each has changed, as they came."""


class Violation(AssertionError):
    """A promise to the clients was broken."""
