"""Rules for requests that edit something: which fields, which state of it, and the values of fields. Each
raises RequestError, which names the field."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from kvraft.rpc.kv_requests import invalid
from kvraft.rpc.users.checks import check_bytes

ETAG_BYTES_MAX = 20
"""Of a decimal number of 64 bits."""
_YEAR_1_S, _YEAR_10000_S = -62_135_596_800, 253_402_300_800
"""What google.protobuf.Timestamp can say."""


def check_etag(field: str, etag: str) -> None:
    """An etag, which may be empty."""
    check_bytes(field, etag, ETAG_BYTES_MAX)


def check_mask(field: str, mask: FieldMask, fields: Sequence[str]) -> None:
    """A mask of these fields, which may be empty."""
    for path in mask.paths:
        if path not in fields:
            raise invalid(field, f"names {path[:100]!r}; what can be set is {', '.join(fields)}")


def check_different(field: str, ids: Sequence[str]) -> None:
    """A list in which nothing is twice."""
    if len(set(ids)) < len(ids):
        raise invalid(field, "names one of them twice")


def check_timestamp(field: str, timestamp: Timestamp) -> None:
    """A time, by the rules of its type."""
    if not (_YEAR_1_S <= timestamp.seconds < _YEAR_10000_S and 0 <= timestamp.nanos < 1_000_000_000):
        raise invalid(field, "is no time between the years 1 and 9999")
