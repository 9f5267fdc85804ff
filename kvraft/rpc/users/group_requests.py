"""Requests of GroupService against the rules of `group.proto`. Each check raises RequestError."""

from __future__ import annotations

from collections.abc import Sequence

from kvraft.machine.users import groups
from kvraft.rpc.kv_requests import invalid
from kvraft.rpc.users.checks import check_bytes, check_group_id, check_new_id, check_user_id
from kvraft.rpc.users.edit_checks import check_different, check_etag, check_mask
from kvraft.v1 import group_pb2

TITLE_BYTES_MAX = 256
DATA_BYTES_MAX = 4_096


def check_create_group(request: group_pb2.CreateGroupRequest) -> None:
    """CreateGroup."""
    _check_group(request.group)
    check_new_id("group.group_id", request.group.group_id)
    check_user_id("owner_id", request.owner_id)
    _check_user_ids("member_ids", request.member_ids, 0, groups.MEMBERS_MAX - 1)
    if request.owner_id in request.member_ids:
        raise invalid("member_ids", "holds the owner, who is a member anyway")


def check_update_group(request: group_pb2.UpdateGroupRequest) -> None:
    """UpdateGroup."""
    _check_group(request.group)
    check_mask("update_mask", request.update_mask, groups.FIELDS)
    check_etag("etag", request.etag)
    _check_actor(request.actor_id)


def check_delete_group(request: group_pb2.DeleteGroupRequest) -> None:
    """DeleteGroup."""
    check_group_id("group_id", request.group_id)
    check_etag("etag", request.etag)
    _check_actor(request.actor_id)


def check_change_members(
    request: group_pb2.AddGroupMembersRequest | group_pb2.RemoveGroupMembersRequest,
) -> None:
    """AddGroupMembers and RemoveGroupMembers."""
    check_group_id("group_id", request.group_id)
    _check_user_ids("user_ids", request.user_ids, 1, groups.MEMBERS_MAX)
    _check_actor(request.actor_id)


def check_set_group_member_role(request: group_pb2.SetGroupMemberRoleRequest) -> None:
    """SetGroupMemberRole."""
    check_group_id("group_id", request.group_id)
    check_user_id("user_id", request.user_id)
    if request.role not in group_pb2.GroupRole.values():
        raise invalid("role", f"is {request.role}, which this node does not know")
    _check_actor(request.actor_id)


def _check_group(group: group_pb2.Group) -> None:
    check_group_id("group.group_id", group.group_id)
    check_bytes("group.title", group.title, TITLE_BYTES_MAX)
    check_bytes("group.data", group.data, DATA_BYTES_MAX)


def _check_actor(actor_id: str) -> None:
    if actor_id:
        check_user_id("actor_id", actor_id)


def _check_user_ids(field: str, user_ids: Sequence[str], at_least: int, at_most: int) -> None:
    count = len(user_ids)
    if not at_least <= count <= at_most:
        raise invalid(field, f"holds {count:,} users; {at_least} to {at_most:,} are allowed")
    for position, user_id in enumerate(user_ids):
        check_user_id(f"{field}[{position}]", user_id)
    check_different(field, user_ids)
