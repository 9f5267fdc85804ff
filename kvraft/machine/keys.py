"""The layout of all rows: the first byte of a key says which space it belongs to.

    00 ...         the machine's own rows
    01 <key>       the key-value space, keys as their users gave them

Spaces are ordered, so each is one contiguous range, and a user's order is the order of the rows.
"""

from __future__ import annotations

KEY_BYTES_MAX = 480
"""The longest key of the key-value space; leaves room for a space's prefix within LMDB's 511."""

MACHINE = b"\x00machine"
"""The row of revision and clock."""

_KV = b"\x01"
_KV_END = b"\x02"


def kv_key(key: bytes) -> bytes:
    """The row of a key."""
    return _KV + key


def kv_user_key(row_key: bytes) -> bytes:
    """The key of a row."""
    return row_key[1:]


def kv_range(start: bytes, end: bytes) -> tuple[bytes, bytes]:
    """The rows of [start, end); an empty `end` is the end of the space."""
    return _KV + start, _KV + end if end else _KV_END


def prefix_end(prefix: bytes) -> bytes:
    """The first key after all that start with `prefix`; empty if there is none."""
    trimmed = prefix.rstrip(b"\xff")
    return trimmed[:-1] + bytes((trimmed[-1] + 1,)) if trimmed else b""
