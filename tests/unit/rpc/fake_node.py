"""A node without a log, peers or a disk: commands are applied at once, to rows in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from types import SimpleNamespace

from sortedcontainers import SortedDict

from kvraft.errors import no_space, outcome_unknown, revision_not_reached
from kvraft.machine.machine import BATCH_VERSION, AppliedGroup, Machine
from kvraft.machine.results import Answer, Failed
from kvraft.node.delivery import DeliveryHub
from kvraft.node.divergence import DigestComparison
from kvraft.node.erasures import ErasureProgress
from kvraft.node.peer_refusals import PeerRefusals
from kvraft.node.proposals import OnAnswer
from kvraft.node.queue_waiters import QueueWaiters
from kvraft.node.refusals import request_error
from kvraft.node.settings import NodeSettings
from kvraft.node.views import Views
from kvraft.node.watching import WatchHub
from kvraft.raft.configuration import Configuration
from kvraft.raft.ready import Role
from kvraft.raft.types import NodeId
from kvraft.storage.errors import StorageError
from kvraft.storage.interfaces import Applied, Change
from kvraft.storage.state import MemoryEngine
from kvraft.storage.state.history import History
from kvraft.v1 import command_pb2

CLUSTER_ID = 0xFEDCBA9876543210


class Rows:
    """State and view at once: a view is a copy."""

    def __init__(self, rows: SortedDict | None = None) -> None:
        self.rows = SortedDict() if rows is None else rows
        self.views: list[Rows] = []
        self.failure: StorageError | None = None
        """What every scan raises from its next row on."""
        self.viewed = asyncio.Event()
        self.closed = asyncio.Event()
        self.applied = Applied(index=7, term=2, voters=(1, 2, 3), learners=(), digest=0xABCDEF0123456789)
        self.flushed_index = 5
        self.disk_bytes = 4096
        self.memory_bytes = 1234
        self.history = History(None)

    def get(self, key: bytes) -> bytes | None:
        if self.failure is not None:
            raise self.failure
        return self.rows.get(key)

    def scan(
        self, start: bytes, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        for key in self.rows.irange(start, end, inclusive=(True, False), reverse=reverse):
            if self.failure is not None:
                raise self.failure
            yield key, self.rows[key]

    def put(self, key: bytes, value: bytes, previous: bytes | None) -> None:
        self.rows[key] = value

    def delete(self, key: bytes, previous: bytes) -> None:
        del self.rows[key]

    def read_history(self, first: int) -> list[tuple[int, Sequence[Change]]]:
        if self.failure is not None:
            raise self.failure
        return self.history.read(first, MemoryEngine().reader())

    def view(self) -> Rows:
        view = Rows(self.rows.copy())
        self.views.append(view)
        self.viewed.set()
        return view

    def close(self) -> None:
        self.closed.set()


class FakeNode:
    """What the services see of `kvraft.node.node.Node`."""

    def __init__(self) -> None:
        state = Rows()
        state.history.begin(0, NodeSettings().history_limits)
        self.replica = SimpleNamespace(
            node_id=NodeId(1),
            state=state,
            machine=Machine(state),
            watches=WatchHub(state, 0),
            raft=SimpleNamespace(
                term=2,
                leader_id=NodeId(3),
                role=Role.FOLLOWER,
                commit_index=8,
                applied_index=7,
                first_log_index=3,
                last_log_index=9,
                followers={},
                configuration=Configuration((NodeId(1), NodeId(2), NodeId(3))),
            ),
            digests=DigestComparison(16),
            refusals=PeerRefusals(),
            clock_skews=lambda _: {},
            time_ahead_ms=lambda _: 0,
            refuses_growth=False,
            takes_no_writes=False,
            leads=False,
            stopping=False,
            refusal=None,
            upkeep=SimpleNamespace(erasure=lambda erasure_id: self.erasures[erasure_id]),
            queue_waiters=QueueWaiters(),
            views=Views(),
            submit=self._submit,
        )
        self.replica.deliveries = DeliveryHub(self.replica)
        self._timer: asyncio.TimerHandle | None = None
        self.log: list[tuple[bytes, bool]] = []
        """(command, grows_state) of every write."""
        self.erasures: dict[int, ErasureProgress] = {}
        """How far the node has come with each."""
        self.wall_ms = 1
        """What batches are stamped with."""
        self.waits: list[str] = []
        """What reads waited for."""
        self.refusal: BaseException | None = None
        """What every request meets."""
        self.is_full = False
        """Whether the disk forbids what grows the state."""
        self.lost_answers = 0
        """How many of the next writes are applied and then fail with an unknown outcome."""
        self.refusal_then: BaseException | None = None
        """What every request meets after the last of these."""
        self.failures: list[BaseException] = []
        """What the node was told to fail with."""

    @property
    def state(self) -> Rows:
        state: Rows = self.replica.state
        return state

    @staticmethod
    def now_ms() -> int:
        return time.monotonic_ns() // 1_000_000

    def fail(self, failure: BaseException) -> None:
        self.failures.append(failure)

    async def write(self, command: bytes, *, grows_state: bool, work: int = 0) -> Answer:
        self._refuse()
        if self.is_full and grows_state:
            raise no_space()
        self.log.append((command, grows_state))
        group = command_pb2.CommandGroup(origin_id=1, group_id=1, commands=[command])
        batch = command_pb2.CommandBatch(version=BATCH_VERSION, time_ms=self.wall_ms, groups=[group])
        (applied,) = self.apply(batch)
        (answer,) = applied.answers
        if self.lost_answers:
            self.lost_answers -= 1
            self.refusal = self.refusal if self.lost_answers else self.refusal_then
            raise outcome_unknown("the answer was lost")
        if isinstance(answer.result, Failed):
            raise request_error(answer.result)
        return answer

    def apply(self, batch: command_pb2.CommandBatch) -> list[AppliedGroup]:
        machine = self.replica.machine
        groups = [group for group in machine.apply(batch.SerializeToString(), 1) if group is not None]
        self.state.history.record(machine.changes, machine.clock_ms)
        self.replica.watches.publish(machine.changes, machine.revision)
        self.replica.deliveries.publish(machine.touched)
        self.replica.queue_waiters.wake(machine.touched.queues)
        return groups

    def lead(self) -> None:
        """From now on it leads."""
        self.replica.leads = True
        self.replica.raft.leader_id = self.replica.node_id
        self.replica.raft.role = Role.LEADER

    def wake(self) -> None:
        """What is due of deliveries is done at once, and when the next thing is due."""
        deliveries = self.replica.deliveries
        deliveries.look(self.now_ms())
        if self._timer is not None:
            self._timer.cancel()
        due_s = (deliveries.deadline_ms - self.now_ms()) / 1000
        self._timer = asyncio.get_running_loop().call_later(min(max(0.001, due_s), 1.0), self.wake)

    def _submit(self, command: bytes, *, grows_state: bool, now_ms: int, on_answer: OnAnswer) -> None:
        self.log.append((command, grows_state))
        group = command_pb2.CommandGroup(origin_id=1, group_id=1, commands=[command])
        batch = command_pb2.CommandBatch(version=BATCH_VERSION, time_ms=self.wall_ms, groups=[group])
        ((answer,),) = (applied.answers for applied in self.apply(batch))
        on_answer(answer)

    async def fresh(self) -> None:
        self._refuse()
        self.waits.append("fresh")

    async def at_least(self, revision: int) -> None:
        self._refuse()
        self.waits.append(f"at least {revision}")
        if revision > self.replica.machine.revision:
            raise revision_not_reached(revision, self.replica.machine.revision)

    def replace_state(self) -> None:
        """What the installation of a snapshot does, here of an empty state: views stay as they are."""
        self.replica.state = Rows()
        self.replica.machine = Machine(self.replica.state)
        self.replica.state.history.begin(0, NodeSettings().history_limits)
        self.replica.watches.replace_state(self.replica.state, 0)

    def _refuse(self) -> None:
        if self.refusal is not None:
            raise self.refusal


def put_rows(node: FakeNode, count: int, *, value: bytes = b"v", prefix: bytes = b"key") -> list[bytes]:
    """Stores keys under ascending names, as one revision, and returns them."""
    keys = [b"%s%06d" % (prefix, number) for number in range(count)]
    command = command_pb2.Command(batch_write={"keys": keys, "values": [value] * count})
    group = command_pb2.CommandGroup(origin_id=1, group_id=1, commands=[command.SerializeToString()])
    batch = command_pb2.CommandBatch(version=BATCH_VERSION, time_ms=1, groups=[group])
    node.apply(batch)
    return keys
