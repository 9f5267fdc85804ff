"""Block lists: what is blocked, since when, and how many."""

from __future__ import annotations

from typing import Any

import pytest

from kvraft.machine.results import FailureReason
from kvraft.machine.users import blocks
from kvraft.machine.users.rows import find_user
from kvraft.v1 import contact_pb2, session_pb2
from tests.unit.machine.users.user_store import START_MS, UserStore

DIRECT, DIRECT_AND_GROUPS = contact_pb2.BLOCK_SCOPE_DIRECT, contact_pb2.BLOCK_SCOPE_DIRECT_AND_GROUPS


@pytest.fixture
def store() -> UserStore:
    store = UserStore()
    store.do("register_device", session_pb2.RegisterDeviceRequest(user_id="alice", device_id="phone"))
    return store


def blocking(blocked_id: str, scope: contact_pb2.BlockScope = DIRECT) -> contact_pb2.BlockUserRequest:
    return contact_pb2.BlockUserRequest(user_id="alice", blocked_id=blocked_id, scope=scope)


def unblock(store: UserStore, blocked_id: str) -> bool:
    request = contact_pb2.UnblockUserRequest(user_id="alice", blocked_id=blocked_id)
    response: contact_pb2.UnblockUserResponse = store.do("unblock_user", request)
    return response.unblocked


def scope(store: UserStore, other: str) -> Any:
    found = find_user(store.state, "alice")
    assert found is not None
    return blocks.scope(store.state, "alice", found[0].blocked, other)


def count(store: UserStore) -> int:
    found = find_user(store.state, "alice")
    assert found is not None
    return found[0].blocked


def test_a_block_is_in_effect_until_it_ends(store: UserStore) -> None:
    assert scope(store, "eve") is None
    store.do("block_user", blocking("eve"))
    store.do("block_user", blocking("mallory", DIRECT_AND_GROUPS))

    assert (scope(store, "eve"), scope(store, "mallory"), scope(store, "bob")) == (
        DIRECT,
        DIRECT_AND_GROUPS,
        None,
    )
    assert [each.user_id for each in blocks.scan(store.state, "alice")] == ["eve", "mallory"]
    assert [each.user_id for each in blocks.scan(store.state, "alice", "eve")] == ["mallory"]
    assert count(store) == 2
    assert unblock(store, "eve")
    assert (scope(store, "eve"), count(store)) == (None, 1)
    revision = store.machine.revision
    assert not unblock(store, "eve")
    assert store.machine.revision == revision


def test_a_block_without_a_scope_is_direct(store: UserStore) -> None:
    store.do("block_user", contact_pb2.BlockUserRequest(user_id="alice", blocked_id="eve"))

    assert scope(store, "eve") == DIRECT


def test_blocking_again_changes_the_scope_and_not_the_time(store: UserStore) -> None:
    store.do("block_user", blocking("eve"))
    store.now_ms += 5_000
    rows, revision = store.rows(), store.machine.revision
    store.do("block_user", blocking("eve"))
    assert (store.rows(), store.machine.revision) == (rows, revision)

    store.do("block_user", blocking("eve", DIRECT_AND_GROUPS))

    (blocked,) = blocks.scan(store.state, "alice")
    assert blocked.scope == DIRECT_AND_GROUPS
    assert blocked.block_time.ToMilliseconds() == START_MS
    assert count(store) == 1


def test_a_user_who_blocks_nobody_costs_no_row(store: UserStore) -> None:
    class NoReads:
        def get(self, key: bytes) -> bytes | None:
            raise AssertionError(f"{key!r} was read")

        def scan(self, start: bytes, end: bytes | None, *, reverse: bool = False) -> Any:
            raise AssertionError(f"{start!r} was read")

    found = find_user(store.state, "alice")
    assert found is not None
    assert blocks.scope(NoReads(), "alice", found[0].blocked, "eve") is None


def test_so_many_are_blocked_and_no_more(store: UserStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCKED_MAX", 2)
    store.do("block_user", blocking("a"))
    store.do("block_user", blocking("b"))

    assert store.refused("block_user", blocking("c")) == FailureReason.TOO_MANY_BLOCKED
    store.do("block_user", blocking("b", DIRECT_AND_GROUPS))
    unblock(store, "a")
    store.do("block_user", blocking("c"))
    assert scope(store, "c") == DIRECT


def test_a_user_without_devices_blocks_nobody(store: UserStore) -> None:
    for kind, request in (
        ("block_user", contact_pb2.BlockUserRequest(user_id="eve", blocked_id="alice")),
        ("unblock_user", contact_pb2.UnblockUserRequest(user_id="eve", blocked_id="alice")),
    ):
        assert store.refused(kind, request) == FailureReason.USER_NOT_FOUND
