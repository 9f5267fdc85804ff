"""The comparisons of transactions, written as comparisons.

Compare.version(b"k") == 0
Compare.value(KeyRange.prefix(b"jobs/")) != b"failed"
Compare.exists(b"lock")
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, NoReturn, TypeVar

from kvraft.client.arguments import checked
from kvraft.client.keys import KeyRange
from kvraft.v1 import kv_pb2

OperandT = TypeVar("OperandT", bytes, int)


@checked
@dataclass(frozen=True, slots=True, eq=False)
class Compare:
    """Something that must hold of a key, or of every key of a range that exists (then it also holds where
    there is none). A key that does not exist has version, revisions and lease 0, and no comparison
    of its value holds."""

    message: kv_pb2.Compare
    """As it is sent."""

    @staticmethod
    def value(target: bytes | KeyRange) -> Side[bytes]:
        """The value, compared as unsigned bytes."""
        return Side(target, "value")

    @staticmethod
    def version(target: bytes | KeyRange) -> Side[int]:
        """How often it was written since it was created."""
        return Side(target, "version")

    @staticmethod
    def create_revision(target: bytes | KeyRange) -> Side[int]:
        """The revision that created it."""
        return Side(target, "create_revision")

    @staticmethod
    def mod_revision(target: bytes | KeyRange) -> Side[int]:
        """The revision that last wrote it."""
        return Side(target, "mod_revision")

    @staticmethod
    def lease_id(target: bytes | KeyRange) -> Side[int]:
        """The lease that it ends with; 0: none."""
        return Side(target, "lease_id")

    @staticmethod
    def exists(key: bytes) -> Compare:
        """The key exists."""
        return Compare(kv_pb2.Compare(key=key, exists=True))

    @staticmethod
    def missing(key: bytes) -> Compare:
        """The key does not exist."""
        return Compare(kv_pb2.Compare(key=key, exists=False))

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "the cluster decides whether a comparison holds: give comparisons as a list, not joined by `and`"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Side(Generic[OperandT]):  # noqa: PLW1641 - what == makes a comparison cannot be hashed
    """The left side of a comparison: to be compared by ==, !=, < or >."""

    target: bytes | KeyRange
    field: str

    def __eq__(self, operand: OperandT) -> Compare:  # type: ignore[override]
        return self._compare(kv_pb2.Compare.RELATION_EQUAL, operand)

    def __ne__(self, operand: OperandT) -> Compare:  # type: ignore[override]
        return self._compare(kv_pb2.Compare.RELATION_NOT_EQUAL, operand)

    def __lt__(self, operand: OperandT) -> Compare:
        return self._compare(kv_pb2.Compare.RELATION_LESS, operand)

    def __gt__(self, operand: OperandT) -> Compare:
        return self._compare(kv_pb2.Compare.RELATION_GREATER, operand)

    def _compare(self, relation: kv_pb2.Compare.Relation, operand: OperandT) -> Compare:
        message = kv_pb2.Compare(relation=relation)
        if isinstance(self.target, KeyRange):
            message.range.SetInParent()  # even if it is every key, which is an empty message
            message.range.CopyFrom(self.target.to_message())
        else:
            message.key = self.target
        setattr(message, self.field, operand)
        return Compare(message)
