"""Block lists: whom a user does not want to hear from.

A list is looked at where a message is queued for its user (`scope`), inside that command, so a block holds
for everything that comes after it in the log, wherever the sender and the recipient are connected.
"""

from __future__ import annotations

from collections.abc import Iterator

from kvraft.machine.results import Failed, FailureReason
from kvraft.machine.users import keys
from kvraft.machine.users.rows import find_user
from kvraft.machine.users.space import UserSpace
from kvraft.storage.interfaces import StateReader
from kvraft.v1 import contact_pb2

BLOCKED_MAX = 10_000
"""Of one user."""


def scope(state: StateReader, user_id: str, blocked: int, other: str) -> contact_pb2.BlockScope | None:
    """What `user_id`, who has blocked so many, has blocked of `other`: DIRECT or DIRECT_AND_GROUPS; None:
    nothing. Reads no row for a user who has blocked nobody."""
    if not blocked:
        return None
    row = state.get(keys.blocked_key(user_id, other))
    return None if row is None else contact_pb2.BlockedUser.FromString(row).scope


def scan(state: StateReader, user_id: str, after: str = "") -> Iterator[contact_pb2.BlockedUser]:
    """Whom a user has blocked, by id, from the first id after `after` on."""
    start, end = keys.of_user_range(user_id, b"b")
    if after:
        start = keys.blocked_key(user_id, after) + b"\x00"
    for _, row in state.scan(start, end):
        yield contact_pb2.BlockedUser.FromString(row)


def block(space: UserSpace, request: contact_pb2.BlockUserRequest) -> contact_pb2.BlockUserResponse | Failed:
    """Blocks somebody, or changes what of them is blocked; the time of the block stays that of the first."""
    found = find_user(space.state, request.user_id)
    if found is None:
        return Failed(FailureReason.USER_NOT_FOUND, name=request.user_id)
    user, user_row = found
    wanted = request.scope or contact_pb2.BLOCK_SCOPE_DIRECT
    row_key = keys.blocked_key(request.user_id, request.blocked_id)
    previous = space.get(row_key)
    if previous is None:
        if user.blocked >= BLOCKED_MAX:
            return Failed(FailureReason.TOO_MANY_BLOCKED)
        blocked = contact_pb2.BlockedUser(user_id=request.blocked_id, scope=wanted)
        blocked.block_time.FromMilliseconds(space.clock_ms)
        user.blocked += 1
        space.put(keys.user_key(request.user_id), user.SerializeToString(deterministic=True), user_row)
    else:
        blocked = contact_pb2.BlockedUser.FromString(previous)
        if blocked.scope == wanted:
            return contact_pb2.BlockUserResponse()
        blocked.scope = wanted
    space.put(row_key, blocked.SerializeToString(deterministic=True), previous)
    return contact_pb2.BlockUserResponse()


def unblock(
    space: UserSpace, request: contact_pb2.UnblockUserRequest
) -> contact_pb2.UnblockUserResponse | Failed:
    """Ends a block, if there is one."""
    found = find_user(space.state, request.user_id)
    if found is None:
        return Failed(FailureReason.USER_NOT_FOUND, name=request.user_id)
    user, user_row = found
    row_key = keys.blocked_key(request.user_id, request.blocked_id)
    previous = space.get(row_key)
    if previous is None:
        return contact_pb2.UnblockUserResponse(unblocked=False)
    user.blocked -= 1
    space.put(keys.user_key(request.user_id), user.SerializeToString(deterministic=True), user_row)
    space.delete(row_key, previous)
    return contact_pb2.UnblockUserResponse(unblocked=True)
