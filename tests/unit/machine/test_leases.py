"""Leases: when they live, when they end, and that their keys end with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvraft.machine import kv, lease_commands, leases
from kvraft.machine.machine import BATCH_VERSION, Machine
from kvraft.machine.results import (
    Answer,
    DoneResult,
    Failed,
    FailureReason,
    GrantLeaseResult,
    PutResult,
    RegisterClientResult,
    RenewLeasesResult,
    RevokeLeaseResult,
)
from kvraft.v1 import command_pb2
from tests.unit.machine.plain_state import PlainState

Command = command_pb2.Command
TERM = 5
START_MS = 1_000_000
TTL_MS = 10_000


class Store:
    """A machine over a plain state, whose leader has a clock that the test moves."""

    def __init__(self) -> None:
        self.state = PlainState()
        self.machine = Machine(self.state)
        self.now_ms = START_MS

    def apply(self, command: Command, *, term: int = TERM) -> Answer:
        group = command_pb2.CommandGroup(origin_id=1, group_id=7, commands=[command.SerializeToString()])
        batch = command_pb2.CommandBatch(version=BATCH_VERSION, time_ms=self.now_ms, groups=[group])
        (applied,) = self.machine.apply(batch.SerializeToString(), term)
        (answer,) = applied.answers
        return answer

    def grant(self, ttl_ms: int = TTL_MS, lease_id: int = 0) -> int:
        result = self.apply(grant(ttl_ms, lease_id)).result
        assert isinstance(result, GrantLeaseResult)
        return result.lease_id

    def put(self, key: bytes, lease_id: int = 0) -> Answer:
        return self.apply(put(key, lease_id))

    def renew(self, *lease_ids: int) -> tuple[int, ...]:
        result = self.apply(Command(renew_leases={"lease_ids": lease_ids})).result
        assert isinstance(result, RenewLeasesResult)
        return result.ttls_ms

    def expire(self, *lease_ids: int, term: int = TERM, entry_term: int = TERM) -> Answer:
        return self.apply(expire(lease_ids, term), term=entry_term)

    def keys(self) -> list[bytes]:
        return [key for key, _ in kv.scan(self.state, b"", b"")]

    def lease_ids(self) -> list[int]:
        return [lease.lease_id for lease in leases.scan(self.state, 0)]

    def attached(self, lease_id: int) -> list[bytes]:
        return list(leases.attached(self.state, lease_id))


def grant(ttl_ms: int = TTL_MS, lease_id: int = 0) -> Command:
    return Command(grant_lease={"ttl_ms": ttl_ms, "lease_id": lease_id})


def put(key: bytes, lease_id: int = 0) -> Command:
    return Command(put={"key": key, "value": b"value", "lease_id": lease_id})


def revoke(lease_id: int) -> Command:
    return Command(revoke_lease={"lease_id": lease_id})


def expire(lease_ids: Sequence[int], term: int = TERM) -> Command:
    return Command(expire={"term": term, "lease_ids": lease_ids})


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_commands, "KEYS_AT_ONCE_MAX", 3)


def test_a_granted_lease_has_the_revision_as_its_id_and_its_full_time(store: Store) -> None:
    store.put(b"before")

    answer = store.apply(grant())

    assert answer == Answer(2, GrantLeaseResult(2, TTL_MS))
    assert leases.get(store.state, 2) == leases.Lease(2, TTL_MS, START_MS + TTL_MS, 2)


def test_a_lease_can_be_given_its_id(store: Store) -> None:
    assert store.grant(lease_id=77) == 77
    assert store.lease_ids() == [77]


def test_an_id_in_use_is_refused_and_nothing_changes(store: Store) -> None:
    store.grant(lease_id=77)
    rows = dict(store.state.rows)

    answer = store.apply(grant(5_000, 77))

    assert answer == Answer(1, Failed(FailureReason.LEASE_EXISTS, 77))
    assert store.state.rows == rows


def test_a_chosen_id_never_meets_a_revision(store: Store) -> None:
    store.grant(lease_id=2)

    assert store.grant() == 3
    assert store.grant() == 4


def test_a_key_cannot_be_attached_to_what_does_not_exist(store: Store) -> None:
    assert store.put(b"key", 9) == Answer(0, Failed(FailureReason.LEASE_NOT_FOUND, 9))
    assert store.keys() == []


def test_a_key_is_attached_to_the_lease_it_was_last_written_with(store: Store) -> None:
    first, second = store.grant(), store.grant()
    store.put(b"moves", first)
    store.put(b"moves", second)
    store.put(b"leaves", first)
    store.put(b"leaves")

    assert (store.attached(first), store.attached(second)) == ([], [b"moves"])
    assert store.apply(revoke(first)).result == RevokeLeaseResult(0)
    assert store.keys() == [b"leaves", b"moves"]


def test_a_revoked_lease_ends_with_its_keys_as_one_revision_that_watches_see(store: Store) -> None:
    lease_id = store.grant()
    store.put(b"a", lease_id)
    store.put(b"b", lease_id)
    store.put(b"c")

    answer = store.apply(revoke(lease_id))

    assert answer == Answer(5, RevokeLeaseResult(2))
    ((revision, changes),) = store.machine.changes
    assert (revision, [(key, row) for key, row, _ in changes]) == (5, [(b"\x01a", None), (b"\x01b", None)])
    assert store.keys() == [b"c"]
    assert store.apply(revoke(lease_id)) == Answer(5, Failed(FailureReason.LEASE_NOT_FOUND, lease_id))


def test_the_end_of_a_lease_without_keys_is_a_revision(store: Store) -> None:
    lease_id = store.grant()

    assert store.apply(revoke(lease_id)).revision == 2
    assert store.machine.changes == []


def test_a_renewal_gives_the_full_time_from_the_clock_of_its_entry_and_no_revision(store: Store) -> None:
    lease_id = store.grant()
    store.now_ms += 9_000

    answer = store.apply(Command(renew_leases={"lease_ids": [lease_id, 99]}))

    assert answer == Answer(1, RenewLeasesResult((TTL_MS, 0)))
    found = leases.get(store.state, lease_id)
    assert found is not None
    assert found.expires_ms == store.now_ms + TTL_MS


def test_a_lease_named_twice_is_renewed_once_and_answered_twice(store: Store) -> None:
    lease_id = store.grant()
    store.now_ms += 1

    assert store.renew(lease_id, lease_id) == (TTL_MS, TTL_MS)


def test_a_leader_whose_clock_is_behind_does_not_shorten_a_lease(store: Store) -> None:
    lease_id = store.grant()
    store.now_ms -= 500_000

    store.renew(lease_id)

    found = leases.get(store.state, lease_id)
    assert found is not None
    assert found.expires_ms == START_MS + TTL_MS


def test_a_lease_ends_when_its_time_has_come_and_not_before(store: Store) -> None:
    lease_id = store.grant()
    store.put(b"key", lease_id)
    store.now_ms += TTL_MS - 1

    assert store.expire(lease_id) == Answer(2, DoneResult())
    store.now_ms += 1
    assert store.expire(lease_id) == Answer(3, DoneResult())

    assert (store.keys(), store.lease_ids()) == ([], [])


def test_a_lease_past_its_time_lives_until_its_end_is_applied(store: Store) -> None:
    lease_id = store.grant()
    store.now_ms += 10 * TTL_MS

    assert store.renew(lease_id) == (TTL_MS,)
    store.expire(lease_id)

    assert store.lease_ids() == [lease_id]


@pytest.mark.parametrize("term", [TERM - 1, TERM + 1])
def test_what_another_term_proposed_ends_nothing(store: Store, term: int) -> None:
    lease_id = store.grant()
    client = store.apply(Command(register_client={})).result
    assert isinstance(client, RegisterClientResult)
    store.now_ms += 1_000 * TTL_MS
    rows = dict(store.state.rows)
    command = expire([lease_id], term)
    command.expire.client_ids.append(client.client_id)

    assert store.apply(command) == Answer(2, DoneResult())
    assert {k: v for k, v in store.state.rows.items() if k[0]} == {k: v for k, v in rows.items() if k[0]}


def test_leases_that_end_together_end_as_one_revision(store: Store) -> None:
    ids = [store.grant() for _ in range(3)]
    for lease_id in ids:
        store.put(b"key %d" % lease_id, lease_id)
    store.now_ms += TTL_MS

    answer = store.expire(*ids, 99)

    assert answer.revision == 7
    assert len(store.machine.changes[0][1]) == 3
    assert dict(store.state.rows).keys() == {b"\x00machine"}


def test_a_written_key_is_kept_when_the_lease_it_left_ends(store: Store) -> None:
    lease_id = store.grant()
    store.put(b"key", lease_id)
    store.put(b"key")
    store.now_ms += TTL_MS

    store.expire(lease_id)

    assert store.keys() == [b"key"]


@pytest.mark.usefixtures("few_at_once")
class TestManyKeys:
    def test_a_lease_that_does_not_fit_beside_others_waits_and_ends_whole(self, store: Store) -> None:
        first, second = store.grant(), store.grant()
        for number in range(2):
            store.put(b"a%d" % number, first)
            store.put(b"b%d" % number, second)
        store.now_ms += TTL_MS

        store.expire(first, second)
        assert (store.keys(), store.lease_ids()) == ([b"b0", b"b1"], [second])
        store.expire(first, second)
        assert (store.keys(), store.lease_ids()) == ([], [])

    def test_a_lease_with_too_many_keys_is_gone_at_once_and_its_keys_in_steps(self, store: Store) -> None:
        lease_id = store.grant(lease_id=50)
        for number in range(7):
            store.put(b"%d" % number, lease_id)

        assert store.apply(revoke(lease_id)).result == RevokeLeaseResult(3)

        assert store.lease_ids() == []
        assert store.renew(lease_id) == (0,)
        assert isinstance(store.put(b"new", lease_id).result, Failed)
        assert isinstance(store.apply(revoke(lease_id)).result, Failed)
        assert store.apply(grant(lease_id=50)).result == Failed(FailureReason.LEASE_EXISTS, 50)
        assert list(leases.due(store.state, 0)) == [lease_id]
        assert len(store.keys()) == 4
        store.put(b"4")  # taken away from the ending lease
        store.expire(lease_id)
        assert store.keys() == [b"4"]
        assert store.grant(lease_id=50) == 50

    def test_an_expired_lease_with_too_many_keys_ends_in_steps(self, store: Store) -> None:
        lease_id = store.grant()
        for number in range(7):
            store.put(b"%d" % number, lease_id)
        store.now_ms += TTL_MS

        left = [len(store.keys()) for _ in range(4) if store.expire(*leases.due(store.state, store.now_ms))]

        assert left == [4, 1, 0, 0]
        assert dict(store.state.rows).keys() == {b"\x00machine"}


def test_a_grant_and_a_revocation_that_are_repeated_get_their_first_answers(store: Store) -> None:
    client = store.apply(Command(register_client={})).result
    assert isinstance(client, RegisterClientResult)

    def numbered(command: Command, sequence: int) -> Answer:
        command.client_id, command.sequence = client.client_id, sequence
        return store.apply(command)

    granted = numbered(grant(), 1)
    assert isinstance(granted.result, GrantLeaseResult)
    revoked = numbered(revoke(granted.result.lease_id), 2)
    assert revoked == Answer(3, RevokeLeaseResult(0))

    assert numbered(grant(), 1) == granted
    assert numbered(revoke(granted.result.lease_id), 2) == revoked
    assert store.lease_ids() == []


# --- a model --------------------------------------------------------------------------------------


@dataclass
class Model:
    """What leases are, said in another way."""

    now_ms: int = START_MS
    revision: int = 0
    leases: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Time to live and end of each."""
    keys: dict[bytes, int] = field(default_factory=dict)
    """The lease of each key."""

    def grant(self, ttl_ms: int, lease_id: int) -> bool:
        if lease_id in self.leases:
            return False
        self.revision += 1
        self.leases[lease_id] = (ttl_ms, self.now_ms + ttl_ms)
        return True

    def put(self, key: bytes, lease_id: int) -> bool:
        if lease_id and lease_id not in self.leases:
            return False
        self.revision += 1
        self.keys[key] = lease_id
        return True

    def delete(self, key: bytes) -> None:
        self.revision += self.keys.pop(key, None) is not None

    def renew(self, lease_id: int) -> int:
        if lease_id not in self.leases:
            return 0
        ttl_ms, _ = self.leases[lease_id]
        self.leases[lease_id] = (ttl_ms, self.now_ms + ttl_ms)
        return ttl_ms

    def end(self, *lease_ids: int) -> int:
        doomed = [key for key, lease_id in self.keys.items() if lease_id in lease_ids]
        for key in doomed:
            del self.keys[key]
        for lease_id in lease_ids:
            del self.leases[lease_id]
        self.revision += bool(lease_ids)
        return len(doomed)


LEASE_IDS = st.integers(1, 4)
KEYS = st.sampled_from([b"a", b"a\x00", b"b", b"\xff\xff"])
STEPS = st.one_of(
    st.tuples(st.just("grant"), LEASE_IDS, st.sampled_from([1_000, 5_000])),
    st.tuples(st.just("put"), KEYS, st.integers(0, 4)),
    st.tuples(st.just("delete"), KEYS),
    st.tuples(st.just("renew"), LEASE_IDS),
    st.tuples(st.just("revoke"), LEASE_IDS),
    st.tuples(st.just("wait"), st.sampled_from([1, 999, 1_000, 4_000])),
    st.tuples(st.just("expire"), st.sets(LEASE_IDS), st.booleans()),
)


@settings(max_examples=300)
@given(st.lists(STEPS, max_size=40))
def test_whatever_happens_leases_are_what_the_model_says(steps: list[tuple[object, ...]]) -> None:
    store, model = Store(), Model()
    for step in steps:
        match step:
            case ("grant", int(lease_id), int(ttl_ms)):
                result = store.apply(grant(ttl_ms, lease_id)).result
                assert isinstance(result, GrantLeaseResult) == model.grant(ttl_ms, lease_id)
            case ("put", bytes(key), int(lease_id)):
                assert isinstance(store.put(key, lease_id).result, PutResult) == model.put(key, lease_id)
            case ("delete", bytes(key)):
                store.apply(Command(delete={"key": key}))
                model.delete(key)
            case ("renew", int(lease_id)):
                assert store.renew(lease_id) == (model.renew(lease_id),)
            case ("revoke", int(lease_id)):
                exists = lease_id in model.leases
                expected = (
                    RevokeLeaseResult(model.end(lease_id))
                    if exists
                    else Failed(FailureReason.LEASE_NOT_FOUND, lease_id)
                )
                assert store.apply(revoke(lease_id)).result == expected
            case ("wait", int(ms)):
                store.now_ms += ms
                model.now_ms += ms
            case ("expire", set(candidates), bool(is_current)):
                store.expire(*sorted(candidates), term=TERM if is_current else TERM - 1)
                if is_current:
                    model.end(
                        *[c for c in candidates if model.leases.get(c, (0, 1 << 63))[1] <= model.now_ms]
                    )
            case _:
                pytest.fail(f"no such step: {step}")
        _assert_alike(store, model)


def _assert_alike(store: Store, model: Model) -> None:
    state = store.state
    assert store.machine.revision == model.revision
    assert {lease.lease_id: (lease.ttl_ms, lease.expires_ms) for lease in leases.scan(state, 0)} == (
        model.leases
    )
    by_time = sorted((expires_ms, lease_id) for lease_id, (_, expires_ms) in model.leases.items())
    assert list(leases.due(state, 1 << 62)) == [lease_id for _, lease_id in by_time]
    assert {key: record.lease_id for key, record in kv.scan(state, b"", b"")} == model.keys
    for lease_id in range(1, 5):
        assert store.attached(lease_id) == sorted(k for k, owner in model.keys.items() if owner == lease_id)
