"""The key-value commands: what they change, what they answer, and which revision they get."""

from __future__ import annotations

import pytest

from kvraft.machine import kv
from kvraft.machine.keys import prefix_end
from kvraft.machine.machine import BATCH_VERSION, TIME_MS_MAX, Machine, UnknownCommandError, read_revision
from kvraft.machine.records import KvRecord
from kvraft.machine.results import (
    Answer,
    BatchWriteResult,
    CompareAndSetResult,
    DeleteRangeResult,
    DeleteResult,
    Failed,
    FailureReason,
    PutResult,
)
from kvraft.v1 import command_pb2
from tests.unit.machine.plain_state import PlainState

Command = command_pb2.Command


def put(key: bytes, value: bytes, *, return_previous: bool = False) -> Command:
    return Command(put=command_pb2.PutCommand(key=key, value=value, return_previous=return_previous))


def delete(key: bytes, *, return_previous: bool = False) -> Command:
    return Command(delete=command_pb2.DeleteCommand(key=key, return_previous=return_previous))


def batch(*commands: Command, time_ms: int = 1_000, version: int = BATCH_VERSION) -> bytes:
    group = command_pb2.CommandGroup(
        origin_id=1, group_id=7, commands=[command.SerializeToString() for command in commands]
    )
    return command_pb2.CommandBatch(version=version, time_ms=time_ms, groups=[group]).SerializeToString()


class Store:
    """A machine over a plain state, one command at a time."""

    def __init__(self) -> None:
        self.state = PlainState()
        self.machine = Machine(self.state)

    def apply(self, command: Command) -> Answer:
        (group,) = self.machine.apply(batch(command), 1)
        (answer,) = group.answers
        return answer

    def keys(self) -> list[bytes]:
        return [key for key, _ in kv.scan(self.state, b"", b"")]


@pytest.fixture
def store() -> Store:
    return Store()


def test_put_creates_at_version_1_and_counts_on(store: Store) -> None:
    assert store.apply(put(b"a", b"1")) == Answer(1, PutResult(None))
    assert store.apply(put(b"a", b"2")) == Answer(2, PutResult(None))
    assert kv.get(store.state, b"a") == KvRecord(b"2", create_revision=1, mod_revision=2, version=2)


def test_put_returns_the_previous_record_when_asked(store: Store) -> None:
    assert store.apply(put(b"a", b"1", return_previous=True)) == Answer(1, PutResult(None))
    answer = store.apply(put(b"a", b"2", return_previous=True))
    assert answer == Answer(2, PutResult(KvRecord(b"1", 1, 1, 1)))


def test_delete_of_an_absent_key_changes_nothing_not_even_the_revision(store: Store) -> None:
    store.apply(put(b"a", b"1"))
    assert store.apply(delete(b"b")) == Answer(1, DeleteResult(False, None))
    assert store.apply(delete(b"a", return_previous=True)) == Answer(
        2, DeleteResult(True, KvRecord(b"1", 1, 1, 1))
    )
    assert kv.get(store.state, b"a") is None


def test_a_key_that_is_created_again_starts_a_new_life(store: Store) -> None:
    for command in (put(b"a", b"1"), put(b"a", b"2"), delete(b"a"), put(b"a", b"3")):
        store.apply(command)
    assert kv.get(store.state, b"a") == KvRecord(b"3", create_revision=4, mod_revision=4, version=1)


def test_delete_range_stops_at_its_limit_in_key_order_and_says_so(store: Store) -> None:
    for key in (b"a", b"b", b"c", b"d"):
        store.apply(put(key, b""))
    command = Command(delete_range=command_pb2.DeleteRangeCommand(start=b"b", end=b"", limit=2))
    assert store.apply(command) == Answer(5, DeleteRangeResult(2, more=True))
    assert store.keys() == [b"a", b"d"]
    assert store.apply(command) == Answer(6, DeleteRangeResult(1, more=False))
    assert store.apply(command) == Answer(6, DeleteRangeResult(0, more=False))
    assert store.keys() == [b"a"]


def test_delete_range_does_not_leave_the_key_value_space(store: Store) -> None:
    store.apply(put(b"a", b""))
    store.apply(Command(delete_range=command_pb2.DeleteRangeCommand(limit=100)))
    assert store.keys() == []
    assert read_revision(store.state) == 2


@pytest.mark.parametrize("expected", [0, 1, 3])
def test_compare_and_set_needs_the_exact_revision(store: Store, expected: int) -> None:
    store.apply(put(b"a", b"1"))
    store.apply(put(b"a", b"2"))
    command = command_pb2.CompareAndSetCommand(key=b"a", expected_revision=expected, value=b"3")
    answer = store.apply(Command(compare_and_set=command))
    assert answer == Answer(2, CompareAndSetResult(False, KvRecord(b"2", 1, 2, 2)))
    command.expected_revision = 2
    assert store.apply(Command(compare_and_set=command)) == Answer(3, CompareAndSetResult(True, None))
    assert kv.get(store.state, b"a") == KvRecord(b"3", 1, 3, 3)


def test_compare_and_set_with_0_creates_once(store: Store) -> None:
    command = Command(compare_and_set=command_pb2.CompareAndSetCommand(key=b"a", value=b"mine"))
    assert store.apply(command) == Answer(1, CompareAndSetResult(True, None))
    assert store.apply(command) == Answer(1, CompareAndSetResult(False, KvRecord(b"mine", 1, 1, 1)))


def test_compare_and_delete(store: Store) -> None:
    store.apply(put(b"a", b"1"))
    command = command_pb2.CompareAndSetCommand(key=b"a", expected_revision=1, delete=True)
    assert store.apply(Command(compare_and_set=command)) == Answer(2, CompareAndSetResult(True, None))
    assert kv.get(store.state, b"a") is None
    command.expected_revision = 0
    assert store.apply(Command(compare_and_set=command)) == Answer(2, CompareAndSetResult(True, None))


def test_a_batch_is_one_revision_and_later_operations_see_earlier_ones(store: Store) -> None:
    batch = command_pb2.BatchWriteCommand(
        keys=[b"a", b"a", b"b", b"c", b"c"], values=[b"1", b"2", b"", b"3", b""], deletes=[2, 4]
    )
    answer = store.apply(Command(batch_write=batch))
    assert answer == Answer(1, BatchWriteResult((False, True, False, False, True)))
    assert kv.get(store.state, b"a") == KvRecord(b"2", create_revision=1, mod_revision=1, version=2)
    assert store.keys() == [b"a"]


def test_scan_goes_both_ways(store: Store) -> None:
    for key in (b"b", b"a", b"\xff\xff", b"c"):
        store.apply(put(key, key))
    assert store.keys() == [b"a", b"b", b"c", b"\xff\xff"]
    assert [key for key, _ in kv.scan(store.state, b"b", b"\xff", reverse=True)] == [b"c", b"b"]


@pytest.mark.parametrize(
    ("prefix", "end"), [(b"a", b"b"), (b"a\xff", b"b"), (b"\xff", b""), (b"\xff\xff", b""), (b"", b"")]
)
def test_prefix_end(prefix: bytes, end: bytes) -> None:
    assert prefix_end(prefix) == end


def test_the_clock_is_the_highest_stamp_and_survives_with_the_revision() -> None:
    state = PlainState()
    machine = Machine(state)
    list(machine.apply(batch(put(b"a", b"1"), time_ms=5_000), 1))
    list(machine.apply(batch(put(b"a", b"2"), time_ms=4_000), 1))
    again = Machine(state)
    assert (again.clock_ms, again.revision) == (5_000, 2)


def test_a_group_is_answered_by_its_id() -> None:
    (group,) = Machine(PlainState()).apply(batch(put(b"a", b""), delete(b"x")), 1)
    assert (group.origin_id, group.group_id) == (1, 7)
    assert [answer.revision for answer in group.answers] == [1, 1]


@pytest.mark.parametrize(
    "data",
    [
        batch(version=BATCH_VERSION + 1),
    ],
)
def test_what_is_not_understood_stops_the_machine(data: bytes) -> None:
    with pytest.raises(UnknownCommandError):
        list(Machine(PlainState()).apply(data, 1))


def test_what_is_no_command_changes_nothing_on_any_node() -> None:
    machine = Machine(PlainState())
    """It is in the log for good: every node answers it alike, and goes on."""
    for garbage in (b"", b"\xff\xff\xff", b"\x0a"):
        assert list(machine.apply(garbage, 1)) == []
    message = command_pb2.CommandBatch(version=BATCH_VERSION)
    good = command_pb2.Command(put={"key": b"k", "value": b"v"}).SerializeToString()
    nothing = command_pb2.Command(user_data={}).SerializeToString()
    message.groups.add(origin_id=1, group_id=2, commands=[b"", b"\xff\xff\xff", nothing, good])
    (group,) = machine.apply(message.SerializeToString(), 1)
    malformed = Answer(0, Failed(FailureReason.MALFORMED))
    assert group is not None
    assert group.answers == [malformed, malformed, malformed, Answer(1, PutResult(None))]


def test_what_a_newer_version_meant_stops_the_node() -> None:
    machine = Machine(PlainState())
    newer = b"\xaa\x06\x00"  # a field of number 101
    for command in (newer, command_pb2.Command(user_data={}).SerializeToString()[:1] + b"\x03" + newer):
        message = command_pb2.CommandBatch(version=BATCH_VERSION)
        message.groups.add(origin_id=1, group_id=2, commands=[command])
        with pytest.raises(UnknownCommandError):
            list(machine.apply(message.SerializeToString(), 1))


def test_replicated_time_ends_where_dates_do() -> None:
    machine = Machine(PlainState())
    message = command_pb2.CommandBatch(version=BATCH_VERSION, time_ms=(1 << 64) - 1)
    list(machine.apply(message.SerializeToString(), 1))
    assert machine.clock_ms == TIME_MS_MAX
