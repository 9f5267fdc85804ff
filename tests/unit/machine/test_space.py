"""What one command changed is one list, whichever spaces its rows are of."""

from __future__ import annotations

from kvraft.machine.records import HEADER
from kvraft.machine.space import KvSpace
from tests.unit.machine.plain_state import PlainState


def test_changes_are_listed_by_row_key_in_the_order_in_which_they_were_made() -> None:
    space = KvSpace(PlainState(), 7)
    space.put(b"a", b"value")
    space.record(b"\x09other", b"row", None)
    row = space.get(b"a")
    assert row is not None
    space.delete(b"a", row)
    space.record(b"\x09other", None, b"row")

    assert row == HEADER.pack(7, 7, 1, 0) + b"value"
    assert space.changes == [
        (b"\x01a", row, None),
        (b"\x09other", b"row", None),
        (b"\x01a", None, row),
        (b"\x09other", None, b"row"),
    ]
