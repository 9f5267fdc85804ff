"""The model of the disk: after a few events, exactly which disks are possible."""

from __future__ import annotations

import random

from tests.powerloss.cuts import Cuts, Effort
from tests.powerloss.disk import PAGE_BYTES, SECTOR_BYTES, Chosen, Disk, TornPage
from tests.powerloss.events import ROOT, Event, Link, Rename, Resize, Sync, Unlink, Write, WriteSync

FILE = 1
ALL = Effort(few=64, random=0, torn=0)
CREATED: list[Event] = [
    Link(moment=0, ended=1, directory=ROOT, name="file", inode=FILE, is_directory=False),
    Sync(moment=3, began=2, inode=ROOT),
]


def _write(moment: int, offset: int, data: bytes, *, ended: int | None = None) -> Write:
    ended = moment + 1 if ended is None else ended
    return Write(moment=moment, ended=ended, file=FILE, offset=offset, data=data)


def _disk(*events: Event) -> Disk:
    disk = Disk()
    for event in events:
        disk.take(event)
    return disk


def _possible(disk: Disk) -> set[tuple[tuple[str, bytes | None], ...]]:
    cuts = Cuts(disk, random.Random(0)).chosen(ALL)
    return {tuple(sorted(disk.image(cut.chosen).items())) for cut in cuts}


def _contents(*events: Event) -> set[bytes | None]:
    """What the file may hold."""
    return {dict(image)["file"] for image in _possible(_disk(*CREATED, *events))}


def test_what_was_not_synced_may_be_missing_and_so_may_its_size() -> None:
    assert _contents(_write(10, 0, b"new")) == {b"", b"\0\0\0", b"new"}


def test_what_was_synced_is_there() -> None:
    assert _contents(_write(10, 0, b"new"), Sync(moment=21, began=20, inode=FILE)) == {b"new"}


def test_a_sync_covers_only_what_had_ended_before_it_began() -> None:
    late = _write(10, 0, b"new", ended=22)
    assert _contents(late, Sync(moment=25, began=20, inode=FILE)) == {b"", b"\0\0\0", b"new"}


def test_a_write_with_dsync_is_durable_and_others_are_not() -> None:
    first = _write(10, 0, b"a" * PAGE_BYTES)
    second = _write(12, PAGE_BYTES, b"b")
    assert _contents(first, second, WriteSync(moment=13, written=12, file=FILE)) == {
        bytes(PAGE_BYTES) + b"b",
        b"a" * PAGE_BYTES + b"b",
    }


def test_pages_are_independent() -> None:
    grown = (_write(10, 0, bytes(2 * PAGE_BYTES)), Sync(moment=13, began=12, inode=FILE))
    contents = _contents(*grown, _write(20, PAGE_BYTES - 1, b"xy"))
    assert {(each[PAGE_BYTES - 1 : PAGE_BYTES + 1]) for each in contents if each is not None} == {
        b"\0\0",
        b"x\0",
        b"\0y",
        b"xy",
    }


def test_a_later_write_to_a_page_does_not_come_without_an_earlier_one() -> None:
    grown = (_write(10, 0, b"--"), Sync(moment=13, began=12, inode=FILE))
    assert _contents(*grown, _write(20, 0, b"1"), _write(22, 1, b"2")) == {b"--", b"1-", b"12"}


def test_what_was_cut_off_does_not_come_back() -> None:
    grown = (_write(10, 0, b"abc"), Sync(moment=13, began=12, inode=FILE))
    cut = (
        Resize(moment=20, ended=21, file=FILE, size=1),
        Resize(moment=22, ended=23, file=FILE, size=3),
        Sync(moment=25, began=24, inode=FILE),
    )
    assert _contents(*grown, *cut) == {b"a\0\0"}


def test_a_torn_page_has_whole_sectors_of_two_versions() -> None:
    disk = _disk(
        *CREATED,
        _write(10, 0, b"a" * PAGE_BYTES),
        Sync(moment=13, began=12, inode=FILE),
        _write(20, 0, b"b" * PAGE_BYTES),
    )
    contents = disk.image(Chosen(pages={(FILE, 0): TornPage(0, 1, 0b101)}))["file"]
    assert contents == b"".join(each * SECTOR_BYTES for each in (b"b", b"a", b"b", b"aaaaa"))


def test_a_name_needs_an_fsync_of_its_directory() -> None:
    created = Link(moment=0, ended=1, directory=ROOT, name="file", inode=FILE, is_directory=False)
    disk = _disk(created, Sync(moment=3, began=2, inode=FILE))
    assert _possible(disk) == {(), (("file", b""),)}
    disk.take(Sync(moment=5, began=4, inode=ROOT))
    assert _possible(disk) == {(("file", b""),)}


def test_a_rename_is_atomic_and_names_of_a_directory_change_in_order() -> None:
    disk = _disk(
        *CREATED,
        Rename(moment=10, ended=11, directory=ROOT, old="file", new="other"),
        Unlink(moment=12, ended=13, directory=ROOT, name="other"),
    )
    assert _possible(disk) == {(("file", b""),), (("other", b""),), ()}


def test_names_of_two_directories_change_in_order_or_independently() -> None:
    disk = _disk(
        Link(moment=0, ended=1, directory=ROOT, name="a", inode=1, is_directory=True),
        Link(moment=2, ended=3, directory=ROOT, name="b", inode=2, is_directory=True),
        Sync(moment=5, began=4, inode=ROOT),
        Link(moment=6, ended=7, directory=1, name="x", inode=3, is_directory=False),
        Link(moment=8, ended=9, directory=2, name="y", inode=4, is_directory=False),
    )
    assert [dict(names) for names in disk.names_in_order([ROOT, 1, 2])] == [
        {1: 0, 2: 0},
        {1: 1, 2: 0},
        {1: 1, 2: 1},
    ]
    assert {tuple(path for path, _ in image) for image in _possible(disk)} == {
        ("a", "b"),
        ("a", "a/x", "b"),
        ("a", "b", "b/y"),
        ("a", "a/x", "b", "b/y"),
    }


def test_in_order_what_came_before_a_durable_name_is_durable() -> None:
    disk = _disk(
        Link(moment=0, ended=1, directory=ROOT, name="a", inode=1, is_directory=True),
        Link(moment=2, ended=3, directory=1, name="x", inode=2, is_directory=False),
        Sync(moment=5, began=4, inode=1),
    )
    assert [dict(names) for names in disk.names_in_order([ROOT, 1])] == [{ROOT: 1}]
