"""The check by revisions on histories that are wrong, one rule at a time."""

from __future__ import annotations

import pytest

from kvraft.machine.results import DeleteRangeResult, DeleteResult, PutResult
from tests.sim.checkers.revisions import check_revisions
from tests.sim.histories import KEY, Story, row
from tests.sim.history import Delete, DeleteRange, Freshness, Put, Read, Violation

DONE = PutResult(None)


def test_a_good_history() -> None:
    story = Story()
    story.write(Put(KEY, b"a"), 1, 2, 1, DONE)
    story.unknown(Put(KEY, b"b"), 3)
    story.read(4, 5, 1, row(b"a", 1))
    story.read(6, 7, 2, row(b"b", 2))
    story.write(Delete(KEY), 8, 9, 3, DeleteResult(True, None))
    story.read(10, 11, 3, {})
    story.read(12, 13, 1, row(b"a", 1), Read(KEY, b"k\x00", Freshness.STALE))
    story.read(14, 15, 2, row(b"b", 2), Read(KEY, b"k\x00", Freshness.AT_LEAST, 2))
    check_revisions(story.operations)


def _two_writes_of_one_revision(story: Story) -> None:
    story.write(Put(KEY, b"a"), 1, 3, 1, DONE)
    story.write(Put(KEY, b"b"), 2, 4, 1, DONE)


def _a_later_write_with_a_lower_revision(story: Story) -> None:
    story.write(Put(KEY, b"a"), 1, 2, 5, DONE)
    story.write(Put(KEY, b"b"), 3, 4, 4, DONE)


def _a_stale_read(story: Story) -> None:
    story.write(Put(KEY, b"a"), 1, 2, 1, DONE)
    story.read(3, 4, 0, {})


def _a_write_below_an_earlier_read(story: Story) -> None:
    story.unknown(Put(KEY, b"a"), 1)
    story.read(2, 3, 2, row(b"a", 2))
    story.write(Put(KEY, b"b"), 4, 5, 2, DONE)


def _a_minimum_not_reached(story: Story) -> None:
    story.read(1, 2, 3, {}, Read(KEY, b"k\x00", Freshness.AT_LEAST, 4))


def _a_value_that_nobody_wrote(story: Story) -> None:
    story.read(1, 2, 1, row(b"a", 1))


def _a_value_that_was_not_applied(story: Story) -> None:
    story.not_applied(Put(KEY, b"a"), 1, 2)
    story.read(3, 4, 1, row(b"a", 1))


def _a_read_from_the_future(story: Story) -> None:
    story.read(1, 2, 1, row(b"a", 1))
    story.write(Put(KEY, b"a"), 3, 4, 1, DONE)


def _a_row_newer_than_its_state(story: Story) -> None:
    story.unknown(Put(KEY, b"a"), 1)
    story.read(2, 3, 1, row(b"a", 2))


def _a_row_of_another_revision(story: Story) -> None:
    story.write(Put(KEY, b"a"), 1, 2, 1, DONE)
    story.read(3, 4, 2, row(b"a", 2))


def _a_write_in_between_that_is_not_seen(story: Story) -> None:
    story.write(Put(KEY, b"a"), 1, 2, 1, DONE)
    story.write(Put(KEY, b"b"), 3, 4, 2, DONE)
    story.read(5, 6, 2, row(b"a", 1))


def _a_key_that_vanished(story: Story) -> None:
    story.write(Put(KEY, b"a"), 1, 2, 1, DONE)
    story.read(3, 4, 1, {})


def _a_range_that_was_not_deleted(story: Story) -> None:
    story.write(Put(KEY, b"a"), 1, 2, 1, DONE)
    story.write(DeleteRange(b"", b"", 9), 3, 4, 2, DeleteRangeResult(1, False))
    story.read(5, 6, 2, row(b"a", 1))


@pytest.mark.parametrize(
    "tell",
    [
        _two_writes_of_one_revision,
        _a_later_write_with_a_lower_revision,
        _a_stale_read,
        _a_write_below_an_earlier_read,
        _a_minimum_not_reached,
        _a_value_that_nobody_wrote,
        _a_value_that_was_not_applied,
        _a_read_from_the_future,
        _a_row_newer_than_its_state,
        _a_row_of_another_revision,
        _a_write_in_between_that_is_not_seen,
        _a_key_that_vanished,
        _a_range_that_was_not_deleted,
    ],
    ids=lambda tell: tell.__name__.strip("_"),
)
def test_a_bad_history(tell: object) -> None:
    story = Story()
    tell(story)  # type: ignore[operator]
    with pytest.raises(Violation):
        check_revisions(story.operations)


def test_a_delete_that_nobody_heard_of_explains_an_absent_key() -> None:
    story = Story()
    story.write(Put(KEY, b"a"), 1, 2, 1, DONE)
    story.unknown(Delete(KEY), 3)
    story.read(4, 5, 2, {})
    check_revisions(story.operations)
