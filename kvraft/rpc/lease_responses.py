"""From the result of a lease's command to the response of its request, without a header: what unary calls and
pipelines have in common."""

from __future__ import annotations

from kvraft.machine.results import GrantLeaseResult, Result, RevokeLeaseResult
from kvraft.v1 import lease_pb2


def grant_lease(_request: lease_pb2.GrantLeaseRequest, result: Result) -> lease_pb2.GrantLeaseResponse:
    """`create_revision` is left to the caller, who knows the revision of the command."""
    assert isinstance(result, GrantLeaseResult), result
    return lease_pb2.GrantLeaseResponse(
        lease={"lease_id": result.lease_id, "ttl_ms": result.ttl_ms, "remaining_ms": result.ttl_ms}
    )


def revoke_lease(_request: lease_pb2.RevokeLeaseRequest, result: Result) -> lease_pb2.RevokeLeaseResponse:
    assert isinstance(result, RevokeLeaseResult), result
    return lease_pb2.RevokeLeaseResponse(deleted=result.deleted)
