"""Groups and their members: who is in a group, what they may do there, and what became of them.

A membership is in two places: `GroupMember` under the group, with role and revision, and an empty row under
the user, which finds it. What may be done is decided here and not where a request comes in, because roles
change under way: the rights of an `actor_id` are those it has at the command's own place in the log. An empty
one is the application itself. A group always has an owner, and none without members exists.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set

from kvraft.machine.results import Failed, FailureReason
from kvraft.machine.users import keys
from kvraft.machine.users.rows import find_user
from kvraft.machine.users.space import UserSpace
from kvraft.storage.interfaces import StateReader
from kvraft.v1 import group_pb2, user_data_pb2

MEMBERS_MAX = 1_000
"""Of one group."""
GROUPS_MAX = 1_000
"""Of one user."""
FIELDS = ("title", "data")
"""What an update may set."""

_MEMBER, _ADMIN, _OWNER = (
    group_pb2.GROUP_ROLE_MEMBER,
    group_pb2.GROUP_ROLE_ADMIN,
    group_pb2.GROUP_ROLE_OWNER,
)
"""Each may do what those before it may."""
_IN_GROUP = b""
"""The row of a user that finds a membership."""


# --- reads ----------------------------------------------------------------------------------------


def find(state: StateReader, group_id: str) -> group_pb2.Group | None:
    """A group, if it exists."""
    row = state.get(keys.group_key(group_id))
    return None if row is None else group_pb2.Group.FromString(row)


def member(state: StateReader, group_id: str, user_id: str) -> group_pb2.GroupMember | None:
    """A member of a group, if the user is one."""
    row = state.get(keys.member_key(group_id, user_id))
    return None if row is None else group_pb2.GroupMember.FromString(row)


def members(state: StateReader, group_id: str, after: str = "") -> Iterator[group_pb2.GroupMember]:
    """The members of a group by id, from the first id after `after` on."""
    for _, row in state.scan(*keys.member_range(group_id, after)):
        yield group_pb2.GroupMember.FromString(row)


def member_ids(state: StateReader, group_id: str) -> list[str]:
    """The ids of all members of a group, in order; none: there is no such group."""
    start, end = keys.member_range(group_id)
    return [keys.last_part(row_key, start) for row_key, _ in state.scan(start, end)]


def of_user(state: StateReader, user_id: str, after: str = "") -> Iterator[str]:
    """The ids of the groups of a user, in order, from the first id after `after` on."""
    start, end = prefix, _ = keys.of_user_range(user_id, b"g")
    if after:
        start = keys.user_group_key(user_id, after) + b"\x00"
    for row_key, _ in state.scan(start, end):
        yield keys.last_part(row_key, prefix)


# --- groups ---------------------------------------------------------------------------------------


def create(space: UserSpace, request: group_pb2.CreateGroupRequest) -> group_pb2.CreateGroupResponse | Failed:
    """Creates a group with its first members."""
    group_id = request.group.group_id
    if find(space.state, group_id) is not None:
        return Failed(FailureReason.GROUP_EXISTS)
    users = _users_joining(space, (request.owner_id, *request.member_ids))
    if isinstance(users, Failed):
        return users
    group = group_pb2.Group(
        group_id=group_id, title=request.group.title, data=request.group.data, member_count=len(users)
    )
    group.create_time.FromMilliseconds(space.clock_ms)
    for user_id, user in users.items():
        _join(space, group_id, user_id, user, _OWNER if user_id == request.owner_id else _MEMBER)
    _put(space, group)
    return group_pb2.CreateGroupResponse(group=group)


def update(space: UserSpace, request: group_pb2.UpdateGroupRequest) -> group_pb2.UpdateGroupResponse | Failed:
    """Changes what a group is called or carries."""
    group = _permitted(space, request.group.group_id, request.actor_id, _ADMIN)
    if isinstance(group, Failed):
        return group
    if request.etag and request.etag != group.etag:
        return Failed(FailureReason.ETAG_MISMATCH)
    for path in request.update_mask.paths or FIELDS:
        setattr(group, path, getattr(request.group, path))
    _put(space, group)
    return group_pb2.UpdateGroupResponse(group=group)


def delete(space: UserSpace, request: group_pb2.DeleteGroupRequest) -> group_pb2.DeleteGroupResponse | Failed:
    """Deletes a group, if it exists, with everybody's membership."""
    if find(space.state, request.group_id) is None:
        return group_pb2.DeleteGroupResponse(deleted=False)
    group = _permitted(space, request.group_id, request.actor_id, _OWNER)
    if isinstance(group, Failed):
        return group
    if request.etag and request.etag != group.etag:
        return Failed(FailureReason.ETAG_MISMATCH)
    for user_id in member_ids(space.state, request.group_id):
        _leave(space, request.group_id, user_id)
    _delete(space, request.group_id)
    return group_pb2.DeleteGroupResponse(deleted=True)


# --- members --------------------------------------------------------------------------------------


def add_members(
    space: UserSpace, request: group_pb2.AddGroupMembersRequest
) -> group_pb2.AddGroupMembersResponse | Failed:
    """Adds those who are no members yet, all of them or none."""
    group = _permitted(space, request.group_id, request.actor_id, _ADMIN)
    if isinstance(group, Failed):
        return group
    new = [each for each in request.user_ids if member(space.state, request.group_id, each) is None]
    if group.member_count + len(new) > MEMBERS_MAX:
        return Failed(FailureReason.GROUP_FULL)
    users = _users_joining(space, new)
    if isinstance(users, Failed):
        return users
    if users:
        for user_id, user in users.items():
            _join(space, request.group_id, user_id, user, _MEMBER)
        group.member_count += len(users)
        _put(space, group)
    return group_pb2.AddGroupMembersResponse(added=len(users), group=group)


def remove_members(
    space: UserSpace, request: group_pb2.RemoveGroupMembersRequest
) -> group_pb2.RemoveGroupMembersResponse | Failed:
    """Removes those who are members, all of them or none."""
    group_id = request.group_id
    leaving = [
        found for each in request.user_ids if (found := member(space.state, group_id, each)) is not None
    ]
    # Everybody may leave; and who is no member any more has left already.
    leaves = list(request.user_ids) == [request.actor_id]
    others = [each.role for each in leaving if each.user_id != request.actor_id]
    right = _ADMIN if max(others, default=_MEMBER) == _MEMBER else _OWNER
    group = _permitted(space, group_id, "" if leaves else request.actor_id, right)
    if isinstance(group, Failed):
        return group
    if not leaving:
        return group_pb2.RemoveGroupMembersResponse(removed=0)
    everybody = len(leaving) == group.member_count
    if not everybody and not _has_owner(space.state, group_id, without={each.user_id for each in leaving}):
        return Failed(FailureReason.LAST_OWNER)
    for each in leaving:
        _leave(space, group_id, each.user_id)
    if everybody:
        _delete(space, group_id)
    else:
        group.member_count -= len(leaving)
        _put(space, group)
    return group_pb2.RemoveGroupMembersResponse(removed=len(leaving))


def set_member_role(
    space: UserSpace, request: group_pb2.SetGroupMemberRoleRequest
) -> group_pb2.SetGroupMemberRoleResponse | Failed:
    """Gives a member another role."""
    group = _permitted(space, request.group_id, request.actor_id, _OWNER)
    if isinstance(group, Failed):
        return group
    changed = member(space.state, request.group_id, request.user_id)
    if changed is None:
        return Failed(FailureReason.MEMBER_NOT_FOUND, name=request.user_id)
    role = request.role or _MEMBER
    if changed.role != role:
        if changed.role == _OWNER and not _has_owner(
            space.state, request.group_id, without={request.user_id}
        ):
            return Failed(FailureReason.LAST_OWNER)
        _set_role(space, request.group_id, changed, role)
        _put(space, group)
    return group_pb2.SetGroupMemberRoleResponse()


def leave_all(space: UserSpace, user_id: str) -> None:
    """A user leaves every group, whose own rows of them are as if they had never been in one. A group that
    has no owner then gets one: who joined first of its admins, or of its members if it has none."""
    for group_id in list(of_user(space.state, user_id)):
        group = find(space.state, group_id)
        assert group is not None, f"user {user_id!r} is in group {group_id!r}, which does not exist"
        _leave(space, group_id, user_id)
        group.member_count -= 1
        space.looked_at += group.member_count
        if not group.member_count:
            _delete(space, group_id)
            continue
        if not _has_owner(space.state, group_id):
            successor = min(
                members(space.state, group_id),
                key=lambda each: (-each.role, each.join_revision, each.user_id),
            )
            _set_role(space, group_id, successor, _OWNER)
        _put(space, group)


# --- what may be done -----------------------------------------------------------------------------


def _permitted(
    space: UserSpace, group_id: str, actor_id: str, right: group_pb2.GroupRole
) -> group_pb2.Group | Failed:
    """The group, in which an actor may do what is the right of a role."""
    group = find(space.state, group_id)
    if group is None:
        return Failed(FailureReason.GROUP_NOT_FOUND, name=group_id)
    if actor_id:
        actor = member(space.state, group_id, actor_id)
        if actor is None:
            return Failed(FailureReason.NOT_MEMBER, name=actor_id)
        if actor.role < right:
            return Failed(FailureReason.NOT_ADMIN, name=actor_id)
    return group


def _has_owner(state: StateReader, group_id: str, without: Set[str] = frozenset()) -> bool:
    return any(each.role == _OWNER and each.user_id not in without for each in members(state, group_id))


def _users_joining(
    space: UserSpace, user_ids: Sequence[str]
) -> dict[str, tuple[user_data_pb2.UserRow, bytes]] | Failed:
    """The rows of users who are to join a group."""
    users = {}
    for user_id in user_ids:
        found = find_user(space.state, user_id)
        if found is None:
            return Failed(FailureReason.USER_NOT_FOUND, name=user_id)
        if found[0].groups >= GROUPS_MAX:
            return Failed(FailureReason.TOO_MANY_GROUPS, name=user_id)
        users[user_id] = found
    return users


# --- rows -----------------------------------------------------------------------------------------


def _put(space: UserSpace, group: group_pb2.Group) -> None:
    """Writes a group as this revision leaves it."""
    row_key = keys.group_key(group.group_id)
    group.mod_revision = space.revision
    group.etag = str(space.revision)
    space.put(row_key, group.SerializeToString(deterministic=True), space.get(row_key))


def _delete(space: UserSpace, group_id: str) -> None:
    """Deletes a group without members."""
    row_key = keys.group_key(group_id)
    row = space.get(row_key)
    assert row is not None, f"group {group_id!r} is not there"
    space.delete(row_key, row)


def _join(
    space: UserSpace,
    group_id: str,
    user_id: str,
    user: tuple[user_data_pb2.UserRow, bytes],
    role: group_pb2.GroupRole,
) -> None:
    row, previous = user
    row.groups += 1
    space.put(keys.user_key(user_id), row.SerializeToString(deterministic=True), previous)
    space.put(keys.user_group_key(user_id, group_id), _IN_GROUP, None)
    joined = group_pb2.GroupMember(user_id=user_id, role=role, join_revision=space.revision)
    space.put(keys.member_key(group_id, user_id), joined.SerializeToString(deterministic=True), None)


def _leave(space: UserSpace, group_id: str, user_id: str) -> None:
    found = find_user(space.state, user_id)
    row_key = keys.member_key(group_id, user_id)
    row = space.get(row_key)
    assert found is not None, f"user {user_id!r} is in group {group_id!r}, but not there"
    assert row is not None, f"user {user_id!r} is not in group {group_id!r}"
    user, previous = found
    user.groups -= 1
    space.put(keys.user_key(user_id), user.SerializeToString(deterministic=True), previous)
    space.delete(keys.user_group_key(user_id, group_id), _IN_GROUP)
    space.delete(row_key, row)


def _set_role(
    space: UserSpace, group_id: str, changed: group_pb2.GroupMember, role: group_pb2.GroupRole
) -> None:
    row_key = keys.member_key(group_id, changed.user_id)
    changed.role = role
    space.put(row_key, changed.SerializeToString(deterministic=True), space.get(row_key))
