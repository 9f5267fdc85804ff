"""A follower's replica between ports that do nothing by themselves: what it gives to whom, and when."""

from __future__ import annotations

import random

import pytest

from kvraft.errors import Reason, RequestError
from kvraft.machine.machine import BATCH_VERSION
from kvraft.node.divergence import DigestMessage, DivergenceFound
from kvraft.node.forwarding import ForwardAnswer, ForwardedGroup, ForwardRequest
from kvraft.node.proposals import LOSS_SUSPECTED_MS
from kvraft.node.replica import Replica
from kvraft.node.settings import NodeSettings
from kvraft.raft.configuration import Configuration
from kvraft.raft.messages import (
    AppendEntries,
    AppendEntriesAccepted,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
    Message,
    RequestVote,
    RequestVoteResponse,
)
from kvraft.raft.ready import SendSnapshot
from kvraft.raft.settings import Settings
from kvraft.raft.types import Entry, EntryKind, HardState, Index, NodeId, SnapshotMetadata, Standing, Term
from kvraft.storage.interfaces import (
    Applied,
    Cleaned,
    Identity,
    InstalledSnapshot,
    LogWrite,
    StateStore,
    StateView,
)
from kvraft.storage.memory_log import MemoryLog
from kvraft.storage.state import LayeredState, MemoryEngine
from kvraft.v1 import command_pb2

LEADER, SELF, OTHER = NodeId(1), NodeId(2), NodeId(3)
MEMBERS = Configuration((LEADER, SELF, OTHER))
IDENTITY = Identity(cluster_id=1, cluster_name="test", node_id=SELF, initial_voters=MEMBERS.voters)
SNAPSHOT = SnapshotMetadata(index=Index(90), term=Term(2), configuration=MEMBERS)
PUT = command_pb2.Command(put={"key": b"key", "value": b"value"}).SerializeToString()


class Surroundings:
    """Both ports, and the replica between them. The disk is as slow as the test wants."""

    def __init__(self) -> None:
        self.log = MemoryLog(IDENTITY)
        self.sent: list[Message] = []
        self.forwarded: list[ForwardRequest] = []
        self.writes: list[LogWrite] = []
        """Begun and not yet finished."""
        self.flushes: list[StateStore] = []
        self.received = MemoryEngine()
        self.now_ms = 1_000
        self.told: list[object] = []
        self.replica = Replica(
            node_id=SELF,
            settings=NodeSettings(flush_interval_ms=1),
            raft_settings=Settings(),
            log=self.log,
            state=LayeredState(MemoryEngine(), voters=MEMBERS.voters),
            peers=self,
            disk=self,
            on_role_change=lambda _: None,
            chance=random.Random(1),
            now_ms=self.now_ms,
        )

    def turn(self, *messages: Message, after_ms: int = 0) -> None:
        self.now_ms += after_ms
        for message in messages:
            self.replica.receive(message)
        self.replica.turn(self.now_ms, 0)
        while self.replica.has_work:
            self.replica.turn(self.now_ms, 0)

    def finish_write(self) -> LogWrite:
        """The oldest write is durable."""
        write = self.writes.pop(0)
        self.log.append(write)
        self.replica.log_written()
        self.turn()
        return write

    def finish_flush(self) -> None:
        self.flushes.pop(0).flush()
        self.replica.upkeep.state_flushed()
        self.turn()

    def submit(self, command: bytes) -> None:
        self.replica.submit(command, grows_state=True, now_ms=self.now_ms, on_answer=self.told.append)
        self.turn()

    def take_sent(self) -> list[Message]:
        sent, self.sent = self.sent, []
        return sent

    # --- Peers and Disk ---------------------------------------------------------------------

    def send(self, message: Message) -> None:
        self.sent.append(message)

    def forward(self, leader: NodeId, request: ForwardRequest) -> bool:
        assert leader == LEADER
        self.forwarded.append(request)
        return True

    def answer(self, follower: NodeId, answer: ForwardAnswer) -> None:
        pytest.fail(f"a follower answers {answer}")

    def tell_refused(self, peer: NodeId, why: str, count: int) -> None:
        raise AssertionError(f"node {peer} {why}")

    def tell_diverged(self, node: NodeId, index: Index) -> None:
        raise AssertionError(f"the state of node {node} differs at {index}")

    def send_digest(self, peer: NodeId, message: DigestMessage) -> None:
        """Not looked at."""

    def send_snapshot(self, order: SendSnapshot, view: StateView) -> None:
        pytest.fail(f"a follower sends {order}")

    @property
    def log_is_stalled(self) -> bool:
        return False

    @property
    def state_is_stalled(self) -> bool:
        return False

    def write_log(self, write: LogWrite) -> None:
        assert not self.writes, "one at a time"
        self.writes.append(write)

    def flush_state(self, state: StateStore) -> None:
        assert not self.flushes, "one at a time"
        self.flushes.append(state)

    def compact_log(self, base_index: Index) -> None:
        """Never finished."""

    def rewrite_state(self, cleaned: Cleaned) -> None:
        pytest.fail("nobody was erased")

    def abandon_rewrite(self) -> None:
        pytest.fail("nothing is rewritten")

    def rebase_log(self, snapshot: InstalledSnapshot) -> None:
        pytest.fail("nothing was rewritten")

    def exchange_state(self, generation: int, revision: int, time_ms: int) -> None:
        pytest.fail("nothing was rewritten")

    @property
    def is_tidy(self) -> bool:
        return True

    def open_state(self, generation: int) -> StateStore:
        assert not self.flushes, "exchanged under a flush"
        return LayeredState(self.received, voters=MEMBERS.voters)

    def discard_snapshot(self, generation: int) -> None:
        pytest.fail("the snapshot is wanted")


@pytest.fixture
def node() -> Surroundings:
    return Surroundings()


def entry(index: int, term: int, data: bytes | None = None) -> Entry:
    kind = EntryKind.NOOP if data is None else EntryKind.COMMAND
    return Entry(Index(index), Term(term), kind, data or b"")


def append(term: int, *entries: Entry, after: int, after_term: int, commit: int) -> AppendEntries:
    return AppendEntries(
        sender=LEADER,
        target=SELF,
        term=Term(term),
        prev_log_index=Index(after),
        prev_log_term=Term(after_term),
        entries=entries,
        leader_commit=Index(commit),
    )


def accepted(term: int, index: int) -> AppendEntriesAccepted:
    return AppendEntriesAccepted(sender=SELF, target=LEADER, term=Term(term), match_index=Index(index))


def heartbeat(term: int) -> Heartbeat:
    return Heartbeat(sender=LEADER, target=SELF, term=Term(term), commit_index=Index(0), round=1)


# --- a state that differs from a majority's -----------------------------------------------------


def test_a_node_that_was_told_that_its_state_differs_answers_nobody_and_remembers(
    node: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[NodeId, Index]] = []
    monkeypatch.setattr(node, "tell_diverged", lambda *what: told.append(what))
    node.turn(heartbeat(1))
    node.finish_write()
    node.submit(PUT)
    own = node.replica.state.applied.digest
    for sender, digest in ((OTHER, own + 1), (LEADER, own)):
        node.replica.receive_digest(sender, DivergenceFound(Index(0), digest))
    assert node.replica.refusal is None, "one is no leader, the other says that nothing differs"
    node.replica.receive_digest(LEADER, DivergenceFound(Index(0), own + 1))
    node.turn()
    assert told == [(SELF, Index(0))]
    node.submit(PUT)
    node.replica.read(now_ms=node.now_ms, on_fresh=node.told.append)
    node.replica.read_at_least(0, now_ms=node.now_ms, on_fresh=node.told.append)
    assert [error.reason for error in node.told if isinstance(error, RequestError)][-3:] == [
        Reason.DIVERGED
    ] * 3
    write = node.finish_write()
    assert write.hard_state == HardState(Term(1), None, Standing.DIVERGED)
    node.turn(after_ms=60_000)
    assert not [message for message in node.take_sent() if isinstance(message, RequestVote)]


# --- a snapshot that waits for a flush ----------------------------------------------------------


def begin_flush(node: Surroundings) -> None:
    """The state is at entry 1, and a flush of it is under way."""
    node.turn(append(1, entry(1, 1), after=0, after_term=0, commit=1))
    node.finish_write()
    node.turn(after_ms=10)
    assert len(node.flushes) == 1
    assert node.take_sent() == [accepted(1, 1)]


def receive_snapshot(node: Surroundings, installed: list[bool]) -> None:
    node.received.write(
        (),
        Applied(index=SNAPSHOT.index, term=SNAPSHOT.term, voters=MEMBERS.voters, learners=(), digest=0),
    )
    message = InstallSnapshot(sender=LEADER, target=SELF, term=Term(2), snapshot=SNAPSHOT)
    node.replica.receive_snapshot(message, 2, installed.append)
    node.turn()


def test_votes_do_not_wait_for_a_flush_when_a_snapshot_does(node: Surroundings) -> None:
    installed: list[bool] = []
    begin_flush(node)
    receive_snapshot(node, installed)
    assert node.finish_write() == LogWrite(hard_state=HardState(Term(2), None))
    node.turn(append(2, entry(91, 2), after=90, after_term=2, commit=91))
    assert (node.writes, node.take_sent()) == ([], []), "neither is on disk"

    request = RequestVote(
        sender=OTHER, target=SELF, term=Term(3), last_log_index=Index(91), last_log_term=Term(2)
    )
    node.turn(request, after_ms=5_000)
    assert node.take_sent() == [], "nor is the vote"
    assert node.finish_write() == LogWrite(hard_state=HardState(Term(3), OTHER))
    assert node.take_sent() == [RequestVoteResponse(sender=SELF, target=OTHER, term=Term(3), granted=True)]

    node.finish_flush()
    assert installed == []
    write = node.finish_write()
    assert write.installed_snapshot is not None
    assert (write.installed_snapshot.metadata, write.hard_state, write.entries) == (
        SNAPSHOT,
        None,
        (entry(91, 2),),
    )
    assert installed == [True]
    assert node.take_sent() == [accepted(2, 90), accepted(2, 91)]
    assert node.replica.state.applied.index == 91


def test_a_term_that_comes_before_the_snapshot_may_be_written_is_written_before_it(
    node: Surroundings,
) -> None:
    """A write without the snapshot is under way when the flush ends."""
    installed: list[bool] = []
    begin_flush(node)
    receive_snapshot(node, installed)
    node.finish_flush()
    node.turn(heartbeat(3))
    assert node.finish_write() == LogWrite(hard_state=HardState(Term(2), None))
    write = node.finish_write()
    assert (write.installed_snapshot is None, write.hard_state) == (False, HardState(Term(3), None))
    assert installed == [True]


def test_a_snapshot_waits_for_no_flush_that_is_not_there(node: Surroundings) -> None:
    installed: list[bool] = []
    receive_snapshot(node, installed)
    write = node.finish_write()
    assert (write.installed_snapshot is None, write.hard_state) == (False, HardState(Term(2), None))
    assert installed == [True]


# --- what is lost on its way to the leader ------------------------------------------------------


def batch(*groups: ForwardRequest) -> bytes:
    message = command_pb2.CommandBatch(version=BATCH_VERSION, time_ms=1)
    for group in groups:
        assert isinstance(group, ForwardedGroup)
        message.groups.add(origin_id=SELF, group_id=group.group_id, commands=group.commands)
    return message.SerializeToString()


def test_a_write_that_was_lost_on_its_way_to_the_leader_is_given_anew(node: Surroundings) -> None:
    node.turn(append(1, entry(1, 1), after=0, after_term=0, commit=1))
    node.finish_write()
    node.submit(PUT)
    (lost,) = node.forwarded
    node.turn(heartbeat(1), after_ms=LOSS_SUSPECTED_MS - 1)
    assert node.forwarded == [lost]
    node.turn(heartbeat(1), after_ms=1)
    _, probe = node.forwarded
    assert isinstance(probe, ForwardedGroup)
    assert (probe.commands, probe.grows_state, probe.term) == ((), False, 1)
    node.turn(heartbeat(1), after_ms=10)
    assert len(node.forwarded) == 2, "it is asked once in a while"

    node.turn(append(1, entry(2, 1, batch(probe)), after=1, after_term=1, commit=2))
    node.finish_write()
    node.turn()
    _, _, again = node.forwarded
    assert isinstance(again, ForwardedGroup)
    assert isinstance(lost, ForwardedGroup)
    assert again.commands == (PUT,)
    assert again.group_id != lost.group_id
    assert node.told == []

    node.turn(append(1, entry(3, 1, batch(again)), after=2, after_term=1, commit=3))
    node.finish_write()
    (answer,) = node.told
    assert answer.revision == 1  # type: ignore[attr-defined]


def test_a_write_that_is_only_slow_is_not_given_anew(node: Surroundings) -> None:
    node.turn(append(1, entry(1, 1), after=0, after_term=0, commit=1))
    node.finish_write()
    node.submit(PUT)
    node.turn(heartbeat(1), after_ms=LOSS_SUSPECTED_MS)
    slow, probe = node.forwarded
    entries = (entry(2, 1, batch(slow)), entry(3, 1, batch(probe)))
    node.turn(append(1, *entries, after=1, after_term=1, commit=3))
    node.finish_write()
    assert len(node.told) == 1
    assert node.forwarded == [slow, probe]


# --- an entry that is much work ------------------------------------------------------------------


def test_a_turn_ends_amid_an_entry_that_is_much_work(node: Surroundings) -> None:
    """Heartbeats are answered meanwhile, and nothing is flushed before it is over."""
    count = 3 * node.replica.settings.turn_work_max
    group = command_pb2.CommandGroup(origin_id=LEADER, group_id=1, commands=[PUT] * count)
    data = command_pb2.CommandBatch(version=BATCH_VERSION, groups=[group]).SerializeToString()
    node.turn(append(1, entry(1, 1, data), after=0, after_term=0, commit=1))
    node.log.append(node.writes.pop(0))
    node.replica.log_written()
    revisions = []
    while node.replica.has_work:
        node.now_ms += 10
        node.replica.receive(heartbeat(1))
        node.take_sent()
        node.replica.turn(node.now_ms, 0)
        if node.replica.has_work:
            assert any(isinstance(message, HeartbeatResponse) for message in node.take_sent())
            assert not node.flushes
            node.replica.state.view().close()
        revisions.append(node.replica.machine.revision)
    assert revisions == [count // 3, 2 * count // 3, count]
    assert node.replica.state.applied.index == 1
    assert node.flushes
