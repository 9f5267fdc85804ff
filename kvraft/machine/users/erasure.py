"""The end of a user: one command, after which no row is the user's.

It costs every node the time to delete the rows, some microseconds each (docs/user-data.md): it is one
command, because a user who is half there could be written to, from another device or by those who send.

Others keep what is theirs: messages the user has sent that are queued for them, contacts and blocks that name
the user.
"""

from __future__ import annotations

from kvraft.machine.results import Failed, FailureReason
from kvraft.machine.users import audit, groups, keys, queues, sessions
from kvraft.machine.users.rows import find_user
from kvraft.machine.users.space import SessionEnd, UserSpace
from kvraft.v1 import admin_pb2, user_data_pb2


def erase_user(space: UserSpace, request: admin_pb2.EraseUserRequest) -> admin_pb2.EraseUserResponse:
    """Removes everything of a user."""
    user_id = request.user_id
    found = find_user(space.state, user_id)
    if found is None:
        return admin_pb2.EraseUserResponse(existed=False)
    start, end = keys.user_range(user_id)
    removed_rows = sum(1 for _ in space.state.scan(start, end))
    for device in found[0].devices:
        sessions.end(space, user_id, device.device_id, SessionEnd.REMOVED)
        queues.remove(space, user_id, device.device_id)
    groups.leave_all(space, user_id)
    for row_key, row in queues.rows_in_steps(space.state, start, end):
        space.delete(row_key, row)
    audit.record(space, admin_pb2.AuditEntry.ACTION_ERASE_USER, user_id, request.note)
    space.touched.erased = True
    return admin_pb2.EraseUserResponse(existed=True, erasure_id=space.revision, removed_rows=removed_rows)


def record_export(
    space: UserSpace, command: user_data_pb2.RecordExportCommand
) -> user_data_pb2.RecordExportResponse | Failed:
    """Remembers that a user is exported."""
    if find_user(space.state, command.user_id) is None:
        return Failed(FailureReason.USER_NOT_FOUND)
    audit.record(space, admin_pb2.AuditEntry.ACTION_EXPORT_USER, command.user_id, command.note)
    return user_data_pb2.RecordExportResponse()
