"""A state that a machine has made is taken from another node; one that no machine makes is not."""

from __future__ import annotations

import pytest

from kvraft.machine import keys
from kvraft.machine.snapshot_check import SnapshotCheck
from tests.unit.machine.test_clients import NOW_MS, Command, Store, numbered


@pytest.fixture
def store() -> Store:
    """With rows of every kind that the check reads."""
    store = Store()
    client_id = store.register()
    store.apply(numbered(client_id, 1))
    store.apply(numbered(client_id, 2, list={"commands": [{"put": {"key": b"a", "value": b"b"}}] * 3}))
    store.apply(Command(grant_lease={"lease_id": 7, "ttl_ms": 60_000}))
    store.apply(Command(user_data={"register_device": {"user_id": "bob", "device_id": "phone"}}))
    store.apply(Command(user_data={"erase_user": {"user_id": "bob", "note": "request 1"}}))
    return store


def test_what_a_machine_has_made_is_taken(store: Store) -> None:
    check = SnapshotCheck(revision=1, clock_ms=0)
    for key, row in store.state.rows.items():
        check.row(key, row)
    check.finish()


@pytest.mark.parametrize("of", [keys.ANSWERS[0], keys.MACHINE])
def test_a_row_that_cannot_be_read_is_refused(store: Store, of: bytes) -> None:
    key = next(key for key in store.state.rows if key.startswith(of))
    with pytest.raises(ValueError, match="cannot be read"):
        SnapshotCheck(revision=1, clock_ms=0).row(key, b"\xff" * 40)


def test_a_state_that_is_behind_is_refused(store: Store) -> None:
    check = SnapshotCheck(revision=1_000, clock_ms=NOW_MS)
    for key, row in store.state.rows.items():
        check.row(key, row)
    with pytest.raises(ValueError, match="does not follow"):
        check.finish()
