"""What a node does with the space of its disk."""

from __future__ import annotations

import pytest

from kvraft.node.space import Room
from kvraft.storage.interfaces import DiskSpace, StateUsage

MIB = 1 << 20
RESERVE = 256 * MIB


def room(
    *, free: int, total: int = 650, rows: int = 0, reusable: int = 0, history: int = 0, log: int = 128
) -> Room:
    """Of so many MiB."""
    return Room(
        space=DiskSpace(total_bytes=total * MIB, free_bytes=free * MIB),
        reserve_bytes=RESERVE,
        usage=StateUsage(rows_bytes=rows * MIB, reusable_bytes=reusable * MIB, history_bytes=history * MIB),
        log_bytes=log * MIB,
    )


@pytest.mark.parametrize(
    ("free", "reusable", "refused"),
    [
        (256, 0, False),
        (255, 0, True),
        (128, 128, False),
        (64, 192, False),
        (63, 10_000, True),  # new segments and pages need what is really free
        (0, 0, True),
    ],
)
def test_growth_is_refused_below_the_reserve_of_which_free_pages_are_three_quarters(
    free: int, reusable: int, refused: bool
) -> None:
    assert room(free=free, reusable=reusable).refuses_growth is refused


def test_history_and_log_take_a_quarter_of_what_is_free_without_them() -> None:
    assert room(free=656, history=200).history_bytes_max == (400 + 200) // 4 * MIB
    assert room(free=656, log=200).log_retained_bytes == (400 + 200) // 4 * MIB
    assert room(free=256, history=80).history_bytes_max == 20 * MIB


def test_when_growth_is_refused_there_is_room_for_neither() -> None:
    full = room(free=200, history=100)
    assert (full.history_bytes_max, full.log_retained_bytes) == (0, 0)


@pytest.mark.parametrize(("free", "fits"), [(64 + 90, False), (64 + 91, True)])
def test_a_copy_leaves_what_is_indispensable(free: int, fits: bool) -> None:
    assert room(free=free, rows=80).fits_copy is fits


@pytest.mark.parametrize(
    ("free", "rows", "reusable", "wasteful"),
    [
        (260, 50, 100, True),
        (260, 101, 100, False),  # not half of the file
        (260, 5, 39, False),  # too little to matter
        (600, 50, 100, False),  # there is room enough without
    ],
)
def test_files_are_made_anew_where_free_pages_matter(
    free: int, rows: int, reusable: int, wasteful: bool
) -> None:
    assert room(free=free, rows=rows, reusable=reusable).is_wasteful is wasteful


def test_of_a_large_disk_a_gibibyte_matters() -> None:
    assert room(free=300, total=1 << 20, reusable=1024).is_wasteful
    assert not room(free=300, total=1 << 20, reusable=1023).is_wasteful


def test_without_a_reserve_only_a_disk_without_anything_matters() -> None:
    space = DiskSpace(total_bytes=MIB, free_bytes=0)
    usage = StateUsage(rows_bytes=0, reusable_bytes=0, history_bytes=0)
    assert not Room(space=space, reserve_bytes=0, usage=usage, log_bytes=0).refuses_growth
