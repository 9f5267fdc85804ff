"""What strace prints, read: the points that a sweep goes over, and the laws it looks for in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crashpoints.strace import Call, Point, parse
from tests.crashpoints.sweep import assert_not_repeated, points_of

OUTPUT = """\
11  pwrite64(7</data/log/1.log>, ""..., 320, 448) = 320
12  fdatasync(8</data/log/spare.tmp> <unfinished ...>
11  rename("/data/log/spare.tmp", "/data/log/next.tmp") = 0
12  <... fdatasync resumed>)          = -1 EIO (Input/output error) (INJECTED)
11  pwrite64(9</data/log/1.log>, ""..., 192, 0) = ?
11  +++ killed by SIGKILL +++
12  +++ exited with 0 +++
11  pwrite64(9</da"""
FILES = {
    "segment": [Path("/data/log/1.log")],
    "spare.tmp": [Path("/data/log/spare.tmp")],
}


def test_calls_of_threads_are_put_together_in_the_order_they_began() -> None:
    calls = parse(OUTPUT.splitlines(keepends=True)[:-1])
    assert [(call.thread_id, call.name) for call in calls] == [
        (11, "pwrite64"),
        (12, "fdatasync"),
        (11, "rename"),
        (11, "pwrite64"),
    ]
    assert [call.was_made_to_fail for call in calls] == [False, True, False, False]
    assert calls[2].path == Path("/data/log/spare.tmp")


def test_a_point_is_counted_for_each_thread_call_and_file() -> None:
    assert points_of(parse(OUTPUT.splitlines()[:-1]), FILES, 11) == {
        Point("segment", "pwrite64", 1, in_loop=True),
        Point("segment", "pwrite64", 2, in_loop=True),
        Point("spare.tmp", "fdatasync", 1, in_loop=False),
        Point("spare.tmp", "rename", 1, in_loop=True),
    }


def test_one_thread_alone_has_no_number() -> None:
    (call,) = parse(['rmdir("/data/state/00000001") = -1 EIO (Input/output error) (INJECTED)\n'])
    assert (call.thread_id, call.name, call.was_made_to_fail) == (0, "rmdir", True)


def test_threads_that_do_the_same_are_the_same_points() -> None:
    calls = [Call(thread_id, "fsync", "5</data/log/1.log>) = 0") for thread_id in (11, 12, 12)]
    assert points_of(calls, FILES, 10) == {
        Point("segment", "fsync", 1, in_loop=False),
        Point("segment", "fsync", 2, in_loop=False),
    }


def test_a_sync_after_a_failed_one_is_found() -> None:
    failed = Call(11, "fdatasync", "7</data/log/1.log>) = -1 EIO (Input/output error) (INJECTED)")
    again = Call(11, "fdatasync", "7</data/log/1.log>) = 0")
    others = Call(12, "fdatasync", "7</data/log/1.log>) = 0")
    assert_not_repeated([failed, others], Point("segment", "fdatasync", 1, in_loop=False))
    with pytest.raises(AssertionError, match="after fdatasync failed"):
        assert_not_repeated([failed, again], Point("segment", "fdatasync", 1, in_loop=False))


def test_lmdb_may_write_back_its_old_root_and_nothing_more() -> None:
    failed = Call(11, "pwrite64", "7</data/data.mdb>, 120, 32) = -1 EIO (Input/output error) (INJECTED)")
    point = Point("data.mdb", "pwrite64", 1, in_loop=False)
    assert_not_repeated([failed, Call(11, "pwrite64", "7</data/data.mdb>, 120, 32) = 120")], point)
    with pytest.raises(AssertionError, match="after pwrite64 failed"):
        assert_not_repeated([failed, Call(11, "fdatasync", "7</data/data.mdb>) = 0")], point)
