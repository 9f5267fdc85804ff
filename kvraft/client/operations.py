"""The operations of `batch_write`."""

from __future__ import annotations

from dataclasses import dataclass

from kvraft.v1 import kv_pb2


@dataclass(frozen=True, slots=True)
class Put:
    """Store a value, as part of a batch."""

    key: bytes
    """1 to 480 bytes."""
    value: bytes
    """At most 1 MiB."""

    def to_message(self) -> kv_pb2.WriteOperation:
        return kv_pb2.WriteOperation(put=kv_pb2.PutOperation(key=self.key, value=self.value))


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete a key, as part of a batch."""

    key: bytes
    """1 to 480 bytes."""

    def to_message(self) -> kv_pb2.WriteOperation:
        return kv_pb2.WriteOperation(delete=kv_pb2.DeleteOperation(key=self.key))
