"""SessionService: what it accepts, and what it answers."""

from __future__ import annotations

import base64
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from kvraft.errors import Reason
from kvraft.machine.users import keys
from kvraft.machine.users.sessions import DAY_MS
from kvraft.v1 import client_pb2, common_pb2, lease_pb2, pipeline_pb2, session_pb2
from tests.unit.rpc.conftest import Failed, Service

NOW_MS = 1_700_000_000_000


@pytest.fixture(autouse=True)
def at_a_time(service: Service) -> None:
    service.node.wall_ms = NOW_MS


def register(service: Service, user_id: str = "alice", device_id: str = "phone") -> None:
    request = session_pb2.RegisterDeviceRequest(user_id=user_id, device_id=device_id)
    service.call(service.session.RegisterDevice, request)


def grant(service: Service) -> int:
    request = lease_pb2.GrantLeaseRequest(ttl_ms=10_000)
    return int(service.call(service.lease.GrantLease, request).lease.lease_id)


def open_(service: Service, lease_id: int, user_id: str = "alice", device_id: str = "phone") -> Any:
    request = session_pb2.OpenSessionRequest(user_id=user_id, device_id=device_id, lease_id=lease_id)
    return service.call(service.session.OpenSession, request)


def refusal(service: Service, method: str, request: Message) -> Failed:
    with pytest.raises(Failed) as failed:
        service.call(getattr(service.session, method), request)
    return failed.value


class TestWrites:
    def test_a_device_is_registered_listed_and_removed(self, service: Service) -> None:
        request = session_pb2.RegisterDeviceRequest(user_id="alice", device_id="phone", label="Phone")
        registered = service.call(service.session.RegisterDevice, request)
        assert (registered.created, registered.device.label) == (True, "Phone")
        assert (registered.header.revision, registered.header.member_id) == (1, 1)
        register(service, device_id="laptop")

        listed = service.call(service.session.ListDevices, session_pb2.ListDevicesRequest(user_id="alice"))
        assert [device.device_id for device in listed.devices] == ["phone", "laptop"]
        assert (listed.device_set_revision, listed.header.revision) == (2, 2)
        assert not listed.HasField("revoke_time")

        removal = session_pb2.RemoveDeviceRequest(user_id="alice", device_id="phone")
        removed = service.call(service.session.RemoveDevice, removal)
        assert (removed.header.revision, removed.device_set_revision) == (3, 3)

    def test_a_session_is_opened_found_and_closed(self, service: Service) -> None:
        register(service)
        lease_id = grant(service)
        opened = open_(service, lease_id)
        assert opened.session.epoch == opened.header.revision == 3

        get = session_pb2.GetSessionRequest(user_id="alice", device_id="phone")
        assert service.call(service.session.GetSession, get).session == opened.session
        close = session_pb2.CloseSessionRequest(user_id="alice", device_id="phone", epoch=3)
        assert service.call(service.session.CloseSession, close).closed
        again = service.call(service.session.CloseSession, close)
        assert (again.closed, again.header.revision) == (False, 4)

        failed = refusal(service, "GetSession", get)
        assert (failed.code, failed.reason) == (grpc.StatusCode.NOT_FOUND, "SESSION_NOT_FOUND")

    def test_a_revocation_is_shown_with_the_devices(self, service: Service) -> None:
        register(service)
        open_(service, grant(service))
        revocation = session_pb2.RevokeSessionsRequest(user_id="alice")
        revoked = service.call(service.session.RevokeSessions, revocation)
        assert (revoked.closed_sessions, revoked.revoke_time.ToMilliseconds()) == (1, NOW_MS)

        listed = service.call(service.session.ListDevices, session_pb2.ListDevicesRequest(user_id="alice"))
        assert listed.revoke_time == revoked.revoke_time

    def test_only_what_ends_something_is_done_on_a_full_disk(self, service: Service) -> None:
        register(service)
        register(service, device_id="laptop")
        opened = open_(service, grant(service))
        for method, request in (
            ("CloseSession", session_pb2.CloseSessionRequest(epoch=opened.session.epoch)),
            ("RevokeSessions", session_pb2.RevokeSessionsRequest()),
            ("RemoveDevice", session_pb2.RemoveDeviceRequest()),
        ):
            request.user_id, request.device_id = "alice", "phone"
            service.call(getattr(service.session, method), request)
        assert [grows for _, grows in service.node.log] == [True] * 4 + [False] * 3

    def test_a_repeated_opening_is_the_first_one(self, service: Service) -> None:
        register(service)
        lease_id = grant(service)
        registered = service.call(service.client.RegisterClient, client_pb2.RegisterClientRequest())
        request = session_pb2.OpenSessionRequest(
            user_id="alice",
            device_id="phone",
            lease_id=lease_id,
            request_id=common_pb2.RequestId(client_id=registered.client_id, sequence=1),
        )

        first, second = (service.call(service.session.OpenSession, request) for _ in range(2))

        assert first.session == second.session

    def test_a_session_is_opened_in_a_pipeline(self, service: Service) -> None:
        register(service)
        lease_id = grant(service)
        command = pipeline_pb2.WriteCommand()
        command.user_data.open_session.user_id = "alice"
        command.user_data.open_session.device_id = "phone"
        command.user_data.open_session.lease_id = lease_id

        async def story() -> Any:
            call = service.pipeline.Pipeline()
            await call.write(pipeline_pb2.PipelineRequest(tag=1, writes={"commands": [command]}))
            answer = await call.read()
            call.cancel()
            return answer

        (result,) = service.runner.run(story()).results
        assert result.user_data.open_session.session.epoch == result.revision


LONG = "x" * 65
WRONG = [
    ("RegisterDevice", "user_id", session_pb2.RegisterDeviceRequest(device_id="d")),
    ("RegisterDevice", "user_id", session_pb2.RegisterDeviceRequest(user_id=LONG, device_id="d")),
    ("RegisterDevice", "user_id", session_pb2.RegisterDeviceRequest(user_id="a\0b", device_id="d")),
    ("RegisterDevice", "device_id", session_pb2.RegisterDeviceRequest(user_id="u", device_id="x" * 33)),
    ("RegisterDevice", "label", session_pb2.RegisterDeviceRequest(user_id="u", device_id="d", label=LONG)),
    ("RemoveDevice", "device_id", session_pb2.RemoveDeviceRequest(user_id="u")),
    ("ListDevices", "user_id", session_pb2.ListDevicesRequest()),
    ("OpenSession", "lease_id", session_pb2.OpenSessionRequest(user_id="u", device_id="d")),
    (
        "OpenSession",
        "gateway_address",
        session_pb2.OpenSessionRequest(user_id="u", device_id="d", lease_id=1, gateway_address="x" * 256),
    ),
    (
        "OpenSession",
        "info",
        session_pb2.OpenSessionRequest(user_id="u", device_id="d", lease_id=1, info=bytes(1_025)),
    ),
    ("OpenSession", "mode", session_pb2.OpenSessionRequest(user_id="u", device_id="d", lease_id=1, mode=9)),
    ("CloseSession", "epoch", session_pb2.CloseSessionRequest(user_id="u", device_id="d")),
    ("RevokeSessions", "user_id", session_pb2.RevokeSessionsRequest(device_id="d")),
    ("RevokeSessions", "device_id", session_pb2.RevokeSessionsRequest(user_id="u", device_id="x" * 33)),
    ("GetSession", "device_id", session_pb2.GetSessionRequest(user_id="u")),
    ("ListSessions", "owner", session_pb2.ListSessionsRequest()),
    ("ListSessions", "lease_id", session_pb2.ListSessionsRequest(lease_id=0)),
    ("ListSessions", "page_size", session_pb2.ListSessionsRequest(user_id="u", page_size=1_001)),
    ("ListSessions", "page_token", session_pb2.ListSessionsRequest(user_id="u", page_token="x")),
    ("GetPresence", "viewer_id", session_pb2.GetPresenceRequest(user_ids=["u"])),
    ("GetPresence", "user_ids", session_pb2.GetPresenceRequest(viewer_id="u")),
    ("GetPresence", "user_ids", session_pb2.GetPresenceRequest(viewer_id="u", user_ids=["x"] * 101)),
    ("GetPresence", "user_ids[1]", session_pb2.GetPresenceRequest(viewer_id="u", user_ids=["x", ""])),
    ("WatchSessions", "user_ids", session_pb2.WatchSessionsRequest()),
    ("WatchSessions", "user_ids", session_pb2.WatchSessionsRequest(user_ids=["u"], lease_id=1)),
    ("WatchSessions", "user_ids", session_pb2.WatchSessionsRequest(user_ids=["u"] * 1_001)),
    ("WatchSessions", "user_ids[0]", session_pb2.WatchSessionsRequest(user_ids=[LONG])),
]


@pytest.mark.parametrize(("method", "field", "request_"), WRONG)
def test_what_breaks_a_rule_is_refused_by_the_name_of_its_field(
    service: Service, method: str, field: str, request_: Message
) -> None:
    failed = refusal(service, method, request_)

    assert (failed.code, failed.field) == (grpc.StatusCode.INVALID_ARGUMENT, field)
    assert service.node.log == []


def test_requests_at_the_limit_are_accepted(service: Service) -> None:
    user_id, device_id = "é" * 32, "x" * 32
    request = session_pb2.RegisterDeviceRequest(user_id=user_id, device_id=device_id, label="x" * 64)
    service.call(service.session.RegisterDevice, request)
    opening = session_pb2.OpenSessionRequest(
        user_id=user_id,
        device_id=device_id,
        lease_id=grant(service),
        gateway_address="x" * 255,
        info=bytes(1_024),
    )
    assert service.call(service.session.OpenSession, opening).session.info == bytes(1_024)
    many = session_pb2.GetPresenceRequest(viewer_id=user_id, user_ids=[user_id] * 100)
    assert len(service.call(service.session.GetPresence, many).presences) == 100


def test_who_is_not_there_is_named_by_the_reason(service: Service) -> None:
    nobody = refusal(service, "ListDevices", session_pb2.ListDevicesRequest(user_id="nobody"))
    assert (nobody.code, nobody.reason) == (grpc.StatusCode.NOT_FOUND, Reason.USER_NOT_FOUND.value)
    register(service)
    opening = session_pb2.OpenSessionRequest(user_id="alice", device_id="phone", lease_id=77)
    expired = refusal(service, "OpenSession", opening)
    assert (expired.code, expired.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "LEASE_EXPIRED")
    assert expired.applied == "no"


class TestList:
    def listed(self, service: Service, **request: Any) -> tuple[list[tuple[str, str]], str]:
        response = service.call(service.session.ListSessions, session_pb2.ListSessionsRequest(**request))
        return [(each.user_id, each.device_id) for each in response.sessions], response.next_page_token

    def test_the_sessions_of_a_user_and_of_a_lease(self, service: Service) -> None:
        first, second = grant(service), grant(service)
        for user_id in ("alice", "bob"):
            for device_id in ("phone", "laptop"):
                register(service, user_id, device_id)
        open_(service, first, "alice", "phone")
        open_(service, second, "alice", "laptop")
        open_(service, first, "bob", "laptop")

        assert self.listed(service, user_id="alice") == ([("alice", "laptop"), ("alice", "phone")], "")
        assert self.listed(service, lease_id=first) == ([("alice", "phone"), ("bob", "laptop")], "")
        assert self.listed(service, user_id="nobody") == ([], "")

    @pytest.mark.parametrize("count", [3, 4])
    def test_pages_follow_each_other(self, service: Service, count: int) -> None:
        lease_id = grant(service)
        for number in range(count):
            register(service, f"user{number}")
            open_(service, lease_id, f"user{number}")

        found, token, pages = [], "", 0
        while pages == 0 or token:
            page, token = self.listed(service, lease_id=lease_id, page_size=2, page_token=token)
            found += page
            pages += 1
        assert found == [(f"user{number}", "phone") for number in range(count)]
        assert pages == 2
        assert service.node.waits[-1] == f"at least {service.node.replica.machine.revision}"

    def test_a_token_of_another_list_or_of_nobody_is_refused(self, service: Service) -> None:
        lease_id = grant(service)
        for user_id in ("alice", "bob"):
            register(service, user_id)
            open_(service, lease_id, user_id)
        _, token = self.listed(service, lease_id=lease_id, page_size=1)

        def forged(last_key: bytes) -> str:
            return base64.urlsafe_b64encode(base64.urlsafe_b64decode(token)[:17] + last_key).decode()

        start, _ = keys.lease_session_range(lease_id)
        for request in (
            session_pb2.ListSessionsRequest(user_id="alice", page_token=token),
            session_pb2.ListSessionsRequest(lease_id=lease_id, page_token=forged(b"\x04")),
            session_pb2.ListSessionsRequest(lease_id=lease_id, page_token=forged(start + bytes(500))),
        ):
            assert refusal(service, "ListSessions", request).field == "page_token"


class TestPresence:
    def test_each_user_is_as_the_viewer_may_see_them(self, service: Service) -> None:
        lease_id = grant(service)
        for user_id in ("online", "away", "blocks"):
            register(service, user_id)
            open_(service, lease_id, user_id)
        revocation = session_pb2.RevokeSessionsRequest(user_id="away")
        service.call(service.session.RevokeSessions, revocation)
        service.node.state.put(keys.blocked_key("blocks", "viewer"), b"", None)
        asked = ["away", "nobody", "online", "blocks"]

        response = service.call(
            service.session.GetPresence,
            session_pb2.GetPresenceRequest(viewer_id="viewer", user_ids=asked),
        )

        assert [(each.user_id, each.online) for each in response.presences] == [
            ("away", False),
            ("nobody", False),
            ("online", True),
            ("blocks", False),
        ]
        away, *others = response.presences
        assert away.last_seen_day.ToMilliseconds() == NOW_MS - NOW_MS % DAY_MS
        assert not any(each.HasField("last_seen_day") for each in others)


def test_reads_are_as_fresh_as_they_are_asked_to_be(service: Service) -> None:
    register(service)
    listing = session_pb2.ListDevicesRequest(user_id="alice")
    service.call(service.session.ListDevices, listing)
    listing.consistency, listing.min_revision = common_pb2.CONSISTENCY_AT_LEAST, 1
    service.call(service.session.ListDevices, listing)
    stale = session_pb2.GetPresenceRequest(
        viewer_id="a", user_ids=["alice"], consistency=common_pb2.CONSISTENCY_STALE
    )
    service.call(service.session.GetPresence, stale)

    assert service.node.waits == ["fresh", "at least 1"]
