"""The ledger against answers that the log contradicts."""

from __future__ import annotations

import pytest

from kvraft.machine.results import CompareAndSetResult, PutResult
from kvraft.raft.types import Entry, EntryKind, Index, Term
from kvraft.v1 import command_pb2
from tests.sim.checkers.ledger import Ledger, encode, operation_number
from tests.sim.histories import KEY, Story, row
from tests.sim.history import CompareAndSet, Freshness, Operation, Put, Read, Violation

DONE = PutResult(None)


def check(story: Story, *log: Operation) -> None:
    """The commands of these operations were applied, in this order."""
    applied = {Index(1): Entry(Index(1), Term(1), EntryKind.NOOP, b"")}
    for place, operation in enumerate(log, start=2):
        assert not isinstance(operation.request, Read)
        batch = command_pb2.CommandBatch(version=1)
        batch.groups.add(origin_id=1, group_id=place, commands=[encode(operation.request, operation.number)])
        applied[Index(place)] = Entry(Index(place), Term(1), EntryKind.COMMAND, batch.SerializeToString())
    Ledger(applied, {operation.number: operation for operation in story.operations}).check()


def test_the_mark_is_no_part_of_the_command() -> None:
    command = encode(Put(KEY, b"a"), 77)
    assert operation_number(command) == 77
    assert command_pb2.Command.FromString(command).put.value == b"a"


def test_a_good_log() -> None:
    story = Story()
    first = story.write(Put(KEY, b"a"), 1, 2, 1, DONE)
    failed = story.write(
        CompareAndSet(KEY, 9, b"x", b"y"), 3, 4, 1, CompareAndSetResult(False, row(b"a", 1)[KEY])
    )
    late = story.unknown(Put(KEY, b"b"), 5)
    story.not_applied(Put(KEY, b"c"), 6, 7)
    story.read(8, 9, 2, row(b"b", 2, 1, 2))
    story.read(10, 11, 1, row(b"a", 1), Read(KEY, b"k\x00", Freshness.STALE))
    check(story, first, failed, late)


def test_an_acknowledged_write_that_is_lost() -> None:
    story = Story()
    story.write(Put(KEY, b"a"), 1, 2, 1, DONE)
    with pytest.raises(Violation, match="lost"):
        check(story)


def test_a_write_that_was_applied_all_the_same() -> None:
    story = Story()
    refused = story.not_applied(Put(KEY, b"a"), 1, 2)
    with pytest.raises(Violation, match="all the same"):
        check(story, refused)


def test_a_write_that_was_applied_twice() -> None:
    story = Story()
    put = story.unknown(Put(KEY, b"a"), 1)
    with pytest.raises(Violation, match="twice"):
        check(story, put, put)


def test_an_entry_that_is_missing() -> None:
    entry = Entry(Index(2), Term(1), EntryKind.NOOP, b"")
    with pytest.raises(Violation, match="never applied"):
        Ledger({Index(2): entry}, {})


def test_an_answer_that_the_log_contradicts() -> None:
    story = Story()
    first = story.write(Put(KEY, b"a"), 1, 2, 1, DONE)
    second = story.write(CompareAndSet(KEY, 0, None, b"b"), 3, 4, 2, CompareAndSetResult(True, None))
    with pytest.raises(Violation, match="were due"):
        check(story, first, second)


def test_a_wrong_revision() -> None:
    story = Story()
    put = story.write(Put(KEY, b"a"), 1, 2, 7, DONE)
    with pytest.raises(Violation, match="were due"):
        check(story, put)


@pytest.mark.parametrize("freshness", Freshness)
def test_a_read_of_a_state_that_never_was(freshness: Freshness) -> None:
    story = Story()
    put = story.write(Put(KEY, b"a"), 1, 2, 1, DONE)
    story.read(3, 4, 1, {}, Read(KEY, b"k\x00", freshness))
    with pytest.raises(Violation, match="the state is"):
        check(story, put)


def test_a_read_of_what_was_never_committed() -> None:
    story = Story()
    story.read(1, 2, 1, {}, Read(KEY, b"k\x00", Freshness.STALE))
    with pytest.raises(Violation, match="never committed"):
        check(story)


def test_a_stale_read() -> None:
    story = Story()
    first = story.write(Put(KEY, b"a"), 1, 2, 1, DONE)
    second = story.write(Put(KEY, b"b"), 3, 4, 2, DONE)
    story.read(5, 6, 1, row(b"a", 1))
    with pytest.raises(Violation, match="stale"):
        check(story, first, second)


def test_a_read_from_the_future() -> None:
    story = Story()
    story.read(1, 2, 1, row(b"a", 1), Read(KEY, b"k\x00", Freshness.STALE))
    put = story.write(Put(KEY, b"a"), 3, 4, 1, DONE)
    with pytest.raises(Violation, match="future"):
        check(story, put)


def test_writes_against_their_order_in_time() -> None:
    story = Story()
    first = story.write(Put(KEY, b"a"), 1, 2, 2, DONE)
    second = story.write(Put(KEY, b"b"), 3, 4, 1, DONE)
    with pytest.raises(Violation, match="went before"):
        check(story, second, first)


def test_a_write_against_a_read_in_time() -> None:
    story = Story()
    unknown = story.unknown(Put(KEY, b"a"), 1)
    story.read(2, 3, 1, row(b"a", 1))
    late = story.unknown(Put(b"other", b"b"), 4)
    with pytest.raises(Violation, match=r"future|went before|the state is"):
        check(story, late, unknown)
