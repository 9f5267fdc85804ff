"""Ranges of keys."""

from __future__ import annotations

from dataclasses import dataclass

from kvraft.client.arguments import checked
from kvraft.v1 import kv_pb2


@checked
@dataclass(frozen=True, slots=True)
class KeyRange:
    """The keys from `start` up to and without `end`, compared as unsigned bytes."""

    start: bytes = b""
    """Inclusive; empty: from the first key."""
    end: bytes = b""
    """Exclusive; empty: to the last key."""

    @classmethod
    def prefix(cls, prefix: bytes) -> KeyRange:
        """Every key that starts with `prefix`; with an empty one, every key."""
        head = prefix.rstrip(b"\xff")
        end = head[:-1] + bytes([head[-1] + 1]) if head else b""
        return cls(prefix, end)

    @classmethod
    def single(cls, key: bytes) -> KeyRange:
        """That key alone."""
        return cls(key, key + b"\0")

    def after(self, key: bytes, *, reverse: bool) -> KeyRange:
        """What is left of the range once `key` was reached."""
        if reverse:
            return KeyRange(self.start, key)
        return KeyRange(key + b"\0", self.end)

    @property
    def is_empty(self) -> bool:
        return bool(self.end) and self.start >= self.end

    def to_message(self) -> kv_pb2.KeyRange:
        return kv_pb2.KeyRange(start=self.start, end=self.end)
