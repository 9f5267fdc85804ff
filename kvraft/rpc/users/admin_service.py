"""AdminService: users as a whole, through any node.

An export and a check read a view of the state in slices, so that the node's turns go on meanwhile; what they
answer is of one revision.
"""

# ruff: noqa: N802 - gRPC names the methods

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice

import grpc
from google.protobuf.message import Message

from kvraft.machine.results import Failed, FailureReason
from kvraft.machine.users import audit, keys
from kvraft.machine.users.check import StateCheck
from kvraft.machine.users.rows import find_user
from kvraft.node.node import Node
from kvraft.node.refusals import request_error
from kvraft.rpc.header import ResponseHeaders
from kvraft.rpc.kv_requests import invalid
from kvraft.rpc.sending import send
from kvraft.rpc.status import answering_errors
from kvraft.rpc.users import admin_requests, page_tokens
from kvraft.rpc.users.checks import check_page_size
from kvraft.rpc.users.export import export_lines
from kvraft.rpc.users.pages import foreign_token
from kvraft.rpc.users.user_service import UserService
from kvraft.v1 import admin_pb2, admin_pb2_grpc, common_pb2

SLICE_ROWS = 100
SLICE_BYTES = 256 << 10
"""What is read between two breaths of the loop."""
PROGRESS_S = 0.5
"""How often a check that finds nothing says how far it has come."""
READER_TIMEOUT_S = 30.0
"""How long an answer waits for a caller that does not read."""

Context = grpc.aio.ServicerContext[Message, Message]


class AdminServicer(UserService, admin_pb2_grpc.AdminServiceServicer):
    """Serves what operators do with the user data of one node."""

    def __init__(
        self, node: Node, headers: ResponseHeaders, *, reader_timeout_s: float = READER_TIMEOUT_S
    ) -> None:
        super().__init__(node, headers)
        self._reader_timeout_s = reader_timeout_s

    @answering_errors
    async def ExportUser(self, request: admin_pb2.ExportUserRequest, context: Context) -> None:
        write = admin_requests.export_command(request)
        replica = self._node.replica
        # There must be room before the audit entry says that it was exported, and that is committed before
        # anybody sees a line.
        with replica.views.admit():
            await self._node.write(write.command, grows_state=write.grows_state)
            header = self._header()
            with closing(replica.state.view()) as view:
                found = find_user(view, request.user_id)
                if found is None:
                    raise request_error(Failed(FailureReason.USER_NOT_FOUND))
                lines = export_lines(view, request.user_id, found[0])
                while piece := _next_lines(lines):
                    response = admin_pb2.ExportUserResponse(header=header, lines=piece)
                    await send(context, response, self._reader_timeout_s)

    @answering_errors
    async def EraseUser(
        self, request: admin_pb2.EraseUserRequest, _context: Context
    ) -> admin_pb2.EraseUserResponse:
        response: admin_pb2.EraseUserResponse = await self._write("erase_user", request)
        return response

    @answering_errors
    async def GetErasure(
        self, request: admin_pb2.GetErasureRequest, _context: Context
    ) -> admin_pb2.GetErasureResponse:
        if not request.erasure_id:
            raise invalid("erasure_id", "is 0, which names no erasure: there was nothing to erase")
        progress = self._node.replica.upkeep.erasure(request.erasure_id)
        response = admin_pb2.GetErasureResponse(
            header=self._header(),
            applied=progress.applied,
            log_clean=progress.log_clean,
            state_clean=progress.state_clean,
        )
        if progress.clean_ms is not None:
            response.clean_time.FromMilliseconds(progress.clean_ms)
        return response

    @answering_errors
    async def CheckState(self, request: admin_pb2.CheckStateRequest, context: Context) -> None:
        findings_left = admin_requests.check_max_findings(request.max_findings)
        await self._node.fresh()
        header = self._header()
        replica = self._node.replica
        with replica.views.open(replica.state) as view:
            check = StateCheck(view)
            said_s = time.monotonic()
            done = False
            while not done:
                done = not check.step(SLICE_ROWS) or len(check.findings) >= findings_left
                now_s = time.monotonic()
                if done or check.findings or now_s - said_s >= PROGRESS_S:
                    said_s = now_s
                    await send(
                        context,
                        _checked(check, findings_left, header=header, done=done),
                        self._reader_timeout_s,
                    )
                    findings_left -= len(check.findings)
                    check.findings.clear()
                else:
                    await asyncio.sleep(0)

    @answering_errors
    async def ListAuditEntries(
        self, request: admin_pb2.ListAuditEntriesRequest, _context: Context
    ) -> admin_pb2.ListAuditEntriesResponse:
        page_size = check_page_size(request.page_size)
        page = page_tokens.decode(b"ListAuditEntries", request.page_token)
        start, end = keys.AUDIT
        if page.after and (len(page.after) != len(keys.audit_key(0)) or not start < page.after < end):
            raise foreign_token()
        state = await self._fresh(request.consistency, request.min_revision, page.revision)
        rows = state.scan(start, page.after or end, reverse=True)
        response = admin_pb2.ListAuditEntriesResponse(header=self._header())
        last_key = b""
        for row_key, row in islice(rows, page_size):
            response.entries.append(audit.decode(row))
            last_key = row_key
        if next(rows, None) is not None:
            response.next_page_token = page_tokens.encode(
                b"ListAuditEntries", response.header.revision, last_key
            )
        return response


def _next_lines(lines: Iterator[bytes]) -> bytes:
    taken: list[bytes] = []
    size_bytes = 0
    for line in lines:
        taken.append(line)
        size_bytes += len(line)
        if len(taken) >= SLICE_ROWS or size_bytes >= SLICE_BYTES:
            break
    return b"".join(taken)


def _checked(
    check: StateCheck, findings_left: int, *, header: common_pb2.ResponseHeader, done: bool
) -> admin_pb2.CheckStateResponse:
    total_rows = check.checked_rows
    if check.progress:
        total_rows = max(total_rows, round(check.checked_rows / check.progress))
    response = admin_pb2.CheckStateResponse(
        header=header, checked_rows=check.checked_rows, total_rows=total_rows, done=done
    )
    for law, subject, detail in check.findings[:findings_left]:
        response.findings.add(law=law, subject=subject, detail=detail)
    return response
