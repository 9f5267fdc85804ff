"""GroupService: what it accepts, what it answers, and its pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from kvraft.v1 import command_pb2, group_pb2, session_pb2
from tests.unit.rpc.conftest import Failed, Service

INVALID = grpc.StatusCode.INVALID_ARGUMENT
MEMBER, ADMIN, OWNER = (
    group_pb2.GROUP_ROLE_MEMBER,
    group_pb2.GROUP_ROLE_ADMIN,
    group_pb2.GROUP_ROLE_OWNER,
)


@pytest.fixture
def users(service: Service) -> Service:
    """The service, and ada, bob, cyd and dan: revision 4."""
    for user_id in ("ada", "bob", "cyd", "dan"):
        request = session_pb2.RegisterDeviceRequest(user_id=user_id, device_id="phone")
        command = command_pb2.Command(user_data={"register_device": request})
        service.runner.run(service.node.write(command.SerializeToString(), grows_state=True))
    return service


def create(service: Service, group_id: str, owner_id: str = "ada", *member_ids: str) -> Any:
    request = group_pb2.CreateGroupRequest(
        group={"group_id": group_id, "title": "Title"}, owner_id=owner_id, member_ids=member_ids
    )
    return service.call(service.group.CreateGroup, request)


def test_a_group_from_its_creation_to_its_end(users: Service) -> None:
    stub = users.group
    created = create(users, "g", "ada", "bob")
    assert (created.header.revision, created.group.etag, created.group.member_count) == (5, "5", 2)
    updated = users.call(
        stub.UpdateGroup,
        group_pb2.UpdateGroupRequest(group={"group_id": "g", "title": "New"}, etag="5", actor_id="ada"),
    )
    assert (updated.group.title, updated.group.etag) == ("New", "6")
    added = users.call(stub.AddGroupMembers, group_pb2.AddGroupMembersRequest(group_id="g", user_ids=["cyd"]))
    assert (added.header.revision, added.added, added.group.member_count) == (7, 1, 3)
    role = group_pb2.SetGroupMemberRoleRequest(group_id="g", user_id="bob", role=ADMIN, actor_id="ada")
    assert users.call(stub.SetGroupMemberRole, role).header.revision == 8
    removed = users.call(
        stub.RemoveGroupMembers, group_pb2.RemoveGroupMembersRequest(group_id="g", user_ids=["cyd"])
    )
    assert (removed.header.revision, removed.removed) == (9, 1)

    read = users.call(stub.GetGroup, group_pb2.GetGroupRequest(group_id="g"))
    assert (read.header.revision, read.group.title, read.group.member_count) == (9, "New", 2)
    members = users.call(stub.ListGroupMembers, group_pb2.ListGroupMembersRequest(group_id="g"))
    assert list(members.members) == [
        group_pb2.GroupMember(user_id="ada", role=OWNER, join_revision=5),
        group_pb2.GroupMember(user_id="bob", role=ADMIN, join_revision=5),
    ]
    assert users.call(stub.DeleteGroup, group_pb2.DeleteGroupRequest(group_id="g")).deleted
    assert not users.call(stub.DeleteGroup, group_pb2.DeleteGroupRequest(group_id="g")).deleted
    # Whoever leaves, and what ends, needs no space.
    assert [grows for _, grows in users.node.log[4:]] == [True] * 4 + [False] * 3


def test_failures_have_their_codes(users: Service) -> None:
    stub = users.group
    create(users, "g", "ada", "bob")
    cases: list[tuple[Callable[[Any], Any], Any, grpc.StatusCode, str]] = [
        (
            stub.CreateGroup,
            group_pb2.CreateGroupRequest(group={"group_id": "g"}, owner_id="ada"),
            grpc.StatusCode.ALREADY_EXISTS,
            "GROUP_EXISTS",
        ),
        (
            stub.GetGroup,
            group_pb2.GetGroupRequest(group_id="h"),
            grpc.StatusCode.NOT_FOUND,
            "GROUP_NOT_FOUND",
        ),
        (
            stub.ListGroupMembers,
            group_pb2.ListGroupMembersRequest(group_id="h"),
            grpc.StatusCode.NOT_FOUND,
            "GROUP_NOT_FOUND",
        ),
        (
            stub.ListUserGroups,
            group_pb2.ListUserGroupsRequest(user_id="eve"),
            grpc.StatusCode.NOT_FOUND,
            "USER_NOT_FOUND",
        ),
        (
            stub.AddGroupMembers,
            group_pb2.AddGroupMembersRequest(group_id="g", user_ids=["cyd"], actor_id="bob"),
            grpc.StatusCode.PERMISSION_DENIED,
            "NOT_ADMIN",
        ),
        (
            stub.DeleteGroup,
            group_pb2.DeleteGroupRequest(group_id="g", actor_id="cyd"),
            grpc.StatusCode.PERMISSION_DENIED,
            "NOT_MEMBER",
        ),
        (
            stub.DeleteGroup,
            group_pb2.DeleteGroupRequest(group_id="g", etag="1"),
            grpc.StatusCode.ABORTED,
            "ETAG_MISMATCH",
        ),
        (
            stub.RemoveGroupMembers,
            group_pb2.RemoveGroupMembersRequest(group_id="g", user_ids=["ada"]),
            grpc.StatusCode.FAILED_PRECONDITION,
            "LAST_OWNER",
        ),
        (
            stub.SetGroupMemberRole,
            group_pb2.SetGroupMemberRoleRequest(group_id="g", user_id="cyd", role=ADMIN),
            grpc.StatusCode.NOT_FOUND,
            "MEMBER_NOT_FOUND",
        ),
    ]
    for method, request, code, reason in cases:
        with pytest.raises(Failed) as failed:
            users.call(method, request)
        assert (failed.value.code, failed.value.reason, failed.value.applied) == (code, reason, "no")


def test_a_request_that_breaks_a_rule_names_its_field(users: Service) -> None:
    stub = users.group
    writes = len(users.node.log)
    many = [f"{number}" for number in range(1_001)]

    def creation(**fields: Any) -> group_pb2.CreateGroupRequest:
        return group_pb2.CreateGroupRequest(**{"group": {"group_id": "g"}, "owner_id": "ada", **fields})

    def update(**fields: Any) -> group_pb2.UpdateGroupRequest:
        return group_pb2.UpdateGroupRequest(**{"group": {"group_id": "g"}, **fields})

    cases: list[tuple[Callable[[Any], Any], Any, str]] = [
        (stub.CreateGroup, creation(group={}), "group.group_id"),
        (stub.CreateGroup, creation(group={"group_id": "x" * 65}), "group.group_id"),
        (stub.CreateGroup, creation(group={"group_id": "g", "title": "x" * 257}), "group.title"),
        (stub.CreateGroup, creation(group={"group_id": "g", "data": b"x" * 4_097}), "group.data"),
        (stub.CreateGroup, creation(owner_id=""), "owner_id"),
        (stub.CreateGroup, creation(member_ids=["bob", "ada"]), "member_ids"),
        (stub.CreateGroup, creation(member_ids=["bob", "bob"]), "member_ids"),
        (stub.CreateGroup, creation(member_ids=["bob", ""]), "member_ids[1]"),
        (stub.CreateGroup, creation(member_ids=many[:1_000]), "member_ids"),
        (stub.UpdateGroup, update(update_mask={"paths": ["title", "member_count"]}), "update_mask"),
        (stub.UpdateGroup, update(etag="x" * 21), "etag"),
        (stub.UpdateGroup, update(actor_id="x" * 65), "actor_id"),
        (stub.DeleteGroup, group_pb2.DeleteGroupRequest(), "group_id"),
        (stub.AddGroupMembers, group_pb2.AddGroupMembersRequest(group_id="g"), "user_ids"),
        (stub.AddGroupMembers, group_pb2.AddGroupMembersRequest(group_id="g", user_ids=many), "user_ids"),
        (
            stub.RemoveGroupMembers,
            group_pb2.RemoveGroupMembersRequest(group_id="g", user_ids=["a", "a"]),
            "user_ids",
        ),
        (
            stub.SetGroupMemberRole,
            group_pb2.SetGroupMemberRoleRequest(group_id="g", user_id="ada", role=4),  # type: ignore[arg-type]
            "role",
        ),
        (stub.GetGroup, group_pb2.GetGroupRequest(), "group_id"),
        (
            stub.ListGroupMembers,
            group_pb2.ListGroupMembersRequest(group_id="g", page_size=1_001),
            "page_size",
        ),
        (stub.ListUserGroups, group_pb2.ListUserGroupsRequest(), "user_id"),
    ]
    for method, request, field in cases:
        with pytest.raises(Failed) as failed:
            users.call(method, request)
        assert (failed.value.code, failed.value.field) == (INVALID, field)
    assert len(users.node.log) == writes


def test_members_are_listed_in_pages(users: Service) -> None:
    create(users, "g", "bob", "ada", "dan", "cyd")
    request = group_pb2.ListGroupMembersRequest(group_id="g", page_size=3)

    first = users.call(users.group.ListGroupMembers, request)
    request.page_token = first.next_page_token
    users.call(
        users.group.RemoveGroupMembers,
        group_pb2.RemoveGroupMembersRequest(group_id="g", user_ids=["cyd"]),
    )
    second = users.call(users.group.ListGroupMembers, request)

    assert [each.user_id for each in first.members] == ["ada", "bob", "cyd"]
    assert [each.user_id for each in second.members] == ["dan"]
    assert second.next_page_token == ""
    assert users.node.waits == ["fresh", "at least 5"]
    request.group_id = "h"
    with pytest.raises(Failed) as failed:
        users.call(users.group.ListGroupMembers, request)
    assert (failed.value.code, failed.value.field) == (INVALID, "page_token")


def test_the_groups_of_a_user_are_listed_in_pages(users: Service) -> None:
    create(users, "b", "ada")
    create(users, "a", "bob", "ada")
    create(users, "c", "ada")
    create(users, "d", "bob")
    request = group_pb2.ListUserGroupsRequest(user_id="ada", page_size=2)

    first = users.call(users.group.ListUserGroups, request)
    request.page_token = first.next_page_token
    second = users.call(users.group.ListUserGroups, request)

    assert list(first.groups) == [
        group_pb2.ListUserGroupsResponse.UserGroup(group_id="a", role=MEMBER, join_revision=6),
        group_pb2.ListUserGroupsResponse.UserGroup(group_id="b", role=OWNER, join_revision=5),
    ]
    assert list(second.groups) == [
        group_pb2.ListUserGroupsResponse.UserGroup(group_id="c", role=OWNER, join_revision=7)
    ]
    assert second.next_page_token == ""
