"""The search for broken laws finds each one that is planted, and nothing in a state that commands made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.message import Message

from kvraft.machine.users import keys
from kvraft.machine.users.check import Finding, StateCheck
from kvraft.v1 import contact_pb2, group_pb2, message_pb2, session_pb2, user_data_pb2
from tests.unit.machine.users.message_store import MessageStore
from tests.unit.machine.users.test_erasure import erase, live_a_life

ERIN = "erin"
QUEUE = keys.queue_key(ERIN, "phone")


@pytest.fixture
def store() -> MessageStore:
    """Something of everything: erin has a queue with entries 2..32 on each device, and is in group g."""
    store = MessageStore(("ada", "phone"), ("bob", "phone"))
    live_a_life(store, store.grant())
    store.create_group("ada", ERIN)
    store.send(group_id="g")
    erase(store, "bob")
    return store


def findings(store: MessageStore, rows_at_once: int = 7) -> list[Finding]:
    check = StateCheck(store.state)
    while check.step(rows_at_once):
        assert 0 <= check.progress <= 1
    assert check.progress == 1
    assert check.checked_rows > 0
    return check.findings


def change(store: MessageStore, row_key: bytes, kind: type[Message], **fields: Any) -> None:
    row = kind.FromString(store.state.rows[row_key])
    for name, value in fields.items():
        setattr(row, name, value)
    store.state.rows[row_key] = row.SerializeToString(deterministic=True)


def delete(store: MessageStore, row_key: bytes) -> None:
    del store.state.rows[row_key]


def session_of_erin(store: MessageStore) -> session_pb2.Session:
    return session_pb2.Session.FromString(store.state.rows[keys.session_key(ERIN, "phone")])


def contact_of_erin(store: MessageStore) -> contact_pb2.Contact:
    return contact_pb2.Contact.FromString(store.state.rows[keys.contact_key(ERIN, "ada")])


def entry_with_body(store: MessageStore) -> tuple[bytes, user_data_pb2.EntryRow]:
    for row_key, row in store.state.scan(*keys.entry_range(QUEUE, 0)):
        entry = user_data_pb2.EntryRow.FromString(row)
        if entry.body_id:
            return row_key, entry
    raise AssertionError("no message is shared")


def body_of_erin(store: MessageStore) -> bytes:
    _, entry = entry_with_body(store)
    return keys.body_key(entry.body_owner, entry.body_id)


def due_of_erin(store: MessageStore) -> bytes:
    return keys.due_key(store.queue(ERIN).due_ms, ERIN, "phone")


def forget_user(store: MessageStore) -> None:
    delete(store, keys.user_key(ERIN))


def lose_entry(store: MessageStore) -> None:
    delete(store, keys.entry_key(QUEUE, 5))


def count(**fields: int) -> Callable[[MessageStore], None]:
    return lambda store: change(store, keys.user_key(ERIN), user_data_pb2.UserRow, **fields)


def queue(**fields: int) -> Callable[[MessageStore], None]:
    return lambda store: change(store, QUEUE, user_data_pb2.QueueRow, **fields)


PLANTED: list[tuple[str, Callable[[MessageStore], None], str, str]] = [
    ("contacts", count(contacts=9), "COUNTER_LAW", "contacts is 9, and there are 2"),
    ("deletions", count(deleted_contacts=9), "COUNTER_LAW", "deleted_contacts is 9, and there are 1"),
    ("blocked", count(blocked=9), "COUNTER_LAW", "blocked is 9, and there are 1"),
    ("groups", count(groups=9), "COUNTER_LAW", "groups is 9, and there are 1"),
    ("acked", queue(acked=9), "COUNTER_LAW", "are accounted for"),
    ("live", queue(live=9), "COUNTER_LAW", "live is 9"),
    ("live bytes", queue(live_bytes=9), "COUNTER_LAW", "live_bytes is 9"),
    ("scheduled", queue(scheduled=9), "COUNTER_LAW", "scheduled is 9, and there are 1"),
    ("dead letters", queue(dead_letters=9), "COUNTER_LAW", "dead_letters is 9, and there are 1"),
    ("ack floor", queue(ack_floor=9), "COUNTER_LAW", "ack_floor is 9, and all up to 1 are gone"),
    ("entry lost", lose_entry, "COUNTER_LAW", "and there are"),
    (
        "members",
        lambda store: change(store, keys.group_key("g"), group_pb2.Group, member_count=9),
        "COUNTER_LAW",
        "member_count is 9, and there are 2",
    ),
    (
        "owner",
        lambda store: change(
            store, keys.member_key("g", "ada"), group_pb2.GroupMember, role=group_pb2.GROUP_ROLE_MEMBER
        ),
        "COUNTER_LAW",
        "no owner",
    ),
    ("user", forget_user, "DANGLING_REFERENCE", "it is not there"),
    ("queue", lambda store: delete(store, QUEUE), "DANGLING_REFERENCE", "it is not there"),
    ("group", lambda store: delete(store, keys.group_key("g")), "DANGLING_REFERENCE", "it is not there"),
    (
        "member",
        lambda store: delete(store, keys.member_key("g", ERIN)),
        "DANGLING_REFERENCE",
        "which does not know it",
    ),
    (
        "membership",
        lambda store: delete(store, keys.user_group_key(ERIN, "g")),
        "DANGLING_REFERENCE",
        "does not know of it",
    ),
    (
        "lease",
        lambda store: delete(store, b"\x02\x01" + session_of_erin(store).lease_id.to_bytes(8)),
        "DANGLING_REFERENCE",
        "which ended",
    ),
    (
        "device",
        lambda store: store.state.rows.__setitem__(
            keys.session_key(ERIN, "watch"), session_of_erin(store).SerializeToString()
        ),
        "DANGLING_REFERENCE",
        "not registered",
    ),
    (
        "body",
        lambda store: [
            delete(store, each)
            for each in (body_of_erin(store), keys.body_references_key(body_of_erin(store)))
        ],
        "DANGLING_REFERENCE",
        "it is not there",
    ),
    (
        "references",
        lambda store: store.state.rows.__setitem__(
            keys.body_references_key(body_of_erin(store)), (9).to_bytes(4)
        ),
        "REFERENCE_COUNT",
        "2 entries refer to it, 9 are counted",
    ),
    (
        "uncounted",
        lambda store: delete(store, keys.body_references_key(body_of_erin(store))),
        "REFERENCE_COUNT",
        "not counted",
    ),
    (
        "orphan",
        lambda store: [
            store.state.rows.__setitem__(keys.body_key("ada", 999), b""),
            store.state.rows.__setitem__(
                keys.body_references_key(keys.body_key("ada", 999)), (1).to_bytes(4)
            ),
        ],
        "ORPHANED_BODY",
        "1 are counted",
    ),
    ("due", lambda store: delete(store, due_of_erin(store)), "MISPLACED_INDEX", "does not say so"),
    (
        "due twice",
        lambda store: store.state.rows.__setitem__(keys.due_key(7, ERIN, "phone"), b""),
        "MISPLACED_INDEX",
        "at another time",
    ),
    ("due too late", queue(due_ms=1 << 50), "MISPLACED_INDEX", "something is due at"),
    (
        "collapse key",
        lambda store: delete(store, keys.collapse_row_key(QUEUE, "position")),
        "MISPLACED_INDEX",
        "not under its collapse key",
    ),
    (
        "collapse key of nothing",
        lambda store: store.state.rows.__setitem__(keys.collapse_row_key(QUEUE, "x"), (999).to_bytes(8)),
        "MISPLACED_INDEX",
        "names message 999",
    ),
    (
        "expiry",
        lambda store: delete(store, next(iter(store.state.scan(*keys.expiry_range(QUEUE))))[0]),
        "MISPLACED_INDEX",
        "not under its expiry",
    ),
    (
        "session of lease",
        lambda store: delete(store, keys.lease_session_key(session_of_erin(store).lease_id, ERIN, "phone")),
        "MISPLACED_INDEX",
        "not among those of lease",
    ),
    (
        "lease of session",
        lambda store: delete(store, keys.session_key(ERIN, "phone")),
        "MISPLACED_INDEX",
        "that is not its",
    ),
    (
        "contact change",
        lambda store: delete(
            store, keys.contact_change_key(ERIN, contact_of_erin(store).mod_revision, "ada")
        ),
        "MISPLACED_INDEX",
        "is not under revision",
    ),
    (
        "contact",
        lambda store: delete(store, keys.contact_key(ERIN, "ada")),
        "MISPLACED_INDEX",
        "which is not of it",
    ),
    (
        "deletion",
        lambda store: delete(store, keys.contact_deletion_key(ERIN, "gone")),
        "MISPLACED_INDEX",
        "which is not of it",
    ),
    (
        "unreadable user",
        lambda store: store.state.rows.__setitem__(keys.user_key(ERIN), b"\xff\xff"),
        "UNREADABLE_ROW",
        "is no UserRow",
    ),
    (
        "unreadable contact",
        lambda store: store.state.rows.__setitem__(keys.contact_key(ERIN, "ada"), b"\xff\xff"),
        "UNREADABLE_ROW",
        "row ",
    ),
    (
        "unreadable body",
        lambda store: store.state.rows.__setitem__(body_of_erin(store), b"\xff\xff"),
        "UNREADABLE_ROW",
        "",
    ),
    (
        "unreadable audit entry",
        lambda store: store.state.rows.__setitem__(keys.audit_key(1), bytes(8) + b"\xff\xff"),
        "UNREADABLE_ROW",
        "row ",
    ),
    (
        "unknown row",
        lambda store: store.state.rows.__setitem__(keys.user_key(ERIN) + b"?", b""),
        "UNREADABLE_ROW",
        "no known kind",
    ),
]


def test_each_row_counts_once(store: MessageStore) -> None:
    check = StateCheck(store.state)
    while check.step(7):
        pass
    spaces = (keys.LEASE_SESSIONS, keys.USERS, keys.SENT, keys.AUDIT)
    in_order = [row_key for space in spaces for row_key, _ in store.state.scan(*space)]
    due = [row_key for row_key, _ in store.state.scan(*keys.due_range(1 << 62))]
    assert any(map(keys.is_body_row, in_order))
    assert check.checked_rows == len(in_order) + len(due)


def test_nothing_is_found_where_commands_alone_have_written(store: MessageStore) -> None:
    assert findings(store) == []
    assert findings(store, rows_at_once=100_000) == []


@pytest.mark.parametrize(
    ("plant", "law", "detail"), [each[1:] for each in PLANTED], ids=[each[0] for each in PLANTED]
)
def test_a_planted_violation_is_found(
    store: MessageStore, plant: Callable[[MessageStore], None], law: str, detail: str
) -> None:
    plant(store)
    found = findings(store)
    assert any(each.law == law and detail in each.detail for each in found), found


def test_what_is_found_names_where_it_is(store: MessageStore) -> None:
    queue(acked=9)(store)
    (found,) = findings(store)
    assert found.subject == "user erin, device phone"


def test_an_empty_state_has_nothing_wrong() -> None:
    store = MessageStore()
    store.state.rows.clear()
    check = StateCheck(store.state)
    assert not check.step(10)
    assert (check.findings, check.checked_rows, check.progress) == ([], 0, 1.0)


def test_a_message_beyond_the_numbers_that_were_given_is_found(store: MessageStore) -> None:
    row_key, entry = entry_with_body(store)
    store.state.rows[keys.entry_key(QUEUE, 999)] = entry.SerializeToString()
    assert any("message 999 is there" in each.detail for each in findings(store))
    assert row_key in store.state.rows
    assert message_pb2.Message.FromString(store.state.rows[body_of_erin(store)]).sender_id == "ada"
