"""The search says yes to what has an order and no to what has none."""

from __future__ import annotations

import random
from itertools import permutations

import pytest

from kvraft.machine.records import KvRecord
from kvraft.machine.results import (
    BatchWriteResult,
    CompareAndSetResult,
    DeleteRangeResult,
    DeleteResult,
    PutResult,
)
from tests.sim.checkers.linearizability import (
    Before,
    Effect,
    KeyOperation,
    SearchTooLongError,
    check_key,
    check_linearizable,
    step,
)
from tests.sim.histories import KEY, Story, row
from tests.sim.history import (
    FOREVER,
    Batch,
    CompareAndSet,
    Delete,
    DeleteRange,
    Freshness,
    Operation,
    Put,
    Read,
    Violation,
)

DONE = PutResult(None)


def test_a_read_sees_what_was_written() -> None:
    story = Story()
    story.write(Put(KEY, b"a"), 1, 2, 1, DONE)
    story.read(3, 4, 1, row(b"a", 1))
    check_linearizable(story.operations)


def test_a_stale_read() -> None:
    story = Story()
    story.write(Put(KEY, b"a"), 1, 2, 1, DONE)
    story.write(Put(KEY, b"b"), 3, 4, 2, DONE)
    story.read(5, 6, 1, row(b"a", 1))
    with pytest.raises(Violation):
        check_linearizable(story.operations)


def test_a_read_at_the_same_time_may_see_either() -> None:
    for value, revision in ((b"a", 1), (b"b", 2)):
        story = Story()
        story.write(Put(KEY, b"a"), 1, 2, 1, DONE)
        story.write(Put(KEY, b"b"), 3, 6, 2, DONE)
        story.read(4, 5, revision, row(value, revision))
        check_linearizable(story.operations)


def test_a_read_that_goes_back() -> None:
    story = Story()
    story.write(Put(KEY, b"a"), 1, 2, 1, DONE)
    story.write(Put(KEY, b"b"), 3, 10, 2, DONE)
    story.read(4, 5, 2, row(b"b", 2))
    story.read(6, 7, 1, row(b"a", 1))
    with pytest.raises(Violation):
        check_linearizable(story.operations)


def test_a_lost_update() -> None:
    story = Story()
    story.write(Put(KEY, b"a"), 1, 2, 1, DONE)
    story.write(CompareAndSet(KEY, 1, b"a", b"b"), 3, 6, 2, CompareAndSetResult(True, None))
    story.write(CompareAndSet(KEY, 1, b"a", b"c"), 4, 5, 3, CompareAndSetResult(True, None))
    with pytest.raises(Violation):
        check_linearizable(story.operations)


def test_a_lost_write() -> None:
    story = Story()
    story.write(Put(KEY, b"a"), 1, 2, 1, DONE)
    story.read(3, 4, 1, {})
    with pytest.raises(Violation):
        check_linearizable(story.operations)


def test_a_write_that_came_twice() -> None:
    story = Story()
    story.unknown(Put(KEY, b"a"), 1)
    story.read(2, 3, 1, row(b"a", 1))
    story.write(Put(KEY, b"b"), 4, 5, 2, DONE)
    story.read(6, 7, 3, row(b"a", 3))
    with pytest.raises(Violation):
        check_linearizable(story.operations)


def test_an_unknown_write_may_come_late_or_never() -> None:
    story = Story()
    story.unknown(Put(KEY, b"a"), 1)
    story.read(2, 3, 0, {})
    story.write(Put(KEY, b"b"), 4, 5, 1, DONE)
    story.read(6, 7, 1, row(b"b", 1))
    check_linearizable(story.operations)
    story.read(8, 9, 2, row(b"a", 2))
    check_linearizable(story.operations)


def test_an_unknown_write_does_not_come_before_its_call() -> None:
    story = Story()
    story.read(1, 2, 1, row(b"a", 1))
    story.unknown(Put(KEY, b"a"), 3)
    with pytest.raises(Violation):
        check_linearizable(story.operations)


def test_an_unseen_write_explains_what_was_there() -> None:
    story = Story()
    story.unknown(Put(KEY, b"a"), 1)
    story.write(Delete(KEY), 2, 3, 2, DeleteResult(True, None))
    check_linearizable(story.operations)
    story.write(Delete(KEY), 4, 5, 3, DeleteResult(True, None))
    with pytest.raises(Violation):
        check_linearizable(story.operations)


def test_a_write_that_was_not_applied_is_not_seen() -> None:
    story = Story()
    story.not_applied(Put(KEY, b"a"), 1, 2)
    story.read(3, 4, 1, row(b"a", 1))
    with pytest.raises(Violation):
        check_linearizable(story.operations)


def test_a_comparison_of_unknown_outcome_needs_what_it_compares_with() -> None:
    story = Story()
    story.unknown(Put(KEY, b"a"), 1)
    story.unknown(CompareAndSet(KEY, 1, b"a", b"b"), 2)
    story.read(3, 4, 2, row(b"b", 2))
    check_linearizable(story.operations)
    story = Story()
    story.write(Put(KEY, b"x"), 1, 2, 1, DONE)
    story.unknown(CompareAndSet(KEY, 9, b"a", b"b"), 3)
    story.read(4, 5, 2, row(b"b", 2))
    with pytest.raises(Violation):
        check_linearizable(story.operations)


def test_what_a_write_shows_of_the_row_before() -> None:
    story = Story()
    story.write(Put(KEY, b"a"), 1, 2, 1, DONE)
    story.write(Put(KEY, b"b", return_previous=True), 3, 4, 2, PutResult(None))
    with pytest.raises(Violation):
        check_linearizable(story.operations)


def test_a_failed_comparison_is_a_read() -> None:
    story = Story()
    story.write(Put(KEY, b"a"), 1, 2, 1, DONE)
    story.write(Put(KEY, b"b"), 3, 4, 2, DONE)
    current = KvRecord(b"a", 1, 1, 1)
    story.write(CompareAndSet(KEY, 0, None, b"c"), 5, 6, 2, CompareAndSetResult(False, current))
    with pytest.raises(Violation):
        check_linearizable(story.operations)


@pytest.mark.parametrize("existed", [True, False])
def test_a_batch_tells_what_existed(existed: bool) -> None:
    story = Story()
    story.write(Put(KEY, b"a"), 1, 2, 1, DONE)
    batch = Batch(((KEY, b"b"), (b"other", b"c")))
    story.write(batch, 3, 4, 2, BatchWriteResult((existed, False)))
    story.read(5, 6, 2, row(b"b", 2))
    if existed:
        check_linearizable(story.operations)
    else:
        with pytest.raises(Violation):
            check_linearizable(story.operations)


def test_a_range_is_deleted_whole_or_up_to_its_limit() -> None:
    for more in (False, True):
        story = Story()
        story.write(Put(KEY, b"a"), 1, 2, 1, DONE)
        story.write(DeleteRange(b"", b"", 1), 3, 4, 2, DeleteRangeResult(1, more))
        story.read(5, 6, 2, row(b"a", 1))
        if more:
            check_linearizable(story.operations)
        else:
            with pytest.raises(Violation):
                check_linearizable(story.operations)


def test_stale_reads_are_not_judged_here() -> None:
    story = Story()
    story.write(Put(KEY, b"a"), 1, 2, 1, DONE)
    story.read(3, 4, 0, {}, Read(KEY, b"k\x00", Freshness.STALE))
    check_linearizable(story.operations)


def test_a_search_that_takes_too_long_is_a_failure() -> None:
    story = Story()
    for number in range(40):
        story.write(Put(KEY, b"%d" % number), 1 + number, 1_000 + number, 1 + number, DONE)
    story.read(2_000, 2_001, 50, row(b"never written", 50))
    with pytest.raises(SearchTooLongError):
        check_linearizable(story.operations, steps_max=1_000)


def _has_an_order(operations: list[KeyOperation]) -> bool:
    """By trying all of them."""
    must = [each for each in operations if each.returned != FOREVER]
    may = [each for each in operations if each.returned == FOREVER]
    for chosen in range(1 << len(may)):
        taken = must + [each for place, each in enumerate(may) if chosen >> place & 1]
        for order in permutations(taken):
            if any(
                later.returned < earlier.invoked
                for place, earlier in enumerate(order)
                for later in order[place + 1 :]
            ):
                continue
            states: frozenset[bytes | None] = frozenset({None})
            for each in order:
                states = step(states, each)
            if states:
                return True
    return False


def _any_operation(chance: random.Random, number: int) -> KeyOperation:
    invoked = chance.randrange(20) * 2
    is_known = chance.random() < 0.7
    seen = chance.choice((None, b"0", b"1", b"2", b"3"))
    effect = chance.choice((Effect.NOTHING, Effect.SET, Effect.SET, Effect.SET_IF, Effect.MAYBE_DELETE))
    if not is_known and effect is Effect.NOTHING:
        effect = Effect.SET
    before = chance.choice((Before.ANYTHING, Before.VALUE, Before.PRESENT))
    if not is_known or effect in (Effect.SET_IF, Effect.MAYBE_DELETE):
        before = Before.ANYTHING
    writes = effect in (Effect.SET, Effect.SET_IF) and chance.random() < 0.8
    return KeyOperation(
        operation=Operation(number, 1, 1, Delete(KEY), invoked),
        invoked=invoked,
        returned=invoked + chance.randrange(12) * 2 + 1 if is_known else FOREVER,
        before=before,
        before_value=seen if before is Before.VALUE else None,
        effect=effect,
        value=b"%d" % number if writes else None,
        expected=chance.choice((None, b"0", b"1", b"2")) if effect is Effect.SET_IF else None,
    )


def test_the_search_agrees_with_trying_every_order() -> None:
    chance = random.Random(1)
    verdicts = {True: 0, False: 0}
    for _ in range(2_500):
        operations = [_any_operation(chance, number) for number in range(chance.randrange(2, 6))]
        expected = _has_an_order(operations)
        verdicts[expected] += 1
        if expected:
            check_key(KEY, operations)
        else:
            with pytest.raises(Violation):
                check_key(KEY, operations)
    assert min(verdicts.values()) > 500, verdicts
