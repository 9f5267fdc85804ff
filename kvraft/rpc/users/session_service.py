"""SessionService: devices, who is connected where, and who is online, through any node."""

# ruff: noqa: N802 - gRPC names the methods

from __future__ import annotations

from itertools import islice

import grpc
from google.protobuf.message import Message

from kvraft.errors import Reason, RequestError
from kvraft.machine.results import Failed, FailureReason
from kvraft.machine.users import keys, sessions
from kvraft.machine.users.presence import presence
from kvraft.machine.users.rows import find_user
from kvraft.node.node import Node
from kvraft.node.refusals import request_error
from kvraft.rpc.header import ResponseHeaders
from kvraft.rpc.status import answering_errors
from kvraft.rpc.users import page_tokens
from kvraft.rpc.users.checks import check_user_id
from kvraft.rpc.users.session_requests import SessionPage, check_device, check_presence
from kvraft.rpc.users.session_watch import SessionWatch
from kvraft.rpc.users.user_service import UserService
from kvraft.storage.interfaces import StateReader
from kvraft.v1 import session_pb2, session_pb2_grpc

READER_TIMEOUT_S = 30.0
"""How long a watch waits for a caller that does not read."""

Context = grpc.aio.ServicerContext[Message, Message]


class SessionServicer(UserService, session_pb2_grpc.SessionServiceServicer):
    """Serves the sessions of one node."""

    def __init__(
        self, node: Node, headers: ResponseHeaders, *, reader_timeout_s: float = READER_TIMEOUT_S
    ) -> None:
        super().__init__(node, headers)
        self._watch = SessionWatch(node, headers, reader_timeout_s=reader_timeout_s)

    # --- writes -------------------------------------------------------------------------------

    @answering_errors
    async def RegisterDevice(
        self, request: session_pb2.RegisterDeviceRequest, _context: Context
    ) -> session_pb2.RegisterDeviceResponse:
        response: session_pb2.RegisterDeviceResponse = await self._write("register_device", request)
        return response

    @answering_errors
    async def RemoveDevice(
        self, request: session_pb2.RemoveDeviceRequest, _context: Context
    ) -> session_pb2.RemoveDeviceResponse:
        response: session_pb2.RemoveDeviceResponse = await self._write("remove_device", request)
        return response

    @answering_errors
    async def OpenSession(
        self, request: session_pb2.OpenSessionRequest, _context: Context
    ) -> session_pb2.OpenSessionResponse:
        response: session_pb2.OpenSessionResponse = await self._write("open_session", request)
        return response

    @answering_errors
    async def CloseSession(
        self, request: session_pb2.CloseSessionRequest, _context: Context
    ) -> session_pb2.CloseSessionResponse:
        response: session_pb2.CloseSessionResponse = await self._write("close_session", request)
        return response

    @answering_errors
    async def RevokeSessions(
        self, request: session_pb2.RevokeSessionsRequest, _context: Context
    ) -> session_pb2.RevokeSessionsResponse:
        response: session_pb2.RevokeSessionsResponse = await self._write("revoke_sessions", request)
        return response

    # --- reads --------------------------------------------------------------------------------

    @answering_errors
    async def ListDevices(
        self, request: session_pb2.ListDevicesRequest, _context: Context
    ) -> session_pb2.ListDevicesResponse:
        check_user_id("user_id", request.user_id)
        state = await self._fresh(request.consistency, request.min_revision)
        found = find_user(state, request.user_id)
        if found is None:
            raise request_error(Failed(FailureReason.USER_NOT_FOUND))
        user, _ = found
        response = session_pb2.ListDevicesResponse(
            header=self._header(), devices=user.devices, device_set_revision=user.device_set_revision
        )
        if user.revoke_time_ms:
            response.revoke_time.FromMilliseconds(user.revoke_time_ms)
        return response

    @answering_errors
    async def GetSession(
        self, request: session_pb2.GetSessionRequest, _context: Context
    ) -> session_pb2.GetSessionResponse:
        check_device(request)
        state = await self._fresh(request.consistency, request.min_revision)
        session = sessions.find(state, request.user_id, request.device_id)
        if session is None:
            raise RequestError(
                Reason.SESSION_NOT_FOUND,
                "the device has no session: it is not connected, or not registered",
            )
        return session_pb2.GetSessionResponse(header=self._header(), session=session)

    @answering_errors
    async def ListSessions(
        self, request: session_pb2.ListSessionsRequest, _context: Context
    ) -> session_pb2.ListSessionsResponse:
        page = SessionPage.of(request)
        state = await self._fresh(request.consistency, request.min_revision, page.after_revision)
        header = self._header()
        rows = list(islice(state.scan(page.start, page.end), page.size + 1))
        token = ""
        if len(rows) > page.size:
            rows.pop()
            token = page_tokens.encode(page.query, header.revision, rows[-1][0])
        found = [
            _of_lease_row(state, row_key) if page.of_lease else session_pb2.Session.FromString(row)
            for row_key, row in rows
        ]
        return session_pb2.ListSessionsResponse(header=header, sessions=found, next_page_token=token)

    @answering_errors
    async def GetPresence(
        self, request: session_pb2.GetPresenceRequest, _context: Context
    ) -> session_pb2.GetPresenceResponse:
        check_presence(request)
        state = await self._fresh(request.consistency, request.min_revision)
        response = session_pb2.GetPresenceResponse(header=self._header())
        for user_id in request.user_ids:
            seen = presence(state, user_id, request.viewer_id)
            shown = response.presences.add(user_id=user_id, online=seen.online)
            if seen.last_seen_day_ms:
                shown.last_seen_day.FromMilliseconds(seen.last_seen_day_ms)
        return response

    @answering_errors
    async def WatchSessions(self, request: session_pb2.WatchSessionsRequest, context: Context) -> None:
        await self._watch.serve(request, context)


def _of_lease_row(state: StateReader, row_key: bytes) -> session_pb2.Session:
    session = sessions.find(state, *keys.session_of_lease_row(row_key))
    assert session is not None, "a lease has a session that does not exist"
    return session
