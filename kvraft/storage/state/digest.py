"""Hashes of rows: for the checksum beside each stored value and the digest of the whole state."""

from __future__ import annotations

from xxhash import xxh3_64_digest, xxh3_64_intdigest

MASK = (1 << 64) - 1
CHECKSUM_BYTES = 8


def row_hash(key: bytes, value: bytes) -> int:
    """64 bits of XXH3 over the value, seeded by those over the key, so that neither a value under
    another key nor bytes moved from one to the other go unseen."""
    return xxh3_64_intdigest(value, xxh3_64_intdigest(key))


def row_change(key: bytes, value: bytes, previous: bytes | None) -> int:
    """By how much a digest changes, the sum of all hashes, when a row that held `previous` (None: there was
    none) holds `value`. Hashes the key once."""
    seed = xxh3_64_intdigest(key)
    added = xxh3_64_intdigest(value, seed)
    return added if previous is None else added - xxh3_64_intdigest(previous, seed)


def row_checksum(key: bytes, value: bytes) -> bytes:
    """The same hash as 8 bytes, big-endian."""
    return xxh3_64_digest(value, xxh3_64_intdigest(key))
