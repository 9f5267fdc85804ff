from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvraft.client import KeyRange

keys = st.binary(max_size=4)


def holds(keys: KeyRange, key: bytes) -> bool:
    return key >= keys.start and (not keys.end or key < keys.end)


@pytest.mark.parametrize(
    ("prefix", "end"),
    [(b"", b""), (b"a", b"b"), (b"a/", b"a0"), (b"a\xff", b"b"), (b"a\xff\xff", b"b"), (b"\xff\xff", b"")],
)
def test_the_range_of_a_prefix_ends_before_the_next_prefix(prefix: bytes, end: bytes) -> None:
    assert KeyRange.prefix(prefix) == KeyRange(prefix, end)


@given(keys, keys)
def test_the_range_of_a_prefix_holds_exactly_what_starts_with_it(prefix: bytes, key: bytes) -> None:
    assert holds(KeyRange.prefix(prefix), key) == key.startswith(prefix)


@given(keys, keys, st.binary(min_size=1, max_size=4), keys, st.booleans())
def test_after_a_key_comes_exactly_what_was_not_read(
    start: bytes, end: bytes, reached: bytes, key: bytes, reverse: bool
) -> None:
    whole = KeyRange(start, end)
    if not holds(whole, reached):
        return
    rest = whole.after(reached, reverse=reverse)
    beyond = key < reached if reverse else key > reached
    assert (holds(rest, key) and not rest.is_empty) == (holds(whole, key) and beyond)
