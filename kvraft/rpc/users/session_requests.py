"""Requests of SessionService, checked against their proto. Each check raises RequestError."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kvraft.machine.users import keys
from kvraft.node.watched_keys import Bounds
from kvraft.rpc.kv_requests import invalid
from kvraft.rpc.lease_requests import check_lease_id
from kvraft.rpc.users import page_tokens
from kvraft.rpc.users.checks import (
    DEVICE_ID_BYTES_MAX,
    USER_ID_BYTES_MAX,
    check_bytes,
    check_device_id,
    check_new_id,
    check_page_size,
    check_user_id,
)
from kvraft.rpc.users.pages import foreign_token
from kvraft.v1 import session_pb2

LABEL_BYTES_MAX = 64
GATEWAY_ADDRESS_BYTES_MAX = 255
INFO_BYTES_MAX = 1_024
WATCHED_USERS_MAX = 1_000
PRESENCES_MAX = 100
_BEHIND_BYTES_MAX = USER_ID_BYTES_MAX + 1 + DEVICE_ID_BYTES_MAX
"""Of a row key, behind the prefix of its list."""


def check_device(request: session_pb2.RemoveDeviceRequest | session_pb2.GetSessionRequest) -> None:
    """A request that names a device and says no more."""
    check_user_id("user_id", request.user_id)
    check_device_id("device_id", request.device_id)


def check_register_device(request: session_pb2.RegisterDeviceRequest) -> None:
    """Of RegisterDevice."""
    check_user_id("user_id", request.user_id)
    check_device_id("device_id", request.device_id)
    check_new_id("user_id", request.user_id)
    check_new_id("device_id", request.device_id)
    check_bytes("label", request.label, LABEL_BYTES_MAX)


def check_open_session(request: session_pb2.OpenSessionRequest) -> None:
    """Of OpenSession."""
    check_user_id("user_id", request.user_id)
    check_device_id("device_id", request.device_id)
    check_lease_id("lease_id", request.lease_id)
    check_bytes("gateway_address", request.gateway_address, GATEWAY_ADDRESS_BYTES_MAX)
    check_bytes("info", request.info, INFO_BYTES_MAX)
    if request.mode not in session_pb2.OpenMode.values():
        raise invalid("mode", f"is {request.mode}, which this node does not know")


def check_close_session(request: session_pb2.CloseSessionRequest) -> None:
    """Of CloseSession."""
    check_user_id("user_id", request.user_id)
    check_device_id("device_id", request.device_id)
    if not request.epoch:
        raise invalid("epoch", "is 0, which no session has")


def check_revoke_sessions(request: session_pb2.RevokeSessionsRequest) -> None:
    """Of RevokeSessions."""
    check_user_id("user_id", request.user_id)
    if request.device_id:
        check_device_id("device_id", request.device_id)


def check_presence(request: session_pb2.GetPresenceRequest) -> None:
    """Of GetPresence."""
    check_user_id("viewer_id", request.viewer_id)
    _check_users(request.user_ids, PRESENCES_MAX)


def _check_users(user_ids: Sequence[str], count_max: int) -> None:
    count = len(user_ids)
    if not 1 <= count <= count_max:
        raise invalid("user_ids", f"names {count:,} users; 1 to {count_max:,} are allowed")
    for position, user_id in enumerate(user_ids):
        check_user_id(f"user_ids[{position}]", user_id)


def watched_rows(request: session_pb2.WatchSessionsRequest) -> list[Bounds]:
    """The rows of which the changes are what WatchSessions asks for: one range, or one for each user."""
    if bool(request.user_ids) == bool(request.lease_id):
        raise invalid("user_ids", "or `lease_id` is to be set, and not both")
    if request.lease_id:
        return [keys.lease_session_range(request.lease_id)]
    _check_users(request.user_ids, WATCHED_USERS_MAX)
    return [keys.of_user_range(user_id, b"s") for user_id in dict.fromkeys(request.user_ids)]


@dataclass(frozen=True, slots=True)
class SessionPage:
    """What ListSessions asks for."""

    of_lease: bool
    """Whether the rows are those of a lease, which only name the sessions."""
    start: bytes
    end: bytes
    """The rows from `start` up to and without `end`."""
    size: int
    after_revision: int
    """The revision of the page before; 0: this is the first."""
    query: bytes
    """What makes a token that of this list and no other."""

    @classmethod
    def of(cls, request: session_pb2.ListSessionsRequest) -> SessionPage:
        """Raises RequestError."""
        match request.WhichOneof("owner"):
            case "user_id":
                check_user_id("user_id", request.user_id)
                start, end = keys.of_user_range(request.user_id, b"s")
            case "lease_id":
                check_lease_id("lease_id", request.lease_id)
                start, end = keys.lease_session_range(request.lease_id)
            case _:
                raise invalid("owner", "is not set; give `user_id` or `lease_id`")
        page = page_tokens.decode(start, request.page_token)
        if page.after and not (
            start <= page.after < end and len(page.after) <= len(start) + _BEHIND_BYTES_MAX
        ):
            raise foreign_token()
        return cls(
            of_lease=request.WhichOneof("owner") == "lease_id",
            start=page.after + b"\x00" if page.after else start,
            end=end,
            size=check_page_size(request.page_size),
            after_revision=page.revision,
            query=start,
        )
