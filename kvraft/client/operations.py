"""The operations of `batch_write` (`Put` and `Delete`) and of `txn` (all of them)."""

from __future__ import annotations

from dataclasses import dataclass

from kvraft.client.arguments import checked
from kvraft.client.keys import KeyRange
from kvraft.v1 import kv_pb2


@checked
@dataclass(frozen=True, slots=True)
class Put:
    """Store a value."""

    key: bytes
    """1 to 480 bytes."""
    value: bytes
    """At most 1 MiB."""
    lease_id: int = 0
    """The lease that the key ends with; 0: none."""
    return_previous: bool = False
    """Answer with what the key held before. Only in a transaction."""

    def to_message(self) -> kv_pb2.WriteOperation:
        """As part of a batch. Raises ValueError."""
        _refuse_previous(self.return_previous)
        put = kv_pb2.PutOperation(key=self.key, value=self.value, lease_id=self.lease_id)
        return kv_pb2.WriteOperation(put=put)


@checked
@dataclass(frozen=True, slots=True)
class Delete:
    """Delete a key."""

    key: bytes
    """1 to 480 bytes."""
    return_previous: bool = False
    """Answer with what the key held. Only in a transaction."""

    def to_message(self) -> kv_pb2.WriteOperation:
        """As part of a batch. Raises ValueError."""
        _refuse_previous(self.return_previous)
        return kv_pb2.WriteOperation(delete=kv_pb2.DeleteOperation(key=self.key))


@checked
@dataclass(frozen=True, slots=True)
class DeleteRange:
    """Delete the first `limit` keys of a range, in a transaction. All of them together delete at most 10,000
    keys."""

    keys: KeyRange
    limit: int = 10_000


@checked
@dataclass(frozen=True, slots=True)
class Get:
    """Read a key, in a transaction."""

    key: bytes
    """1 to 480 bytes."""


@checked
@dataclass(frozen=True, slots=True)
class Range:
    """Read the first `limit` keys of a range, in a transaction."""

    keys: KeyRange
    limit: int = 0
    """1 to 1,000; 0: 100, and 1,000 if they are only counted."""
    reverse: bool = False
    """The last keys, in descending order."""
    keys_only: bool = False
    """Leave the values out."""
    count_only: bool = False
    """Only count the keys, up to the limit."""


def _refuse_previous(return_previous: bool) -> None:
    if return_previous:
        raise ValueError("a batch does not answer with what keys held: use `txn` for return_previous")
