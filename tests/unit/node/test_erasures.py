"""When a node makes its files anew: late enough to be shared, never before it would be of use."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kvraft.machine.machine import BATCH_VERSION, Machine
from kvraft.node.disk import ThreadedDisk
from kvraft.node.erasures import LOOK_INTERVAL_MS, Erasures, cleanable_revision
from kvraft.raft.types import Index, Term
from kvraft.storage.interfaces import Cleaned, Identity
from kvraft.storage.memory_log import MemoryLog
from kvraft.storage.state import FIRST_GENERATION, LayeredState, MemoryEngine, open_state
from kvraft.v1 import command_pb2

DELAY_MS = 10_000
ERASED_MS = 1_900_000_000_000
IDENTITY = Identity(cluster_id=1, cluster_name="test", node_id=1, initial_voters=(1,))


class Node:
    """A state with a user."""

    def __init__(self) -> None:
        self.state = LayeredState(MemoryEngine(), voters=(1,))
        self.state.begin_cleaned(Cleaned(revision=0, time_ms=0))
        self.machine = Machine(self.state)
        self.do(command_pb2.Command(register_client={}))
        self.erasures = Erasures(DELAY_MS)
        self.register("alice")

    def do(self, command: command_pb2.Command) -> int:
        """The revision after it."""
        group = command_pb2.CommandGroup(origin_id=1, group_id=1, commands=[command.SerializeToString()])
        batch = command_pb2.CommandBatch(version=BATCH_VERSION, time_ms=ERASED_MS, groups=[group])
        list(self.machine.apply(batch.SerializeToString(), 1))
        self.state.mark_applied(Index(self.state.applied.index + 1), Term(1))
        return self.machine.revision

    def register(self, user_id: str, **numbered: int) -> None:
        request = {"user_id": user_id, "device_id": "phone"}
        self.do(command_pb2.Command(user_data={"register_device": request}, **numbered))

    def erase(self, user_id: str = "alice") -> int:
        return self.do(command_pb2.Command(user_data={"erase_user": {"user_id": user_id}}))

    def are_due(self, after_ms: int, now_ms: int = 0) -> bool:
        return self.erasures.are_due(self.state, now_ms, ERASED_MS + after_ms)


@pytest.fixture
def node() -> Node:
    return Node()


def test_nothing_is_due_where_nobody_was_erased(node: Node) -> None:
    node.erasures.begin(node.state)
    assert not node.are_due(1 << 40)


def test_the_delay_counts_from_the_first_one(node: Node) -> None:
    revision = node.erase()
    node.erasures.applied(revision, ERASED_MS)
    node.erasures.applied(revision, ERASED_MS + DELAY_MS - 1)
    assert not node.are_due(DELAY_MS - 1)
    assert node.are_due(DELAY_MS, now_ms=LOOK_INTERVAL_MS)


def test_a_node_that_starts_finds_what_is_left_to_do(node: Node) -> None:
    node.erase()
    node.erasures.begin(node.state)
    assert node.are_due(DELAY_MS)


def test_what_was_done_is_not_done_again(node: Node) -> None:
    erased = node.erase()
    done = LayeredState(MemoryEngine(), voters=(1,))
    done.begin_cleaned(Cleaned(revision=erased, time_ms=1))
    for key, row in node.state.scan(b"", None):
        done.put(key, row, None)
    node.erasures.begin(done)
    assert not node.are_due(DELAY_MS)


def test_answers_that_are_kept_are_waited_for(node: Node) -> None:
    """The answer to a registered client holds the label of a device, and is a row of the state."""
    client_id = 1
    node.register("bob", client_id=client_id, sequence=1, first_unacknowledged=1)
    erased = node.erase("bob")
    assert cleanable_revision(node.state, node.machine.revision) == erased - 1
    node.erasures.begin(node.state)
    assert not node.are_due(DELAY_MS)
    put = {"key": b"k", "value": b"v"}
    node.do(command_pb2.Command(put=put, client_id=client_id, sequence=2, first_unacknowledged=2))
    assert node.are_due(DELAY_MS, now_ms=LOOK_INTERVAL_MS)
    assert cleanable_revision(node.state, node.machine.revision) == node.machine.revision


def test_answers_that_tell_of_no_user_are_not(node: Node) -> None:
    put = {"key": b"k", "value": b"v"}
    node.do(command_pb2.Command(put=put, client_id=1, sequence=1, first_unacknowledged=1))
    node.erase()
    node.erasures.begin(node.state)
    assert node.are_due(DELAY_MS)


def test_the_files_that_were_replaced_are_deleted(tmp_path: Path) -> None:
    state = open_state(tmp_path, FIRST_GENERATION, voters=(1,))
    state.begin_cleaned(Cleaned(revision=0, time_ms=0))
    state.put(b"a", b"1", None)
    state.mark_applied(Index(1), Term(1))
    with asyncio.Runner() as runner:
        disk = ThreadedDisk(
            log=MemoryLog(IDENTITY),
            state=state,
            state_directory=tmp_path,
            loop=runner.get_loop(),
            on_failure=pytest.fail,
        )
        disk.rewrite_state(Cleaned(revision=1, time_ms=1))
        assert state.freeze()
        state.flush()
        state.flush_done()
        assert state.rewrite is not None
        assert state.rewrite.is_complete
        disk.exchange_state(state.rewrite.generation, 1, 2)
        assert not disk.is_tidy
        disk.close(flush=False)
        runner.run(asyncio.sleep(0))
        assert disk.is_tidy
    assert [path.name for path in tmp_path.iterdir()] == ["00000002"]
    reopened = open_state(tmp_path, 2)
    assert list(reopened.scan(b"", None)) == [(b"a", b"1")]
    assert reopened.cleaned == Cleaned(revision=1, time_ms=1)
    reopened.close()


def test_a_copy_that_is_given_up_is_deleted(tmp_path: Path) -> None:
    state = open_state(tmp_path, FIRST_GENERATION, voters=(1,))
    state.begin_cleaned(Cleaned(revision=0, time_ms=0))
    with asyncio.Runner() as runner:
        disk = ThreadedDisk(
            log=MemoryLog(IDENTITY),
            state=state,
            state_directory=tmp_path,
            loop=runner.get_loop(),
            on_failure=pytest.fail,
        )
        disk.rewrite_state(Cleaned(revision=1, time_ms=1))
        assert state.freeze()
        state.flush()
        state.flush_done()
        disk.abandon_rewrite()
        assert state.rewrite is None
        disk.close(flush=False)
    assert [path.name for path in tmp_path.iterdir()] == ["00000001"]
