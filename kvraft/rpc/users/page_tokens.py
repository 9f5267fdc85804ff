"""Tokens of pages of user data: opaque to clients, understood by every node.

A token holds the row key after which the next page begins, the revision the page was read at, and a
fingerprint of the query it belongs to.
"""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass

import xxhash

from kvraft.rpc.kv_requests import invalid

# token version, revision, fingerprint of the query; then the row key
_TOKEN = struct.Struct(">BQQ")
_VERSION = 1


@dataclass(frozen=True, slots=True)
class PageStart:
    """Where a page begins."""

    after: bytes
    """The last row key of the page before; empty: this is the first."""
    revision: int
    """Of the page before; 0: this is the first."""


def encode(query: bytes, revision: int, last_key: bytes) -> str:
    """Names the page of `query` that begins after `last_key`; this one was read at `revision`."""
    token = _TOKEN.pack(_VERSION, revision, xxhash.xxh3_64_intdigest(query)) + last_key
    return base64.urlsafe_b64encode(token).decode()


def decode(query: bytes, page_token: str) -> PageStart:
    """`query`: what must be the same from page to page, its rows' range among it. Raises RequestError."""
    if not page_token:
        return PageStart(b"", 0)
    try:
        token = base64.b64decode(page_token, altchars=b"-_", validate=True)
        version, revision, fingerprint = _TOKEN.unpack_from(token)
    except (binascii.Error, ValueError, struct.error):
        raise invalid(
            "page_token", "is not a token this node gave; send `next_page_token` unchanged, or none"
        ) from None
    if version != _VERSION or fingerprint != xxhash.xxh3_64_intdigest(query):
        raise invalid("page_token", "belongs to another query; only page_size may change between pages")
    return PageStart(token[_TOKEN.size :], revision)
