"""Groups and their members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from kvraft.client.arguments import checked
from kvraft.client.failover import Failover
from kvraft.client.keep import KEEP, Keep
from kvraft.client.listing import PAGE_SIZE, Listing
from kvraft.client.method import Method
from kvraft.client.pipeline import Pipeline
from kvraft.client.reading import LINEARIZABLE, Consistency, consistency_fields
from kvraft.client.results import Header
from kvraft.client.user_data import write
from kvraft.v1 import group_pb2

_GET = Method("/kvraft.v1.GroupService/GetGroup", group_pb2.GetGroupResponse.FromString)
_LIST_MEMBERS = Method(
    "/kvraft.v1.GroupService/ListGroupMembers", group_pb2.ListGroupMembersResponse.FromString
)
_LIST_OF_USER = Method("/kvraft.v1.GroupService/ListUserGroups", group_pb2.ListUserGroupsResponse.FromString)


class GroupRole(StrEnum):
    """What a member may do; each what those before it may."""

    MEMBER = "member"
    """Send and receive."""
    ADMIN = "admin"
    """And change the group and its members."""
    OWNER = "owner"
    """And delete the group and set roles."""


_ROLES = {
    GroupRole.MEMBER: group_pb2.GROUP_ROLE_MEMBER,
    GroupRole.ADMIN: group_pb2.GROUP_ROLE_ADMIN,
    GroupRole.OWNER: group_pb2.GROUP_ROLE_OWNER,
}
_ROLE_OF = {number: role for role, number in _ROLES.items()}


@dataclass(frozen=True, slots=True)
class Group:
    group_id: str
    title: str
    """What people call it."""
    data: bytes
    """Opaque, for the application."""
    member_count: int
    create_time: datetime
    """By the cluster's clock."""
    etag: str
    """Names this state of the group, its members included."""
    mod_revision: int
    """The revision that last changed it or its members."""

    @classmethod
    def of(cls, message: group_pb2.Group) -> Group:
        return cls(
            message.group_id,
            message.title,
            message.data,
            message.member_count,
            message.create_time.ToDatetime(UTC),
            message.etag,
            message.mod_revision,
        )


@dataclass(frozen=True, slots=True)
class GroupMember:
    user_id: str
    role: GroupRole
    join_revision: int
    """They get what is sent after it."""

    @classmethod
    def of(cls, message: group_pb2.GroupMember) -> GroupMember:
        return cls(message.user_id, _ROLE_OF[message.role], message.join_revision)


@dataclass(frozen=True, slots=True)
class UserGroup:
    """A group, as one of its members sees it."""

    group_id: str
    role: GroupRole
    join_revision: int
    """The user gets what is sent after it."""

    @classmethod
    def of(cls, message: group_pb2.ListUserGroupsResponse.UserGroup) -> UserGroup:
        return cls(message.group_id, _ROLE_OF[message.role], message.join_revision)


@dataclass(frozen=True, slots=True)
class GroupResult:
    """Of `create`, `get` and `update`."""

    header: Header
    group: Group
    """As it is now."""


@dataclass(frozen=True, slots=True)
class DeleteGroupResult:
    header: Header
    deleted: bool
    """Whether it existed."""


@dataclass(frozen=True, slots=True)
class AddMembersResult:
    header: Header
    added: int
    """How many were not members before."""
    group: Group
    """As it is now."""


@dataclass(frozen=True, slots=True)
class RemoveMembersResult:
    header: Header
    removed: int
    """How many were members."""


@dataclass(frozen=True, slots=True)
class SetRoleResult:
    header: Header


@dataclass(frozen=True, slots=True)
class MemberPage:
    header: Header
    members: tuple[GroupMember, ...]
    """By user id."""
    next_page_token: str
    """Token of the next page; empty on the last one."""


@dataclass(frozen=True, slots=True)
class UserGroupPage:
    header: Header
    groups: tuple[UserGroup, ...]
    """By id."""
    next_page_token: str
    """Token of the next page; empty on the last one."""


@checked
class Groups:
    """`client.groups`. Every method raises KvraftError; NotFound where there is no such group, and
    PermissionDenied (NOT_ADMIN, NOT_MEMBER) where the `actor_id` may not do it. Without one it is the
    application that asks, which may do everything."""

    __slots__ = ("_failover", "_pipeline")

    def __init__(self, failover: Failover, pipeline: Pipeline) -> None:
        self._failover = failover
        self._pipeline = pipeline

    async def create(
        self,
        group_id: str,
        owner_id: str,
        *,
        member_ids: Sequence[str] = (),
        title: str = "",
        data: bytes = b"",
    ) -> GroupResult:
        """Creates a group (1 to 64 bytes) with its owner and at most 999 further members, all of them users
        with devices. Raises AlreadyExists, NotFound (USER_NOT_FOUND), and ResourceExhausted if a user would
        be in more than 1,000 groups."""
        request = group_pb2.CreateGroupRequest(
            group={"group_id": group_id, "title": title, "data": data},
            owner_id=owner_id,
            member_ids=member_ids,
        )
        header, response = await write(self._pipeline, "create_group", request)
        return GroupResult(header, Group.of(response.group))

    async def get(self, group_id: str, *, consistency: Consistency = LINEARIZABLE) -> GroupResult:
        """Reads a group, without its members."""
        level, min_revision = consistency_fields(consistency)
        request = group_pb2.GetGroupRequest(group_id=group_id, consistency=level, min_revision=min_revision)
        response = await self._failover.call(_GET, request)
        return GroupResult(Header.of(response.header), Group.of(response.group))

    async def update(
        self,
        group_id: str,
        *,
        title: str | Keep = KEEP,
        data: bytes | Keep = KEEP,
        etag: str = "",
        actor_id: str = "",
    ) -> GroupResult:
        """Changes the title (at most 256 bytes), the data (at most 4,096 bytes) or both; what is not given
        stays. An admin's right. Raises Aborted if the group's etag is another than the one given, and
        ValueError."""
        request = group_pb2.UpdateGroupRequest(group={"group_id": group_id}, etag=etag, actor_id=actor_id)
        if title is not KEEP:
            request.group.title = title
            request.update_mask.paths.append("title")
        if data is not KEEP:
            request.group.data = data
            request.update_mask.paths.append("data")
        if not request.update_mask.paths:
            raise ValueError(f"nothing is to be set of group {group_id!r}")
        header, response = await write(self._pipeline, "update_group", request)
        return GroupResult(header, Group.of(response.group))

    async def delete(self, group_id: str, *, etag: str = "", actor_id: str = "") -> DeleteGroupResult:
        """Deletes a group, if it exists; what is queued for its members stays. An owner's right. Raises
        Aborted if the group's etag is another than the one given."""
        request = group_pb2.DeleteGroupRequest(group_id=group_id, etag=etag, actor_id=actor_id)
        header, response = await write(self._pipeline, "delete_group", request)
        return DeleteGroupResult(header, response.deleted)

    async def add(self, group_id: str, user_ids: Sequence[str], *, actor_id: str = "") -> AddMembersResult:
        """Adds 1 to 1,000 different users, all or none; who is a member already keeps their role. An admin's
        right. Raises NotFound (USER_NOT_FOUND), ResourceExhausted (GROUP_FULL: more than 1,000 members;
        TOO_MANY_GROUPS)."""
        request = group_pb2.AddGroupMembersRequest(group_id=group_id, user_ids=user_ids, actor_id=actor_id)
        header, response = await write(self._pipeline, "add_group_members", request)
        return AddMembersResult(header, response.added, Group.of(response.group))

    async def remove(
        self, group_id: str, user_ids: Sequence[str], *, actor_id: str = ""
    ) -> RemoveMembersResult:
        """Removes 1 to 1,000 different users, all or none; who is no member is passed over. An admin's right
        over members, an owner's over admins and owners, and everybody's over themselves. A group without
        members is deleted. Raises FailedPrecondition (LAST_OWNER) if others would be left without an
        owner."""
        request = group_pb2.RemoveGroupMembersRequest(group_id=group_id, user_ids=user_ids, actor_id=actor_id)
        header, response = await write(self._pipeline, "remove_group_members", request)
        return RemoveMembersResult(header, response.removed)

    async def set_role(
        self, group_id: str, user_id: str, role: GroupRole, *, actor_id: str = ""
    ) -> SetRoleResult:
        """Gives a member another role. An owner's right. Raises NotFound (MEMBER_NOT_FOUND), and
        FailedPrecondition (LAST_OWNER) if there would be no owner."""
        request = group_pb2.SetGroupMemberRoleRequest(
            group_id=group_id, user_id=user_id, role=_ROLES[role], actor_id=actor_id
        )
        header, _ = await write(self._pipeline, "set_group_member_role", request)
        return SetRoleResult(header)

    async def members(
        self,
        group_id: str,
        *,
        page_size: int = 50,
        page_token: str = "",
        consistency: Consistency = LINEARIZABLE,
    ) -> MemberPage:
        """Reads one page of members by user id: at most `page_size` (1 to 1,000). For the next one give its
        `next_page_token`."""
        level, min_revision = consistency_fields(consistency)
        request = group_pb2.ListGroupMembersRequest(
            group_id=group_id,
            page_size=page_size,
            page_token=page_token,
            consistency=level,
            min_revision=min_revision,
        )
        response = await self._failover.call(_LIST_MEMBERS, request)
        return MemberPage(
            Header.of(response.header), tuple(map(GroupMember.of, response.members)), response.next_page_token
        )

    def all_members(self, group_id: str, *, consistency: Consistency = LINEARIZABLE) -> Listing[GroupMember]:
        """All members of a group by user id: `async for member in client.groups.all_members("family")`."""

        async def read(token: str) -> tuple[tuple[GroupMember, ...], str]:
            page = await self.members(
                group_id, page_size=PAGE_SIZE, page_token=token, consistency=consistency
            )
            return page.members, page.next_page_token

        return Listing(read)

    async def of_user(
        self,
        user_id: str,
        *,
        page_size: int = 50,
        page_token: str = "",
        consistency: Consistency = LINEARIZABLE,
    ) -> UserGroupPage:
        """Reads one page of the groups of a user by id, as `members` does. Raises NotFound
        (USER_NOT_FOUND)."""
        level, min_revision = consistency_fields(consistency)
        request = group_pb2.ListUserGroupsRequest(
            user_id=user_id,
            page_size=page_size,
            page_token=page_token,
            consistency=level,
            min_revision=min_revision,
        )
        response = await self._failover.call(_LIST_OF_USER, request)
        return UserGroupPage(
            Header.of(response.header), tuple(map(UserGroup.of, response.groups)), response.next_page_token
        )

    def all_of_user(self, user_id: str, *, consistency: Consistency = LINEARIZABLE) -> Listing[UserGroup]:
        """All groups of a user by id."""

        async def read(token: str) -> tuple[tuple[UserGroup, ...], str]:
            page = await self.of_user(user_id, page_size=PAGE_SIZE, page_token=token, consistency=consistency)
            return page.groups, page.next_page_token

        return Listing(read)
