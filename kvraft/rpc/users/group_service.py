"""GroupService: groups and their members, through any node."""

# ruff: noqa: N802 - gRPC names the methods

from __future__ import annotations

import grpc
from google.protobuf.message import Message

from kvraft.machine.results import Failed, FailureReason
from kvraft.machine.users import groups
from kvraft.machine.users.rows import find_user
from kvraft.node.refusals import request_error
from kvraft.rpc.status import answering_errors
from kvraft.rpc.users import page_tokens
from kvraft.rpc.users.checks import check_group_id, check_page_size, check_user_id
from kvraft.rpc.users.pages import last_id, take
from kvraft.rpc.users.user_service import UserService
from kvraft.storage.interfaces import StateStore
from kvraft.v1 import group_pb2, group_pb2_grpc

Context = grpc.aio.ServicerContext[Message, Message]
UserGroup = group_pb2.ListUserGroupsResponse.UserGroup


class GroupServicer(UserService, group_pb2_grpc.GroupServiceServicer):
    """Serves groups of one node."""

    # --- writes -------------------------------------------------------------------------------

    @answering_errors
    async def CreateGroup(
        self, request: group_pb2.CreateGroupRequest, _context: Context
    ) -> group_pb2.CreateGroupResponse:
        response: group_pb2.CreateGroupResponse = await self._write("create_group", request)
        return response

    @answering_errors
    async def UpdateGroup(
        self, request: group_pb2.UpdateGroupRequest, _context: Context
    ) -> group_pb2.UpdateGroupResponse:
        response: group_pb2.UpdateGroupResponse = await self._write("update_group", request)
        return response

    @answering_errors
    async def DeleteGroup(
        self, request: group_pb2.DeleteGroupRequest, _context: Context
    ) -> group_pb2.DeleteGroupResponse:
        response: group_pb2.DeleteGroupResponse = await self._write("delete_group", request)
        return response

    @answering_errors
    async def AddGroupMembers(
        self, request: group_pb2.AddGroupMembersRequest, _context: Context
    ) -> group_pb2.AddGroupMembersResponse:
        response: group_pb2.AddGroupMembersResponse = await self._write("add_group_members", request)
        return response

    @answering_errors
    async def RemoveGroupMembers(
        self, request: group_pb2.RemoveGroupMembersRequest, _context: Context
    ) -> group_pb2.RemoveGroupMembersResponse:
        response: group_pb2.RemoveGroupMembersResponse = await self._write("remove_group_members", request)
        return response

    @answering_errors
    async def SetGroupMemberRole(
        self, request: group_pb2.SetGroupMemberRoleRequest, _context: Context
    ) -> group_pb2.SetGroupMemberRoleResponse:
        response: group_pb2.SetGroupMemberRoleResponse = await self._write("set_group_member_role", request)
        return response

    # --- reads --------------------------------------------------------------------------------

    @answering_errors
    async def GetGroup(
        self, request: group_pb2.GetGroupRequest, _context: Context
    ) -> group_pb2.GetGroupResponse:
        check_group_id("group_id", request.group_id)
        state = await self._fresh(request.consistency, request.min_revision)
        return group_pb2.GetGroupResponse(header=self._header(), group=_group(state, request.group_id))

    @answering_errors
    async def ListGroupMembers(
        self, request: group_pb2.ListGroupMembersRequest, _context: Context
    ) -> group_pb2.ListGroupMembersResponse:
        check_group_id("group_id", request.group_id)
        page_size = check_page_size(request.page_size)
        query = f"ListGroupMembers\0{request.group_id}".encode()
        page = page_tokens.decode(query, request.page_token)
        after = last_id(page.after)
        state = await self._fresh(request.consistency, request.min_revision, page.revision)
        _group(state, request.group_id)
        members, more = take(
            groups.members(state, request.group_id, after), page_size, group_pb2.GroupMember.ByteSize
        )
        response = group_pb2.ListGroupMembersResponse(header=self._header(), members=members)
        if more:
            response.next_page_token = page_tokens.encode(
                query, response.header.revision, members[-1].user_id.encode()
            )
        return response

    @answering_errors
    async def ListUserGroups(
        self, request: group_pb2.ListUserGroupsRequest, _context: Context
    ) -> group_pb2.ListUserGroupsResponse:
        check_user_id("user_id", request.user_id)
        page_size = check_page_size(request.page_size)
        query = f"ListUserGroups\0{request.user_id}".encode()
        page = page_tokens.decode(query, request.page_token)
        after = last_id(page.after)
        state = await self._fresh(request.consistency, request.min_revision, page.revision)
        if find_user(state, request.user_id) is None:
            raise request_error(Failed(FailureReason.USER_NOT_FOUND))
        found, more = take(
            (
                _of_user(state, group_id, request.user_id)
                for group_id in groups.of_user(state, request.user_id, after)
            ),
            page_size,
            UserGroup.ByteSize,
        )
        response = group_pb2.ListUserGroupsResponse(header=self._header(), groups=found)
        if more:
            response.next_page_token = page_tokens.encode(
                query, response.header.revision, found[-1].group_id.encode()
            )
        return response


def _group(state: StateStore, group_id: str) -> group_pb2.Group:
    group = groups.find(state, group_id)
    if group is None:
        raise request_error(Failed(FailureReason.GROUP_NOT_FOUND))
    return group


def _of_user(state: StateStore, group_id: str, user_id: str) -> group_pb2.ListUserGroupsResponse.UserGroup:
    member = groups.member(state, group_id, user_id)
    assert member is not None, f"user {user_id!r} is in group {group_id!r}, which has no such member"
    return UserGroup(group_id=group_id, role=member.role, join_revision=member.join_revision)
