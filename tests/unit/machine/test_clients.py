"""Numbered commands: applied once, whoever repeats them, for as long as somebody may ask again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvraft.machine import clients, kv
from kvraft.machine.answers import decode_answer, encode_answer
from kvraft.machine.machine import BATCH_VERSION, Machine
from kvraft.machine.records import KvRecord
from kvraft.machine.results import (
    Answer,
    BatchWriteResult,
    CompareAndSetResult,
    DeleteRangeResult,
    DeleteResult,
    DoneResult,
    Failed,
    FailureReason,
    ListResult,
    PutResult,
    RegisterClientResult,
)
from kvraft.v1 import command_pb2
from tests.unit.machine.plain_state import PlainState

Command = command_pb2.Command
NOW_MS = 1_000_000


class Store:
    """A machine over a plain state; the clock is the caller's."""

    def __init__(self) -> None:
        self.state = PlainState()
        self.machine = Machine(self.state)
        self.now_ms = NOW_MS

    def apply(self, command: Command, *, term: int = 1) -> Answer:
        group = command_pb2.CommandGroup(origin_id=1, group_id=7, commands=[command.SerializeToString()])
        batch = command_pb2.CommandBatch(version=BATCH_VERSION, time_ms=self.now_ms, groups=[group])
        ((answer,),) = (group.answers for group in self.machine.apply(batch.SerializeToString(), term))
        return answer

    def register(self) -> int:
        result = self.apply(Command(register_client=command_pb2.RegisterClientCommand())).result
        assert isinstance(result, RegisterClientResult)
        return result.client_id

    def restart(self) -> None:
        """All that a node remembers is its state."""
        self.machine = Machine(self.state)


@pytest.fixture
def store() -> Store:
    return Store()


def numbered(client_id: int, sequence: int, first_unacknowledged: int = 1, **command: object) -> Command:
    return Command(
        client_id=client_id,
        sequence=sequence,
        first_unacknowledged=first_unacknowledged,
        **(command or {"put": {"key": b"k", "value": b"%d" % sequence, "return_previous": True}}),  # type: ignore[arg-type]
    )


def increment(client_id: int, sequence: int, first_unacknowledged: int = 1) -> Command:
    """Not idempotent: each application makes one more version."""
    return numbered(client_id, sequence, first_unacknowledged)


def versions(store: Store) -> int:
    record = kv.get(store.state, b"k")
    return 0 if record is None else record.version


def test_a_client_is_the_revision_of_its_registration(store: Store) -> None:
    store.apply(Command(put={"key": b"a", "value": b""}))
    assert [store.register(), store.register()] == [2, 3]


def test_a_repeated_number_gets_the_first_answer(store: Store) -> None:
    client = store.register()
    store.apply(increment(client, 1))
    first = store.apply(increment(client, 2))
    assert first == Answer(3, PutResult(KvRecord(b"1", 2, 2, 1)))
    store.apply(increment(client, 3))
    assert store.apply(increment(client, 2)) == first
    store.restart()
    assert store.apply(increment(client, 2)) == first
    assert versions(store) == 3
    assert store.machine.revision == 4


def test_a_failure_is_an_answer_as_well(store: Store) -> None:
    client = store.register()
    command = numbered(client, 1, put={"key": b"k", "value": b"", "lease_id": 77})
    failed = Answer(1, Failed(FailureReason.LEASE_NOT_FOUND, 77))
    assert store.apply(command) == failed
    store.apply(Command(put={"key": b"other", "value": b""}))
    assert store.apply(command) == failed


def test_an_unknown_client_is_refused_and_nothing_is_applied(store: Store) -> None:
    answer = store.apply(increment(99, 1))
    assert answer == Answer(0, Failed(FailureReason.UNKNOWN_CLIENT, 99))
    assert versions(store) == 0


def test_acknowledged_answers_are_forgotten_and_their_numbers_refused(store: Store) -> None:
    client = store.register()
    for sequence in range(1, 6):
        store.apply(increment(client, sequence))
    rows = len(store.state.rows)
    store.apply(increment(client, 6, first_unacknowledged=5))
    assert len(store.state.rows) == rows - 4 + 1
    for sequence in (1, 4):
        assert store.apply(increment(client, sequence)).result == Failed(
            FailureReason.STALE_SEQUENCE, sequence
        )
    store.restart()
    assert store.apply(increment(client, 4)).result == Failed(FailureReason.STALE_SEQUENCE, 4)
    assert store.apply(increment(client, 5)).result == PutResult(KvRecord(b"4", 2, 5, 4))
    assert versions(store) == 6


def test_a_number_that_was_given_up_is_never_applied_later(store: Store) -> None:
    client = store.register()
    store.apply(increment(client, 2, first_unacknowledged=2))
    assert store.apply(increment(client, 1)).result == Failed(FailureReason.STALE_SEQUENCE, 1)
    assert versions(store) == 1


def test_numbers_come_in_any_order(store: Store) -> None:
    client = store.register()
    for sequence in (3, 1, 2, 3, 1, 2):
        store.apply(increment(client, sequence))
    assert versions(store) == 3


def test_a_client_must_say_which_answers_it_has(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "ANSWERS_MAX", 3)
    client = store.register()
    for sequence in (1, 2, 3):
        store.apply(increment(client, sequence))
    refused = Failed(FailureReason.TOO_MANY_UNACKNOWLEDGED, client)
    assert store.apply(increment(client, 4)).result == refused
    assert store.apply(increment(client, 2)).result == PutResult(KvRecord(b"1", 2, 2, 1))
    assert store.apply(increment(client, 4, first_unacknowledged=2)).result != refused
    assert versions(store) == 4


def test_answers_are_bounded_in_bytes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "ANSWER_BYTES_MAX", 1_000)
    client = store.register()
    store.apply(Command(put={"key": b"large", "value": bytes(2_000)}))
    command = numbered(client, 1, put={"key": b"large", "value": b"", "return_previous": True})
    first = store.apply(command)
    assert first.result == PutResult(KvRecord(bytes(2_000), 2, 2, 1))
    assert store.apply(command) == Answer(first.revision, Failed(FailureReason.ANSWER_TOO_LARGE, 1))
    assert kv.get(store.state, b"large") == KvRecord(b"", 2, 3, 2)


def test_an_idle_client_is_forgotten_with_its_answers(store: Store) -> None:
    rows = len(store.state.rows)
    client, busy = store.register(), store.register()
    store.apply(increment(client, 1))
    store.now_ms += clients.CLIENT_IDLE_MS - 1
    store.apply(increment(busy, 1))
    assert list(clients.idle_clients(store.state, store.now_ms)) == []
    store.now_ms += 1
    assert list(clients.idle_clients(store.state, store.now_ms)) == [client]
    expire = Command(expire={"term": 1, "client_ids": [client, busy]})
    store.apply(expire, term=2)
    assert store.apply(increment(client, 1)).result == PutResult(None), "a deposed leader's word counts not"
    store.now_ms += clients.CLIENT_IDLE_MS
    store.apply(increment(busy, 2))
    store.apply(expire)
    assert store.apply(increment(client, 2)).result == Failed(FailureReason.UNKNOWN_CLIENT, client)
    assert store.apply(increment(busy, 2)).result != Failed(FailureReason.UNKNOWN_CLIENT, busy)
    store.apply(Command(unregister_client={"client_id": busy}))
    store.apply(Command(delete={"key": b"k"}))
    assert len(store.state.rows) == rows + 1, "the machine's own row is all that is left"


def test_a_list_is_one_number_and_many_answers(store: Store) -> None:
    client = store.register()
    commands = [{"put": {"key": b"%d" % number, "value": b""}} for number in range(5)]
    commands.insert(2, {"put": {"key": b"x", "value": b"", "lease_id": 9}})
    commands.append({"delete": {"key": b"3"}})
    command = numbered(client, 1, list={"commands": commands})
    first = store.apply(command)
    assert isinstance(first.result, ListResult)
    assert [answer.revision for answer in first.result.answers] == [2, 3, 3, 4, 5, 6, 7]
    assert first.result.answers[2].result == Failed(FailureReason.LEASE_NOT_FOUND, 9)
    assert first.result.answers[-1].result == DeleteResult(True, None)
    assert first.revision == 7
    store.restart()
    assert store.apply(command) == first
    assert store.machine.revision == 7


def puts(*values: bytes) -> dict[str, object]:
    return {"list": {"commands": [{"put": {"key": b"k", "value": value}} for value in values]}}


@pytest.mark.parametrize(
    ("first", "other"),
    [
        ({"put": {"key": b"k", "value": b"1"}}, {"put": {"key": b"k", "value": b"2"}}),
        ({"put": {"key": b"k", "value": b"1"}}, {"delete": {"key": b"k"}}),
        ({"put": {"key": b"k"}}, {"put": {"key": b"k", "return_previous": True}}),
        (puts(b"1", b"2"), puts(b"1", b"2", b"3")),
        (puts(b"1", b"2"), puts(b"1")),
        (puts(b"1", b"2"), puts(b"2", b"1")),
        ({"put": {"key": b"k", "value": b"", "lease_id": 9}}, {"put": {"key": b"k", "value": b""}}),
        (puts(b"1"), {"user_data": {"purge_queue": {"user_id": "ann", "device_id": "phone"}}}),
    ],
)
def test_another_command_under_a_used_number_is_refused(
    store: Store, first: dict[str, object], other: dict[str, object]
) -> None:
    client = store.register()
    answer = store.apply(numbered(client, 1, **first))
    rows, revision = dict(store.state.rows), store.machine.revision
    refused = Answer(revision, Failed(FailureReason.REQUEST_ID_REUSED, 1))
    assert store.apply(numbered(client, 1, **other)) == refused
    store.restart()
    assert store.apply(numbered(client, 1, **other)) == refused
    assert (store.state.rows, store.machine.revision) == (rows, revision)
    assert store.apply(numbered(client, 1, **first)) == answer, "it still has its own answer"


def test_a_repetition_may_acknowledge_more_than_the_first_attempt(store: Store) -> None:
    client = store.register()
    for sequence in (1, 2):
        store.apply(increment(client, sequence))
    for sequence in (3, 300, 1 << 40):
        answer = store.apply(increment(client, sequence))
        assert store.apply(increment(client, sequence, first_unacknowledged=sequence - 1)) == answer
        assert store.apply(increment(client, sequence, first_unacknowledged=sequence)) == answer
    assert versions(store) == 5


def test_a_number_that_was_not_taken_may_be_used_for_another_command(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "ANSWERS_MAX", 1)
    client = store.register()
    store.apply(increment(client, 1))
    refused = store.apply(increment(client, 2)).result
    assert refused == Failed(FailureReason.TOO_MANY_UNACKNOWLEDGED, client)
    answer = store.apply(numbered(client, 2, first_unacknowledged=2, delete={"key": b"k"}))
    assert answer.result == DeleteResult(True, None)


def test_an_answer_that_was_too_large_to_keep_is_of_its_command_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "ANSWER_BYTES_MAX", 1_000)
    client = store.register()
    store.apply(Command(put={"key": b"large", "value": bytes(2_000)}))
    store.apply(numbered(client, 1, put={"key": b"large", "value": b"", "return_previous": True}))
    other = store.apply(numbered(client, 1, put={"key": b"other", "value": b""}))
    assert other.result == Failed(FailureReason.REQUEST_ID_REUSED, 1)


def test_idle_clients_with_many_answers_are_forgotten_in_steps(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "FORGOTTEN_ROWS_MAX", 3)
    idle = [store.register() for _ in range(3)]
    for client in idle:
        for sequence in (1, 2):
            store.apply(increment(client, sequence))
    store.now_ms += clients.CLIENT_IDLE_MS
    left = []
    for _ in range(3):
        store.apply(Command(expire={"term": 1, "client_ids": idle}))
        left.append(len(list(clients.idle_clients(store.state, store.now_ms))))
    assert left == [2, 1, 0]


records = st.builds(
    KvRecord,
    st.binary(max_size=20),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
)
maybe_records = st.none() | records
plain_results = st.one_of(
    st.builds(PutResult, maybe_records),
    st.builds(DeleteResult, st.booleans(), maybe_records),
    st.builds(DeleteRangeResult, st.integers(0, 10_000), st.booleans()),
    st.builds(CompareAndSetResult, st.booleans(), maybe_records),
    st.builds(BatchWriteResult, st.lists(st.booleans(), max_size=5).map(tuple)),
    st.builds(RegisterClientResult, st.integers(0, 2**64 - 1)),
    st.just(DoneResult()),
    st.builds(Failed, st.sampled_from(FailureReason), st.integers(0, 2**64 - 1)),
)
revisions = st.integers(0, 20) | st.integers(0, 2**63)
answers = st.builds(Answer, revisions, plain_results)
# Revisions that rise one by one, as they do, and the commonest of all results.
plain_puts = st.builds(Answer, st.integers(0, 5), st.just(PutResult(None)))
lists = st.lists(answers | plain_puts, max_size=8).map(tuple)


@given(answers | st.builds(Answer, revisions, st.builds(ListResult, lists)))
def test_an_answer_comes_back_as_it_was_stored(answer: Answer) -> None:
    assert decode_answer(encode_answer(answer)) == answer


def test_the_answers_of_many_plain_puts_take_little_room() -> None:
    many = Answer(1_000, ListResult(tuple(Answer(number, PutResult(None)) for number in range(1, 1_001))))
    assert len(encode_answer(many)) < 30


@given(
    st.lists(
        st.tuples(st.integers(1, 8), st.integers(0, 3), st.booleans()),
        max_size=40,
    )
)
def test_every_number_is_applied_at_most_once_whatever_is_repeated(
    calls: list[tuple[int, int, bool]],
) -> None:
    """Against a model: a set of applied numbers and the first one not acknowledged."""
    store = Store()
    client = store.register()
    applied: set[int] = set()
    first = 1
    for sequence, advance, restart in calls:
        wanted = min(first + advance, sequence)
        answer = store.apply(increment(client, sequence, wanted))
        first = max(first, wanted)
        if sequence in applied and sequence >= first:
            assert isinstance(answer.result, PutResult)
        elif sequence < first:
            assert answer.result == Failed(FailureReason.STALE_SEQUENCE, sequence)
        else:
            assert isinstance(answer.result, PutResult)
            applied.add(sequence)
        if restart:
            store.restart()
    assert versions(store) == len(applied)
