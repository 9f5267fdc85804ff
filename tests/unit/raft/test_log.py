"""`RaftLog`: terms by runs, a cache of recent entries, and what is durable."""

from __future__ import annotations

import pytest

from kvraft.raft.configuration import Configuration
from kvraft.raft.log import RaftLog
from kvraft.raft.types import Entry, HardState, Index, NodeId, Term
from tests.unit.raft.harness import Disk, entries, entry


def stored(*terms: int, base: tuple[int, int] = (0, 0), cache_bytes_max: int = 1 << 20) -> RaftLog:
    """A log that was read back from a disk: entries of these terms after `base`."""
    held = list(entries(base[0] + 1, *terms))
    starts = [
        (held[at].index, held[at].term)
        for at in range(len(held))
        if at == 0 or held[at].term != held[at - 1].term
    ]
    configuration = Configuration((NodeId(1),))
    disk = Disk(configuration, HardState(Term(9), None), Index(base[0]), Term(base[1]), held)
    return RaftLog(
        base_index=disk.base_index,
        base_term=disk.base_term,
        last_index=disk.last_index,
        term_starts=starts,
        reader=disk,
        cache_bytes_max=cache_bytes_max,
    )


def all_terms(log: RaftLog) -> list[Term | None]:
    return [log.term(Index(index)) for index in range(log.base_index, log.last_index + 2)]


def indexes(found: list[Entry]) -> list[int]:
    return [held.index for held in found]


@pytest.mark.parametrize("terms", [(), (1,), (1, 1, 2, 2, 5), (3, 4, 5)])
@pytest.mark.parametrize("base", [(0, 0), (7, 1)])
def test_every_held_index_has_its_term(terms: tuple[int, ...], base: tuple[int, int]) -> None:
    log = stored(*terms, base=base)
    assert all_terms(log) == [base[1], *terms, None]
    assert log.term(Index(base[0] - 1)) is None
    assert log.last_term == (base[1], *terms)[-1]


def test_truncating_and_appending_keep_the_terms() -> None:
    log = stored(1, 1, 2, 2, 3)
    log.truncate(Index(4))
    assert all_terms(log) == [0, 1, 1, 2, None]
    log.append(entries(4, 4, 4))
    assert all_terms(log) == [0, 1, 1, 2, 4, 4, None]
    assert log.persisted_index == 3


def test_compacting_keeps_the_term_of_the_base() -> None:
    log = stored(1, 1, 2, 2, 3)
    for index in (1, 2, 3, 3, 1, 5):
        log.compact(Index(index))
        assert log.base_term == log.term(log.base_index) == (0, 1, 1, 2, 2, 3)[log.base_index]
    assert all_terms(log) == [3, None]
    log.append(entries(6, 3, 4))
    assert all_terms(log) == [3, 3, 4, None]


@pytest.mark.parametrize(
    ("index", "term", "hint"),
    [
        (5, 3, (5, 3)),
        (5, 2, (4, 2)),
        (5, 1, (2, 1)),
        (5, 0, (0, 0)),
        (9, 9, (5, 3)),
        (3, 9, (3, 2)),
        (0, 0, (0, 0)),
    ],
)
def test_the_hint_steps_over_whole_terms(index: int, term: int, hint: tuple[int, int]) -> None:
    assert stored(1, 1, 2, 2, 3).find_hint(Index(index), Term(term)) == hint


def test_the_hint_ends_at_the_base() -> None:
    log = stored(4, 5, base=(7, 4))
    assert log.find_hint(Index(9), Term(4)) == (8, 4)
    assert log.find_hint(Index(9), Term(3)) == (6, 0)
    assert log.find_hint(Index(5), Term(3)) == (5, 0)


def test_slices_are_bounded_but_hold_one_entry() -> None:
    log = stored()
    log.append([entry(index, 1, b"x" * 68) for index in range(1, 6)])
    assert indexes(log.slice(Index(1), Index(5), 300)) == [1, 2, 3]
    assert indexes(log.slice(Index(2), Index(3), 300)) == [2, 3]
    assert indexes(log.slice(Index(2), Index(5), 1)) == [2]
    assert log.slice(Index(6), Index(5), 300) == []


def test_slices_join_what_is_on_disk_with_what_is_in_memory() -> None:
    log = stored(1, 1, 1)
    log.append(entries(4, 2, 2))
    assert indexes(log.slice(Index(1), Index(5), 1 << 20)) == [1, 2, 3, 4, 5]
    assert indexes(log.slice(Index(2), Index(3), 1 << 20)) == [2, 3]
    assert indexes(log.slice(Index(1), Index(5), 64)) == [1, 2]
    assert indexes(log.slice(Index(1), Index(5), 32 * 4)) == [1, 2, 3, 4]


def test_entries_on_disk_that_were_overwritten_are_not_read() -> None:
    log = stored(1, 1, 1)
    log.truncate(Index(2))
    log.append(entries(2, 2, 2))
    assert [held.term for held in log.slice(Index(1), Index(3), 1 << 20)] == [1, 2, 2]


def test_only_what_is_durable_and_applied_leaves_memory() -> None:
    log = stored(cache_bytes_max=64)
    log.append(entries(1, 1, 1, 1, 1))
    log.take_new()
    log.shrink_cache(Index(4))
    assert len(log._cache) == 4
    log.mark_persisted(Index(3), Term(1))
    log.shrink_cache(Index(1))
    assert len(log._cache) == 3
    log.shrink_cache(Index(4))
    assert len(log._cache) == 2


def test_new_entries_are_handed_over_once() -> None:
    log = stored(1)
    log.append(entries(2, 1, 1))
    assert [new.index for new in log.take_new()] == [2, 3]
    assert log.take_new() == ()
    log.truncate(Index(3))
    log.append(entries(3, 2))
    assert [(new.index, new.term) for new in log.take_new()] == [(3, 2)]


def test_a_completion_vouches_for_its_own_entries_only() -> None:
    log = stored()
    log.append(entries(1, 1, 1))
    log.take_new()
    log.truncate(Index(2))
    log.append(entries(2, 2, 2))
    log.mark_persisted(Index(2), Term(1))
    assert log.persisted_index == 0
    log.take_new()
    log.mark_persisted(Index(3), Term(2))
    log.mark_persisted(Index(1), Term(1))
    assert log.persisted_index == 3


def test_an_entry_that_came_back_is_handed_over_before_it_leaves_memory() -> None:
    """Overwritten and restored between two turns, while its first write was under way: what is durable
    is ahead of what was handed over."""
    log = stored(cache_bytes_max=0)
    log.append(entries(1, 1, 2))
    log.take_new()
    log.truncate(Index(2))
    log.append(entries(2, 3))
    log.truncate(Index(2))
    log.append(entries(2, 2))
    log.mark_persisted(Index(2), Term(2))
    log.shrink_cache(Index(2))
    assert [(new.index, new.term) for new in log.take_new()] == [(2, 2)]


def test_reset_begins_anew() -> None:
    log = stored(1, 1)
    log.append(entries(3, 2))
    log.reset(Index(9), Term(4))
    assert (log.base_index, log.base_term, log.last_index, log.last_term) == (9, 4, 9, 4)
    assert (log.persisted_index, log.take_new(), log.slice(Index(10), Index(9), 1)) == (9, (), [])
    log.append(entries(10, 4))
    assert [new.index for new in log.take_new()] == [10]
