"""What commands answer. Failures that a client's request can cause are results too."""

from __future__ import annotations

from dataclasses import dataclass

from kvraft.machine.records import KvRecord


@dataclass(frozen=True, slots=True)
class PutResult:
    previous: KvRecord | None
    """What the key held, if it was asked for and existed."""


@dataclass(frozen=True, slots=True)
class DeleteResult:
    deleted: bool
    previous: KvRecord | None
    """What the key held, if it was asked for and existed."""


@dataclass(frozen=True, slots=True)
class DeleteRangeResult:
    deleted: int
    more: bool
    """Whether keys of the range are left because of the limit."""


@dataclass(frozen=True, slots=True)
class CompareAndSetResult:
    succeeded: bool
    current: KvRecord | None
    """If the comparison failed: what the key holds."""


@dataclass(frozen=True, slots=True)
class BatchWriteResult:
    existed: tuple[bool, ...]
    """Of each operation, whether its key existed just before it."""


Result = PutResult | DeleteResult | DeleteRangeResult | CompareAndSetResult | BatchWriteResult


@dataclass(frozen=True, slots=True)
class Answer:
    """A command's result, and the revision the state had after it."""

    revision: int
    result: Result
