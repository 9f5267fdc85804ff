"""The keys of recipes. A name ends with a zero byte, which no name contains, so that no name's keys begin
with another's."""

from __future__ import annotations

from kvraft.client.keys import KeyRange

_NAME_BYTES_MAX = 400


def queue_prefix(kind: str, name: str) -> bytes:
    """What the keys of a queue begin with."""
    return named_key(kind, name) + b"\x00"


def queue_range(kind: str, name: str) -> KeyRange:
    """The keys of a queue."""
    return KeyRange.prefix(queue_prefix(kind, name))


def named_key(kind: str, name: str) -> bytes:
    """A key for a name. Raises ValueError if it cannot be one."""
    encoded = name.encode()
    if not 0 < len(encoded) <= _NAME_BYTES_MAX or b"\x00" in encoded:
        raise ValueError(
            f"{name!r} is not a name: give 1 to {_NAME_BYTES_MAX} bytes of UTF-8 without a zero byte"
        )
    return f"kvraft/{kind}/".encode() + encoded
