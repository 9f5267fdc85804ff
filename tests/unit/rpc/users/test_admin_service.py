"""AdminService: exports, erasures and checks, as they are asked for and answered."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest

from kvraft.machine.users import keys
from kvraft.node.erasures import ErasureProgress
from kvraft.node.sharing import Share
from kvraft.rpc.users import admin_service, page_tokens
from kvraft.v1 import admin_pb2, command_pb2, user_data_pb2
from tests.unit.rpc.conftest import Failed, Service

INVALID = grpc.StatusCode.INVALID_ARGUMENT
START_MS = 1_900_000_000_000


def do(service: Service, **command: Any) -> None:
    encoded = command_pb2.Command(user_data=command).SerializeToString()
    service.runner.run(service.node.write(encoded, grows_state=True))


@pytest.fixture
def alice(service: Service) -> Service:
    """The service, and a user who has something of everything."""
    service.node.wall_ms = START_MS
    do(service, register_device={"user_id": "alice", "device_id": "phone", "label": "Älice's"})
    do(service, register_device={"user_id": "bob", "device_id": "phone"})
    grant = command_pb2.Command(grant_lease={"lease_id": 7, "ttl_ms": 10_000})
    service.runner.run(service.node.write(grant.SerializeToString(), grows_state=True))
    do(
        service,
        open_session={"user_id": "alice", "device_id": "phone", "lease_id": 7, "gateway_address": "here"},
    )
    for contact_id in ("bob", "gone"):
        update = {"contact": {"contact_id": contact_id, "display_name": "B", "data": b"\x00\xff"}}
        do(service, update_contact={"user_id": "alice", "update": update})
    do(service, delete_contact={"user_id": "alice", "contact_id": "gone"})
    do(service, block_user={"user_id": "alice", "blocked_id": "eve"})
    do(
        service,
        create_group={
            "group": {"group_id": "g", "title": "Friends"},
            "owner_id": "alice",
            "member_ids": ["bob"],
        },
    )
    message = {"sender_id": "bob", "user_id": "alice", "content_type": 1, "payload": b"\x01\x02"}
    do(service, send_message={"message": {**message, "message_id": "1"}})
    do(service, send_message={"message": {**message, "message_id": "2"}})
    due = {"seconds": START_MS // 1000 + 60}
    do(service, send_message={"message": {**message, "message_id": "3"}, "deliver_time": due})
    for _ in range(20):
        failure = {"user_id": "alice", "device_id": "phone", "seq": 1, "reason": "bad"}
        do(service, fail_delivery=failure)
    return service


def export(service: Service, user_id: str = "alice", **fields: Any) -> list[dict[str, Any]]:
    request = admin_pb2.ExportUserRequest(user_id=user_id, **fields)
    responses = service.call(service.admin.ExportUser, request)
    assert len({response.header.revision for response in responses}) == 1
    assert all(response.lines.endswith(b"\n") for response in responses)
    return [json.loads(line) for response in responses for line in response.lines.splitlines()]


def erase(service: Service, user_id: str = "alice", **fields: Any) -> admin_pb2.EraseUserResponse:
    request = admin_pb2.EraseUserRequest(user_id=user_id, **fields)
    response: admin_pb2.EraseUserResponse = service.call(service.admin.EraseUser, request)
    return response


def check(service: Service, **fields: Any) -> list[admin_pb2.CheckStateResponse]:
    responses: list[admin_pb2.CheckStateResponse] = service.call(
        service.admin.CheckState, admin_pb2.CheckStateRequest(**fields)
    )
    assert [response.done for response in responses] == [False] * (len(responses) - 1) + [True]
    return responses


# --- export -------------------------------------------------------------------------------------


def test_an_export_has_everything_of_the_user(alice: Service) -> None:
    lines = export(alice)
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        by_kind.setdefault(line["kind"], []).append(line)
    assert list(by_kind) == [
        "user",
        "device",
        "session",
        "contact",
        "deleted_contact",
        "blocked",
        "group",
        "queue",
        "message",
        "scheduled",
        "dead_letter",
        "end",
    ]
    assert by_kind["user"][0]["user_id"] == "alice"
    (device,) = by_kind["device"]
    assert (device["device_id"], device["label"]) == ("phone", "Älice's")
    assert device["create_time"].startswith("2030-03-17T17:46:40")
    assert by_kind["session"][0]["gateway_address"] == "here"
    (contact,) = by_kind["contact"]
    assert (contact["contact_id"], contact["display_name"], contact["data"]) == ("bob", "B", "AP8=")
    assert by_kind["deleted_contact"][0]["contact_id"] == "gone"
    assert by_kind["blocked"][0]["user_id"] == "eve"
    (group,) = by_kind["group"]
    assert (group["group_id"], group["title"], group["role"]) == ("g", "Friends", "GROUP_ROLE_OWNER")
    assert by_kind["queue"][0]["next_seq"] == "3"
    (message,) = by_kind["message"]
    assert (message["seq"], message["message"]["message_id"], message["message"]["payload"]) == (
        "2",
        "2",
        "AQI=",
    )
    (scheduled,) = by_kind["scheduled"]
    assert (scheduled["message"]["message_id"], scheduled["deliver_time"]) == ("3", "2030-03-17T17:47:40Z")
    (dead,) = by_kind["dead_letter"]
    assert (dead["message"]["message_id"], dead["attempts"], dead["reason"]) == ("1", 20, "bad")
    (end,) = by_kind["end"]
    assert sum(end["counts"].values()) == len(lines) - 1


def test_every_row_of_the_user_is_in_an_export(alice: Service) -> None:
    """But for indexes, which say nothing new."""
    rows = [key for key, _ in alice.node.state.scan(*keys.user_range("alice"))]
    prefix = len(keys.user_key("alice"))
    indexes = {key for key in rows if key[prefix : prefix + 1] == b"d"}
    queue = keys.queue_key("alice", "phone")
    indexes |= {
        key for key in rows if key.startswith(queue) and key[len(queue) : len(queue) + 1] in (b"k", b"t")
    }
    counts = export(alice)[-1]["counts"]
    del counts["deleted_contact"], counts["device"]
    assert sum(counts.values()) == len(rows) - len(indexes)


def test_an_export_that_is_refused_is_not_audited(alice: Service) -> None:
    alice.node.replica.views.share = Share(0)
    before = len(alice.node.log)
    with pytest.raises(Failed) as refused:
        alice.call(alice.admin.ExportUser, admin_pb2.ExportUserRequest(user_id="alice"))
    assert refused.value.reason == "OVERLOADED"
    assert len(alice.node.log) == before


def test_an_export_is_of_one_revision_and_in_pieces(alice: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_service, "SLICE_ROWS", 2)
    responses = alice.call(alice.admin.ExportUser, admin_pb2.ExportUserRequest(user_id="alice"))
    assert len(responses) > 5
    assert {response.header.revision for response in responses} == {alice.node.replica.machine.revision}
    assert all(view.closed.is_set() for view in alice.node.state.views)


def test_an_export_leaves_its_audit_entry_first(alice: Service) -> None:
    export(alice, note="request 17")
    response = alice.call(alice.admin.ListAuditEntries, admin_pb2.ListAuditEntriesRequest())
    (entry,) = response.entries
    assert (entry.action, entry.note) == (admin_pb2.AuditEntry.ACTION_EXPORT_USER, "request 17")


def test_an_export_of_nobody_is_not_found(service: Service) -> None:
    with pytest.raises(Failed) as failed:
        export(service)
    assert (failed.value.code, failed.value.reason) == (grpc.StatusCode.NOT_FOUND, "USER_NOT_FOUND")


@pytest.mark.parametrize(("user_id", "note", "field"), [("", "", "user_id"), ("alice", "x" * 257, "note")])
def test_exports_and_erasures_are_checked(service: Service, user_id: str, note: str, field: str) -> None:
    for call in (export, erase):
        with pytest.raises(Failed) as failed:
            call(service, user_id, note=note)
        assert (failed.value.code, failed.value.field) == (INVALID, field)
    assert service.node.log == []


# --- erasure ------------------------------------------------------------------------------------


def test_an_erasure_names_itself(alice: Service) -> None:
    erased = erase(alice, note="request 18")
    assert erased.existed
    assert erased.erasure_id == erased.header.revision == alice.node.replica.machine.revision
    assert erased.removed_rows > 10
    again = erase(alice)
    assert (again.existed, again.erasure_id, again.header.revision) == (False, 0, erased.header.revision)


def test_a_full_disk_does_not_forbid_an_erasure(alice: Service) -> None:
    erase(alice)
    assert alice.node.log[-1][1] is False


def test_the_answer_to_where_an_erasure_is_comes_from_the_node(service: Service) -> None:
    service.node.erasures[5] = ErasureProgress(applied=True, log_clean=True, state_clean=False, clean_ms=None)
    response = service.call(service.admin.GetErasure, admin_pb2.GetErasureRequest(erasure_id=5))
    assert (response.applied, response.log_clean, response.state_clean) == (True, True, False)
    assert not response.HasField("clean_time")
    service.node.erasures[5] = ErasureProgress(applied=True, log_clean=True, state_clean=True, clean_ms=1_500)
    response = service.call(service.admin.GetErasure, admin_pb2.GetErasureRequest(erasure_id=5))
    assert response.clean_time.ToMilliseconds() == 1_500
    with pytest.raises(Failed) as failed:
        service.call(service.admin.GetErasure, admin_pb2.GetErasureRequest())
    assert (failed.value.code, failed.value.field) == (INVALID, "erasure_id")


# --- checks -------------------------------------------------------------------------------------


def test_a_check_of_a_sound_state_says_how_much_it_has_seen(alice: Service) -> None:
    (response,) = check(alice)
    assert response.findings == []
    assert response.checked_rows == response.total_rows > 10
    assert response.header.revision == alice.node.replica.machine.revision


def test_a_check_says_what_is_wrong_where(alice: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_service, "SLICE_ROWS", 1)
    monkeypatch.setattr(admin_service, "PROGRESS_S", 0.0)
    row_key = keys.user_key("alice")
    user = user_data_pb2.UserRow.FromString(alice.node.state.rows[row_key])
    user.contacts = 7
    alice.node.state.rows[row_key] = user.SerializeToString()
    responses = check(alice)
    assert len(responses) > 5
    (finding,) = [finding for response in responses for finding in response.findings]
    assert (finding.law, finding.subject) == ("COUNTER_LAW", "user alice")
    assert finding.detail == "contacts is 7, and there are 1"
    assert all(view.closed.is_set() for view in alice.node.state.views)


def test_a_check_ends_with_as_many_findings_as_are_wanted(alice: Service) -> None:
    for number in range(500):
        alice.node.state.rows[keys.due_key(1, f"nobody{number}", "phone")] = b""
    responses = check(alice, max_findings=250)
    assert sum(len(response.findings) for response in responses) == 250
    assert sum(len(response.findings) for response in check(alice)) == 100
    with pytest.raises(Failed) as failed:
        check(alice, max_findings=10_001)
    assert (failed.value.code, failed.value.field) == (INVALID, "max_findings")


# --- audit --------------------------------------------------------------------------------------


def test_audit_entries_come_newest_first_in_pages(service: Service) -> None:
    do(service, register_device={"user_id": "alice", "device_id": "phone"})
    for number in range(5):
        do(service, record_export={"user_id": "alice", "note": str(number)})
    notes: list[str] = []
    token, pages = "", 0
    while True:
        request = admin_pb2.ListAuditEntriesRequest(page_size=2, page_token=token)
        response = service.call(service.admin.ListAuditEntries, request)
        notes += [entry.note for entry in response.entries]
        token, pages = response.next_page_token, pages + 1
        if not token:
            break
    assert (notes, pages) == (["4", "3", "2", "1", "0"], 3)


@pytest.mark.parametrize("after", [b"\x07", b"\x07" + bytes(600), b"\x01" + bytes(8), b"\xff" * 9])
def test_a_token_of_no_page_is_refused(service: Service, after: bytes) -> None:
    """It would become a bound of a scan: of a length that no disk knows, or outside of the entries."""
    token = page_tokens.encode(b"ListAuditEntries", 1, after)
    with pytest.raises(Failed) as failed:
        service.call(service.admin.ListAuditEntries, admin_pb2.ListAuditEntriesRequest(page_token=token))
    assert failed.value.reason == "INVALID_ARGUMENT"
