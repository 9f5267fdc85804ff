"""Groups: who may do what, that there is always an owner, and that both rows of a membership agree."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvraft.machine.results import FailureReason
from kvraft.machine.space import KvSpace
from kvraft.machine.users import groups, keys
from kvraft.machine.users.rows import find_user
from kvraft.machine.users.space import Touched, UserSpace
from kvraft.v1 import group_pb2, session_pb2
from tests.unit.machine.users.user_store import START_MS, UserStore

MEMBER, ADMIN, OWNER = (
    group_pb2.GROUP_ROLE_MEMBER,
    group_pb2.GROUP_ROLE_ADMIN,
    group_pb2.GROUP_ROLE_OWNER,
)
USERS = ("ada", "bob", "cyd", "dan")


class GroupStore(UserStore):
    """Of some users with a device each."""

    def __init__(self, *users: str) -> None:
        super().__init__()
        for user_id in users or USERS:
            self.do("register_device", session_pb2.RegisterDeviceRequest(user_id=user_id, device_id="phone"))

    def create(self, owner_id: str = "ada", *member_ids: str, group_id: str = "g") -> Any:
        return self.do("create_group", creation(owner_id, *member_ids, group_id=group_id))

    def add(self, *user_ids: str, actor_id: str = "", group_id: str = "g") -> Any:
        return self.do("add_group_members", addition(*user_ids, actor_id=actor_id, group_id=group_id))

    def remove(self, *user_ids: str, actor_id: str = "", group_id: str = "g") -> Any:
        return self.do("remove_group_members", removal(*user_ids, actor_id=actor_id, group_id=group_id))

    def set_role(self, user_id: str, role: Any, actor_id: str = "", group_id: str = "g") -> Any:
        return self.do("set_group_member_role", role_change(user_id, role, actor_id, group_id))

    def leave_all(self, user_id: str) -> None:
        """As the erasure of the user does."""
        space = KvSpace(self.state, self.machine.revision + 1)
        groups.leave_all(UserSpace(space, self.now_ms, Touched()), user_id)
        self.machine.revision += 1

    def roles(self, group_id: str = "g") -> dict[str, int]:
        return {each.user_id: each.role for each in groups.members(self.state, group_id)}

    def group(self, group_id: str = "g") -> group_pb2.Group:
        group = groups.find(self.state, group_id)
        assert group is not None
        return group


def creation(owner_id: str, *member_ids: str, group_id: str = "g") -> group_pb2.CreateGroupRequest:
    return group_pb2.CreateGroupRequest(
        group={"group_id": group_id, "title": "The group", "data": b"x"},
        owner_id=owner_id,
        member_ids=member_ids,
    )


def addition(*user_ids: str, actor_id: str = "", group_id: str = "g") -> group_pb2.AddGroupMembersRequest:
    return group_pb2.AddGroupMembersRequest(group_id=group_id, user_ids=user_ids, actor_id=actor_id)


def removal(*user_ids: str, actor_id: str = "", group_id: str = "g") -> group_pb2.RemoveGroupMembersRequest:
    return group_pb2.RemoveGroupMembersRequest(group_id=group_id, user_ids=user_ids, actor_id=actor_id)


def role_change(
    user_id: str, role: Any, actor_id: str = "", group_id: str = "g"
) -> group_pb2.SetGroupMemberRoleRequest:
    return group_pb2.SetGroupMemberRoleRequest(
        group_id=group_id, user_id=user_id, role=role, actor_id=actor_id
    )


@pytest.fixture
def store() -> GroupStore:
    return GroupStore()


# --- groups ---------------------------------------------------------------------------------------


def test_a_group_is_created_with_its_owner_and_its_members(store: GroupStore) -> None:
    group = store.create("bob", "cyd", "ada").group

    assert (group.group_id, group.title, group.data, group.member_count) == ("g", "The group", b"x", 3)
    assert (group.etag, group.mod_revision, group.create_time.ToMilliseconds()) == ("5", 5, START_MS)
    assert groups.find(store.state, "g") == group
    assert store.roles() == {"ada": MEMBER, "bob": OWNER, "cyd": MEMBER}
    assert groups.member_ids(store.state, "g") == ["ada", "bob", "cyd"]
    member = groups.member(store.state, "g", "cyd")
    assert member == group_pb2.GroupMember(user_id="cyd", role=MEMBER, join_revision=5)
    assert groups.member(store.state, "g", "dan") is None
    assert list(groups.of_user(store.state, "cyd")) == ["g"]


def test_an_id_in_use_and_users_who_do_not_exist_are_refused(store: GroupStore) -> None:
    store.create()

    assert store.refused("create_group", creation("bob")) == FailureReason.GROUP_EXISTS
    assert store.refused("create_group", creation("eve", group_id="h")) == FailureReason.USER_NOT_FOUND
    unknown = creation("ada", "eve", group_id="h")
    assert store.refused("create_group", unknown) == FailureReason.USER_NOT_FOUND


def test_what_a_group_is_called_may_be_changed_by_its_admins(store: GroupStore) -> None:
    store.create("ada", "bob", "cyd")
    store.set_role("bob", ADMIN)

    def change(actor_id: str, *paths: str, etag: str = "") -> group_pb2.UpdateGroupRequest:
        request = group_pb2.UpdateGroupRequest(
            group={"group_id": "g", "title": "new", "data": b"new"}, actor_id=actor_id, etag=etag
        )
        request.update_mask.paths.extend(paths)
        return request

    assert store.refused("update_group", change("cyd")) == FailureReason.NOT_ADMIN
    assert store.refused("update_group", change("dan")) == FailureReason.NOT_MEMBER
    assert store.refused("update_group", change("bob", etag="5")) == FailureReason.ETAG_MISMATCH
    group = store.do("update_group", change("bob", "title", etag="6")).group
    assert (group.title, group.data, group.etag, group.member_count) == ("new", b"x", "7", 3)
    group = store.do("update_group", change("")).group
    assert (group.title, group.data, group.mod_revision) == ("new", b"new", 8)
    assert store.group() == group


def test_a_group_is_deleted_by_its_owners_with_every_membership(store: GroupStore) -> None:
    before = store.rows()
    store.create("ada", "bob")
    store.set_role("bob", ADMIN)

    def deletion(actor_id: str, etag: str = "") -> group_pb2.DeleteGroupRequest:
        return group_pb2.DeleteGroupRequest(group_id="g", actor_id=actor_id, etag=etag)

    assert store.refused("delete_group", deletion("bob")) == FailureReason.NOT_ADMIN
    assert store.refused("delete_group", deletion("dan")) == FailureReason.NOT_MEMBER
    assert store.refused("delete_group", deletion("ada", "5")) == FailureReason.ETAG_MISMATCH
    assert store.do("delete_group", deletion("ada", "6")).deleted
    assert store.rows() == before
    revision = store.machine.revision
    assert not store.do("delete_group", deletion("ada")).deleted
    assert store.machine.revision == revision


def test_a_group_that_does_not_exist(store: GroupStore) -> None:
    for kind, request in (
        ("update_group", group_pb2.UpdateGroupRequest(group={"group_id": "g"})),
        ("add_group_members", addition("ada", actor_id="ada")),
        ("remove_group_members", removal("ada", actor_id="ada")),
        ("set_group_member_role", role_change("ada", ADMIN)),
    ):
        assert store.refused(kind, request) == FailureReason.GROUP_NOT_FOUND
    assert groups.find(store.state, "g") is None
    assert groups.member_ids(store.state, "g") == []


# --- members --------------------------------------------------------------------------------------


def test_members_are_added_once(store: GroupStore) -> None:
    store.create("ada", "bob")

    response = store.add("cyd", "ada", "dan", actor_id="ada")

    assert (response.added, response.group.member_count, response.group.etag) == (2, 4, "6")
    assert store.roles() == {"ada": OWNER, "bob": MEMBER, "cyd": MEMBER, "dan": MEMBER}
    again = store.add("cyd", "dan")
    assert (again.added, again.group, store.machine.revision) == (0, response.group, 6)


def test_only_admins_add_members(store: GroupStore) -> None:
    store.create("ada", "bob")

    assert store.refused("add_group_members", addition("cyd", actor_id="bob")) == FailureReason.NOT_ADMIN
    assert store.refused("add_group_members", addition("dan", actor_id="dan")) == FailureReason.NOT_MEMBER
    store.set_role("bob", ADMIN)
    assert store.add("cyd", actor_id="bob").added == 1


def test_all_are_added_or_none(store: GroupStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "MEMBERS_MAX", 3)
    store.create("ada", "bob")

    assert store.refused("add_group_members", addition("cyd", "eve")) == FailureReason.GROUP_FULL
    assert store.refused("add_group_members", addition("eve")) == FailureReason.USER_NOT_FOUND
    assert store.refused("add_group_members", addition("cyd", "dan")) == FailureReason.GROUP_FULL
    assert store.add("ada", "bob", "cyd").added == 1


def test_a_user_is_in_so_many_groups_and_no_more(store: GroupStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "GROUPS_MAX", 2)
    store.create("ada", "bob", group_id="g")
    store.create("ada", group_id="h")

    assert store.refused("create_group", creation("ada", group_id="i")) == FailureReason.TOO_MANY_GROUPS
    store.create("cyd", "bob", group_id="i")
    bob = addition("bob", group_id="h")
    assert store.refused("add_group_members", bob) == FailureReason.TOO_MANY_GROUPS
    assert list(groups.of_user(store.state, "bob")) == ["g", "i"]
    assert list(groups.of_user(store.state, "bob", "g")) == ["i"]
    store.remove("bob")
    assert store.add("bob", group_id="h").added == 1


def test_who_may_remove_whom(store: GroupStore) -> None:
    store.create("ada", "bob", "cyd", "dan")
    store.set_role("bob", ADMIN)
    store.set_role("cyd", ADMIN)

    def refused(*user_ids: str, actor_id: str) -> FailureReason:
        return store.refused("remove_group_members", removal(*user_ids, actor_id=actor_id))

    assert refused("bob", actor_id="dan") == FailureReason.NOT_ADMIN
    assert refused("dan", "cyd", actor_id="bob") == FailureReason.NOT_ADMIN
    assert refused("ada", actor_id="bob") == FailureReason.NOT_ADMIN
    assert refused("dan", actor_id="eve") == FailureReason.NOT_MEMBER
    assert store.remove("bob", "dan", actor_id="bob").removed == 2
    assert store.remove("cyd", "dan", actor_id="ada").removed == 1
    assert store.roles() == {"ada": OWNER}
    assert store.group().member_count == 1


def test_who_has_left_may_leave_again(store: GroupStore) -> None:
    store.create("ada", "bob")
    assert store.remove("bob", actor_id="bob").removed == 1
    revision = store.machine.revision

    assert store.remove("bob", actor_id="bob").removed == 0
    assert store.remove("bob").removed == 0
    assert store.machine.revision == revision
    # But who is no member learns nothing of others.
    for other in ("ada", "cyd"):
        request = removal(other, actor_id="bob")
        assert store.refused("remove_group_members", request) == FailureReason.NOT_MEMBER


def test_a_group_keeps_an_owner_as_long_as_it_has_members(store: GroupStore) -> None:
    before = store.rows()
    store.create("ada", "bob")

    leave = removal("ada", actor_id="ada")
    assert store.refused("remove_group_members", leave) == FailureReason.LAST_OWNER
    step_down = role_change("ada", ADMIN, "ada")
    assert store.refused("set_group_member_role", step_down) == FailureReason.LAST_OWNER
    store.set_role("bob", OWNER, "ada")
    assert store.remove("ada", actor_id="ada").removed == 1
    assert store.remove("bob", actor_id="bob").removed == 1
    assert store.rows() == before


def test_roles_are_set_by_owners(store: GroupStore) -> None:
    store.create("ada", "bob", "cyd")
    store.set_role("bob", ADMIN, "ada")

    by_admin = role_change("cyd", ADMIN, "bob")
    assert store.refused("set_group_member_role", by_admin) == FailureReason.NOT_ADMIN
    nobody = role_change("dan", ADMIN, "ada")
    assert store.refused("set_group_member_role", nobody) == FailureReason.MEMBER_NOT_FOUND
    joined = groups.member(store.state, "g", "bob")
    assert joined is not None
    assert joined.join_revision == 5
    revision = store.machine.revision
    store.set_role("bob", ADMIN)
    assert store.machine.revision == revision
    store.set_role("bob", group_pb2.GROUP_ROLE_UNSPECIFIED)
    assert store.roles() == {"ada": OWNER, "bob": MEMBER, "cyd": MEMBER}


# --- leaving everywhere ---------------------------------------------------------------------------


def test_a_user_who_goes_leaves_owners_behind(store: GroupStore) -> None:
    store.create("ada", "bob", group_id="members")
    store.add("cyd", group_id="members")
    store.create("ada", "dan", group_id="admins")
    for user_id in ("cyd", "bob"):
        store.add(user_id, group_id="admins")
        store.set_role(user_id, ADMIN, group_id="admins")
    store.create("ada", "bob", "cyd", group_id="owners")
    store.set_role("cyd", OWNER, group_id="owners")
    store.create("ada", group_id="alone")
    store.create("bob", "ada", group_id="guest")

    store.leave_all("ada")

    assert store.roles("members") == {"bob": OWNER, "cyd": MEMBER}
    assert store.roles("admins") == {"bob": ADMIN, "cyd": OWNER, "dan": MEMBER}
    assert store.roles("owners") == {"bob": MEMBER, "cyd": OWNER}
    assert groups.find(store.state, "alone") is None
    assert store.roles("guest") == {"bob": OWNER}
    for group_id, count in (("members", 2), ("admins", 3), ("owners", 2), ("guest", 1)):
        group = store.group(group_id)
        assert (group.member_count, group.mod_revision) == (count, store.machine.revision)
    assert list(groups.of_user(store.state, "ada")) == []
    found = find_user(store.state, "ada")
    assert found is not None
    assert found[0].groups == 0


def test_of_those_who_joined_together_the_first_by_id_becomes_the_owner(store: GroupStore) -> None:
    store.create("bob", "dan", "cyd")

    store.leave_all("bob")

    assert store.roles() == {"cyd": OWNER, "dan": MEMBER}


# --- a model --------------------------------------------------------------------------------------

ACTORS = st.sampled_from(["", *USERS])
USER = st.sampled_from(USERS)
SOME = st.lists(USER, min_size=1, max_size=4, unique=True)
STEPS = st.one_of(
    st.tuples(st.just("create"), st.just(""), USER),
    st.tuples(st.just("add"), ACTORS, SOME),
    st.tuples(st.just("remove"), ACTORS, SOME),
    st.tuples(st.just("role"), ACTORS, st.tuples(USER, st.sampled_from([MEMBER, ADMIN, OWNER]))),
    st.tuples(st.just("delete"), ACTORS, st.none()),
    st.tuples(st.just("erase"), st.just(""), USER),
)


class Model:
    """One group as a dict of roles, in the order of joining."""

    def __init__(self) -> None:
        self.roles: dict[str, int] | None = None

    def do(self, kind: str, actor: str, argument: Any) -> FailureReason | None:
        if kind == "create":
            if self.roles is not None:
                return FailureReason.GROUP_EXISTS
            self.roles = {argument: OWNER}
            return None
        if self.roles is None:
            return None if kind in {"delete", "erase"} else FailureReason.GROUP_NOT_FOUND
        roles = dict(self.roles)
        needed = OWNER
        match kind:
            case "add":
                needed = ADMIN
                for user_id in sorted(argument):
                    roles.setdefault(user_id, MEMBER)
            case "remove" if argument == [actor]:
                needed = 0
                roles.pop(actor, None)
            case "remove":
                over = [roles.pop(user_id, MEMBER) for user_id in argument if user_id != actor]
                roles.pop(actor if actor in argument else "", None)
                needed = OWNER if any(role != MEMBER for role in over) else ADMIN
            case "delete":
                roles = {}
            case "role":
                user_id, role = argument
                roles[user_id] = role
            case "erase":
                needed = 0
                roles.pop(argument, None)
                if roles and OWNER not in roles.values():
                    best = max(roles.values())
                    roles[next(user_id for user_id, role in roles.items() if role == best)] = OWNER
        if actor and needed:
            if actor not in self.roles:
                return FailureReason.NOT_MEMBER
            if self.roles[actor] < needed:
                return FailureReason.NOT_ADMIN
        if kind == "role" and argument[0] not in self.roles:
            return FailureReason.MEMBER_NOT_FOUND
        if roles and OWNER not in roles.values():
            return FailureReason.LAST_OWNER
        self.roles = roles or None
        return None


@settings(max_examples=300)
@given(st.lists(STEPS, max_size=25))
def test_groups_do_what_the_model_does(steps: list[tuple[str, str, Any]]) -> None:
    store, model = GroupStore(), Model()
    for kind, actor, argument in steps:
        expected = model.do(kind, actor, argument)
        match kind:
            case "create":
                result = store.create(argument)
            case "add":
                result = store.add(*argument, actor_id=actor)
            case "remove":
                result = store.remove(*argument, actor_id=actor)
            case "role":
                result = store.set_role(*argument, actor_id=actor)
            case "delete":
                request = group_pb2.DeleteGroupRequest(group_id="g", actor_id=actor)
                result = store.do("delete_group", request)
            case "erase":
                result = store.leave_all(argument)
        assert (result if isinstance(result, FailureReason) else None) == expected
        assert store.roles() == (model.roles or {})
        check_rows(store, model)


def check_rows(store: GroupStore, model: Model) -> None:
    """Both rows of each membership are there, and the counts are right."""
    group = groups.find(store.state, "g")
    assert (None if group is None else group.member_count) == (len(model.roles) if model.roles else None)
    for user_id in USERS:
        found = find_user(store.state, user_id)
        assert found is not None
        is_in = user_id in (model.roles or {})
        assert found[0].groups == is_in
        assert (store.state.get(keys.user_group_key(user_id, "g")) is not None) == is_in
