"""ContactService: what it accepts, what it answers, and its pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from kvraft.machine.users import contacts, keys
from kvraft.rpc.users import pages
from kvraft.v1 import command_pb2, common_pb2, contact_pb2, session_pb2
from tests.unit.rpc.conftest import Failed, Service

Contact = contact_pb2.Contact
ContactUpdate = contact_pb2.ContactUpdate
INVALID = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture
def alice(service: Service) -> Service:
    """The service, and a user with a device: revision 1."""
    register(service, "alice")
    return service


def register(service: Service, user_id: str) -> None:
    request = session_pb2.RegisterDeviceRequest(user_id=user_id, device_id="phone")
    command = command_pb2.Command(user_data={"register_device": request})
    service.runner.run(service.node.write(command.SerializeToString(), grows_state=True))


def update(service: Service, contact_id: str, **fields: Any) -> contact_pb2.UpdateContactResponse:
    contact = Contact(contact_id=contact_id, **fields)
    request = contact_pb2.UpdateContactRequest(user_id="alice", update={"contact": contact})
    response: contact_pb2.UpdateContactResponse = service.call(service.contact.UpdateContact, request)
    return response


def update_many(service: Service, *contact_ids: str, data: bytes = b"") -> Any:
    request = contact_pb2.BatchUpdateContactsRequest(
        user_id="alice",
        updates=[ContactUpdate(contact=Contact(contact_id=each, data=data)) for each in contact_ids],
    )
    return service.call(service.contact.BatchUpdateContacts, request)


def delete(service: Service, contact_id: str) -> Any:
    request = contact_pb2.DeleteContactRequest(user_id="alice", contact_id=contact_id)
    return service.call(service.contact.DeleteContact, request)


def list_page(service: Service, **fields: Any) -> contact_pb2.ListContactsResponse:
    request = contact_pb2.ListContactsRequest(user_id="alice", **fields)
    response: contact_pb2.ListContactsResponse = service.call(service.contact.ListContacts, request)
    return response


def ids(page: contact_pb2.ListContactsResponse) -> list[str]:
    return [each.contact_id for each in page.contacts]


def test_a_contact_from_its_creation_to_its_end(alice: Service) -> None:
    created = update(alice, "bob", display_name="Bob")
    assert (created.header.revision, created.contact.etag) == (2, "2")

    read = alice.call(
        alice.contact.GetContact, contact_pb2.GetContactRequest(user_id="alice", contact_id="bob")
    )
    assert (read.header.revision, read.contact) == (2, created.contact)
    assert update_many(alice, "bob", "carol").etag == "3"
    deleted = delete(alice, "bob")
    assert (deleted.header.revision, deleted.deleted) == (4, True)
    again = delete(alice, "bob")
    assert (again.header.revision, again.deleted) == (4, False)
    with pytest.raises(Failed) as failed:
        alice.call(alice.contact.GetContact, contact_pb2.GetContactRequest(user_id="alice", contact_id="bob"))
    assert (failed.value.code, failed.value.reason) == (grpc.StatusCode.NOT_FOUND, "CONTACT_NOT_FOUND")
    # Deletions go on when the disk is full.
    assert [grows for _, grows in alice.node.log] == [True, True, True, False, False]


def test_blocks_are_listed_in_pages(alice: Service) -> None:
    for number in range(5):
        alice.call(
            alice.contact.BlockUser,
            contact_pb2.BlockUserRequest(user_id="alice", blocked_id=f"eve{number}"),
        )
    unblocked = alice.call(
        alice.contact.UnblockUser, contact_pb2.UnblockUserRequest(user_id="alice", blocked_id="eve1")
    )
    assert unblocked.unblocked

    request = contact_pb2.ListBlockedUsersRequest(user_id="alice", page_size=2)
    found = []
    while True:
        page = alice.call(alice.contact.ListBlockedUsers, request)
        found.append([each.user_id for each in page.blocked_users])
        request.page_token = page.next_page_token
        if not request.page_token:
            break
    assert found == [["eve0", "eve2"], ["eve3", "eve4"]]


def contact_of(**fields: Any) -> ContactUpdate:
    return ContactUpdate(contact=Contact(**{"contact_id": "bob", **fields}))


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (contact_of(contact_id=""), "contact.contact_id"),
        (contact_of(contact_id="x" * 65), "contact.contact_id"),
        (contact_of(contact_id="a\0b"), "contact.contact_id"),
        (contact_of(display_name="ä" * 129), "contact.display_name"),
        (contact_of(data=b"x" * 4_097), "contact.data"),
        (contact_of(mute_until={"nanos": 1_000_000_000}), "contact.mute_until"),
        (contact_of(mute_until={"seconds": 253_402_300_800}), "contact.mute_until"),
        (ContactUpdate(contact={"contact_id": "bob"}, update_mask={"paths": ["etag"]}), "update_mask"),
        (ContactUpdate(contact={"contact_id": "bob"}, etag="x" * 21), "etag"),
        (ContactUpdate(), "contact.contact_id"),
    ],
)
def test_an_update_that_breaks_a_rule_names_its_field(alice: Service, bad: ContactUpdate, field: str) -> None:
    writes = len(alice.node.log)
    for method, request, path in (
        (
            alice.contact.UpdateContact,
            contact_pb2.UpdateContactRequest(user_id="alice", update=bad),
            f"update.{field}",
        ),
        (
            alice.contact.BatchUpdateContacts,
            contact_pb2.BatchUpdateContactsRequest(
                user_id="alice", updates=[contact_of(contact_id="carol"), bad]
            ),
            f"updates[1].{field}",
        ),
    ):
        with pytest.raises(Failed) as failed:
            alice.call(method, request)
        assert (failed.value.code, failed.value.field) == (INVALID, path)
    assert len(alice.node.log) == writes


def test_the_largest_contact_there_is(alice: Service) -> None:
    last = {"seconds": 253_402_300_799, "nanos": 999_999_999}
    created = update(alice, "x" * 64, display_name="ä" * 128, data=b"x" * 4_096, mute_until=last)

    assert created.contact.data == b"x" * 4_096


def test_other_rules(alice: Service) -> None:
    stub = alice.contact
    many = [contact_of(contact_id=f"{number}") for number in range(501)]
    cases: list[tuple[Callable[[Any], Any], Any, str]] = [
        (stub.UpdateContact, contact_pb2.UpdateContactRequest(), "user_id"),
        (stub.BatchUpdateContacts, contact_pb2.BatchUpdateContactsRequest(user_id="alice"), "updates"),
        (
            stub.BatchUpdateContacts,
            contact_pb2.BatchUpdateContactsRequest(user_id="alice", updates=many),
            "updates",
        ),
        (
            stub.BatchUpdateContacts,
            contact_pb2.BatchUpdateContactsRequest(user_id="alice", updates=[many[0], many[0]]),
            "updates",
        ),
        (stub.GetContact, contact_pb2.GetContactRequest(user_id="alice"), "contact_id"),
        (stub.DeleteContact, contact_pb2.DeleteContactRequest(user_id="alice"), "contact_id"),
        (
            stub.BlockUser,
            contact_pb2.BlockUserRequest(user_id="alice", blocked_id="alice"),
            "blocked_id",
        ),
        (
            stub.BlockUser,
            contact_pb2.BlockUserRequest(user_id="alice", blocked_id="eve", scope=3),  # type: ignore[arg-type]
            "scope",
        ),
        (stub.UnblockUser, contact_pb2.UnblockUserRequest(user_id="alice"), "blocked_id"),
        (stub.ListContacts, contact_pb2.ListContactsRequest(user_id="alice", page_size=1_001), "page_size"),
        (stub.ListContacts, contact_pb2.ListContactsRequest(user_id="alice", page_token="?"), "page_token"),
        (stub.ListBlockedUsers, contact_pb2.ListBlockedUsersRequest(), "user_id"),
    ]
    for method, request, field in cases:
        with pytest.raises(Failed) as failed:
            alice.call(method, request)
        assert (failed.value.code, failed.value.field) == (INVALID, field)
    update_many(alice, *(f"{number}" for number in range(500)))


def test_a_user_without_devices(alice: Service) -> None:
    stub = alice.contact
    cases: list[tuple[Callable[[Any], Any], Any]] = [
        (stub.UpdateContact, contact_pb2.UpdateContactRequest(user_id="eve", update=contact_of())),
        (stub.GetContact, contact_pb2.GetContactRequest(user_id="eve", contact_id="bob")),
        (stub.ListContacts, contact_pb2.ListContactsRequest(user_id="eve")),
        (stub.ListBlockedUsers, contact_pb2.ListBlockedUsersRequest(user_id="eve")),
    ]
    for method, request in cases:
        with pytest.raises(Failed) as failed:
            alice.call(method, request)
        assert (failed.value.code, failed.value.reason) == (grpc.StatusCode.NOT_FOUND, "USER_NOT_FOUND")


def test_a_numbered_write_is_applied_once(alice: Service) -> None:
    registration = command_pb2.Command(register_client={}).SerializeToString()
    answer = alice.runner.run(alice.node.write(registration, grows_state=True))
    request = contact_pb2.UpdateContactRequest(
        user_id="alice",
        update=contact_of(),
        request_id=common_pb2.RequestId(client_id=answer.revision, sequence=1),
    )
    request.update.etag = "0"

    first = alice.call(alice.contact.UpdateContact, request)

    assert alice.call(alice.contact.UpdateContact, request) == first
    assert first.header.revision == alice.node.replica.machine.revision == 3


# --- pages ----------------------------------------------------------------------------------------


def test_contacts_are_listed_by_id_in_pages(alice: Service) -> None:
    update_many(alice, "carol", "bob", "erin", "dan", "adam")

    first = list_page(alice, page_size=2)
    assert (ids(first), first.sync_revision) == (["adam", "bob"], 0)
    second = list_page(alice, page_size=2, page_token=first.next_page_token)
    third = list_page(alice, page_size=2, page_token=second.next_page_token)

    assert (ids(second), ids(third)) == (["carol", "dan"], ["erin"])
    assert (third.next_page_token, third.sync_revision) == ("", 2)
    assert alice.node.waits == ["fresh", "at least 2", "at least 2"]


def test_what_changes_while_pages_are_read_is_in_the_next_synchronisation(alice: Service) -> None:
    update_many(alice, "a", "b", "c")  # revision 2
    first = list_page(alice, page_size=1)
    update(alice, "a", display_name="changed")  # 3
    delete(alice, "b")  # 4

    rest = list_page(alice, page_token=first.next_page_token)
    assert (ids(rest), rest.header.revision, rest.sync_revision) == (["c"], 4, 2)

    delta = list_page(alice, since_revision=rest.sync_revision)
    assert (ids(delta), list(delta.deleted_ids), delta.sync_revision) == (["a"], ["b"], 4)
    delta = list_page(alice, since_revision=4)
    assert (ids(delta), list(delta.deleted_ids), delta.sync_revision) == ([], [], 4)


def test_changes_come_by_revision_and_id_in_pages(alice: Service) -> None:
    update_many(alice, "a", "b", "c", "d")  # 2
    update(alice, "b")  # 3
    delete(alice, "a")  # 4

    first = list_page(alice, since_revision=0, page_size=1)
    second = list_page(alice, since_revision=0, page_size=2, page_token=first.next_page_token)
    third = list_page(alice, since_revision=0, page_size=2, page_token=second.next_page_token)

    assert (ids(first), ids(second), ids(third)) == (["c"], ["d", "b"], [])
    assert (list(third.deleted_ids), third.sync_revision) == (["a"], 4)


def test_a_contact_is_never_both_there_and_deleted_in_a_page(alice: Service) -> None:
    for _ in range(2):
        update(alice, "a")
        delete(alice, "a")

    gone = list_page(alice, since_revision=0)
    assert (ids(gone), list(gone.deleted_ids)) == ([], ["a"])
    update(alice, "a")
    back = list_page(alice, since_revision=0)
    assert (ids(back), list(back.deleted_ids)) == (["a"], [])


def refused(service: Service, **fields: Any) -> Failed:
    with pytest.raises(Failed) as failed:
        list_page(service, **fields)
    return failed.value


def test_a_copy_that_is_too_old_has_to_begin_again(alice: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contacts, "DELETIONS_MAX", 1)
    update_many(alice, "a", "b", "c")  # 2
    for contact_id in ("a", "b"):
        delete(alice, contact_id)  # 3, 4

    too_old = refused(alice, since_revision=2)
    assert (too_old.code, too_old.reason) == (grpc.StatusCode.OUT_OF_RANGE, "RESYNC_REQUIRED")
    assert list(list_page(alice, since_revision=3).deleted_ids) == ["b"]
    assert ids(list_page(alice, since_revision=0)) == ["c"]


def test_a_copy_of_the_contacts_of_a_user_who_was_erased_has_to_begin_again(alice: Service) -> None:
    update(alice, "bob")
    since = list_page(alice).sync_revision
    for row_key, _ in list(alice.node.state.scan(*keys.user_range("alice"))):
        alice.node.state.delete(row_key, b"")
    register(alice, "alice")

    assert refused(alice, since_revision=since).reason == "RESYNC_REQUIRED"
    begun_again = list_page(alice, since_revision=0)
    assert ids(begun_again) == []
    assert ids(list_page(alice, since_revision=begun_again.sync_revision)) == []


def test_a_deletion_that_is_forgotten_between_two_pages_is_not_missed(
    alice: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contacts, "DELETIONS_MAX", 2)
    update_many(alice, "a", "b", "c", "d")  # 2
    update(alice, "d")  # 3
    delete(alice, "a")  # 4
    changed = list_page(alice, since_revision=2, page_size=1)
    everything = list_page(alice, since_revision=0, page_size=1)
    delete(alice, "b")  # 5
    delete(alice, "c")  # 6; forgets 4

    late = refused(alice, since_revision=2, page_token=changed.next_page_token)
    assert late.reason == "RESYNC_REQUIRED"
    # A copy that began empty has no contact whose deletion it could miss before the first page.
    rest = list_page(alice, since_revision=0, page_token=everything.next_page_token)
    assert (ids(rest), rest.sync_revision) == (["d"], 4)


def test_a_revision_that_is_ahead(alice: Service) -> None:
    for since in (2, 2**64 - 1):
        ahead = refused(alice, since_revision=since)
        assert (ahead.code, ahead.reason) == (grpc.StatusCode.OUT_OF_RANGE, "RESYNC_REQUIRED")
    # A node that has not come that far cannot know what changed since.
    for consistency in (common_pb2.CONSISTENCY_STALE, common_pb2.CONSISTENCY_AT_LEAST):
        behind = refused(alice, since_revision=2, consistency=consistency)
        assert behind.reason == "REVISION_NOT_REACHED"


def test_a_page_is_no_larger_than_what_gets_through(alice: Service) -> None:
    contact_ids = [f"{number:03}" for number in range(1_000)]
    for half in (contact_ids[:500], contact_ids[500:]):
        update_many(alice, *half, data=b"x" * 4_096)

    for fields in ({}, {"since_revision": 0}):
        first = list_page(alice, page_size=1_000, **fields)
        assert pages.PAGE_BYTES_MAX * 0.9 < first.ByteSize() < pages.PAGE_BYTES_MAX * 1.1
        rest = list_page(alice, page_size=1_000, page_token=first.next_page_token, **fields)
        assert ids(first) + ids(rest) == contact_ids


def test_a_token_belongs_to_its_query(alice: Service) -> None:
    update_many(alice, "a", "b", "c")
    token = list_page(alice, page_size=1).next_page_token

    for request in (
        contact_pb2.ListContactsRequest(user_id="bob", page_token=token),
        contact_pb2.ListContactsRequest(user_id="alice", since_revision=0, page_token=token),
    ):
        with pytest.raises(Failed) as failed:
            alice.call(alice.contact.ListContacts, request)
        assert (failed.value.code, failed.value.field) == (INVALID, "page_token")
