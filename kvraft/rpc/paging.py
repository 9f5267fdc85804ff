"""Pages of a range: how many keys go into one, and the token that names the next.

A token is opaque to clients and understood by every node: it holds the last key of the page, the
revision that page was read at, and a hash of the query it belongs to.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import xxhash

from kvraft.errors import RequestError
from kvraft.machine.records import KvRecord
from kvraft.rpc.kv_requests import Bounds, check_key, invalid
from kvraft.v1 import kv_pb2

# token version, revision of the page, hash of the query; then the last key.
_TOKEN = struct.Struct(">BQQ")
_TOKEN_VERSION = 1
_QUERY = struct.Struct(">HH??")

Row = tuple[bytes, KvRecord]


@dataclass(frozen=True, slots=True)
class Query:
    """What must be the same from page to page."""

    bounds: Bounds
    reverse: bool
    keys_only: bool

    @property
    def fingerprint(self) -> int:
        """Equal for equal queries, on every node: unsigned 64 bits."""
        start, end = self.bounds
        fields = _QUERY.pack(len(start), len(end), self.reverse, self.keys_only)
        return xxhash.xxh3_64_intdigest(fields + start + end)

    def after(self, last_key: bytes) -> Bounds:
        """What is left of the range after `last_key`."""
        start, end = self.bounds
        return Bounds(start, last_key) if self.reverse else Bounds(last_key + b"\0", end)


@dataclass(frozen=True, slots=True)
class PageToken:
    """Where the next page begins."""

    last_key: bytes
    revision: int
    """Of that page; the next one is not older."""

    def encode(self, query: Query) -> str:
        token = _TOKEN.pack(_TOKEN_VERSION, self.revision, query.fingerprint) + self.last_key
        return base64.urlsafe_b64encode(token).decode()

    @classmethod
    def decode(cls, text: str, query: Query) -> PageToken:
        """Raises RequestError unless the token was made for this very query."""
        try:
            token = base64.b64decode(text, altchars=b"-_", validate=True)
            version, revision, fingerprint = _TOKEN.unpack_from(token)
        except (binascii.Error, ValueError, struct.error):
            raise _not_a_token() from None
        if version != _TOKEN_VERSION:
            raise _not_a_token()
        if fingerprint != query.fingerprint:
            raise invalid(
                "page_token", "belongs to another query; range, reverse and keys_only must not change"
            )
        last_key = token[_TOKEN.size :]
        start, end = query.bounds
        check_key("page_token", last_key)
        if last_key < start or (end and last_key >= end):
            raise _not_a_token()
        return cls(last_key, revision)


def _not_a_token() -> RequestError:
    return invalid("page_token", "is not a token this node gave; send `next_page_token` unchanged, or none")


def take_page(
    rows: Iterator[Row], *, rows_max: int, bytes_max: int, keys_only: bool
) -> list[kv_pb2.KeyValue]:
    """The next rows: as many as `rows_max`, or until they reach `bytes_max`; empty at the end."""
    page: list[kv_pb2.KeyValue] = []
    size_bytes = 0
    for key, record in rows:
        page.append(key_value(key, record, keys_only=keys_only))
        size_bytes += len(key) if keys_only else len(key) + len(record.value)
        if len(page) == rows_max or size_bytes >= bytes_max:
            break
    return page


def count_rows(rows: Iterator[Row], *, rows_max: int, bytes_max: int) -> int:
    """Takes rows as `take_page` does, and only counts them."""
    count = size_bytes = 0
    for _, record in rows:
        count += 1
        size_bytes += len(record.value)
        if count == rows_max or size_bytes >= bytes_max:
            break
    return count


def key_value(key: bytes, record: KvRecord, *, keys_only: bool = False) -> kv_pb2.KeyValue:
    """A row as clients see it."""
    return kv_pb2.KeyValue(
        key=key,
        value=b"" if keys_only else record.value,
        create_revision=record.create_revision,
        mod_revision=record.mod_revision,
        version=record.version,
        lease_id=record.lease_id,
    )
