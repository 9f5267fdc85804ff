"""What calls answer: the messages of `kvraft.v1` as frozen values of plain Python types.

Here is what nearly every program needs. The rest is beside it (`kv_results`, `cluster_results`, ...) and is
imported when it is used.
"""

from __future__ import annotations

from dataclasses import dataclass

from kvraft.v1 import common_pb2, kv_pb2


@dataclass(frozen=True, slots=True)
class Header:
    """Who answered, and how far that node had come."""

    cluster_id: int
    """Unsigned 64 bits."""
    member_id: int
    leader_id: int
    """The leader that node follows; 0 if it knows none."""
    term: int
    revision: int
    """Of a write: the revision it was given, or that of the unchanged state. Of a read: that of the
    state that was read."""

    @classmethod
    def of(cls, message: common_pb2.ResponseHeader) -> Header:
        return cls(message.cluster_id, message.member_id, message.leader_id, message.term, message.revision)

    @classmethod
    def at(cls, message: common_pb2.ResponseHeader, revision: int) -> Header:
        """The header of one of several answers that share a message."""
        return cls(message.cluster_id, message.member_id, message.leader_id, message.term, revision)


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A key with its value and its history in three numbers."""

    key: bytes
    value: bytes
    """Empty where only keys were asked for."""
    create_revision: int
    """The revision that created the key (since it was last deleted)."""
    mod_revision: int
    """The revision that last wrote the key: what `compare_and_set` compares."""
    version: int
    """How often the key was written since it was created; 1 after its creation."""
    lease_id: int = 0
    """The lease that the key ends with; 0: none."""

    @classmethod
    def of(cls, message: kv_pb2.KeyValue) -> KeyValue:
        return cls(
            message.key,
            message.value,
            message.create_revision,
            message.mod_revision,
            message.version,
            message.lease_id,
        )


@dataclass(frozen=True, slots=True)
class PutResult:
    header: Header
    previous: KeyValue | None
    """What the key held before, if it existed and `return_previous` was asked for."""


@dataclass(frozen=True, slots=True)
class GetResult:
    header: Header
    kv: KeyValue | None
    """`None` if the key does not exist."""
