"""Devices: the first one makes the user, each one has nothing left when it goes."""

from __future__ import annotations

from typing import Any

import pytest

from kvraft.machine.results import FailureReason
from kvraft.machine.users import keys, queues, sessions
from kvraft.machine.users.devices import DEVICES_MAX
from kvraft.machine.users.rows import find_user
from kvraft.machine.users.space import SessionEnd
from kvraft.v1 import session_pb2
from tests.unit.machine.users.message_store import MessageStore
from tests.unit.machine.users.user_store import START_MS, UserStore


@pytest.fixture
def store() -> UserStore:
    return UserStore()


def register(store: UserStore, device_id: str, label: str = "") -> Any:
    return store.do(
        "register_device",
        session_pb2.RegisterDeviceRequest(user_id="alice", device_id=device_id, label=label),
    )


def removal(device_id: str, user_id: str = "alice") -> session_pb2.RemoveDeviceRequest:
    return session_pb2.RemoveDeviceRequest(user_id=user_id, device_id=device_id)


def device_ids(store: UserStore) -> list[str]:
    found = find_user(store.state, "alice")
    assert found is not None
    return [device.device_id for device in found[0].devices]


def test_the_first_device_makes_the_user(store: UserStore) -> None:
    response = register(store, "phone", "Alice's phone")

    assert response.created
    assert response.device_set_revision == 1
    device = response.device
    assert (device.device_id, device.label, device.create_revision) == ("phone", "Alice's phone", 1)
    assert device.create_time.ToMilliseconds() == START_MS
    assert device_ids(store) == ["phone"]


def test_devices_are_kept_in_the_order_of_their_registration(store: UserStore) -> None:
    register(store, "phone")
    response = register(store, "laptop")

    assert (response.created, response.device_set_revision) == (True, 2)
    assert device_ids(store) == ["phone", "laptop"]


def test_a_device_that_is_there_gets_its_new_label_and_the_set_stays(store: UserStore) -> None:
    register(store, "phone", "old")
    store.now_ms += 1_000

    response = register(store, "phone", "new")

    assert (response.created, response.device_set_revision, store.machine.revision) == (False, 1, 2)
    assert (response.device.label, response.device.create_time.ToMilliseconds()) == ("new", START_MS)


def test_the_same_registration_again_is_no_revision(store: UserStore) -> None:
    register(store, "phone", "label")

    assert not register(store, "phone", "label").created
    assert store.machine.revision == 1


def test_a_user_has_six_devices_at_most(store: UserStore) -> None:
    for number in range(DEVICES_MAX):
        register(store, f"device {number}")

    request = session_pb2.RegisterDeviceRequest(user_id="alice", device_id="one more")
    assert store.refused("register_device", request) is FailureReason.TOO_MANY_DEVICES
    assert not register(store, "device 0", "renamed").created
    store.do("remove_device", removal("device 3"))
    assert register(store, "one more").created
    assert device_ids(store) == ["device 0", "device 1", "device 2", "device 4", "device 5", "one more"]


def test_the_last_device_stays(store: UserStore) -> None:
    register(store, "phone")

    assert store.refused("remove_device", removal("phone")) is FailureReason.LAST_DEVICE


def test_what_is_not_there_cannot_be_removed(store: UserStore) -> None:
    register(store, "phone")
    register(store, "laptop")

    assert store.refused("remove_device", removal("watch")) is FailureReason.DEVICE_NOT_FOUND
    assert store.refused("remove_device", removal("phone", "bob")) is FailureReason.DEVICE_NOT_FOUND


def test_a_session_ends_with_its_device(store: UserStore) -> None:
    register(store, "phone")
    register(store, "laptop")
    lease_id = store.grant()
    store.do(
        "open_session",
        session_pb2.OpenSessionRequest(user_id="alice", device_id="phone", lease_id=lease_id),
    )

    response = store.do("remove_device", removal("phone"))

    assert response.device_set_revision == store.machine.revision == 5
    assert device_ids(store) == ["laptop"]
    assert sessions.find(store.state, "alice", "phone") is None
    assert list(sessions.of_lease(store.state, lease_id)) == []
    assert store.machine.touched.sessions == {("alice", "phone"): SessionEnd.REMOVED}


def test_the_queue_goes_with_its_device_and_that_of_another_stays() -> None:
    store = MessageStore(("ada", "phone"), ("bob", "phone"), ("bob", "phone2"))
    for _ in range(3):
        store.do("send_message", store.request())

    response = store.do("remove_device", removal("phone", "bob"))

    assert response.purged_messages == 3
    assert queues.find(store.state, "bob", "phone").live == 0
    assert queues.find(store.state, "bob", "phone2").live == 3
    gone = keys.queue_key("bob", "phone")
    assert not [row_key for row_key in store.rows() if row_key.startswith(gone)]


def test_a_removed_device_that_comes_back_is_a_new_one(store: UserStore) -> None:
    register(store, "phone")
    register(store, "laptop")
    store.do("remove_device", removal("phone"))

    response = register(store, "phone")

    assert (response.created, response.device.create_revision) == (True, 4)
    assert device_ids(store) == ["laptop", "phone"]
