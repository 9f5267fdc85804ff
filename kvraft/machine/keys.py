"""The layout of all rows: the first byte of a key says which space it belongs to.

    00 ...                     the machine's own row
    01 <key>                   the key-value space, keys as their users gave them
    02 01 <lease>              leases
    02 02 <expiry> <lease>     leases in the order in which they end
    02 03 <lease> <key>        the keys attached to a lease
    03 01 <client>             registered clients
    03 02 <client> <sequence>  their answers

Spaces are ordered, so each is one contiguous range, and a user's order is the order of the rows.
Numbers are 8 bytes, big-endian.
"""

from __future__ import annotations

import struct

KEY_BYTES_MAX = 480
"""The longest key of the key-value space; leaves room for a space's prefix within LMDB's 511."""

MACHINE = b"\x00machine"
"""The row of revision and clock."""

KV = b"\x01"
_KV_END = b"\x02"
_LEASE, _LEASE_END = b"\x02\x01", b"\x02\x02"
_LEASE_EXPIRY = b"\x02\x02"
_LEASE_KEY = b"\x02\x03"
_CLIENT, _CLIENT_END = b"\x03\x01", b"\x03\x02"
_ANSWER = b"\x03\x02"
_ONE = struct.Struct(">Q")
_TWO = struct.Struct(">QQ")


def kv_key(key: bytes) -> bytes:
    """The row of a key."""
    return KV + key


def kv_user_key(row_key: bytes) -> bytes:
    """The key of a row."""
    return row_key[1:]


def kv_range(start: bytes, end: bytes) -> tuple[bytes, bytes]:
    """The rows of [start, end); an empty `end` is the end of the space."""
    return KV + start, KV + end if end else _KV_END


def prefix_end(prefix: bytes) -> bytes:
    """The first key after all that start with `prefix`; empty if there is none."""
    trimmed = prefix.rstrip(b"\xff")
    return trimmed[:-1] + bytes((trimmed[-1] + 1,)) if trimmed else b""


def lease_key(lease_id: int) -> bytes:
    """The row of a lease."""
    return _LEASE + _ONE.pack(lease_id)


def lease_range(after: int) -> tuple[bytes, bytes]:
    """The rows of all leases whose id is greater than `after`."""
    return lease_key(after) + b"\x00", _LEASE_END


def lease_of_row(row_key: bytes) -> int:
    """The id of a lease's row."""
    return int(_ONE.unpack_from(row_key, len(_LEASE))[0])


def lease_expiry_key(expires_ms: int, lease_id: int) -> bytes:
    """The row that finds a lease by the time of its end."""
    return _LEASE_EXPIRY + _TWO.pack(expires_ms, lease_id)


def lease_expiry_range(until_ms: int) -> tuple[bytes, bytes]:
    """The rows of all leases that end at or before `until_ms`."""
    return _LEASE_EXPIRY, _LEASE_EXPIRY + _ONE.pack(until_ms + 1)


def lease_of_expiry_row(row_key: bytes) -> int:
    """The id in a row found by time."""
    return int(_TWO.unpack_from(row_key, len(_LEASE_EXPIRY))[1])


def attached_key(lease_id: int, key: bytes) -> bytes:
    """The row that says that a key is attached to a lease."""
    return _LEASE_KEY + _ONE.pack(lease_id) + key


def attached_range(lease_id: int) -> tuple[bytes, bytes]:
    """The rows of all keys attached to a lease."""
    prefix = _LEASE_KEY + _ONE.pack(lease_id)
    return prefix, prefix_end(prefix)


def attached_user_key(row_key: bytes) -> bytes:
    """The key that a row attaches."""
    return row_key[len(_LEASE_KEY) + _ONE.size :]


def client_key(client_id: int) -> bytes:
    """The row of a client."""
    return _CLIENT + _ONE.pack(client_id)


CLIENTS = (_CLIENT, _CLIENT_END)
"""The rows of all clients."""


ANSWERS = (_ANSWER, prefix_end(_ANSWER))
"""The rows of all answers."""


def client_of_row(row_key: bytes) -> int:
    """The id of a client's row."""
    return int(_ONE.unpack_from(row_key, len(_CLIENT))[0])


def answer_key(client_id: int, sequence: int) -> bytes:
    """The row of one answer to a client."""
    return _ANSWER + _TWO.pack(client_id, sequence)


def answer_range(client_id: int) -> tuple[bytes, bytes]:
    """The rows of all answers to a client."""
    prefix = _ANSWER + _ONE.pack(client_id)
    return prefix, prefix_end(prefix)


def sequence_of_row(row_key: bytes) -> int:
    """The number in an answer's row."""
    return int(_TWO.unpack_from(row_key, len(_ANSWER))[1])
