"""The index of watches finds exactly the watches around a key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvraft.node import watched_keys
from kvraft.node.watched_keys import Bounds, WatchedKeys

KEYS = st.binary(min_size=1, max_size=3).map(lambda key: bytes(byte % 4 for byte in key))
RANGES = st.tuples(KEYS | st.just(b""), KEYS).map(lambda bounds: (min(bounds), max(bounds) + b"\0"))
SINGLES = KEYS.map(lambda key: (key, key + b"\0"))


def holds(bounds: Bounds, key: bytes) -> bool:
    start, end = bounds
    return start <= key < end


@given(st.lists(st.tuples(st.booleans(), RANGES | SINGLES), max_size=60), st.lists(KEYS, max_size=10))
def test_it_finds_what_a_look_at_every_watch_finds(
    steps: list[tuple[bool, Bounds]], keys: list[bytes]
) -> None:
    index = WatchedKeys[int]()
    watches: dict[int, Bounds] = {}
    for number, (adds, bounds) in enumerate(steps):
        if adds or not watches:
            watches[number] = bounds
            index.add(bounds, number)
        else:
            leaving = sorted(watches)[len(bounds[0]) % len(watches)]
            index.remove(watches.pop(leaving), leaving)
        assert index.count == len(watches)
        for key in keys:
            found = list(index.of(key))
            assert sorted(found) == [each for each, bounds in watches.items() if holds(bounds, key)]
    assert sorted(index.all()) == sorted(watches)


def test_the_order_depends_on_the_bounds_alone() -> None:
    ranges = [(b"%02d" % start, b"%02d" % (99 - start)) for start in range(40)]
    forwards, backwards = WatchedKeys[Bounds](), WatchedKeys[Bounds]()
    for bounds in ranges:
        forwards.add(bounds, bounds)
    for bounds in reversed(ranges):
        backwards.add(bounds, bounds)
    assert list(forwards.of(b"50")) == list(backwards.of(b"50")) == ranges


def test_ranges_in_ascending_order_do_not_make_the_tree_deep() -> None:
    """A tree as deep as it is large would not survive this: it is walked recursively."""
    index = WatchedKeys[int]()
    for number in range(20_000):
        index.add((b"%06d" % number, b"%06d" % (number + 2)), number)
    assert list(index.of(b"010000x")) == [9_999, 10_000]


def test_a_range_is_found_under_one_that_ends_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although one that ends before the key is under it again."""
    longest, inside, above = (b"k0", b"l"), (b"k1", b"k4"), (b"k2", b"k3")
    priorities = {above: 3, longest: 2, inside: 1}
    monkeypatch.setattr(watched_keys, "hash", priorities.__getitem__, raising=False)
    index = WatchedKeys[Bounds]()
    for bounds in priorities:
        index.add(bounds, bounds)
    assert list(index.of(b"k4")) == [longest]
