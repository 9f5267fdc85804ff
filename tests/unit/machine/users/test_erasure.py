"""Erasure: nothing is left of a user, and nothing of the others is touched."""

from __future__ import annotations

from hashlib import sha256

import pytest

from kvraft.machine.users import audit, groups, keys
from kvraft.machine.users.check import StateCheck
from kvraft.machine.users.space import SessionEnd
from kvraft.v1 import admin_pb2, contact_pb2, group_pb2, session_pb2, user_data_pb2
from tests.unit.machine.users.message_store import MessageStore, check_laws

ERIN = "erin"


def erase(store: MessageStore, user_id: str = ERIN) -> admin_pb2.EraseUserResponse:
    response = store.do("erase_user", admin_pb2.EraseUserRequest(user_id=user_id, note="why"))
    assert isinstance(response, admin_pb2.EraseUserResponse)
    return response


def live_a_life(store: MessageStore, lease_id: int) -> None:
    """Erin has something of everything."""
    for device_id in ("phone", "laptop"):
        store.register(ERIN, device_id)
        store.do(
            "open_session",
            session_pb2.OpenSessionRequest(user_id=ERIN, device_id=device_id, lease_id=lease_id),
        )
    for contact_id in ("ada", "bob", "gone"):
        update = contact_pb2.ContactUpdate(
            contact={"contact_id": contact_id, "display_name": f"dear {contact_id}"}
        )
        store.do("update_contact", contact_pb2.UpdateContactRequest(user_id=ERIN, update=update))
    store.do("delete_contact", contact_pb2.DeleteContactRequest(user_id=ERIN, contact_id="gone"))
    store.block(ERIN, "mallory")
    for number in range(30):
        store.send(user_id=ERIN, payload=b"%d" % number)
    store.send(user_id=ERIN, collapse_key="position")
    store.send(user_id=ERIN, ttl={"seconds": 60})
    store.send(user_id=ERIN, deliver_time={"seconds": store.now_ms // 1000 + 600})
    for _ in range(20):
        store.fail(1, user_id=ERIN)
    assert store.dead_seqs(ERIN) == [1]


def state_of_others(store: MessageStore) -> dict[bytes, bytes]:
    """Without what an erasure may leave: audit entries, and the memory for duplicates, which names nobody."""
    return {key: row for key, row in store.rows().items() if key[:1] not in (b"\x05", b"\x07")}


def test_the_state_is_as_if_the_user_had_never_been() -> None:
    store = MessageStore()
    lease_id = store.grant()
    store.send()
    before = state_of_others(store)
    live_a_life(store, lease_id)
    rows_of_erin = sum(1 for _ in store.state.scan(*keys.user_range(ERIN)))
    assert rows_of_erin > 70

    response = erase(store)

    assert response.existed
    assert response.erasure_id == store.machine.revision
    assert response.removed_rows == rows_of_erin
    assert state_of_others(store) == before
    assert not any(b"erin" in key + row for key, row in store.rows().items())
    check_laws(store.state)


def test_sessions_end_for_those_who_watch_them() -> None:
    store = MessageStore()
    live_a_life(store, store.grant())
    erase(store)
    assert store.machine.touched.erased
    assert store.machine.touched.sessions == {
        (ERIN, "phone"): SessionEnd.REMOVED,
        (ERIN, "laptop"): SessionEnd.REMOVED,
    }
    (revision, changes) = store.machine.changes[-1]
    assert revision == store.machine.revision
    assert [row for _, row, _ in changes] == [bytes((SessionEnd.REMOVED,))] * 4
    assert set(store.machine.touched.queues) == {(ERIN, "phone"), (ERIN, "laptop")}


def test_an_erasure_again_changes_nothing() -> None:
    store = MessageStore()
    live_a_life(store, store.grant())
    erase(store)
    rows = store.rows()
    again = erase(store)
    assert (again.existed, again.erasure_id, again.removed_rows) == (False, 0, 0)
    assert store.rows() == rows
    assert not store.machine.touched.erased


def test_shared_bodies_lose_a_reference_and_the_last_one_takes_them_along() -> None:
    store = MessageStore(("ada", "phone"), ("bob", "phone"), ("bob", "laptop"), (ERIN, "phone"))
    store.create_group("ada", "bob", ERIN)
    store.send(group_id="g")
    store.send(user_id="bob")
    assert store.bodies() == 4
    erase(store)
    check_laws(store.state)
    assert store.bodies() == 4
    erase(store, "bob")
    check_laws(store.state)
    assert store.bodies() == 0


def test_groups_go_on_without_the_user_and_get_another_owner() -> None:
    store = MessageStore(("ada", "phone"), ("bob", "phone"), (ERIN, "phone"))
    store.create_group(ERIN, "ada", "bob")
    store.do("create_group", group_pb2.CreateGroupRequest(group={"group_id": "alone"}, owner_id=ERIN))
    erase(store)
    assert groups.member_ids(store.state, "g") == ["ada", "bob"]
    ada = groups.member(store.state, "g", "ada")
    assert ada is not None
    assert ada.role == group_pb2.GROUP_ROLE_OWNER
    assert groups.find(store.state, "alone") is None
    check = StateCheck(store.state)
    while check.step(1_000):
        pass
    assert check.findings == []


def test_messages_to_others_stay_theirs() -> None:
    store = MessageStore(("bob", "phone"), (ERIN, "phone"))
    store.send(sender_id=ERIN, user_id="bob")
    erase(store)
    assert [queued.message.sender_id for queued in store.live("bob")] == [ERIN]


def test_who_is_erased_may_come_back_as_somebody_new() -> None:
    store = MessageStore()
    live_a_life(store, store.grant())
    erase(store)
    store.register(ERIN, "phone")
    assert store.queue(ERIN).next_seq == 1
    store.send(user_id=ERIN)
    assert store.seqs(ERIN) == [1]
    check_laws(store.state)


def test_audit_entries_say_what_was_done_and_not_to_whom() -> None:
    store = MessageStore((ERIN, "phone"))
    store.do("record_export", user_data_pb2.RecordExportCommand(user_id=ERIN, note="asked"))
    erase(store)
    entries = [audit.decode(row) for _, row in store.state.scan(*keys.AUDIT)]
    digest = sha256(b"erin").digest()
    assert [(each.action, each.note, each.user_id_sha256) for each in entries] == [
        (admin_pb2.AuditEntry.ACTION_EXPORT_USER, "asked", digest),
        (admin_pb2.AuditEntry.ACTION_ERASE_USER, "why", digest),
    ]
    assert [each.revision for each in entries] == [2, 3]
    assert all(each.time.ToMilliseconds() == store.now_ms for each in entries)
    assert list(audit.erasures_after(store.state, 0)) == [(3, store.now_ms)]
    assert list(audit.erasures_after(store.state, 3)) == []


def test_an_export_of_nobody_is_refused() -> None:
    store = MessageStore()
    command = user_data_pb2.RecordExportCommand(user_id=ERIN)
    assert store.refused("record_export", command).name == "USER_NOT_FOUND"


def test_the_oldest_audit_entries_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "ENTRIES_MAX", 3)
    store = MessageStore((ERIN, "phone"))
    for number in range(5):
        store.do("record_export", user_data_pb2.RecordExportCommand(user_id=ERIN, note=str(number)))
    notes = [audit.decode(row).note for _, row in store.state.scan(*keys.AUDIT)]
    assert notes == ["2", "3", "4"]
