"""Sessions: one for a device, the newest wins, and each ends with its lease."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvraft.machine import lease_commands
from kvraft.machine.results import FailureReason, RevokeLeaseResult
from kvraft.machine.users import keys, sessions
from kvraft.machine.users.presence import Presence, presence
from kvraft.machine.users.rows import find_device, find_user
from kvraft.machine.users.sessions import DAY_MS
from kvraft.machine.users.space import SessionEnd
from kvraft.v1 import command_pb2, session_pb2
from tests.unit.machine.users.user_store import START_MS, TTL_MS, UserStore

Row = session_pb2.Session | SessionEnd | None
ALICE_PHONE = keys.session_key("alice", "phone")
TODAY_MS = START_MS - START_MS % DAY_MS


def with_devices(*devices: tuple[str, str]) -> UserStore:
    store = UserStore()
    for user_id, device_id in devices:
        store.do("register_device", session_pb2.RegisterDeviceRequest(user_id=user_id, device_id=device_id))
    return store


@pytest.fixture
def store() -> UserStore:
    return with_devices(("alice", "phone"), ("alice", "laptop"), ("bob", "phone"))


def opening(
    lease_id: int, user_id: str = "alice", device_id: str = "phone", **more: Any
) -> session_pb2.OpenSessionRequest:
    return session_pb2.OpenSessionRequest(user_id=user_id, device_id=device_id, lease_id=lease_id, **more)


def open_(store: UserStore, lease_id: int, user_id: str = "alice", device_id: str = "phone") -> int:
    """The epoch."""
    response = store.do("open_session", opening(lease_id, user_id, device_id))
    return int(response.session.epoch)


def close(store: UserStore, epoch: int, user_id: str = "alice", device_id: str = "phone") -> bool:
    request = session_pb2.CloseSessionRequest(user_id=user_id, device_id=device_id, epoch=epoch)
    return bool(store.do("close_session", request).closed)


def logout(store: UserStore, user_id: str = "alice", device_id: str = "") -> Any:
    request = session_pb2.RevokeSessionsRequest(user_id=user_id, device_id=device_id)
    return store.do("revoke_sessions", request)


def epochs(store: UserStore, user_id: str = "alice") -> dict[str, int]:
    return {session.device_id: session.epoch for session in sessions.of_user(store.state, user_id)}


def recorded(store: UserStore) -> dict[bytes, tuple[Row, Row]]:
    """What the last entry, of one revision, left in the history: of each row what it is since, and was."""
    if not store.machine.changes:
        return {}
    ((revision, changes),) = store.machine.changes
    assert revision == store.machine.revision
    rows = {row_key: (decoded(row), decoded(previous)) for row_key, row, previous in changes}
    assert len(rows) == len(changes), "a row was recorded twice"
    return rows


def decoded(row: bytes | None) -> Row:
    if row is None:
        return None
    return sessions.end_of_row(row) or session_pb2.Session.FromString(row)


class TestOpen:
    def test_a_session_says_where_its_device_is(self, store: UserStore) -> None:
        lease_id = store.grant()
        request = opening(lease_id, gateway_address="10.0.0.7:443", info=b"tls")

        response = store.do("open_session", request)

        session = sessions.find(store.state, "alice", "phone")
        assert session == response.session
        assert session is not None
        assert (session.user_id, session.device_id, session.lease_id) == ("alice", "phone", lease_id)
        assert (session.gateway_address, session.info) == ("10.0.0.7:443", b"tls")
        assert session.epoch == store.machine.revision == 5
        assert session.open_time.ToMilliseconds() == START_MS
        assert response.replaced_epoch == 0
        assert list(sessions.of_lease(store.state, lease_id)) == [("alice", "phone")]
        assert store.machine.touched.sessions == {("alice", "phone"): None}
        lease_row = keys.lease_session_key(lease_id, "alice", "phone")
        assert recorded(store) == {ALICE_PHONE: (session, None), lease_row: (session, None)}

    def test_a_device_must_be_registered(self, store: UserStore) -> None:
        lease_id = store.grant()

        for request in (opening(lease_id, "carol"), opening(lease_id, device_id="watch")):
            assert store.refused("open_session", request) is FailureReason.DEVICE_NOT_FOUND

    def test_the_lease_must_live(self, store: UserStore) -> None:
        lease_id = store.grant()
        store.revoke(lease_id)

        assert store.refused("open_session", opening(lease_id)) is FailureReason.LEASE_EXPIRED

    @pytest.mark.parametrize("mode", [session_pb2.OPEN_MODE_UNSPECIFIED, session_pb2.OPEN_MODE_TAKE_OVER])
    def test_the_newest_session_takes_the_place(self, store: UserStore, mode: session_pb2.OpenMode) -> None:
        lease_id = store.grant()
        first = open_(store, lease_id)
        before = sessions.find(store.state, "alice", "phone")

        response = store.do("open_session", opening(lease_id, mode=mode))

        assert response.session.epoch > first == response.replaced_epoch
        lease_row = keys.lease_session_key(lease_id, "alice", "phone")
        assert recorded(store) == {
            ALICE_PHONE: (response.session, before),
            lease_row: (response.session, before),
        }
        assert store.machine.touched.sessions == {("alice", "phone"): None}

    def test_a_session_that_moves_to_another_lease_leaves_the_first(self, store: UserStore) -> None:
        first, second = store.grant(), store.grant()
        open_(store, first)
        before = sessions.find(store.state, "alice", "phone")
        open_(store, second)

        after = sessions.find(store.state, "alice", "phone")
        assert recorded(store) == {
            ALICE_PHONE: (after, before),
            keys.lease_session_key(first, "alice", "phone"): (after, before),
            keys.lease_session_key(second, "alice", "phone"): (after, before),
        }
        assert list(sessions.of_lease(store.state, first)) == []
        store.revoke(first)
        assert epochs(store) == {"phone": 6 + 1}

    def test_it_is_refused_where_one_is_open_and_asked_not_to_be_replaced(self, store: UserStore) -> None:
        lease_id = store.grant()
        request = opening(lease_id, mode=session_pb2.OPEN_MODE_FAIL_IF_OPEN)
        epoch = store.do("open_session", request).session.epoch

        assert store.refused("open_session", request) is FailureReason.SESSION_OPEN
        close(store, epoch)
        assert store.do("open_session", request).session.epoch > epoch


class TestEnd:
    def test_a_session_is_closed_by_its_epoch(self, store: UserStore) -> None:
        lease_id = store.grant()
        epoch = open_(store, lease_id)
        before = sessions.find(store.state, "alice", "phone")

        assert close(store, epoch)

        assert epochs(store) == {}
        assert list(sessions.of_lease(store.state, lease_id)) == []
        assert store.machine.touched.sessions == {("alice", "phone"): SessionEnd.CLOSED}
        assert recorded(store) == {
            ALICE_PHONE: (SessionEnd.CLOSED, before),
            keys.lease_session_key(lease_id, "alice", "phone"): (SessionEnd.CLOSED, before),
        }

    def test_another_epoch_changes_nothing(self, store: UserStore) -> None:
        lease_id = store.grant()
        old = open_(store, lease_id)
        epoch = open_(store, lease_id)

        for other in (old, epoch + 1):
            assert not close(store, other)
        assert not close(store, old, "carol")
        assert (epochs(store), store.machine.revision) == ({"phone": epoch}, epoch)
        assert store.machine.touched.sessions == {}

    def test_whoever_logs_out_everywhere_has_no_session_and_no_valid_token(self, store: UserStore) -> None:
        lease_id = store.grant()
        for device_id in ("phone", "laptop"):
            open_(store, lease_id, "alice", device_id)
        bob = open_(store, lease_id, "bob")
        store.now_ms += 77

        response = logout(store)

        assert response.closed_sessions == 2
        assert response.revoke_time.ToMilliseconds() == START_MS + 77
        assert (epochs(store), epochs(store, "bob")) == ({}, {"phone": bob})
        found = find_user(store.state, "alice")
        assert found is not None
        assert found[0].revoke_time_ms == START_MS + 77
        assert [device.HasField("revoke_time") for device in found[0].devices] == [False, False]
        assert store.machine.touched.sessions == {
            ("alice", "phone"): SessionEnd.REVOKED,
            ("alice", "laptop"): SessionEnd.REVOKED,
        }

    def test_one_device_that_is_logged_out_leaves_the_others_alone(self, store: UserStore) -> None:
        lease_id = store.grant()
        open_(store, lease_id)
        laptop = open_(store, lease_id, "alice", "laptop")

        response = logout(store, device_id="phone")

        assert response.closed_sessions == 1
        assert epochs(store) == {"laptop": laptop}
        found = find_user(store.state, "alice")
        assert found is not None
        phone, other = find_device(found[0], "phone"), find_device(found[0], "laptop")
        assert phone is not None
        assert phone.revoke_time == response.revoke_time
        assert other is not None
        assert not other.HasField("revoke_time")
        assert found[0].revoke_time_ms == 0

    def test_tokens_of_a_device_without_a_session_are_revoked_too(self, store: UserStore) -> None:
        response = logout(store, device_id="phone")

        assert response.closed_sessions == 0
        assert store.machine.revision == 4

    def test_who_does_not_exist_cannot_be_logged_out(self, store: UserStore) -> None:
        everywhere = session_pb2.RevokeSessionsRequest(user_id="carol")
        device = session_pb2.RevokeSessionsRequest(user_id="alice", device_id="watch")

        assert store.refused("revoke_sessions", everywhere) is FailureReason.USER_NOT_FOUND
        assert store.refused("revoke_sessions", device) is FailureReason.DEVICE_NOT_FOUND


class TestLease:
    def test_sessions_end_with_their_lease_as_one_revision(self, store: UserStore) -> None:
        lease_id, other = store.grant(), store.grant()
        open_(store, lease_id)
        open_(store, lease_id, "bob")
        kept = open_(store, other, "alice", "laptop")
        store.apply(command_pb2.Command(put={"key": b"key", "value": b"", "lease_id": lease_id}))

        answer = store.revoke(lease_id)

        assert answer.result == RevokeLeaseResult(1)
        ((revision, changes),) = store.machine.changes
        assert (revision, len(changes)) == (answer.revision, 1 + 2 * 2)
        assert store.machine.touched.sessions == {
            ("alice", "phone"): SessionEnd.EXPIRED,
            ("bob", "phone"): SessionEnd.EXPIRED,
        }
        assert (epochs(store), epochs(store, "bob")) == ({"laptop": kept}, {})

    def test_no_session_ends_before_the_time_of_its_lease(self, store: UserStore) -> None:
        lease_id = store.grant()
        epoch = open_(store, lease_id)
        store.now_ms += TTL_MS - 1

        store.expire(lease_id)
        assert epochs(store) == {"phone": epoch}
        store.now_ms += 1
        store.expire(lease_id)
        assert epochs(store) == {}

    def test_a_lease_with_very_many_keys_and_sessions_ends_in_steps(
        self, store: UserStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lease_commands, "KEYS_AT_ONCE_MAX", 3)
        lease_id = store.grant()
        for device in (("alice", "phone"), ("alice", "laptop"), ("bob", "phone")):
            open_(store, lease_id, *device)
        for key in (b"a", b"b"):
            store.apply(command_pb2.Command(put={"key": key, "value": b"", "lease_id": lease_id}))

        assert store.revoke(lease_id).result == RevokeLeaseResult(2)
        assert list(sessions.of_lease(store.state, lease_id)) == [("alice", "phone"), ("bob", "phone")]
        assert store.refused("open_session", opening(lease_id)) is FailureReason.LEASE_EXPIRED
        store.expire(lease_id)
        assert list(sessions.of_lease(store.state, lease_id)) == []
        assert not [key for key in store.rows() if key[0] == 2]

    def test_a_lease_that_does_not_fit_beside_another_waits(
        self, store: UserStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lease_commands, "KEYS_AT_ONCE_MAX", 2)
        full, two, empty = store.grant(), store.grant(), store.grant()
        open_(store, full)
        open_(store, two, "alice", "laptop")
        open_(store, two, "bob")
        store.now_ms += TTL_MS

        store.expire(full, two, empty)
        assert (epochs(store), len(epochs(store, "bob"))) == ({"laptop": 8}, 1)
        store.expire(two, empty)
        assert not [key for key in store.rows() if key[0] == 2]


class TestPresence:
    def test_a_user_is_online_with_any_session_and_then_seen_on_the_day_it_ended(
        self, store: UserStore
    ) -> None:
        assert presence(store.state, "alice", "bob") == Presence(online=False)
        lease_id = store.grant()
        phone = open_(store, lease_id)
        laptop = open_(store, lease_id, "alice", "laptop")
        assert presence(store.state, "alice", "bob") == Presence(online=True)
        close(store, phone)
        assert presence(store.state, "alice", "bob") == Presence(online=True)

        store.now_ms += 2 * DAY_MS
        close(store, laptop, device_id="laptop")

        assert presence(store.state, "alice", "bob") == Presence(False, TODAY_MS + 2 * DAY_MS)

    def test_a_session_that_is_taken_over_has_not_ended(self, store: UserStore) -> None:
        lease_id = store.grant()
        open_(store, lease_id)
        open_(store, lease_id)

        found = find_user(store.state, "alice")
        assert found is not None
        assert found[0].last_seen_day_ms == 0

    @pytest.mark.parametrize("is_online", [True, False])
    def test_who_is_blocked_sees_nobody(self, store: UserStore, *, is_online: bool) -> None:
        lease_id = store.grant()
        epoch = open_(store, lease_id)
        if not is_online:
            close(store, epoch)
        store.state.put(keys.blocked_key("alice", "eve"), b"", None)

        assert presence(store.state, "alice", "eve") == Presence(online=False)
        assert presence(store.state, "alice", "bob") == (
            Presence(online=True) if is_online else Presence(False, TODAY_MS)
        )

    def test_an_unknown_user_is_offline(self, store: UserStore) -> None:
        assert presence(store.state, "nobody", "bob") == Presence(online=False)


# --- a model --------------------------------------------------------------------------------------

DEVICES = [("a", "x"), ("a", "y"), ("aa", "x")]
DEVICE = st.sampled_from(DEVICES)
LEASE = st.integers(0, 2)
STEPS = st.one_of(
    st.tuples(st.just("open"), DEVICE, LEASE, st.booleans()),
    st.tuples(st.just("close"), DEVICE, st.booleans()),
    st.tuples(st.just("logout"), DEVICE, st.booleans()),
    st.tuples(st.just("end lease"), LEASE),
)


@dataclass
class Model:
    """Sessions, said in another way: the position of the lease of each device that has one."""

    sessions: dict[tuple[str, str], int] = field(default_factory=dict)

    def end(self, *devices: tuple[str, str]) -> set[tuple[str, str]]:
        return {device for device in devices if self.sessions.pop(device, None) is not None}


@settings(max_examples=200)
@given(st.lists(STEPS, max_size=30))
def test_whatever_happens_sessions_are_what_the_model_says(steps: list[tuple[object, ...]]) -> None:
    store, model = with_devices(*DEVICES), Model()
    leases = [store.grant() for _ in range(3)]
    for step in steps:
        before = dict(model.sessions)
        ended: set[tuple[str, str]] = set()
        opened: tuple[str, str] | None = None
        match step:
            case ("open", (str(user_id), str(device_id)), int(lease), bool(fails)):
                mode = session_pb2.OPEN_MODE_FAIL_IF_OPEN if fails else session_pb2.OPEN_MODE_TAKE_OVER
                result = store.do("open_session", opening(leases[lease], user_id, device_id, mode=mode))
                if (user_id, device_id) in model.sessions and fails:
                    assert result is FailureReason.SESSION_OPEN
                else:
                    opened = (user_id, device_id)
                    model.sessions[opened] = lease
            case ("close", (str(user_id), str(device_id)), bool(is_current)):
                session = sessions.find(store.state, user_id, device_id)
                epoch = (session.epoch if session is not None else 1) - (not is_current)
                closed = close(store, epoch, user_id, device_id)
                ended = model.end((user_id, device_id)) if is_current else set()
                assert closed == bool(ended)
            case ("logout", (str(user_id), str(device_id)), bool(is_everywhere)):
                doomed = [each for each in DEVICES if each[0] == user_id]
                ended = model.end(*(doomed if is_everywhere else [(user_id, device_id)]))
                response = logout(store, user_id, "" if is_everywhere else device_id)
                assert response.closed_sessions == len(ended)
            case ("end lease", int(lease)):
                ended = model.end(*[device for device, of in model.sessions.items() if of == lease])
                store.revoke(leases[lease])
            case _:
                pytest.fail(f"no such step: {step}")
        _assert_touched(store, ended, opened)
        _assert_recorded(store, before, leases, ended, opened)
        _assert_alike(store, model, leases)
        if step[0] == "end lease":
            leases[int(str(step[1]))] = store.grant()


def _assert_touched(store: UserStore, ended: set[tuple[str, str]], opened: tuple[str, str] | None) -> None:
    touched = store.machine.touched.sessions
    assert {device for device, end in touched.items() if end is not None} == ended
    assert [device for device, end in touched.items() if end is None] == ([opened] if opened else [])


def _assert_recorded(
    store: UserStore,
    before: dict[tuple[str, str], int],
    leases: list[int],
    ended: set[tuple[str, str]],
    opened: tuple[str, str] | None,
) -> None:
    expected = {keys.session_key(*device) for device in ended}
    expected |= {keys.lease_session_key(leases[before[device]], *device) for device in ended}
    if opened is not None:
        session = sessions.find(store.state, *opened)
        assert session is not None
        expected |= {keys.session_key(*opened), keys.lease_session_key(session.lease_id, *opened)}
        if opened in before:
            expected.add(keys.lease_session_key(leases[before[opened]], *opened))
    assert recorded(store).keys() == expected


def _assert_alike(store: UserStore, model: Model, leases: list[int]) -> None:
    found = {
        (session.user_id, session.device_id): leases.index(session.lease_id)
        for user_id in ("a", "aa")
        for session in sessions.of_user(store.state, user_id)
    }
    assert found == model.sessions
    for number, lease_id in enumerate(leases):
        of_lease = list(sessions.of_lease(store.state, lease_id))
        assert of_lease == sorted(device for device, of in model.sessions.items() if of == number)
