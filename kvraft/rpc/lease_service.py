"""LeaseService: grants, renews, ends and shows leases, through any node."""

# ruff: noqa: N802 - gRPC names the methods

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from itertools import islice

import grpc
from google.protobuf.message import Message

from kvraft import errors
from kvraft.machine import leases
from kvraft.machine.leases import Lease
from kvraft.machine.results import Failed, FailureReason
from kvraft.node.node import Node
from kvraft.node.refusals import request_error
from kvraft.node.renewals import Renewals
from kvraft.rpc import lease_requests, lease_responses
from kvraft.rpc.freshness import until_fresh
from kvraft.rpc.header import ResponseHeaders
from kvraft.rpc.lease_requests import LeasePage, check_lease_id, check_renewals
from kvraft.rpc.sending import send
from kvraft.rpc.status import answering_errors
from kvraft.storage.errors import StorageError
from kvraft.v1 import lease_pb2, lease_pb2_grpc

KEYS_MAX = 10_000
KEYS_BYTES_MAX = 3 << 20
"""Of the keys in one answer."""
READER_TIMEOUT_S = 30.0
"""How long an answer waits for a caller that does not read."""

Context = grpc.aio.ServicerContext[Message, Message]


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


class LeaseServicer(lease_pb2_grpc.LeaseServiceServicer):
    """Serves the leases of one node. `wall_ms` is its clock, since the Unix epoch."""

    def __init__(
        self,
        node: Node,
        headers: ResponseHeaders,
        *,
        wall_ms: Callable[[], int] = _wall_ms,
        reader_timeout_s: float = READER_TIMEOUT_S,
    ) -> None:
        self._node = node
        self._headers = headers
        self._wall_ms = wall_ms
        self._reader_timeout_s = reader_timeout_s
        self._renewals = Renewals(node)

    def on_storage_error(self, error: StorageError) -> None:
        self._node.fail(error)

    # --- writes -------------------------------------------------------------------------------

    @answering_errors
    async def GrantLease(
        self, request: lease_pb2.GrantLeaseRequest, _context: Context
    ) -> lease_pb2.GrantLeaseResponse:
        write = lease_requests.grant_command(request)
        answer = await self._node.write(write.command, grows_state=write.grows_state)
        response = lease_responses.grant_lease(request, answer.result)
        response.header.CopyFrom(self._headers.at(answer.revision))
        response.lease.create_revision = answer.revision
        return response

    @answering_errors
    async def RevokeLease(
        self, request: lease_pb2.RevokeLeaseRequest, _context: Context
    ) -> lease_pb2.RevokeLeaseResponse:
        write = lease_requests.revoke_command(request)
        answer = await self._node.write(write.command, grows_state=write.grows_state)
        response = lease_responses.revoke_lease(request, answer.result)
        response.header.CopyFrom(self._headers.at(answer.revision))
        return response

    # --- renewals -----------------------------------------------------------------------------

    @answering_errors
    async def KeepAliveLease(
        self, request: lease_pb2.KeepAliveLeaseRequest, _context: Context
    ) -> lease_pb2.KeepAliveLeaseResponse:
        lease_id = request.lease_id
        check_lease_id("lease_id", lease_id)
        revision, (ttl_ms,) = await self._renewals.renew((lease_id,))
        if not ttl_ms:
            raise _not_found(lease_id)
        return lease_pb2.KeepAliveLeaseResponse(header=self._headers.at(revision), ttl_ms=ttl_ms)

    @answering_errors
    async def KeepAliveLeases(
        self, requests: AsyncIterator[lease_pb2.KeepAliveLeasesRequest], context: Context
    ) -> None:
        # One at a time: the next request waits in HTTP/2's window, which bounds what a caller can
        # have under way, and its answers come in order.
        async for request in requests:
            check_renewals(request.lease_ids)
            revision, ttls_ms = await self._renewals.renew(request.lease_ids)
            renewals = [
                lease_pb2.KeepAliveLeasesResponse.Renewal(lease_id=lease_id, ttl_ms=ttl_ms)
                for lease_id, ttl_ms in zip(request.lease_ids, ttls_ms, strict=True)
            ]
            response = lease_pb2.KeepAliveLeasesResponse(header=self._headers.at(revision), renewals=renewals)
            await send(context, response, self._reader_timeout_s)

    # --- reads --------------------------------------------------------------------------------

    @answering_errors
    async def GetLease(
        self, request: lease_pb2.GetLeaseRequest, _context: Context
    ) -> lease_pb2.GetLeaseResponse:
        check_lease_id("lease_id", request.lease_id)
        await until_fresh(self._node, request.consistency, request.min_revision)
        replica = self._node.replica
        lease = leases.get(replica.state, request.lease_id)
        if lease is None:
            raise _not_found(request.lease_id)
        response = lease_pb2.GetLeaseResponse(
            header=self._headers.at(replica.machine.revision), lease=self._message(lease)
        )
        if request.keys:
            self._fill_keys(response)
        return response

    def _fill_keys(self, response: lease_pb2.GetLeaseResponse) -> None:
        attached = leases.attached(self._node.replica.state, response.lease.lease_id)
        size_bytes = 0
        for key in islice(attached, KEYS_MAX):
            size_bytes += len(key)
            if size_bytes > KEYS_BYTES_MAX:
                response.more_keys = True
                return
            response.keys.append(key)
        response.more_keys = next(attached, None) is not None

    @answering_errors
    async def ListLeases(
        self, request: lease_pb2.ListLeasesRequest, _context: Context
    ) -> lease_pb2.ListLeasesResponse:
        page = LeasePage.of(request)
        if page.min_revision:
            await self._node.at_least(page.min_revision)
        else:
            await until_fresh(self._node, request.consistency, request.min_revision)
        replica = self._node.replica
        revision = replica.machine.revision
        found = list(islice(leases.scan(replica.state, page.after), page.size + 1))
        token = ""
        if len(found) > page.size:
            found.pop()
            token = page.token_after(found[-1].lease_id, revision)
        return lease_pb2.ListLeasesResponse(
            header=self._headers.at(revision), leases=map(self._message, found), next_page_token=token
        )

    def _message(self, lease: Lease) -> lease_pb2.Lease:
        # The machine's clock stands still between entries; this node's own tells the time since the last.
        clock_ms = max(self._node.replica.machine.clock_ms, self._wall_ms())
        return lease_pb2.Lease(
            lease_id=lease.lease_id,
            ttl_ms=lease.ttl_ms,
            remaining_ms=max(0, lease.expires_ms - clock_ms),
            create_revision=lease.create_revision,
        )


def _not_found(lease_id: int) -> errors.RequestError:
    return request_error(Failed(FailureReason.LEASE_NOT_FOUND, lease_id))
