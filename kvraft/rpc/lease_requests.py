"""Requests of LeaseService: checked against the limits, and turned into the commands of the log."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from kvraft.errors import RequestError
from kvraft.rpc.kv_requests import (
    PAGE_SIZE_DEFAULT,
    PAGE_SIZE_MAX,
    Write,
    check_consistency,
    invalid,
    number,
)
from kvraft.v1 import command_pb2, lease_pb2

TTL_MS_MIN = 1_000
TTL_MS_MAX = 366 * 24 * 60 * 60 * 1_000
RENEWALS_MAX = 1_000
"""Leases of one request of KeepAliveLeases."""

# token version, revision of the page, its last lease
_TOKEN = struct.Struct(">BQQ")
_TOKEN_VERSION = 1


def grant_command(request: lease_pb2.GrantLeaseRequest) -> Write:
    """The command of GrantLease."""
    ttl_ms = request.ttl_ms
    if not TTL_MS_MIN <= ttl_ms <= TTL_MS_MAX:
        raise invalid(
            "ttl_ms", f"is {ttl_ms:,}; a lease lives {TTL_MS_MIN:,} to {TTL_MS_MAX:,} ms (366 days)"
        )
    command = command_pb2.Command(grant_lease={"ttl_ms": ttl_ms, "lease_id": request.lease_id})
    number(command, request.request_id)
    return Write(command.SerializeToString(), True)


def revoke_command(request: lease_pb2.RevokeLeaseRequest) -> Write:
    """The command of RevokeLease."""
    check_lease_id("lease_id", request.lease_id)
    command = command_pb2.Command(revoke_lease={"lease_id": request.lease_id})
    number(command, request.request_id)
    return Write(command.SerializeToString(), False)


def check_renewals(lease_ids: Sequence[int]) -> None:
    """Raises RequestError unless these may be renewed together."""
    count = len(lease_ids)
    if not 1 <= count <= RENEWALS_MAX:
        raise invalid("lease_ids", f"names {count:,} leases; 1 to {RENEWALS_MAX:,} are allowed")
    for position, lease_id in enumerate(lease_ids):
        check_lease_id(f"lease_ids[{position}]", lease_id)


def check_lease_id(field: str, lease_id: int) -> None:
    """Raises RequestError unless it can be a lease's."""
    if not lease_id:
        raise invalid(field, "is 0, which no lease has")


@dataclass(frozen=True, slots=True)
class LeasePage:
    """What of all leases is asked for."""

    after: int
    """The leases whose ids are greater than this."""
    min_revision: int
    """Not less than the revision of the page before; 0: this is the first."""
    size: int

    @classmethod
    def of(cls, request: lease_pb2.ListLeasesRequest) -> LeasePage:
        """Raises RequestError."""
        check_consistency(request.consistency, request.min_revision)
        size = request.page_size or PAGE_SIZE_DEFAULT
        if size > PAGE_SIZE_MAX:
            raise invalid("page_size", f"is {size:,}; at most {PAGE_SIZE_MAX:,} leases fit a page")
        if not request.page_token:
            return cls(0, 0, size)
        try:
            token = base64.b64decode(request.page_token, altchars=b"-_", validate=True)
            version, revision, last_id = _TOKEN.unpack(token)
        except (binascii.Error, ValueError, struct.error):
            raise _not_a_token() from None
        if version != _TOKEN_VERSION:
            raise _not_a_token()
        return cls(last_id, max(revision, request.min_revision), size)

    def token_after(self, last_id: int, revision: int) -> str:
        """Names the page that begins after `last_id`; this one was read at `revision`."""
        return base64.urlsafe_b64encode(_TOKEN.pack(_TOKEN_VERSION, revision, last_id)).decode()


def _not_a_token() -> RequestError:
    return invalid("page_token", "is not a token this node gave; send `next_page_token` unchanged, or none")
