"""Every watch is given exactly the events of the model, whatever the interleaving: of writes, watches that
begin in the past and in the future, slices of the history, flushes, trimmings, full queues and readers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvraft.errors import RequestError
from kvraft.node import watching
from kvraft.node.watched_keys import Bounds
from kvraft.node.watching import (
    Canceled,
    CancelReason,
    Created,
    Delivery,
    Events,
    Progress,
    WatchHub,
    WatchOrder,
    WatchStream,
)
from kvraft.raft.types import Index, Term
from kvraft.storage.interfaces import Change, HistoryLimits
from kvraft.storage.state import LayeredState, MemoryEngine, history

EVERY_KEY: Bounds = (b"", b"\xff")
LIMITS = HistoryLimits(revisions_max=1_000, bytes_max=1 << 20, age_ms_max=1 << 40)


class World:
    """A hub over a state, and what was ever written."""

    def __init__(self, limits: HistoryLimits = LIMITS) -> None:
        self.limits = limits
        self.state = LayeredState(MemoryEngine(), voters=(1,))
        self.state.history.begin(0, limits)
        self.hub = WatchHub(self.state, 0)
        self.log: list[tuple[int, list[Change]]] = []
        self.rows: dict[bytes, bytes] = {}
        self.ready = 0

    def open_stream(self) -> WatchStream:
        def on_ready() -> None:
            self.ready += 1

        return self.hub.open_stream(on_ready)

    def write(self, *entry: dict[bytes, bytes | None]) -> None:
        """One entry of several revisions; an empty one is a revision that changes no key."""
        revisions = []
        revision = self.hub.revision
        for rows in entry:
            revision += 1
            changes: list[Change] = []
            for key, row in rows.items():
                previous = self.rows.pop(key, None)
                if row is not None:
                    self.rows[key] = row
                changes.append((key, row, previous))
            if changes:
                revisions.append((revision, changes))
        self.log += revisions
        self.state.history.record(revisions, 0)
        self.state.mark_applied(Index(self.state.applied.index + 1), Term(1))
        self.hub.publish(revisions, revision)

    def flush(self) -> None:
        if self.state.freeze():
            self.state.flush()
            self.state.flush_done()

    def wanted(self, order: WatchOrder, first: int) -> list[tuple[int, list[Change]]]:
        """What a watch that began at `first` must have been given by now."""
        found = []
        for revision, changes in self.log:
            mine = [
                change
                for change in changes
                if any(start <= change[0] < end for start, end in order.ranges)
                and (order.deletes if change[1] is None else order.puts)
            ]
            if mine and revision >= first:
                found.append((revision, mine))
        return found


def drain(stream: WatchStream) -> Iterator[Delivery]:
    while (delivery := stream.take()) is not None:
        yield delivery


def watch(world: World, **order: object) -> WatchStream:
    stream = world.open_stream()
    stream.create(WatchOrder(**{"watch_id": 1, "bounds": EVERY_KEY, **order}))
    return stream


def events(stream: WatchStream) -> list[tuple[int, list[Change]]]:
    return [revision for each in drain(stream) if isinstance(each, Events) for revision in each.revisions]


class Reader:
    """A client that checks every delivery as it comes."""

    def __init__(self, world: World, order: WatchOrder, stream: WatchStream) -> None:
        self.world = world
        self.order = order
        self.stream = stream
        self.first = 0
        self.got: list[tuple[int, list[Change]]] = []
        self.canceled: Canceled | None = None

    def take(self, delivery: Delivery) -> None:
        assert self.canceled is None, "something came after the end"
        match delivery:
            case Created(revision=revision):
                assert not self.first
                self.first = self.order.start_revision or revision + 1
            case Events(revisions=revisions):
                assert self.first, "events before `Created`"
                self.got += [(revision, list(changes)) for revision, changes in revisions]
            case Progress(revision=revision):
                self.has_all(revision)
            case Canceled():
                self.canceled = delivery
                if self.first:
                    self.has_all(delivery.resume_revision - 1)

    def has_all(self, up_to: int) -> None:
        wanted = [each for each in self.world.wanted(self.order, self.first) if each[0] <= up_to]
        assert self.got == wanted


KEYS = st.sampled_from([b"a", b"b", b"ba", b"c"])
ENTRIES = st.lists(
    st.dictionaries(KEYS, st.none() | st.binary(min_size=1, max_size=40), max_size=3), min_size=1, max_size=3
)
RANGES = st.sampled_from(
    [
        (EVERY_KEY,),
        ((b"a", b"a\0"),),
        ((b"b", b"c"),),
        ((b"ba", b"\xff"),),
        ((b"c", b"c\0"), (b"a", b"a\0")),
        ((b"b", b"b\0"), (b"c", b"d"), (b"a", b"b")),
    ]
)
ORDERS = RANGES.flatmap(
    lambda ranges: st.builds(
        WatchOrder,
        watch_id=st.just(0),
        bounds=st.just(ranges[0]),
        more_bounds=st.just(ranges[1:]),
        start_revision=st.integers(0, 30),
        puts=st.booleans(),
        deletes=st.booleans(),
    )
)
STEPS = st.one_of(
    st.tuples(st.just("write"), ENTRIES),
    st.tuples(st.just("watch"), ORDERS),
    st.tuples(st.just("catch up"), st.none()),
    st.tuples(st.just("take"), st.integers(1, 6)),
    st.tuples(st.just("flush"), st.none()),
    st.tuples(st.just("progress"), st.none()),
    st.tuples(st.just("cancel"), st.integers(0, 20)),
    st.tuples(st.just("install"), st.integers(0, 5)),
)


@settings(max_examples=300)
@given(
    st.lists(STEPS, max_size=60),
    st.sampled_from([3, 12, 1_000]),
    st.sampled_from([100, 400, 1 << 20]),
    st.sampled_from([1, 3, 500]),
)
def test_any_interleaving_gives_each_watch_exactly_its_events(
    steps: list[tuple[str, object]], revisions_max: int, queue_bytes: int, slice_changes: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watching, "STREAM_BYTES_MAX", queue_bytes)
        patch.setattr(watching, "MERGED_BYTES_MAX", queue_bytes // 3)
        patch.setattr(history, "SLICE_CHANGES", slice_changes)
        patch.setattr(history, "BLOCK_CHANGES", 2)
        world = World(HistoryLimits(revisions_max=revisions_max, bytes_max=1 << 20, age_ms_max=1 << 40))
        stream = world.open_stream()
        readers: dict[int, Reader] = {}

        def take(count: int) -> None:
            for _ in range(count):
                delivery = stream.take()
                if delivery is None:
                    return
                readers[delivery.watch_id].take(delivery)

        for name, argument in steps:
            match name, argument:
                case "write", list() as entry:
                    world.write(*entry)
                case "watch", WatchOrder() as order:
                    numbered = WatchOrder(
                        watch_id=len(readers),
                        bounds=order.bounds,
                        more_bounds=order.more_bounds,
                        start_revision=order.start_revision,
                        puts=order.puts,
                        deletes=order.deletes,
                    )
                    readers[len(readers)] = Reader(world, numbered, stream)
                    stream.create(numbered)
                case "catch up", _:
                    world.hub.catch_up()
                case "take", int() as count:
                    take(count)
                case "flush", _:
                    world.flush()
                case "progress", _:
                    stream.progress()
                case "cancel", int() as watch_id:
                    stream.cancel(watch_id)
                case "install", int() as skipped:
                    # The state of another node that is ahead by so many revisions, of which this one never
                    # hears.
                    world.state = LayeredState(MemoryEngine(), voters=(1,))
                    revision = world.hub.revision + skipped
                    world.state.history.begin(revision, world.limits)
                    world.hub.replace_state(world.state, revision)

        while world.hub.lags or stream._queue:
            take(1_000_000)
            world.hub.catch_up()
        for reader in readers.values():
            if reader.canceled is None:
                reader.has_all(world.hub.revision)
            elif reader.canceled.reason is CancelReason.COMPACTED:
                began = reader.first or reader.order.start_revision
                assert began < reader.canceled.oldest_revision


def test_a_watch_that_has_come_as_far_as_the_state_is_given_changes_at_once() -> None:
    world = World()
    stream = watch(world)
    world.write({b"a": b"1"}, {}, {b"b": b"2"})
    assert events(stream) == world.log
    assert not world.hub.lags


def test_watches_that_lag_go_through_the_history_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "SLICE_CHANGES", 10)
    world = World()
    for number in range(100):
        world.write({b"%03d" % number: b"row"})
    streams = [watch(world, start_revision=first) for first in (1, 1, 50, 99)]
    slices = 0
    while world.hub.lags:
        world.hub.catch_up()
        slices += 1
    assert slices == 11
    assert [len(events(stream)) for stream in streams] == [100, 100, 51, 2]


def test_in_the_middle_of_a_pass_a_watch_ends_behind_what_it_got_and_one_from_before_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(history, "SLICE_CHANGES", 10)
    world = World()
    for number in range(30):
        world.write({b"%03d" % number: b"row"})
    first, other = watch(world, start_revision=1), watch(world, start_revision=1)
    world.hub.catch_up()
    late = watch(world, start_revision=5)
    first.cancel(1)
    *_, got, canceled = drain(first)
    assert isinstance(got, Events)
    assert isinstance(canceled, Canceled)
    assert (got.revisions[-1][0], canceled.resume_revision) == (10, 11)
    while world.hub.lags:
        world.hub.catch_up()
    assert events(other) == world.log
    assert events(late) == world.log[4:]


def test_a_full_queue_holds_its_limit_and_one_revision_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "STREAM_BYTES_MAX", 10_000)
    monkeypatch.setattr(watching, "MERGED_BYTES_MAX", 0)
    world = World()
    slow, quick = watch(world), watch(world)
    for _ in range(100):
        world.write({b"a": bytes(1_000)})
        assert [revision for revision, _ in events(quick)] == [world.hub.revision]
        assert slow._queued_bytes < 10_000 + 2_200
    got = []
    while len(got) < 100:
        got += events(slow)
        world.hub.catch_up()
    assert got == world.log


def test_a_parked_watch_that_the_history_has_left_behind_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "STREAM_BYTES_MAX", 100)
    monkeypatch.setattr(history, "BLOCK_CHANGES", 1)
    world = World(HistoryLimits(revisions_max=5, bytes_max=1 << 20, age_ms_max=1 << 40))
    stream = watch(world)
    for _ in range(20):
        world.write({b"a": bytes(200)})
    world.flush()
    _, first = stream.take(), stream.take()
    assert isinstance(first, Events)
    assert [revision for revision, _ in first.revisions] == [1]
    while world.hub.lags:
        world.hub.catch_up()
    (canceled,) = drain(stream)
    assert isinstance(canceled, Canceled)
    assert (canceled.reason, canceled.resume_revision, canceled.oldest_revision) == (
        CancelReason.COMPACTED,
        2,
        16,
    )


def test_a_received_state_ends_the_watches_that_miss_something_by_it() -> None:
    world = World()
    past, future = watch(world), watch(world, start_revision=30)
    world.write({b"a": b"1"})
    world.state = LayeredState(MemoryEngine(), voters=(1,))
    world.state.history.begin(9, LIMITS)
    world.hub.replace_state(world.state, 9)
    *_, canceled = drain(past)
    assert isinstance(canceled, Canceled)
    assert (canceled.reason, canceled.resume_revision, canceled.oldest_revision) == (
        CancelReason.COMPACTED,
        2,
        10,
    )
    for _ in range(21):
        world.write({b"a": b"2"})
    assert [revision for revision, _ in events(future)] == [30]


def test_a_closed_stream_leaves_nothing_behind() -> None:
    world = World()
    world.write({b"a": b"1"})
    stream = world.open_stream()
    for number in range(3):
        stream.create(WatchOrder(watch_id=number, bounds=EVERY_KEY, start_revision=number))
    assert world.hub.share.taken == 3
    stream.close()
    assert world.hub.share.taken == 0
    assert not world.hub.lags
    ready = world.ready
    world.write({b"a": b"2"})
    assert world.ready == ready


def test_ten_thousand_watches_of_other_keys_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "STREAM_WATCHES_MAX", 10_000)
    world = World()
    stream = world.open_stream()
    for number in range(10_000):
        key = b"%d" % number
        stream.create(WatchOrder(watch_id=number, bounds=(key, key + b"\0")))
    list(drain(stream))

    class Counting(bytes):
        comparisons = 0

        __hash__ = bytes.__hash__

        def __eq__(self, other: object) -> bool:
            Counting.comparisons += 1
            return bytes.__eq__(self, other)

    world.write({Counting(b"nobody's"): b"row"})
    assert Counting.comparisons < 10
    world.write({b"77": b"row"})
    assert [delivery.watch_id for delivery in drain(stream)] == [77]


def test_an_id_belongs_to_one_watch_at_a_time() -> None:
    world = World()
    stream = watch(world)
    with pytest.raises(RequestError, match="watch_id is 1"):
        stream.create(WatchOrder(watch_id=1, bounds=EVERY_KEY))
    stream.cancel(1)
    stream.cancel(1)
    stream.create(WatchOrder(watch_id=1, bounds=EVERY_KEY))
    assert [type(each).__name__ for each in drain(stream)] == ["Created", "Canceled", "Created"]


def test_a_node_that_stops_ends_every_watch_and_begins_none() -> None:
    world = World()
    stream = watch(world)
    world.write({b"a": b"1"})
    world.hub.shut_down()
    _, _, canceled = drain(stream)
    assert isinstance(canceled, Canceled)
    assert (canceled.reason, canceled.resume_revision) == (CancelReason.SHUTTING_DOWN, 2)
    assert stream.has_ended
    late = watch(world)
    (refused,) = drain(late)
    assert isinstance(refused, Canceled)
    assert refused.reason is CancelReason.SHUTTING_DOWN


def test_quiet_watches_are_told_how_far_they_are_and_busy_ones_are_not() -> None:
    world = World()
    stream = world.open_stream()
    stream.create(WatchOrder(watch_id=1, bounds=(b"a", b"b"), progress=True))
    stream.create(WatchOrder(watch_id=2, bounds=(b"b", b"c"), progress=True))
    stream.create(WatchOrder(watch_id=3, bounds=(b"c", b"d")))
    stream.notify_quiet()
    world.write({b"a": b"1"})
    list(drain(stream))
    stream.notify_quiet()
    assert list(drain(stream)) == [Progress(2, 1)]
    stream.notify_quiet()
    assert list(drain(stream)) == [Progress(1, 1), Progress(2, 1)]
