"""What the calls of `kv` answer beside those that every program makes."""

from __future__ import annotations

from dataclasses import dataclass

from kvraft.client.results import Header, KeyValue


@dataclass(frozen=True, slots=True)
class DeleteResult:
    header: Header
    deleted: bool
    """Whether the key existed."""
    previous: KeyValue | None
    """What the key held, if it existed and `return_previous` was asked for."""


@dataclass(frozen=True, slots=True)
class DeleteRangeResult:
    header: Header
    deleted: int
    """How many keys were deleted."""
    more: bool
    """Whether keys of the range are left because of the limit; call again."""


@dataclass(frozen=True, slots=True)
class RangePage:
    header: Header
    kvs: tuple[KeyValue, ...]
    """The keys of this page, in the asked order."""
    next_page_token: str
    """Token of the next page; empty on the last one."""


@dataclass(frozen=True, slots=True)
class CountResult:
    header: Header
    count: int
    """How many keys the range holds."""


@dataclass(frozen=True, slots=True)
class CompareAndSetResult:
    header: Header
    succeeded: bool
    """Whether the comparison held and the update was made."""
    current: KeyValue | None
    """If it did not hold: what the key holds; `None` if it does not exist."""


@dataclass(frozen=True, slots=True)
class BatchWriteResult:
    header: Header
    existed: tuple[bool, ...]
    """For each operation, whether its key existed just before it."""
