"""Transactions: what holds, what is done, and that a failure leaves no trace."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kvraft.machine import compares, keys, kv, txn
from kvraft.machine.answers import decode_answer, encode_answer
from kvraft.machine.errors import UnknownCommandError
from kvraft.machine.machine import BATCH_VERSION, Machine
from kvraft.machine.records import KvRecord
from kvraft.machine.results import (
    Answer,
    DeleteRangeResult,
    DeleteResult,
    Failed,
    FailureReason,
    GetResult,
    PutResult,
    RangeResult,
    TxnOperationResult,
    TxnResult,
)
from kvraft.machine.work import COMMAND_WORK_MAX
from kvraft.v1 import command_pb2
from tests.unit.machine.plain_state import PlainState
from tests.unit.machine.txn_model import Model

Command = command_pb2.Command
TxnCommand = command_pb2.TxnCommand
Compare = TxnCommand.Compare
Operation = TxnCommand.Operation
EQUAL, NOT_EQUAL, LESS, GREATER = 1, 2, 3, 4
LEASE, OTHER_LEASE, NO_LEASE = 7, 8, 9


class Store:
    """A machine over a plain state with two leases, one command at a time."""

    def __init__(self) -> None:
        self.state = PlainState()
        self.machine = Machine(self.state)
        for lease_id in (LEASE, OTHER_LEASE):
            self.apply(Command(grant_lease={"lease_id": lease_id, "ttl_ms": 60_000}))
        self.first = self.machine.revision + 1
        """The revision of the first command after this."""

    def apply(self, command: Command) -> Answer:
        group = command_pb2.CommandGroup(origin_id=1, group_id=7, commands=[command.SerializeToString()])
        batch = command_pb2.CommandBatch(version=BATCH_VERSION, time_ms=1_000, groups=[group])
        (applied,) = self.machine.apply(batch.SerializeToString(), 1)
        (answer,) = applied.answers
        return answer

    def put(self, *user_keys: bytes, value: bytes = b"v", lease_id: int = 0) -> None:
        count = len(user_keys)
        batch = {"keys": user_keys, "values": [value] * count, "lease_ids": [lease_id] * count}
        self.apply(Command(batch_write=batch))

    def txn(self, *operations: Operation, compares: Any = (), failure: Any = ()) -> Answer:
        return self.apply(Command(txn={"compares": compares, "success": operations, "failure": failure}))

    def results(self, *operations: Operation) -> tuple[TxnOperationResult, ...]:
        result = self.txn(*operations).result
        assert isinstance(result, TxnResult), result
        return result.results

    def holds(self, *compares: Compare) -> bool:
        result = self.txn(compares=compares).result
        assert isinstance(result, TxnResult), result
        return result.succeeded

    def fails_without_a_trace(self, *operations: Operation, compares: Any = ()) -> Failed:
        before = dict(self.state.rows)
        revision = self.machine.revision
        answer = self.txn(*operations, compares=compares)
        assert self.state.rows == before
        assert (answer.revision, self.machine.revision) == (revision, revision)
        assert self.machine.changes == []
        assert isinstance(answer.result, Failed), answer
        return answer.result

    def keys(self) -> list[bytes]:
        return [key for key, _ in kv.scan(self.state, b"", b"")]


@pytest.fixture
def store() -> Store:
    return Store()


def put(key: bytes, value: bytes = b"v", **fields: Any) -> Operation:
    return Operation(put=command_pb2.PutCommand(key=key, value=value, **fields))


def delete(key: bytes, **fields: Any) -> Operation:
    return Operation(delete=command_pb2.DeleteCommand(key=key, **fields))


def delete_range(start: bytes = b"", end: bytes = b"", limit: int = 10_000) -> Operation:
    return Operation(delete_range=command_pb2.DeleteRangeCommand(start=start, end=end, limit=limit))


def get(key: bytes) -> Operation:
    return Operation(get=TxnCommand.Get(key=key))


def read(start: bytes = b"", end: bytes = b"", limit: int = 100, **fields: Any) -> Operation:
    return Operation(range=TxnCommand.Range(start=start, end=end, limit=limit, **fields))


def nested(*success: Operation, compares: Any = (), failure: Any = ()) -> Operation:
    return Operation(txn=TxnCommand(compares=compares, success=success, failure=failure))


def of_key(key: bytes, relation: int, **operand: Any) -> Compare:
    return Compare(start=key, relation=relation, **operand)


def of_range(start: bytes, end: bytes, relation: int, **operand: Any) -> Compare:
    return Compare(start=start, end=end, is_range=True, relation=relation, **operand)


# --- comparisons ------------------------------------------------------------------------------------


def test_without_comparisons_it_succeeds_and_without_changes_it_has_no_revision(store: Store) -> None:
    assert store.txn() == Answer(store.first - 1, TxnResult(True, ()))


@pytest.mark.parametrize(
    ("relation", "smaller", "same", "greater"),
    [
        (EQUAL, False, True, False),
        (NOT_EQUAL, True, False, True),
        (LESS, True, False, False),
        (GREATER, False, False, True),
    ],
)
def test_the_relations_have_the_key_on_their_left(
    store: Store, relation: int, smaller: bool, same: bool, greater: bool
) -> None:
    store.put(b"k", value=b"mmm", lease_id=LEASE)
    store.put(b"k", value=b"mmm", lease_id=LEASE)
    record = kv.get(store.state, b"k")
    assert record is not None
    assert record.version == 2
    for operand in ("version", "create_revision", "mod_revision", "lease_id"):
        number = getattr(record, operand)
        assert [
            store.holds(of_key(b"k", relation, **{operand: with_}))
            for with_ in (number + 1, number, number - 1)
        ] == [smaller, same, greater], operand
    assert [store.holds(of_key(b"k", relation, value=with_)) for with_ in (b"mmma", b"mmm", b"\x7f")] == [
        smaller,
        same,
        relation in (NOT_EQUAL, LESS),
    ]


def test_values_are_compared_as_unsigned_bytes(store: Store) -> None:
    store.put(b"k", value=b"\xff")
    assert store.holds(of_key(b"k", GREATER, value=b"\x7f"))
    assert store.holds(of_key(b"k", GREATER, value=b""))


def test_an_absent_key_has_zeros_and_no_value(store: Store) -> None:
    for operand in ("version", "create_revision", "mod_revision", "lease_id"):
        assert store.holds(of_key(b"none", EQUAL, **{operand: 0}))
        assert store.holds(of_key(b"none", LESS, **{operand: 1}))
    for relation in (EQUAL, NOT_EQUAL, LESS, GREATER):
        assert not store.holds(of_key(b"none", relation, value=b""))
        assert not store.holds(of_key(b"none", relation, value=b"x"))


def test_existence(store: Store) -> None:
    store.put(b"k")
    assert store.holds(of_key(b"k", EQUAL, exists=True), of_key(b"none", EQUAL, exists=False))
    assert store.holds(of_key(b"k", NOT_EQUAL, exists=False), of_key(b"none", NOT_EQUAL, exists=True))
    assert not store.holds(of_key(b"k", EQUAL, exists=False))
    assert not store.holds(of_key(b"none", EQUAL, exists=True))


def test_all_must_hold(store: Store) -> None:
    store.put(b"k")
    good, bad = of_key(b"k", EQUAL, version=1), of_key(b"k", EQUAL, version=2)
    assert store.holds(good, good)
    assert not store.holds(good, bad)
    assert not store.holds(bad, good)


def test_a_range_holds_if_every_key_does_or_none_is_there(store: Store) -> None:
    store.put(b"a", b"b", b"c")
    store.put(b"b")
    assert store.holds(of_range(b"", b"", LESS, version=3))
    assert not store.holds(of_range(b"", b"", EQUAL, version=1))
    assert store.holds(of_range(b"a", b"b", EQUAL, version=1))
    assert store.holds(of_range(b"c", b"", EQUAL, version=1))
    assert store.holds(of_range(b"x", b"y", EQUAL, version=77))
    assert not store.holds(of_key(b"x", EQUAL, version=77))


def test_a_range_of_more_than_1000_keys_is_refused_wherever_it_fails(store: Store) -> None:
    names = [b"%04d" % number for number in range(1_001)]
    store.put(*names[:1_000])
    store.put(names[0])
    assert store.holds(of_range(b"", b"", GREATER, version=0))
    assert not store.holds(of_range(b"", b"", EQUAL, version=1))
    store.put(names[1_000])
    for version in (0, 1):
        failed = store.fails_without_a_trace(
            put(b"x"), compares=[of_range(b"", b"", GREATER, version=version)]
        )
        assert failed == Failed(FailureReason.RANGE_TOO_LARGE, 1_000)
    assert store.holds(of_range(b"", names[1_000], GREATER, version=0))


# --- operations -------------------------------------------------------------------------------------


def test_one_of_two_branches_is_done(store: Store) -> None:
    compare = of_key(b"lock", EQUAL, exists=False)
    first = store.txn(put(b"lock", b"me"), compares=[compare], failure=[get(b"lock")])
    assert first == Answer(store.first, TxnResult(True, (PutResult(None),)))
    second = store.txn(put(b"lock", b"you"), compares=[compare], failure=[get(b"lock")])
    record = KvRecord(b"me", store.first, store.first, 1)
    assert second == Answer(store.first, TxnResult(False, (GetResult(record),)))


def test_operations_are_one_revision_and_see_those_before_them(store: Store) -> None:
    store.put(b"a", b"b")
    revision = store.first + 1
    one = KvRecord(b"1", revision, revision, 1)
    assert store.txn(
        put(b"c", b"1"),
        get(b"c"),
        put(b"c", b"2", return_previous=True),
        delete(b"a"),
        delete(b"a"),
        read(keys_only=True),
        delete_range(b"b"),
        read(count_only=True),
        delete(b"none", return_previous=True),
    ) == Answer(
        revision,
        TxnResult(
            True,
            (
                PutResult(None),
                GetResult(one),
                PutResult(one),
                DeleteResult(True, None),
                DeleteResult(False, None),
                RangeResult(
                    (
                        (b"b", KvRecord(b"", store.first, store.first, 1)),
                        (b"c", KvRecord(b"", revision, revision, 2)),
                    ),
                    2,
                ),
                DeleteRangeResult(2, more=False),
                RangeResult((), 0),
                DeleteResult(False, None),
            ),
        ),
    )
    assert store.keys() == []
    assert [revision for revision, _ in store.machine.changes] == [revision]


def test_a_range_is_read_up_to_its_limit_and_says_if_there_are_more(store: Store) -> None:
    store.put(b"a", b"b", b"c", b"d")
    record = KvRecord(b"v", store.first, store.first, 1)
    assert store.results(
        read(b"b", limit=1),
        read(b"b", limit=2, reverse=True),
        read(b"b", b"d", limit=2),
        read(limit=3, count_only=True),
        read(limit=4, count_only=True),
        read(b"x"),
    ) == (
        RangeResult(((b"b", record),), 2),
        RangeResult(((b"d", record), (b"c", record)), 3),
        RangeResult(((b"b", record), (b"c", record)), 2),
        RangeResult((), 4),
        RangeResult((), 4),
        RangeResult((), 0),
    )


def test_nested_transactions_see_what_was_done_before_them_and_share_the_revision(store: Store) -> None:
    answer = store.txn(
        put(b"a", b"1"),
        nested(
            put(b"b", b"2"),
            nested(put(b"never"), compares=[of_key(b"b", EQUAL, exists=False)], failure=[get(b"b")]),
            compares=[of_key(b"a", EQUAL, value=b"1")],
        ),
    )
    b = KvRecord(b"2", store.first, store.first, 1)
    inner = TxnResult(True, (PutResult(None), TxnResult(False, (GetResult(b),))))
    assert answer == Answer(store.first, TxnResult(True, (PutResult(None), inner)))
    assert store.keys() == [b"a", b"b"]


def test_a_transaction_in_a_list_is_one_command_of_many(store: Store) -> None:
    transaction = Command(txn={"success": [put(b"a"), put(b"b")]})
    failing = Command(txn={"success": [put(b"c"), put(b"d", lease_id=NO_LEASE)]})
    plain = Command(put={"key": b"e", "value": b"v"})
    answer = store.apply(Command(list={"commands": [transaction, failing, plain]}))
    assert [each.revision for each in answer.result.answers] == [store.first, store.first, store.first + 1]
    assert store.keys() == [b"a", b"b", b"e"]


# --- failures ---------------------------------------------------------------------------------------


def attached(store: Store, lease_id: int) -> list[bytes]:
    return [keys.attached_user_key(row) for row, _ in store.state.scan(*keys.attached_range(lease_id))]


def test_a_put_attaches_to_its_lease(store: Store) -> None:
    store.txn(put(b"a", lease_id=LEASE), put(b"b", lease_id=LEASE), put(b"a", lease_id=OTHER_LEASE))
    assert (attached(store, LEASE), attached(store, OTHER_LEASE)) == ([b"b"], [b"a"])
    assert store.holds(of_key(b"a", EQUAL, lease_id=OTHER_LEASE))


def test_a_lease_that_does_not_exist_fails_the_whole_transaction(store: Store) -> None:
    store.put(b"a", b"b")
    store.put(b"held", lease_id=LEASE)
    store.put(b"moved", lease_id=LEASE)
    failed = store.fails_without_a_trace(
        put(b"a", b"2"),
        put(b"new"),
        put(b"new", b"2", lease_id=OTHER_LEASE),
        delete(b"new"),
        put(b"new", b"3"),
        delete(b"held"),
        put(b"held", b"again", lease_id=OTHER_LEASE),
        put(b"moved", lease_id=OTHER_LEASE),
        put(b"b", lease_id=LEASE),
        nested(delete_range(), put(b"b"), nested(put(b"c", lease_id=NO_LEASE))),
    )
    assert failed == Failed(FailureReason.LEASE_NOT_FOUND, NO_LEASE)
    assert (attached(store, LEASE), attached(store, OTHER_LEASE)) == ([b"held", b"moved"], [])


def test_a_lease_in_a_branch_that_is_not_taken_does_not_matter(store: Store) -> None:
    answer = store.txn(
        put(b"a"),
        nested(put(b"b", lease_id=NO_LEASE), compares=[of_key(b"a", EQUAL, exists=False)]),
        failure=[put(b"c", lease_id=NO_LEASE)],
    )
    assert answer.result == TxnResult(True, (PutResult(None), TxnResult(False, ())))


def test_a_comparison_that_is_refused_after_changes_takes_them_back(store: Store) -> None:
    store.put(*[b"%04d" % number for number in range(1_000)])
    too_large = of_range(b"", b"", EQUAL, version=1)
    failed = store.fails_without_a_trace(put(b"one more"), nested(compares=[too_large]))
    assert failed == Failed(FailureReason.RANGE_TOO_LARGE, 1_000)
    assert (
        store.txn(put(b"one more"), delete(b"0000"), nested(compares=[too_large])).revision == store.first + 1
    )


def test_what_ranges_delete_is_limited_in_all(store: Store) -> None:
    for block in range(10):
        store.put(*[b"%d/%04d" % (block, number) for number in range(1_000)])
    store.put(b"x", b"y")
    everything = delete_range(b"", b"x")
    failed = store.fails_without_a_trace(everything, nested(delete_range(b"x")))
    assert failed == Failed(FailureReason.RANGE_TOO_LARGE, 10_000)
    assert store.results(everything, delete(b"x"), delete_range(b"z")) == (
        DeleteRangeResult(10_000, more=False),
        DeleteResult(True, None),
        DeleteRangeResult(0, more=False),
    )


def test_what_is_answered_is_limited_in_all(store: Store) -> None:
    store.put(b"a", b"b", value=b"v" * (1 << 20))
    store.put(b"c", value=b"v" * ((1 << 20) - 3 * (64 + 1)))
    fitting = [get(b"a"), nested(delete(b"b", return_previous=True)), put(b"c", return_previous=True)]
    too_large = Failed(FailureReason.RANGE_TOO_LARGE, 3 << 20)
    assert store.fails_without_a_trace(*fitting, read(b"c")) == too_large
    assert store.fails_without_a_trace(put(b"d"), read(b"a", b"d"), get(b"a")) == too_large
    assert store.fails_without_a_trace(*[read(b"a", b"b")] * 3) == too_large
    assert len(store.results(*[read(keys_only=True)] * 20)) == 20
    assert len(store.results(*fitting, read(b"a", count_only=True))) == 4


def test_all_that_a_transaction_looks_at_is_limited(store: Store) -> None:
    store.put(*[b"%03d" % number for number in range(1_000)], value=b"")
    most = COMMAND_WORK_MAX // 1_000 - 1
    for operation in (read(limit=1_000), read(limit=1_000, count_only=True)):
        assert len(store.results(*[operation] * most)) == most
        too_large = store.fails_without_a_trace(put(b"d"), *[operation] * (most + 1))
        assert too_large == Failed(FailureReason.RANGE_TOO_LARGE, COMMAND_WORK_MAX)


def test_all_that_is_compared_is_limited_by_keys_and_by_bytes(store: Store) -> None:
    store.put(*[b"%03d" % number for number in range(1_000)], value=b"")
    compare = Compare(is_range=True, relation=GREATER, version=0)
    assert store.holds(*[compare] * 19)
    too_large = Failed(FailureReason.RANGE_TOO_LARGE, COMMAND_WORK_MAX)
    many = TxnCommand(compares=[compare] * 128)
    assert store.apply(Command(txn=many)).result == too_large
    store.put(*[b"%03d" % number for number in range(100)], value=bytes(1 << 20))
    assert store.apply(Command(txn=TxnCommand(compares=[compare]))).result == too_large


def test_what_is_deleted_is_limited_by_bytes(store: Store) -> None:
    keys = [b"%03d" % number for number in range(100)]
    store.put(*keys, value=bytes(1 << 20))
    everything = Operation(delete_range=command_pb2.DeleteRangeCommand(limit=100))
    too_large = Failed(FailureReason.RANGE_TOO_LARGE, COMMAND_WORK_MAX)
    assert store.fails_without_a_trace(put(b"d"), everything) == too_large
    answer = store.apply(Command(delete_range=everything.delete_range))
    assert answer.result == DeleteRangeResult(77, more=True), "the rest is for the next one"
    assert store.keys() == keys[77:]


@pytest.mark.parametrize(
    "transaction",
    [
        TxnCommand(success=[Operation()]),
        TxnCommand(compares=[Compare(start=b"a", relation=EQUAL)]),
        TxnCommand(compares=[Compare(start=b"a", relation=5, version=1)]),
        TxnCommand(compares=[Compare(start=b"a", version=1)]),
    ],
)
def test_what_is_not_understood_stops_the_machine(store: Store, transaction: TxnCommand) -> None:
    with pytest.raises(UnknownCommandError):
        store.apply(Command(txn=transaction))


def test_an_unknown_lease_of_a_numbered_transaction_is_told_again(store: Store) -> None:
    client_id = store.apply(Command(register_client={})).result.client_id
    command = Command(
        txn={"success": [put(b"a"), put(b"b", lease_id=NO_LEASE)]}, client_id=client_id, sequence=1
    )
    first = store.apply(command)
    assert first.result == Failed(FailureReason.LEASE_NOT_FOUND, NO_LEASE)
    store.apply(Command(grant_lease={"lease_id": NO_LEASE, "ttl_ms": 60_000}))
    assert store.apply(command) == first
    assert store.keys() == []


def test_a_numbered_transaction_is_done_once_and_answered_alike(store: Store) -> None:
    store.put(b"a", lease_id=LEASE)
    client_id = store.apply(Command(register_client={})).result.client_id
    operations = [put(b"a", return_previous=True), get(b"b"), read(), nested(delete(b"a"), delete_range())]
    command = Command(txn={"success": operations}, client_id=client_id, sequence=1)
    first = store.apply(command)
    store.put(b"later")
    assert store.apply(command) == first
    assert store.keys() == [b"later"]


# --- against a model --------------------------------------------------------------------------------

KEYS = st.sampled_from([b"a", b"b", b"c", b"d"])
BOUNDS = st.sampled_from([(b"", b""), (b"a", b"c"), (b"b", b""), (b"c", b"d"), (b"x", b"")])
NUMBERS = st.integers(0, 6)
OPERANDS = st.one_of(
    st.builds(lambda value: {"value": value}, st.sampled_from([b"", b"1", b"2"])),
    st.builds(
        lambda name, number: {name: number},
        st.sampled_from(["version", "create_revision", "mod_revision"]),
        NUMBERS,
    ),
    st.builds(lambda lease_id: {"lease_id": lease_id}, st.sampled_from([0, LEASE, OTHER_LEASE])),
)
RELATIONS = st.integers(EQUAL, GREATER)
COMPARES = st.one_of(
    st.builds(lambda key, relation, operand: of_key(key, relation, **operand), KEYS, RELATIONS, OPERANDS),
    st.builds(
        lambda key, relation, exists: of_key(key, relation, exists=exists),
        KEYS,
        st.sampled_from([EQUAL, NOT_EQUAL]),
        st.booleans(),
    ),
    st.builds(
        lambda bounds, relation, operand: of_range(*bounds, relation, **operand), BOUNDS, RELATIONS, OPERANDS
    ),
)
LEASES = st.sampled_from([0, 0, 0, LEASE, LEASE, OTHER_LEASE, OTHER_LEASE, NO_LEASE])
LEAVES = st.one_of(
    st.builds(
        lambda key, value, lease_id, previous: put(key, value, lease_id=lease_id, return_previous=previous),
        KEYS,
        st.sampled_from([b"", b"1", b"2"]),
        LEASES,
        st.booleans(),
    ),
    st.builds(lambda key, previous: delete(key, return_previous=previous), KEYS, st.booleans()),
    st.builds(lambda bounds, limit: delete_range(*bounds, limit), BOUNDS, st.integers(1, 3)),
    st.builds(get, KEYS),
    st.builds(
        lambda bounds, limit, reverse, keys_only, count_only: read(
            *bounds, limit, reverse=reverse, keys_only=keys_only, count_only=count_only
        ),
        BOUNDS,
        st.integers(1, 4),
        st.booleans(),
        st.booleans(),
        st.booleans(),
    ),
)


def _transactions(operations: st.SearchStrategy[Operation]) -> st.SearchStrategy[TxnCommand]:
    return st.builds(
        lambda compares, success, failure: TxnCommand(compares=compares, success=success, failure=failure),
        st.lists(COMPARES, max_size=2),
        st.lists(operations, max_size=4),
        st.lists(operations, max_size=3),
    )


OPERATIONS = st.recursive(
    LEAVES,
    lambda operations: _transactions(operations).map(lambda command: Operation(txn=command)),
    max_leaves=12,
)


@pytest.fixture
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that four keys reach."""
    monkeypatch.setattr(compares, "COMPARED_KEYS_MAX", 3)
    monkeypatch.setattr(txn, "COMPARED_KEYS_MAX", 3)
    monkeypatch.setattr(txn, "DELETED_KEYS_MAX", 2)
    monkeypatch.setattr(txn, "ANSWER_BYTES_MAX", 5 * txn.RECORD_BYTES)


@pytest.mark.usefixtures("_small_limits")
def test_transactions_do_what_a_simple_model_does() -> None:
    failures: set[tuple[FailureReason, int]] = set()

    @given(st.lists(_transactions(OPERATIONS), min_size=1, max_size=6))
    @example([TxnCommand(success=[put(b"a", lease_id=NO_LEASE)])])
    @example([TxnCommand(compares=[of_range(b"", b"", EQUAL, version=1)])])
    @example([TxnCommand(success=[delete(b"a"), delete_range(limit=3)])])
    @example([TxnCommand(success=[read(limit=4), read(limit=4)])])
    @settings(max_examples=120)
    def compare(transactions: list[TxnCommand]) -> None:
        store = Store()
        model = Model({LEASE, OTHER_LEASE}, store.machine.revision)
        everything = TxnCommand(success=[put(b"a"), put(b"b"), put(b"c", lease_id=LEASE), put(b"d")])
        for command in [everything, *transactions]:
            expected = model.apply(command)
            answer = store.apply(Command(txn=command))
            assert answer == Answer(model.revision, expected)
            assert decode_answer(encode_answer(answer)) == answer
            assert dict(kv.scan(store.state, b"", b"")) == model.keys
            for lease_id in (LEASE, OTHER_LEASE):
                assert attached(store, lease_id) == model.attached(lease_id)
            if isinstance(expected, Failed):
                failures.add((expected.reason, expected.subject))

    compare()
    # Without them it would prove nothing about what is taken back.
    assert failures == {
        (FailureReason.LEASE_NOT_FOUND, NO_LEASE),
        (FailureReason.RANGE_TOO_LARGE, compares.COMPARED_KEYS_MAX),
        (FailureReason.RANGE_TOO_LARGE, txn.DELETED_KEYS_MAX),
        (FailureReason.RANGE_TOO_LARGE, txn.ANSWER_BYTES_MAX),
    }
