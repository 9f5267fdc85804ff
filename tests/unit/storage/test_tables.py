"""A table in memory: in order whenever somebody looks, however its rows came."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvraft.raft.types import Index, Term
from kvraft.storage.state import LayeredState, MemoryEngine
from kvraft.storage.state.tables import ROW_OVERHEAD_BYTES, Table

KEYS = st.binary(min_size=1, max_size=2)
STEPS = st.lists(st.tuples(KEYS, st.none() | st.binary(max_size=3), st.booleans()), max_size=40)


@given(STEPS, KEYS, st.none() | KEYS, st.booleans())
def test_scans_between_writes_are_in_order(
    steps: list[tuple[bytes, bytes | None, bool]], start: bytes, end: bytes | None, reverse: bool
) -> None:
    table = Table()
    model: dict[bytes, bytes | None] = {}
    for key, value, scans in [*steps, (b"last", b"", True)]:
        table.put(key, value)
        model[key] = value
        if scans:
            wanted = [
                row for row in sorted(model.items()) if start <= row[0] and (end is None or row[0] < end)
            ]
            found = list(table.scan(start, end, reverse=reverse))
            assert found == (wanted[::-1] if reverse else wanted)
    assert table.size_bytes == sum(
        len(key) + ROW_OVERHEAD_BYTES + len(value or b"") for key, value in model.items()
    )


@given(STEPS, STEPS)
def test_one_over_another_is_their_rows_in_order(
    lower_steps: list[tuple[bytes, bytes | None, bool]], upper_steps: list[tuple[bytes, bytes | None, bool]]
) -> None:
    lower, upper = Table(), Table()
    for table, steps in ((lower, lower_steps), (upper, upper_steps)):
        for key, value, _ in steps:
            table.put(key, value)
    merged = lower.overlaid(upper)
    assert list(merged.scan(b"", None, reverse=False)) == sorted((lower.rows | upper.rows).items())
    assert len(merged.rows) == len(lower.rows.keys() | upper.rows.keys())


@pytest.mark.parametrize("freezes_for", ["flush", "view"])
def test_a_frozen_table_is_in_order_before_another_thread_looks(freezes_for: str) -> None:
    """Else two threads would put it in order at once."""
    state = LayeredState(MemoryEngine(), voters=(1,))
    for number in (3, 1, 2):
        state.put(b"%d" % number, b"row", None)
    state.mark_applied(Index(1), Term(1))
    if freezes_for == "flush":
        assert state.freeze()
    else:
        state.view().close()
    (frozen,) = state._frozen
    assert list(frozen._keys) == [b"1", b"2", b"3"]
    state.close()
