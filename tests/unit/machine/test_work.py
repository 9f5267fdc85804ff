"""An entry is applied in pieces of bounded work, and what comes of it does not depend on the pieces."""

from __future__ import annotations

import pytest

from kvraft.machine import machine as machines
from kvraft.machine.machine import BATCH_VERSION, Machine, read_revision
from kvraft.machine.results import Answer, Failed, FailureReason, ListResult
from kvraft.v1 import command_pb2
from tests.unit.machine.plain_state import PlainState
from tests.unit.machine.users.message_store import MessageStore

Command = command_pb2.Command


def entry(*commands: Command) -> bytes:
    """An entry of two groups: all but the last command, and the last."""
    encoded = [command.SerializeToString() for command in commands]
    groups = [
        command_pb2.CommandGroup(origin_id=1, group_id=number, commands=group)
        for number, group in enumerate((encoded[:-1], encoded[-1:]), 1)
    ]
    return command_pb2.CommandBatch(version=BATCH_VERSION, time_ms=1_000, groups=groups).SerializeToString()


def put(key: bytes, **fields: int) -> Command:
    return Command(put={"key": key, "value": b"value", **fields})


def many(count: int, **fields: int) -> Command:
    commands = [put(b"%d" % number) for number in range(count)]
    return Command(list=command_pb2.CommandList(commands=commands), **fields)


def test_an_entry_pauses_between_two_commands_and_is_the_same_in_the_end() -> None:
    numbered = many(20, client_id=1, sequence=1)
    data = entry(Command(register_client={}), put(b"a"), numbered, put(b"b"), numbered)
    whole_state, state = PlainState(), PlainState()
    whole = [group for group in Machine(whole_state).apply(data, 1) if group is not None]
    machine = Machine(state)
    machine.allowance = 5
    groups, revisions, changed = [], [], 0
    for group in machine.apply(data, 1):
        if group is not None:
            groups.append(group)
            continue
        revisions.append(machine.revision)
        assert read_revision(state) == machine.revision, "what can be read has its revision"
        changed += len(machine.changes)
        machine.allowance = 5
    changed += len(machine.changes)
    assert groups == whole
    assert state.rows == whole_state.rows
    assert revisions == [5, 10, 15, 20], "in the middle of the list too"
    assert changed == 22
    (_, first, _), (again,) = groups[0].answers[1:], groups[1].answers
    assert first == again


def test_of_a_list_that_is_too_much_work_the_rest_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "LIST_WORK_MAX", 3)
    for allowance in (1, 1_000):
        machine = Machine(PlainState())
        machine.allowance = allowance
        answers: list[Answer] = []
        for group in machine.apply(entry(many(5), put(b"a")), 1):
            machine.allowance = allowance
            if group is not None:
                answers += group.answers
        (result, after) = answers
        assert isinstance(result.result, ListResult)
        refused = Failed(FailureReason.TOO_MUCH_WORK, 3)
        assert [answer.result == refused for answer in result.result.answers] == [False] * 3 + [True] * 2
        assert after.revision == 4, "of another caller nothing is refused"


def test_work_is_about_the_rows_that_are_looked_at_and_written() -> None:
    store = MessageStore(*[(f"u{number}", "phone") for number in range(100)])
    store.create_group("u0", *[f"u{number}" for number in range(1, 100)])

    def cost(command: Command) -> int:
        before = store.machine.allowance
        store.apply(command)
        return before - store.machine.allowance

    send = store.request(sender_id="u0", group_id="g")
    assert 600 < cost(Command(user_data={"send_message": send})) < 1_500
    assert 8 < cost(Command(user_data={"send_message": store.request(sender_id="u0", user_id="u1")})) < 20
    assert cost(put(b"a")) == 1
    assert cost(Command(put={"key": b"a", "value": bytes(1 << 20)})) == 1
    assert cost(put(b"a")) == 258, "the value that was there is read"
    for number in range(50):
        store.apply(put(b"%d" % number))
    assert 50 < cost(Command(delete_range={"limit": 100})) < 60
