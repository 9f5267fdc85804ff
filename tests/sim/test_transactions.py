"""Transactions before each of the checkers: answers that fit, and answers that do not."""

from __future__ import annotations

import pytest

from kvraft.machine.records import KvRecord
from kvraft.machine.results import DeleteResult, GetResult, PutResult, TxnOperationResult, TxnResult
from kvraft.raft.types import Entry, EntryKind, Index, Term
from kvraft.v1 import command_pb2, kv_pb2
from tests.sim.checkers.ledger import Ledger, encode
from tests.sim.checkers.linearizability import check_linearizable
from tests.sim.checkers.revisions import check_revisions
from tests.sim.histories import KEY, Story, row
from tests.sim.history import (
    Change,
    Compare,
    Delete,
    Get,
    Operand,
    Operation,
    Put,
    Read,
    Relation,
    Txn,
    Violation,
)

DONE = PutResult(None)
OTHER = b"other"
IF_ABSENT = Compare(KEY, Operand.EXISTS, Relation.EQUAL, 0)
IF_A = Compare(KEY, Operand.VALUE, Relation.EQUAL, b"a")


def ledger_of(story: Story, *log: Operation) -> Ledger:
    """The commands of these operations were applied, in this order."""
    applied = {}
    for place, operation in enumerate(log, start=1):
        assert not isinstance(operation.request, Read)
        batch = command_pb2.CommandBatch(version=1)
        batch.groups.add(origin_id=1, group_id=place, commands=[encode(operation.request, operation.number)])
        applied[Index(place)] = Entry(Index(place), Term(1), EntryKind.COMMAND, batch.SerializeToString())
    return Ledger(applied, {operation.number: operation for operation in story.operations})


def txn(story: Story, request: Txn, revision: int, succeeded: bool, *told: TxnOperationResult) -> Operation:
    """A transaction that came after all others had returned."""
    moment = 2 * len(story.operations)
    return story.write(request, moment + 1, moment + 2, revision, TxnResult(succeeded, told))


def put(story: Story, value: bytes, revision: int) -> Operation:
    moment = 2 * len(story.operations)
    return story.write(Put(KEY, value), moment + 1, moment + 2, revision, DONE)


def read(story: Story, revision: int, value: bytes | None, mod_revision: int = 0) -> None:
    moment = 2 * len(story.operations)
    rows = {} if value is None else row(value, mod_revision)
    story.read(moment + 1, moment + 2, revision, rows)


def record(value: bytes, revision: int, created: int = 1, version: int = 1) -> KvRecord:
    return KvRecord(value, created, revision, version)


def test_the_command_says_what_was_asked() -> None:
    request = Txn(
        (
            Compare(KEY, Operand.EXISTS, Relation.NOT_EQUAL, 1),
            Compare(KEY, Operand.VERSION, Relation.LESS, 3),
        ),
        (Put(KEY, b"a", return_previous=True), Delete(OTHER)),
        (Get(KEY),),
    )
    command = command_pb2.Command.FromString(encode(request, 77)).txn
    exists, version = command.compares
    assert (exists.relation, exists.exists) == (kv_pb2.Compare.RELATION_NOT_EQUAL, True)
    assert (version.start, version.relation, version.version) == (KEY, kv_pb2.Compare.RELATION_LESS, 3)
    assert command.success[0].put.return_previous
    assert command.success[1].delete.key == OTHER
    assert command.failure[0].get.key == KEY


def test_each_operation_sees_those_before_it() -> None:
    story = Story()
    request = Txn((), (Put(KEY, b"a"), Put(KEY, b"b", return_previous=True), Delete(KEY), Get(KEY)), ())
    told = (DONE, PutResult(record(b"a", 1)), DeleteResult(True, None), GetResult(None))
    first = txn(story, request, 1, True, *told)
    nothing = txn(story, Txn((), (Delete(KEY),), ()), 1, True, DeleteResult(False, None))
    ledger = ledger_of(story, first, nothing)
    ledger.check()
    check_revisions(story.operations)
    check_linearizable(story.operations)
    a, b = record(b"a", 1), record(b"b", 1, version=2)
    assert ledger.changes == {1: [Change(KEY, a, None), Change(KEY, b, a), Change(KEY, None, b)]}
    assert ledger.rows == {}


@pytest.mark.parametrize(
    ("compare", "succeeded"),
    [
        (Compare(KEY, Operand.MOD_REVISION, Relation.EQUAL, 2), True),
        (Compare(KEY, Operand.MOD_REVISION, Relation.LESS, 2), False),
        (Compare(KEY, Operand.VERSION, Relation.GREATER, 1), True),
        (Compare(KEY, Operand.VERSION, Relation.NOT_EQUAL, 2), False),
        (Compare(KEY, Operand.VALUE, Relation.EQUAL, b"b"), True),
        (Compare(KEY, Operand.VALUE, Relation.NOT_EQUAL, b"b"), False),
        (Compare(KEY, Operand.EXISTS, Relation.EQUAL, 1), True),
        (Compare(OTHER, Operand.EXISTS, Relation.EQUAL, 1), False),
        (Compare(OTHER, Operand.MOD_REVISION, Relation.EQUAL, 0), True),
        (Compare(OTHER, Operand.VALUE, Relation.NOT_EQUAL, b"b"), False),
    ],
)
def test_which_branch_the_ledger_takes(compare: Compare, succeeded: bool) -> None:
    story = Story()
    before = [put(story, b"a", 1), put(story, b"b", 2)]
    held = GetResult(record(b"b", 2, version=2))
    ask = txn(story, Txn((compare,), (Get(KEY),), (Get(KEY), Get(KEY))), 2, succeeded, held, held)
    ask.result = TxnResult(succeeded, (held,) if succeeded else (held, held))
    ledger_of(story, *before, ask).check()
    ask.result = TxnResult(not succeeded, (held, held) if succeeded else (held,))
    with pytest.raises(Violation, match="were due"):
        ledger_of(story, *before, ask).check()


# --- from what clients saw alone --------------------------------------------------------------


def test_either_branch_of_an_unknown_one_may_have_been_done() -> None:
    for seen in (b"s", b"f"):
        story = Story()
        put(story, b"a", 1)
        story.unknown(Txn((IF_A,), (Put(KEY, b"s"),), (Put(KEY, b"f"),)), 3)
        read(story, 2, seen, 2)
        check_revisions(story.operations)
        check_linearizable(story.operations)


def test_an_unknown_one_explains_an_absent_key() -> None:
    story = Story()
    put(story, b"a", 1)
    story.unknown(Txn((IF_A,), (Put(KEY, b"s"),), (Delete(KEY),)), 3)
    read(story, 2, None)
    check_revisions(story.operations)
    check_linearizable(story.operations)


def _the_other_branch(story: Story) -> None:
    txn(story, Txn((IF_ABSENT,), (Put(KEY, b"s"),), (Put(KEY, b"f"),)), 1, True, DONE)
    read(story, 1, b"f", 1)


def _what_was_overwritten_inside(story: Story) -> None:
    txn(story, Txn((), (Put(KEY, b"s"), Put(KEY, b"t")), ()), 1, True, DONE, DONE)
    read(story, 1, b"s", 1)


def _a_write_that_is_not_seen(story: Story) -> None:
    put(story, b"a", 1)
    txn(story, Txn((IF_A,), (Put(KEY, b"s"),), ()), 2, True, DONE)
    read(story, 2, b"a", 1)


def _a_delete_that_is_not_seen(story: Story) -> None:
    put(story, b"a", 1)
    txn(story, Txn((IF_A,), (Delete(KEY),), ()), 2, True, DeleteResult(True, None))
    read(story, 2, b"a", 1)


def _a_read_of_what_was_overwritten(story: Story) -> None:
    put(story, b"a", 1)
    put(story, b"b", 2)
    txn(story, Txn((), (Get(KEY), Put(KEY, b"s")), ()), 2, True, GetResult(record(b"a", 1)), DONE)


@pytest.mark.parametrize(
    "tell",
    [
        _the_other_branch,
        _what_was_overwritten_inside,
        _a_write_that_is_not_seen,
        _a_delete_that_is_not_seen,
        _a_read_of_what_was_overwritten,
    ],
    ids=lambda tell: tell.__name__.strip("_"),
)
@pytest.mark.parametrize("check", [check_revisions, check_linearizable])
def test_a_bad_history(tell: object, check: object) -> None:
    story = Story()
    tell(story)  # type: ignore[operator]
    with pytest.raises(Violation):
        check(story.operations)  # type: ignore[operator]


def test_a_comparison_that_held_against_what_was_there() -> None:
    story = Story()
    put(story, b"a", 1)
    request = Txn((IF_ABSENT,), (Put(KEY, b"s"), Get(KEY)), ())
    txn(story, request, 2, True, DONE, GetResult(record(b"s", 2, 1, 2)))
    with pytest.raises(Violation):
        check_linearizable(story.operations)


def test_a_comparison_with_a_value_that_was_gone() -> None:
    story = Story()
    put(story, b"a", 1)
    put(story, b"b", 2)
    txn(story, Txn((IF_A,), (Put(KEY, b"s"),), ()), 3, True, DONE)
    with pytest.raises(Violation):
        check_linearizable(story.operations)


def test_a_transaction_that_changed_nothing_needs_no_revision() -> None:
    story = Story()
    put(story, b"a", 1)
    for value in (b"s", b"t"):
        request = Txn((IF_ABSENT,), (Put(KEY, value),), (Get(KEY),))
        txn(story, request, 1, False, GetResult(record(b"a", 1)))
    check_revisions(story.operations)
    check_linearizable(story.operations)
