"""The check of watches on stories that are wrong, one rule at a time."""

from __future__ import annotations

import pytest

from kvraft.machine.records import KvRecord
from tests.sim.checkers.watches import check_watch
from tests.sim.history import Change, Violation, Watched, WatchStory

EVERYTHING = Watched(b"", b"")


def _put(key: bytes, value: bytes, revision: int, previous: KvRecord | None = None) -> Change:
    return Change(key, KvRecord(value, revision, revision, 1), previous)


A1 = _put(b"a", b"1", 1)
B2 = _put(b"b", b"2", 2)
A4 = Change(b"a", KvRecord(b"4", 1, 4, 2), A1.record)
C4 = _put(b"c", b"4", 4)
B5 = Change(b"b", None, B2.record)
LOG = {1: [A1], 2: [B2], 4: [A4, C4], 5: [B5]}
"""Revision 3 changed no key."""


def check(*told: tuple[int, tuple[Change, ...]], first: int = 1, next_: int = 6) -> None:
    check_watch(WatchStory(1, EVERYTHING, first, next_, list(told)), LOG)


def test_all_of_it() -> None:
    check((1, (A1,)), (2, (B2,)), (4, (A4, C4)), (5, (B5,)))


def test_only_what_is_between_its_ends() -> None:
    check((2, (B2,)), first=2, next_=4)


def test_a_watch_that_was_owed_nothing() -> None:
    check(first=6, next_=9)
    check(first=9, next_=9)


@pytest.mark.parametrize(
    ("watched", "told"),
    [
        (Watched(b"a", b"a\x00"), [(1, (A1,)), (4, (A4,))]),
        (Watched(b"b", b""), [(2, (B2,)), (4, (C4,)), (5, (B5,))]),
        (Watched(b"", b"", puts=False), [(5, (B5,))]),
        (Watched(b"b", b"c", deletes=False), [(2, (B2,))]),
    ],
)
def test_only_what_it_wants(watched: Watched, told: list[tuple[int, tuple[Change, ...]]]) -> None:
    check_watch(WatchStory(1, watched, 1, 6, told), LOG)


@pytest.mark.parametrize(
    ("told", "what"),
    [
        ([(2, (B2,)), (4, (A4, C4)), (5, (B5,))], "missed revision 1"),
        ([(1, (A1,)), (4, (A4, C4)), (5, (B5,))], "missed revision 2"),
        ([(1, (A1,)), (2, (B2,)), (4, (A4, C4))], "missed revision 5"),
        ([], "missed revision 1"),
        ([(1, (A1,)), (2, (B2,)), (2, (B2,)), (4, (A4, C4)), (5, (B5,))], "2 was told .* after 2"),
        ([(2, (B2,)), (1, (A1,)), (4, (A4, C4)), (5, (B5,))], "missed revision 1"),
        ([(1, (A1,)), (2, (B2,)), (1, (A1,)), (4, (A4, C4)), (5, (B5,))], "1 was told .* after 2"),
        ([(1, (A1,)), (2, (B2,)), (4, (A4,)), (4, (C4,)), (5, (B5,))], "of revision 4"),
        ([(1, (A1,)), (2, (B2,)), (4, (A4,)), (5, (B5,))], "of revision 4"),
        ([(1, (A1,)), (2, (B2,)), (4, (C4, A4)), (5, (B5,))], "of revision 4"),
        ([(1, (A1,)), (2, (A1,)), (4, (A4, C4)), (5, (B5,))], "of revision 2"),
        ([(1, (A1,)), (2, (_put(b"b", b"3", 2),)), (4, (A4, C4)), (5, (B5,))], "of revision 2"),
        ([(1, (A1,)), (2, (B2,)), (4, (A4, C4)), (5, (Change(b"b", None, None),))], "of revision 5"),
        ([(1, (A1,)), (2, (B2,)), (3, (C4,)), (4, (A4, C4)), (5, (B5,))], "not owed"),
        ([(1, (A1,)), (2, (B2,)), (4, (A4, C4)), (5, (B5,)), (6, (A1,))], "not owed"),
    ],
    ids=[
        "the first missing",
        "one in between missing",
        "the last missing",
        "all missing",
        "doubled",
        "reordered",
        "an old one again",
        "a revision split",
        "half a revision",
        "changes reordered",
        "another key's change",
        "a wrong value",
        "a wrong previous row",
        "a revision that changed nothing",
        "a revision that never was",
    ],
)
def test_a_bad_story(told: list[tuple[int, tuple[Change, ...]]], what: str) -> None:
    with pytest.raises(Violation, match=what):
        check(*told)


def test_a_change_from_before_its_first_revision() -> None:
    with pytest.raises(Violation, match="after 1"):
        check((1, (A1,)), (2, (B2,)), first=2, next_=3)


def test_a_change_that_it_did_not_want() -> None:
    story = WatchStory(1, Watched(b"a", b"b"), 1, 3, [(1, (A1,)), (2, (B2,))])
    with pytest.raises(Violation, match="not owed"):
        check_watch(story, LOG)
