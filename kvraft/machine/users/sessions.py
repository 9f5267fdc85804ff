"""Sessions: where each device is connected, for as long as a lease lives.

A session is one row beside its user, and a second one at its lease, by which the end of the lease finds it.
Whoever opens one takes the place of the session before; its epoch, the revision, tells the two apart.

What begins and ends is recorded in the history under both rows, so that it can be watched by user and by
lease; a session that moves to another lease is seen at both. There a row is either a `Session` or, where one
has ended, the one byte of its `SessionEnd`; the row before it is the session that there was.
"""

from __future__ import annotations

from collections.abc import Iterator

from kvraft.machine import leases
from kvraft.machine.results import Failed, FailureReason
from kvraft.machine.users import keys
from kvraft.machine.users.rows import find_device, find_user
from kvraft.machine.users.space import SessionEnd, UserSpace
from kvraft.storage.interfaces import StateReader
from kvraft.v1 import session_pb2

DAY_MS = 24 * 60 * 60 * 1_000


def find(state: StateReader, user_id: str, device_id: str) -> session_pb2.Session | None:
    """The session of a device, if it has one."""
    row = state.get(keys.session_key(user_id, device_id))
    return None if row is None else session_pb2.Session.FromString(row)


def of_user(state: StateReader, user_id: str) -> Iterator[session_pb2.Session]:
    """By device."""
    for _, row in state.scan(*keys.of_user_range(user_id, b"s")):
        yield session_pb2.Session.FromString(row)


def of_lease(state: StateReader, lease_id: int) -> Iterator[tuple[str, str]]:
    """User and device of each session of a lease, in this order."""
    for row_key, _ in state.scan(*keys.lease_session_range(lease_id)):
        yield keys.session_of_lease_row(row_key)


def end_of_row(row: bytes) -> SessionEnd | None:
    """Why a session ended, if this is what a row of the history says; None: the row is a `Session`."""
    return SessionEnd(row[0]) if len(row) == 1 else None


def open_session(
    space: UserSpace, request: session_pb2.OpenSessionRequest
) -> session_pb2.OpenSessionResponse | Failed:
    """Opens the session of a device, or takes it over."""
    user_id, device_id, lease_id = request.user_id, request.device_id, request.lease_id
    found = find_user(space.state, user_id)
    if found is None or find_device(found[0], device_id) is None:
        return Failed(FailureReason.DEVICE_NOT_FOUND, name=device_id)
    if not leases.exists(space.state, lease_id):
        return Failed(FailureReason.LEASE_EXPIRED)
    row_key = keys.session_key(user_id, device_id)
    previous = space.get(row_key)
    if previous is not None and request.mode == session_pb2.OPEN_MODE_FAIL_IF_OPEN:
        return Failed(FailureReason.SESSION_OPEN)

    session = session_pb2.Session(
        user_id=user_id,
        device_id=device_id,
        epoch=space.revision,
        lease_id=lease_id,
        gateway_address=request.gateway_address,
        info=request.info,
    )
    session.open_time.FromMilliseconds(space.clock_ms)
    row = session.SerializeToString(deterministic=True)
    space.put(row_key, row, previous)
    space.space.record(row_key, row, previous)
    lease_row_key = keys.lease_session_key(lease_id, user_id, device_id)
    replaced_epoch = replaced_lease_id = 0
    if previous is not None:
        replaced = session_pb2.Session.FromString(previous)
        replaced_epoch, replaced_lease_id = replaced.epoch, replaced.lease_id
    if replaced_lease_id != lease_id:
        space.put(lease_row_key, keys.NO_ROW, None)
    if replaced_lease_id not in (0, lease_id):
        left_row_key = keys.lease_session_key(replaced_lease_id, user_id, device_id)
        space.delete(left_row_key, keys.NO_ROW)
        space.space.record(left_row_key, row, previous)
    space.space.record(lease_row_key, row, previous)
    space.touched.sessions[user_id, device_id] = None
    return session_pb2.OpenSessionResponse(session=session, replaced_epoch=replaced_epoch)


def close_session(
    space: UserSpace, request: session_pb2.CloseSessionRequest
) -> session_pb2.CloseSessionResponse:
    """Closes a session that is still the one of this epoch."""
    session = find(space.state, request.user_id, request.device_id)
    closed = session is not None and session.epoch == request.epoch
    if closed:
        end(space, request.user_id, request.device_id, SessionEnd.CLOSED)
    return session_pb2.CloseSessionResponse(closed=closed)


def revoke_sessions(
    space: UserSpace, request: session_pb2.RevokeSessionsRequest
) -> session_pb2.RevokeSessionsResponse | Failed:
    """Logs a user out, or one device."""
    user_id, device_id = request.user_id, request.device_id
    found = find_user(space.state, user_id)
    if found is None:
        return Failed(FailureReason.USER_NOT_FOUND, name=user_id)
    user, previous = found
    revoked = find_device(user, device_id) if device_id else None
    if device_id and revoked is None:
        return Failed(FailureReason.DEVICE_NOT_FOUND, name=device_id)
    response = session_pb2.RevokeSessionsResponse()
    response.revoke_time.FromMilliseconds(space.clock_ms)
    if revoked is None:
        user.revoke_time_ms = space.clock_ms
    else:
        revoked.revoke_time.CopyFrom(response.revoke_time)
    space.put(keys.user_key(user_id), user.SerializeToString(deterministic=True), previous)
    for device in [revoked] if revoked is not None else user.devices:
        response.closed_sessions += end(space, user_id, device.device_id, SessionEnd.REVOKED)
    return response


def end(space: UserSpace, user_id: str, device_id: str, why: SessionEnd) -> bool:
    """Ends the session of a device. False: it has none, and nothing was changed."""
    row_key = keys.session_key(user_id, device_id)
    previous = space.get(row_key)
    if previous is None:
        return False
    lease_id = session_pb2.Session.FromString(previous).lease_id
    lease_row_key = keys.lease_session_key(lease_id, user_id, device_id)
    space.delete(row_key, previous)
    space.delete(lease_row_key, keys.NO_ROW)
    _remember_last_seen(space, user_id)
    ended = bytes((why,))
    space.space.record(row_key, ended, previous)
    space.space.record(lease_row_key, ended, previous)
    space.touched.sessions[user_id, device_id] = why
    return True


def _remember_last_seen(space: UserSpace, user_id: str) -> None:
    found = find_user(space.state, user_id)
    assert found is not None, f"user {user_id!r} has a session and no row"
    user, previous = found
    day_ms = space.clock_ms - space.clock_ms % DAY_MS
    if user.last_seen_day_ms != day_ms:
        user.last_seen_day_ms = day_ms
        space.put(keys.user_key(user_id), user.SerializeToString(deterministic=True), previous)
