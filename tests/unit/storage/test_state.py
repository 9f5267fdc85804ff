"""The state answers like one sorted table, wherever its rows are just now: in memory, frozen, on the way to
disk or there; and a view goes on answering as on the day it was taken."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from kvraft.raft.types import Index, Term
from kvraft.storage.interfaces import Applied, StateView
from kvraft.storage.state import FIRST_GENERATION, LayeredState, MemoryEngine, open_state
from kvraft.storage.state.digest import row_hash

Make = Callable[[], LayeredState]


@pytest.fixture(params=["lmdb", "memory"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Opens what was flushed so far; a new state the first time."""
    engine = MemoryEngine()

    def make() -> LayeredState:
        if request.param == "memory":
            return LayeredState(engine, voters=(1, 2, 3))
        return open_state(tmp_path, FIRST_GENERATION, voters=(1, 2, 3))

    return make


@pytest.fixture
def state(reopen: Make) -> Iterator[LayeredState]:
    state = reopen()
    yield state
    state.close()


def apply(state: LayeredState, **rows: bytes | None) -> None:
    """One entry: rows to set, and to delete (None)."""
    for name, value in rows.items():
        key = name.encode()
        previous = state.get(key)
        if value is not None:
            state.put(key, value, previous)
        elif previous is not None:
            state.delete(key, previous)
    state.mark_applied(Index(state.applied.index + 1), Term(1))


def flush(state: LayeredState) -> None:
    assert state.freeze()
    state.flush()
    state.flush_done()


def rows(state: LayeredState, start: bytes = b"", end: bytes | None = None) -> dict[str, bytes]:
    found = list(state.scan(start, end))
    assert list(state.scan(start, end, reverse=True)) == found[::-1]
    assert [key for key, _ in found] == sorted({key for key, _ in found})
    for key, value in found:
        assert state.get(key) == value
    return {key.decode(): value for key, value in found}


def layered(state: LayeredState) -> dict[str, bytes]:
    """Rows, newer rows above them and tombstones in every layer; what must be seen of them."""
    apply(state, a=b"disk", b=b"disk", c=b"disk", d=b"disk", g=b"disk")
    flush(state)
    apply(state, b=b"flushing", c=None, e=b"flushing", f=b"flushing")
    assert state.freeze()
    apply(state, c=b"frozen", e=None, h=b"frozen")
    state.view().close()
    apply(state, d=None, f=b"active", h=None, i=b"active")
    return {"a": b"disk", "b": b"flushing", "c": b"frozen", "f": b"active", "g": b"disk", "i": b"active"}


def test_the_newest_layer_that_knows_a_key_decides(state: LayeredState) -> None:
    expected = layered(state)
    assert rows(state) == expected
    for hidden in (b"d", b"e", b"h", b"never"):
        assert state.get(hidden) is None
    state.flush()
    assert rows(state) == expected
    state.flush_done()
    assert rows(state) == expected
    flush(state)
    assert rows(state) == expected
    assert state.memory_bytes == 0


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (b"", None, "abcfgi"),
        (b"", b"", ""),
        (b"b", b"g", "bcf"),
        (b"b\x00", b"g\x00", "cfg"),
        (b"d", b"f", ""),
        (b"c", b"c", ""),
        (b"g", b"b", ""),
        (b"i", None, "i"),
        (b"j", None, ""),
        (b"", b"a", ""),
        (b"", b"a\x00", "a"),
        (b"a" * 600, b"g" * 600, "bcfg"),
    ],
)
def test_a_scan_has_a_first_key_and_one_it_stops_before(
    state: LayeredState, start: bytes, end: bytes | None, expected: str
) -> None:
    layered(state)
    assert "".join(rows(state, start, end)) == expected
    state.flush()
    state.flush_done()
    flush(state)
    assert "".join(rows(state, start, end)) == expected


def test_keys_and_values_of_every_allowed_size_come_back(state: LayeredState, reopen: Make) -> None:
    keys = (b"\x00", b"\xff", b"k" * 511, b"\xff" * 511, b"\x00" * 511, b"k")
    values = (b"", bytes(1 << 20), b"", b"v" * 2039, b"v" * 5000, b"v")
    expected = dict(zip(keys, values, strict=True))
    for key, value in expected.items():
        state.put(key, value, None)
    state.mark_applied(Index(1), Term(1))
    assert dict(state.scan(b"", None)) == expected
    flush(state)
    assert dict(state.scan(b"", None)) == expected
    state.close()
    again = reopen()
    assert {key: again.get(key) for key in expected} == expected
    again.close()


def test_a_new_state_has_applied_nothing_and_knows_its_voters(state: LayeredState) -> None:
    assert state.applied == Applied(index=Index(0), term=Term(0), voters=(1, 2, 3), learners=(), digest=0)
    assert state.flushed_index == 0
    assert not state.freeze()


def test_a_restart_begins_from_the_last_flush(state: LayeredState, reopen: Make) -> None:
    apply(state, a=b"1")
    flush(state)
    flushed = state.applied
    apply(state, a=b"2", b=b"2")
    assert state.applied != flushed
    assert state.flushed_index == flushed.index
    state.close()
    again = reopen()
    assert again.applied == flushed
    assert rows(again) == {"a": b"1"}
    again.close()


def test_an_index_that_rose_over_unchanged_rows_is_flushed_as_well(state: LayeredState, reopen: Make) -> None:
    apply(state)
    flush(state)
    assert not state.freeze()
    state.close()
    again = reopen()
    assert again.applied.index == 1
    again.close()


def test_the_digest_is_the_sum_of_the_rows_whatever_led_to_them(state: LayeredState) -> None:
    apply(state, a=b"1", b=b"2", c=b"3")
    flush(state)
    apply(state, c=None, a=b"9", b=b"7")
    apply(state, a=b"1")
    assert state.applied.digest == (row_hash(b"a", b"1") + row_hash(b"b", b"7")) % 2**64
    apply(state, a=None, b=None)
    assert state.applied.digest == 0


def test_memory_is_counted_until_it_is_flushed(state: LayeredState) -> None:
    apply(state, a=bytes(1000))
    one = state.memory_bytes
    assert one > 1000
    apply(state, a=bytes(3000))
    assert state.memory_bytes == one + 2000
    apply(state, a=None)
    assert state.memory_bytes == one - 1000
    assert state.freeze()
    apply(state, b=bytes(1000))
    assert state.memory_bytes == 2 * one - 1000
    state.flush()
    state.flush_done()
    assert state.memory_bytes == one


def test_what_is_applied_during_a_flush_stays_for_the_next(state: LayeredState, reopen: Make) -> None:
    apply(state, a=b"1")
    assert state.freeze()
    apply(state, b=b"2")
    state.view().close()
    state.flush()
    apply(state, c=b"3")
    state.flush_done()
    assert state.flushed_index == 1
    assert rows(state) == {"a": b"1", "b": b"2", "c": b"3"}
    flush(state)
    state.close()
    again = reopen()
    assert again.applied.index == 3
    assert rows(again) == {"a": b"1", "b": b"2", "c": b"3"}
    again.close()


def test_a_flush_without_rows_lets_go_of_none(state: LayeredState) -> None:
    apply(state)
    assert state.freeze()
    apply(state, a=b"1")
    state.view().close()
    state.flush()
    state.flush_done()
    assert rows(state) == {"a": b"1"}


def test_one_flush_takes_all_tables_that_were_frozen(state: LayeredState, reopen: Make) -> None:
    expected = {}
    for turn in range(4):
        names = {f"{turn * 300 + number:05}": b"%d" % turn for number in range(600)}
        apply(state, **names)
        expected |= names
        state.view().close()
    assert state.freeze()
    apply(state, z=b"later")
    state.view().close()
    state.flush()
    state.flush_done()
    assert rows(state) == {**expected, "z": b"later"}
    state.close()
    again = reopen()
    assert rows(again) == expected
    again.close()


def test_a_flush_that_ended_untold_does_not_stop_the_next(state: LayeredState, reopen: Make) -> None:
    """A node that stops waits for the thread, but hears of its end only afterwards."""
    apply(state, a=b"1")
    assert state.freeze()
    state.flush()
    apply(state, b=b"2")
    assert state.freeze()
    state.flush()
    state.close()
    state.flush_done()
    again = reopen()
    assert rows(again) == {"a": b"1", "b": b"2"}
    again.close()


def test_no_flush_begins_within_an_entry(state: LayeredState) -> None:
    state.put(b"a", b"1", None)
    with pytest.raises(AssertionError, match="half applied"):
        state.freeze()
    state.mark_applied(Index(1), Term(1))
    assert state.freeze()
    state.flush()


def test_a_view_keeps_its_moment_while_the_state_goes_on(state: LayeredState) -> None:
    expected = layered(state)
    applied = state.applied
    view = state.view()
    half_read = view.scan(b"", None)
    assert next(half_read) == (b"a", b"disk")
    apply(state, a=None, b=b"later", z=b"later")
    state.flush()
    state.flush_done()
    flush(state)
    apply(state, c=b"later")
    flush(state)
    assert view.applied == applied
    assert {key.decode(): value for key, value in view.scan(b"", None)} == expected
    assert [key for key, _ in view.scan(b"b", b"g", reverse=True)] == [b"f", b"c", b"b"]
    assert [view.get(key) for key in (b"a", b"d", b"z")] == [b"disk", None, None]
    assert [key for key, _ in half_read] == [b"b", b"c", b"f", b"g", b"i"]
    view.close()
    assert rows(state) == {
        **{k: v for k, v in expected.items() if k != "a"},
        "b": b"later",
        "c": b"later",
        "z": b"later",
    }


def test_a_view_outlives_its_state(state: LayeredState, reopen: Make) -> None:
    apply(state, a=b"disk")
    flush(state)
    apply(state, b=b"memory")
    view, other = state.view(), state.view()
    state.close()
    other.close()
    assert list(view.scan(b"", None)) == [(b"a", b"disk"), (b"b", b"memory")]
    view.close()
    view.close()
    again = reopen()
    assert rows(again) == {"a": b"disk"}
    again.close()


def test_many_views_leave_no_more_than_one_small_table(state: LayeredState) -> None:
    apply(state, a=b"0")
    expected = state.memory_bytes
    views = []
    for turn in range(100):
        apply(state, a=b"%d" % (turn % 10))
        views.append(state.view())
        assert state.memory_bytes == expected
    assert [view.get(b"a") for view in views] == [b"%d" % (turn % 10) for turn in range(100)]
    for view in views:
        view.close()


def test_a_table_on_its_way_to_disk_is_not_joined_with_newer_ones(state: LayeredState, reopen: Make) -> None:
    apply(state, a=b"1", b=b"1")
    assert state.freeze()
    apply(state, b=None, c=b"2")
    state.view().close()
    state.flush()
    state.close()
    again = reopen()
    assert rows(again) == {"a": b"1", "b": b"1"}
    again.close()


def test_a_closed_view_refuses_rather_than_end_early(state: LayeredState) -> None:
    apply(state, a=b"1", b=b"2")
    view = state.view()
    half_read = view.scan(b"", None)
    assert next(half_read) == (b"a", b"1")
    view.close()
    with pytest.raises(ValueError, match="closed"):
        next(half_read)
    with pytest.raises(ValueError, match="closed"):
        view.get(b"a")


def test_a_view_is_closed_under_the_hands_of_a_reading_thread(state: LayeredState) -> None:
    for number in range(2000):
        state.put(b"%04d" % number, bytes(3000), None)
    state.mark_applied(Index(1), Term(1))
    flush(state)
    for _ in range(20):
        view = state.view()
        is_reading = threading.Event()
        ends: list[str] = []
        thread = threading.Thread(target=read_until_closed, args=(view, is_reading, ends))
        thread.start()
        is_reading.wait()
        view.close()
        thread.join()
        assert ends == ["the view of the state is closed"]


def read_until_closed(view: StateView, is_reading: threading.Event, ends: list[str]) -> None:
    try:
        while True:
            for _ in view.scan(b"", None):
                is_reading.set()
    except ValueError as error:
        ends.append(str(error))


def test_a_thread_reads_a_view_while_the_owner_writes_and_another_flushes(state: LayeredState) -> None:
    keys = [b"%05d" % number for number in range(3000)]
    for key in keys:
        state.put(key, b"0" * 100, None)
    state.mark_applied(Index(1), Term(1))
    flush(state)
    for key in keys[::2]:
        state.put(key, b"1" * 100, b"0" * 100)
    state.mark_applied(Index(2), Term(1))
    view = state.view()
    expected = [(key, (b"0" if index % 2 else b"1") * 100) for index, key in enumerate(keys)]
    found: list[list[tuple[bytes, bytes]]] = []
    reader = threading.Thread(target=lambda: found.extend(list(view.scan(b"", None)) for _ in range(5)))
    reader.start()
    for turn in range(3, 9):
        assert state.freeze()
        flusher = threading.Thread(target=state.flush)
        flusher.start()
        for key in keys[turn::7]:
            previous = state.get(key)
            assert previous is not None
            state.put(key, b"%d" % turn * 100, previous)
        state.mark_applied(Index(turn), Term(1))
        assert len(list(islice(state.scan(keys[turn], None), 50))) == 50
        flusher.join()
        state.flush_done()
    reader.join()
    assert found == [expected] * 5
    view.close()
    state.verify()
