"""Who proposes the end of leases and of idle clients, when, and what becomes of it when leaders change."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

import pytest

from kvraft.errors import RequestError
from kvraft.machine import kv, lease_commands, leases
from kvraft.machine.clients import CLIENT_IDLE_MS
from kvraft.machine.results import Answer, GrantLeaseResult, RegisterClientResult, RenewLeasesResult, Result
from kvraft.machine.users import due, queues
from kvraft.node.divergence import DigestMessage
from kvraft.node.expiry import CANDIDATES_MAX, CLIENTS_INTERVAL_MS, LOOK_INTERVAL_MS
from kvraft.node.forwarding import ForwardAnswer, ForwardRequest
from kvraft.node.leader_clock import LeaderClock
from kvraft.node.replica import Replica
from kvraft.node.settings import NodeSettings
from kvraft.raft.configuration import Configuration
from kvraft.raft.messages import AppendEntries, Message
from kvraft.raft.ready import SendSnapshot
from kvraft.raft.settings import Settings
from kvraft.raft.types import Entry, EntryKind, Index, NodeId, Term
from kvraft.storage.interfaces import Identity, LogWrite, StateStore, StateView
from kvraft.storage.memory_log import MemoryLog
from kvraft.storage.state import LayeredState, MemoryEngine
from kvraft.v1 import command_pb2

Command = command_pb2.Command
IDS = (NodeId(1), NodeId(2), NodeId(3))
TTL_MS = 10_000
EPOCH_MS = 1_700_000_000_000


class Member:
    """A replica whose disk is as quick as its memory."""

    def __init__(self, cluster: Cluster, node_id: NodeId) -> None:
        identity = Identity(cluster_id=1, cluster_name="test", node_id=node_id, initial_voters=IDS)
        self.cluster = cluster
        self.log = MemoryLog(identity)
        self.entries: dict[Index, Entry] = {}
        self.is_isolated = False
        self.wall_ahead_ms = 0
        self.takes_requests = True
        self.written = 0
        self.flushed: list[StateStore] = []
        self.replica = Replica(
            node_id=node_id,
            settings=NodeSettings(),
            raft_settings=Settings(),
            log=self.log,
            state=LayeredState(MemoryEngine(), voters=IDS),
            peers=self,
            disk=self,
            on_role_change=lambda _: None,
            chance=random.Random(node_id),
            now_ms=cluster.now_ms,
        )

    def turn(self) -> None:
        now_ms = self.cluster.now_ms
        self.replica.turn(now_ms, EPOCH_MS + now_ms + self.wall_ahead_ms, take_requests=self.takes_requests)
        while self.written:
            self.written -= 1
            self.replica.log_written()
        while self.flushed:
            self.flushed.pop().flush()
            self.replica.upkeep.state_flushed()

    def commands(self) -> list[Command]:
        """All in the log, in order."""
        batches = [
            command_pb2.CommandBatch.FromString(entry.data)
            for _, entry in sorted(self.entries.items())
            if entry.kind is EntryKind.COMMAND
        ]
        return [
            Command.FromString(command)
            for batch in batches
            for group in batch.groups
            for command in group.commands
        ]

    def expiries(self) -> list[command_pb2.ExpireCommand]:
        return [each.expire for each in self.commands() if each.HasField("expire")]

    def lease_ids(self) -> list[int]:
        return [lease.lease_id for lease in leases.scan(self.replica.state, 0)]

    # --- Peers and Disk ---------------------------------------------------------------------

    def send(self, message: Message) -> None:
        if self.cluster.loses_entries and isinstance(message, AppendEntries):
            return
        self.cluster.post(self, message.target, lambda other: other.receive(message))

    def forward(self, leader: NodeId, request: ForwardRequest) -> bool:
        self.cluster.post(self, leader, lambda other: other.receive_forwarded(self.replica.node_id, request))
        return True

    def answer(self, follower: NodeId, answer: ForwardAnswer) -> None:
        self.cluster.post(self, follower, lambda other: other.receive_answer(answer))

    def tell_refused(self, peer: NodeId, why: str, count: int) -> None:
        raise AssertionError(f"node {peer} {why}")

    def send_digest(self, peer: NodeId, message: DigestMessage) -> None:
        self.cluster.post(self, peer, lambda other: other.receive_digest(self.replica.node_id, message))

    def tell_diverged(self, node: NodeId, index: Index) -> None:
        raise AssertionError(f"the state of node {node} differs at {index}")

    def send_snapshot(self, order: SendSnapshot, view: StateView) -> None:
        pytest.fail(f"nobody is so far behind: {order}")

    @property
    def log_is_stalled(self) -> bool:
        return False

    @property
    def state_is_stalled(self) -> bool:
        return False

    def write_log(self, write: LogWrite) -> None:
        self.log.append(write)
        self.entries.update({entry.index: entry for entry in write.entries})
        self.written += 1

    def flush_state(self, state: StateStore) -> None:
        self.flushed.append(state)

    def compact_log(self, base_index: Index) -> None:
        """Never finished."""

    def open_state(self, generation: int) -> StateStore:
        pytest.fail("no snapshot was received")

    def discard_snapshot(self, generation: int) -> None:
        pytest.fail("no snapshot was received")


MONTH_MS = 31 * 24 * 3_600_000


class Cluster:
    """Three replicas on a network without delay, and one clock that the test moves."""

    def __init__(self) -> None:
        self.now_ms = 1_000
        self.loses_entries = False
        self.posted: deque[tuple[NodeId, Callable[[Replica], None]]] = deque()
        self.members = {node_id: Member(self, node_id) for node_id in IDS}
        self.leader = self.elect()

    def post(self, sender: Member, target: NodeId, deliver: Callable[[Replica], None]) -> None:
        if not sender.is_isolated and not self.members[target].is_isolated:
            self.posted.append((target, deliver))

    def settle(self) -> None:
        """Turns until nothing happens any more at this moment."""
        while True:
            for member in self.members.values():
                member.turn()
            if not self.posted and not any(m.replica.has_work for m in self.members.values()):
                return
            while self.posted:
                target, deliver = self.posted.popleft()
                deliver(self.members[target].replica)

    def run(self, duration_ms: int) -> None:
        ends_ms = self.now_ms + duration_ms
        while self.now_ms < ends_ms:
            self.now_ms += min(10, ends_ms - self.now_ms)
            self.settle()

    def elect(self, *, instead_of: Member | None = None) -> Member:
        for _ in range(1_000):
            self.run(10)
            for member in self.members.values():
                if member is not instead_of and member.replica.leads:
                    return member
        pytest.fail("no leader was elected")

    def lead_anew(self, *, wall_ahead_ms: int = 0) -> None:
        """Another node leads from now on; all clocks are so much ahead."""
        for member in self.members.values():
            member.wall_ahead_ms = wall_ahead_ms
        old = self.leader
        old.replica.transfer_leadership()
        self.leader = self.elect(instead_of=old)

    def write(self, command: Command, through: Member | None = None) -> Result:
        told: list[Answer | RequestError] = []
        (through or self.leader).replica.submit(
            command.SerializeToString(), grows_state=False, now_ms=self.now_ms, on_answer=told.append
        )
        for _ in range(100):
            if told:
                break
            self.run(10)
        (answer,) = told
        assert isinstance(answer, Answer), answer
        return answer.result

    def grant(self, ttl_ms: int = TTL_MS) -> int:
        result = self.write(Command(grant_lease={"ttl_ms": ttl_ms}))
        assert isinstance(result, GrantLeaseResult)
        return result.lease_id

    def renew(self, lease_id: int) -> None:
        result = self.write(Command(renew_leases={"lease_ids": [lease_id]}))
        assert result == RenewLeasesResult((TTL_MS,))

    def expiries(self) -> int:
        return len(self.leader.expiries())


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def test_a_lease_ends_within_one_look_of_its_time_on_every_node(cluster: Cluster) -> None:
    lease_id = cluster.grant()
    cluster.write(Command(put={"key": b"key", "lease_id": lease_id}))

    cluster.run(TTL_MS - 100)
    assert [member.lease_ids() for member in cluster.members.values()] == [[lease_id]] * 3
    cluster.run(LOOK_INTERVAL_MS + 300)

    for member in cluster.members.values():
        assert member.lease_ids() == []
        assert list(kv.scan(member.replica.state, b"", b"")) == []
    assert len({member.replica.state.applied.digest for member in cluster.members.values()}) == 1


def test_nothing_is_proposed_while_nothing_is_to_end(cluster: Cluster) -> None:
    lease_id = cluster.grant()
    for _ in range(10):
        cluster.run(5_000)
        cluster.renew(lease_id)

    assert cluster.expiries() == 0


def test_only_one_proposal_is_under_way(cluster: Cluster) -> None:
    cluster.grant()
    cluster.leader.takes_requests = False
    cluster.run(TTL_MS + 5 * LOOK_INTERVAL_MS)
    cluster.leader.takes_requests = True
    cluster.run(1_000)

    assert cluster.expiries() == 1


def test_many_leases_end_at_once_in_several_entries(cluster: Cluster) -> None:
    count = 2 * CANDIDATES_MAX + 1
    for _ in range(count):
        cluster.leader.replica.submit(
            Command(grant_lease={"ttl_ms": TTL_MS}).SerializeToString(),
            grows_state=False,
            now_ms=cluster.now_ms,
            on_answer=lambda _: None,
        )
    cluster.run(TTL_MS - 10)
    assert len(cluster.leader.lease_ids()) == count
    cluster.run(LOOK_INTERVAL_MS + 200)

    assert [len(each.lease_ids) for each in cluster.leader.expiries()] == [100, 100, 1]
    assert cluster.leader.lease_ids() == []


def test_a_lease_with_many_keys_ends_step_by_step_without_a_pause(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_commands, "KEYS_AT_ONCE_MAX", 2)
    lease_id = cluster.grant()
    for number in range(7):
        cluster.write(Command(put={"key": b"key%d" % number, "lease_id": lease_id}))
    cluster.run(TTL_MS - 200)
    assert cluster.leader.lease_ids() == [lease_id]
    cluster.run(200 + LOOK_INTERVAL_MS)

    assert cluster.expiries() == 4
    assert cluster.leader.lease_ids() == []
    assert list(kv.scan(cluster.leader.replica.state, b"", b"")) == []


def test_idle_clients_are_forgotten_once_a_minute(cluster: Cluster) -> None:
    result = cluster.write(Command(register_client={}))
    assert isinstance(result, RegisterClientResult)
    cluster.lead_anew(wall_ahead_ms=CLIENT_IDLE_MS)
    cluster.run(CLIENTS_INTERVAL_MS + LOOK_INTERVAL_MS + 100)

    (expiry,) = cluster.leader.expiries()
    assert list(expiry.client_ids) == [result.client_id]


def test_messages_expire_in_as_many_entries_as_it_takes(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "MESSAGES_AT_ONCE_MAX", 4)
    cluster.write(Command(user_data={"register_device": {"user_id": "bob", "device_id": "phone"}}))
    for number in range(10):
        message = {"message_id": f"m{number}", "sender_id": "ada", "user_id": "bob"}
        cluster.write(Command(user_data={"send_message": {"message": message, "ttl": {"seconds": 10}}}))
    cluster.run(TTL_MS - 1_000)
    assert cluster.expiries() == 0
    cluster.run(2_000)

    for member in cluster.members.values():
        assert queues.find(member.replica.state, "bob", "phone").expired == 10
    assert 3 <= cluster.expiries() <= 10
    assert all(each.user_data for each in cluster.leader.expiries())


def test_a_clock_that_jumps_ends_nothing_under_a_leader(cluster: Cluster) -> None:
    lease_id = cluster.grant()
    for jump_ms in (100 * TTL_MS, -100 * TTL_MS):
        for member in cluster.members.values():
            member.wall_ahead_ms = jump_ms
        cluster.run(2 * LOOK_INTERVAL_MS)
        cluster.renew(lease_id)

        assert cluster.leader.replica.machine.clock_ms == EPOCH_MS + cluster.now_ms
        assert cluster.leader.lease_ids() == [lease_id]
    cluster.run(TTL_MS + LOOK_INTERVAL_MS + 300)
    assert cluster.leader.lease_ids() == []


# --- leaders that change --------------------------------------------------------------------------


def test_an_election_neither_extends_nor_shortens_a_lease(cluster: Cluster) -> None:
    lease_id = cluster.grant()
    granted_ms = cluster.now_ms
    old = cluster.leader
    old.is_isolated = True
    cluster.leader = cluster.elect(instead_of=old)

    cluster.run(TTL_MS - (cluster.now_ms - granted_ms) - 100)
    assert cluster.leader.lease_ids() == [lease_id]
    cluster.run(LOOK_INTERVAL_MS + 300)

    assert cluster.leader.lease_ids() == []


def test_a_new_leader_whose_clock_is_behind_makes_no_lease_longer(cluster: Cluster) -> None:
    lease_id = cluster.grant()
    granted_ms = cluster.now_ms
    cluster.run(TTL_MS // 2)  # nobody writes, so there is no stamp of this time
    cluster.lead_anew(wall_ahead_ms=-10 * TTL_MS)

    cluster.run(TTL_MS - 100 - (cluster.now_ms - granted_ms))
    assert cluster.leader.lease_ids() == [lease_id]
    cluster.run(100 + LOOK_INTERVAL_MS + 100)
    assert cluster.leader.lease_ids() == []


def test_what_a_deposed_leader_wanted_to_end_lives_on(cluster: Cluster) -> None:
    """The old leader finds a lease past its time, and is deposed before it has proposed the end; what it
    wanted to propose is forwarded and becomes an entry of a later term, in which the lease was renewed and is
    past its time again."""
    lease_id = cluster.grant()
    old = cluster.leader
    old.takes_requests = False
    cluster.run(TTL_MS + LOOK_INTERVAL_MS + 10)
    cluster.lead_anew()
    cluster.renew(lease_id)
    cluster.lead_anew(wall_ahead_ms=2 * TTL_MS)

    old.takes_requests = True
    cluster.settle()

    (late,) = cluster.leader.expiries()
    assert (list(late.lease_ids), late.term) == ([lease_id], cluster.leader.replica.raft.term - 2)
    assert cluster.leader.replica.machine.clock_ms >= EPOCH_MS + cluster.now_ms + 2 * TTL_MS
    assert cluster.leader.lease_ids() == [lease_id]
    cluster.run(LOOK_INTERVAL_MS + 100)
    assert cluster.leader.lease_ids() == [], "the new leader ends it by itself"


def test_a_leader_proposes_nothing_before_its_first_entry_is_applied(cluster: Cluster) -> None:
    cluster.grant()
    cluster.run(TTL_MS - 200)
    old = cluster.leader
    old.is_isolated = True
    cluster.loses_entries = True
    new = cluster.elect(instead_of=old)

    cluster.run(3 * LOOK_INTERVAL_MS)
    assert new.replica.leads
    assert new.expiries() == []
    cluster.loses_entries = False
    cluster.run(2 * LOOK_INTERVAL_MS)

    (expiry,) = new.expiries()
    assert expiry.term == new.replica.raft.term


def test_one_clock_that_is_a_month_ahead_ends_nothing(cluster: Cluster) -> None:
    """Whoever of the three leads: two clocks of three are right."""
    lease_id = cluster.grant()
    for _ in range(4):
        cluster.leader.wall_ahead_ms = 0
        cluster.lead_anew()
        cluster.leader.wall_ahead_ms = MONTH_MS
        wrong = cluster.leader
        cluster.renew(lease_id)
        assert wrong.replica.machine.clock_ms < EPOCH_MS + cluster.now_ms + 1_000
        cluster.run(LOOK_INTERVAL_MS + 200)
        assert cluster.leader.lease_ids() == [lease_id]
        (skew,) = wrong.replica.clock_skews(cluster.now_ms).items()
        assert skew[0] == wrong.replica.node_id
        assert skew[1] == pytest.approx(MONTH_MS, abs=1_000)


@pytest.mark.parametrize("others", [{2: 0}, {2: 0, 3: MONTH_MS}, {2: 0, 3: 0}, {2: -MONTH_MS}])
def test_a_leaders_own_clock_does_not_count_against_what_it_hears(others: dict[int, int]) -> None:
    """Of two clocks the earlier is believed, of three the one in the middle."""
    clock = LeaderClock(NodeId(1), replicated_ms=EPOCH_MS, now_ms=0)
    three = Configuration((NodeId(1), NodeId(2), NodeId(3)))
    wall_ms = EPOCH_MS + 1_000 + MONTH_MS
    assert clock.read(Term(1), three, now_ms=1_000, wall_ms=wall_ms) is None
    for node_id, ahead_ms in others.items():
        clock.told(NodeId(node_id), EPOCH_MS + 1_000 + ahead_ms, 1_000)
    expected_ms = MONTH_MS if others == {2: 0, 3: MONTH_MS} else 0
    assert clock.read(Term(1), three, now_ms=1_000, wall_ms=wall_ms) == EPOCH_MS + 1_000 + expected_ms


def test_most_clocks_together_are_believed(cluster: Cluster) -> None:
    cluster.grant()
    cluster.lead_anew(wall_ahead_ms=MONTH_MS)
    cluster.run(2 * LOOK_INTERVAL_MS)
    assert cluster.leader.lease_ids() == []
    cluster.lead_anew()
    assert cluster.leader.replica.time_ahead_ms(cluster.now_ms) == pytest.approx(MONTH_MS, abs=1_000)
