"""Contacts: what an update sets, and that a copy that only asks what changed is never wrong."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvraft.machine.results import FailureReason
from kvraft.machine.users import contacts, keys
from kvraft.machine.users.rows import find_user
from kvraft.v1 import contact_pb2, session_pb2, user_data_pb2
from tests.unit.machine.users.user_store import UserStore

Contact = contact_pb2.Contact


class ContactStore(UserStore):
    """Of alice, who has one device."""

    def __init__(self) -> None:
        super().__init__()
        self.do("register_device", session_pb2.RegisterDeviceRequest(user_id="alice", device_id="phone"))

    def update(self, contact_id: str, *paths: str, etag: str = "", **fields: Any) -> Any:
        return self.do("update_contact", updating(contact_id, *paths, etag=etag, **fields))

    def update_many(self, *contact_ids: str) -> Any:
        updates = [updating(each).update for each in contact_ids]
        return self.do(
            "batch_update_contacts",
            contact_pb2.BatchUpdateContactsRequest(user_id="alice", updates=updates),
        )

    def delete(self, contact_id: str, etag: str = "") -> Any:
        request = contact_pb2.DeleteContactRequest(user_id="alice", contact_id=contact_id, etag=etag)
        return self.do("delete_contact", request)

    def contact_ids(self) -> list[str]:
        return [each.contact_id for each in contacts.scan(self.state, "alice")]

    @property
    def user(self) -> user_data_pb2.UserRow:
        found = find_user(self.state, "alice")
        assert found is not None
        return found[0]

    def changes(self, since: int) -> list[tuple[int, str, bool]]:
        return [
            (each.revision, each.contact_id, each.contact is not None)
            for each in contacts.changes_after(self.state, "alice", since)
        ]


def updating(contact_id: str, *paths: str, etag: str = "", **fields: Any) -> contact_pb2.UpdateContactRequest:
    update = contact_pb2.ContactUpdate(contact=Contact(contact_id=contact_id, **fields), etag=etag)
    update.update_mask.paths.extend(paths)
    return contact_pb2.UpdateContactRequest(user_id="alice", update=update)


@pytest.fixture
def store() -> ContactStore:
    return ContactStore()


def test_a_contact_is_created_with_all_that_was_given(store: ContactStore) -> None:
    response = store.update("bob", display_name="Bob", favorite=True, mute_until={"seconds": 9}, data=b"x")

    assert response.contact == Contact(
        contact_id="bob",
        display_name="Bob",
        favorite=True,
        mute_until={"seconds": 9},
        data=b"x",
        etag="2",
        mod_revision=2,
    )
    assert contacts.find(store.state, "alice", "bob") == response.contact
    assert store.user.contacts == 1


def test_an_update_sets_the_fields_of_its_mask_and_no_others(store: ContactStore) -> None:
    store.update("bob", display_name="Bob", favorite=True, mute_until={"seconds": 9}, data=b"x")

    contact = store.update("bob", "favorite", "mute_until", display_name="Robert", data=b"y").contact

    assert (contact.display_name, contact.favorite, contact.data) == ("Bob", False, b"x")
    assert not contact.HasField("mute_until")
    assert (contact.etag, contact.mod_revision, store.user.contacts) == ("3", 3, 1)


def test_an_update_without_a_mask_sets_all_fields(store: ContactStore) -> None:
    store.update("bob", display_name="Bob", favorite=True, data=b"x")

    assert store.update("bob", data=b"y").contact == Contact(
        contact_id="bob", data=b"y", etag="3", mod_revision=3
    )


def test_what_a_client_says_of_etag_and_revision_of_a_contact_is_ignored(store: ContactStore) -> None:
    contact = Contact(contact_id="bob", etag="77", mod_revision=77)
    request = contact_pb2.UpdateContactRequest(user_id="alice", update={"contact": contact})

    answered = store.do("update_contact", request).contact

    assert (answered.etag, answered.mod_revision) == ("2", 2)


def test_an_etag_is_that_of_the_present_state_or_the_update_fails(store: ContactStore) -> None:
    assert store.refused("update_contact", updating("bob", etag="1")) == FailureReason.ETAG_MISMATCH
    store.update("bob", etag="0")
    assert store.refused("update_contact", updating("bob", etag="0")) == FailureReason.ETAG_MISMATCH
    assert store.update("bob", etag="2").contact.etag == "3"
    assert store.refused("update_contact", updating("bob", etag="2")) == FailureReason.ETAG_MISMATCH


def test_a_batch_is_one_revision_and_all_or_nothing(store: ContactStore) -> None:
    store.update("bob")
    assert store.update_many("carol", "bob", "dan").etag == "3"
    assert store.contact_ids() == ["bob", "carol", "dan"]
    assert store.changes(0) == [(3, "bob", True), (3, "carol", True), (3, "dan", True)]
    assert store.user.contacts == 3

    updates = [updating("erin").update, updating("bob", etag="1").update]
    request = contact_pb2.BatchUpdateContactsRequest(user_id="alice", updates=updates)
    assert store.refused("batch_update_contacts", request) == FailureReason.ETAG_MISMATCH


def test_a_user_has_so_many_contacts_and_no_more(
    store: ContactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contacts, "CONTACTS_MAX", 3)
    store.update_many("a", "b")
    updates = [updating(each).update for each in ("a", "c", "d")]
    request = contact_pb2.BatchUpdateContactsRequest(user_id="alice", updates=updates)
    assert store.refused("batch_update_contacts", request) == FailureReason.TOO_MANY_CONTACTS
    store.update("c")
    assert store.refused("update_contact", updating("d")) == FailureReason.TOO_MANY_CONTACTS

    assert store.update("c", display_name="there already").contact.mod_revision == 4
    store.delete("a")
    assert store.update("d").contact.contact_id == "d"


def test_a_deletion_may_be_repeated(store: ContactStore) -> None:
    store.update("bob")

    request = contact_pb2.DeleteContactRequest(user_id="alice", contact_id="bob", etag="1")
    assert store.refused("delete_contact", request) == FailureReason.ETAG_MISMATCH
    assert store.delete("bob", etag="2").deleted
    assert (store.contact_ids(), store.user.contacts, store.user.deleted_contacts) == ([], 0, 1)
    rows, revision = store.rows(), store.machine.revision
    assert not store.delete("bob", etag="2").deleted
    assert (store.rows(), store.machine.revision) == (rows, revision)


def test_a_user_without_devices_has_no_contacts(store: ContactStore) -> None:
    for kind, request in (
        ("update_contact", contact_pb2.UpdateContactRequest(user_id="eve")),
        ("batch_update_contacts", contact_pb2.BatchUpdateContactsRequest(user_id="eve")),
        ("delete_contact", contact_pb2.DeleteContactRequest(user_id="eve", contact_id="bob")),
    ):
        assert store.refused(kind, request) == FailureReason.USER_NOT_FOUND


# --- what changed ---------------------------------------------------------------------------------


def test_a_contact_is_among_the_changes_once_with_its_last_one(store: ContactStore) -> None:
    store.update("bob")
    store.update("carol")
    store.update("bob")
    store.delete("carol")

    assert store.changes(0) == [(4, "bob", True), (5, "carol", False)]
    assert store.changes(4) == [(5, "carol", False)]
    assert store.changes(5) == []


def test_the_deletion_of_a_contact_that_is_back_is_no_change_any_more(store: ContactStore) -> None:
    store.update("bob")
    store.delete("bob")
    store.update("bob")

    assert store.changes(0) == [(4, "bob", True)]
    assert store.user.deleted_contacts == 0
    for _ in range(3):
        store.delete("bob")
        store.update("bob")
    store.delete("bob")
    assert store.changes(0) == [(11, "bob", False)]
    assert store.user.deleted_contacts == 1


def test_changes_go_on_in_the_middle_of_a_revision(store: ContactStore) -> None:
    store.update_many("a", "b", "c")
    store.update("b")

    rest = contacts.changes_after(store.state, "alice", 2, "a")
    assert [(each.revision, each.contact_id) for each in rest] == [(2, "c"), (3, "b")]


def test_the_oldest_deletions_are_forgotten(store: ContactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contacts, "DELETIONS_MAX", 2)
    store.update_many("a", "b", "c", "kept")  # 2
    for contact_id in ("a", "b"):
        store.delete(contact_id)  # 3, 4
    assert store.user.contacts_floor_revision == 0
    store.update("kept")  # 5
    store.delete("c")  # 6

    assert store.changes(0) == [(4, "b", False), (5, "kept", True), (6, "c", False)]
    assert (store.user.contacts_floor_revision, store.user.deleted_contacts) == (3, 2)
    store.update("d")  # 7
    store.delete("d")  # 8
    store.delete("kept")  # 9
    assert store.changes(0) == [(8, "d", False), (9, "kept", False)]
    assert (store.user.contacts_floor_revision, store.user.deleted_contacts) == (6, 2)


class Replica:
    """What a device keeps of the contacts of its user."""

    def __init__(self) -> None:
        self.contacts: dict[str, Contact] = {}
        self.revision = 0

    def begin_again(self) -> None:
        self.contacts, self.revision = {}, 0

    def sync(self, store: ContactStore, page_size: int, between: Any) -> None:
        """In pages, between which the store changes."""
        if self.revision and self.revision < store.user.contacts_floor_revision:
            self.begin_again()
        since, at, after, sync_revision = self.revision, self.revision, "", store.machine.revision
        while True:
            if since and at < store.user.contacts_floor_revision:
                self.begin_again()
                return
            page = list(islice(contacts.changes_after(store.state, "alice", at, after), page_size))
            for change in page:
                if change.contact is None:
                    self.contacts.pop(change.contact_id, None)
                else:
                    self.contacts[change.contact_id] = change.contact
            if len(page) < page_size:
                break
            at, after = page[-1].revision, page[-1].contact_id
            between()
        self.revision = sync_revision


IDS = st.sampled_from("abcde")
STEPS = st.one_of(
    st.tuples(st.just("update"), st.lists(IDS, min_size=1, max_size=4, unique=True)),
    st.tuples(st.just("delete"), st.lists(IDS, min_size=1, max_size=4, unique=True)),
    st.tuples(st.just("sync"), st.integers(1, 3)),
)


@settings(max_examples=200)
@given(st.lists(STEPS, max_size=40), st.lists(STEPS, max_size=10), st.integers(1, 2))
def test_a_replica_that_only_asks_what_changed_equals_the_list(
    steps: list[tuple[str, Any]], between: list[tuple[str, Any]], deletions_max: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contacts, "DELETIONS_MAX", deletions_max)
        store, replica = ContactStore(), Replica()
        rest = iter(between)

        def change(step: tuple[str, Any]) -> None:
            match step:
                case "update", contact_ids:
                    store.update_many(*contact_ids)
                case "delete", contact_ids:
                    for contact_id in contact_ids:
                        store.delete(contact_id)

        def change_between() -> None:
            for step in islice(rest, 1):
                change(step)

        for step in steps:
            if step[0] == "sync":
                replica.sync(store, step[1], change_between)
            else:
                change(step)
            check_counts(store)
        for _ in range(2):  # the first one may end with the copy given up
            replica.sync(store, 100, lambda: None)
        assert replica.contacts == {each.contact_id: each for each in contacts.scan(store.state, "alice")}


def check_counts(store: ContactStore) -> None:
    """What a user's row counts is what there is, and every contact, there or deleted, has one change."""
    live = list(contacts.scan(store.state, "alice"))
    changes = list(contacts.changes_after(store.state, "alice", 0))
    deleted = [each.contact_id for each in changes if each.contact is None]
    start, end = keys.of_user_range("alice", b"d")
    assert store.user.contacts == len(live)
    assert store.user.deleted_contacts == len(deleted)
    assert sorted([*deleted, *(each.contact_id for each in live)]) == sorted(
        each.contact_id for each in changes
    )
    assert all(each.contact is None or each.contact.mod_revision == each.revision for each in changes)
    assert len(list(store.state.scan(start, end))) == len(changes) + len(deleted)
