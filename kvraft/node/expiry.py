"""Who ends what has outlived its time: the leader, by an entry of the log like any other.

Twice a second the leader looks which leases are past their time and whether a message is due or expires, and
once a minute which clients have been idle for too long, and proposes their end. What it finds are only
candidates: whether they really end is decided where the entry is applied, by the clock that is replicated
with it. The entry names the term of its leader and does nothing in any other, because a leader that was
deposed, and comes to itself much later, may know nothing of the latest renewals. For the same reason a new
leader proposes nothing before it has applied the first entry of its own term, and with it everything that was
committed before.

Time is what the leaders stamp their batches with (`leader_clock`), and the machine's clock never goes back.
So an election makes no lease longer or shorter by itself; what may make one shorter is that most
clocks are ahead of the ones before.
"""

from __future__ import annotations

from itertools import islice
from typing import Protocol

from kvraft.errors import RequestError
from kvraft.machine import clients, leases
from kvraft.machine.machine import Machine
from kvraft.machine.results import Answer
from kvraft.machine.users import due
from kvraft.node.proposals import OnAnswer
from kvraft.raft.raft import Raft
from kvraft.storage.interfaces import StateStore
from kvraft.v1 import command_pb2

LOOK_INTERVAL_MS = 500
CLIENTS_INTERVAL_MS = 60_000
CANDIDATES_MAX = 100
"""Leases, and clients, of one entry. What is left is found when it is applied."""


class Proposer(Protocol):
    """What is seen here of a replica."""

    raft: Raft
    machine: Machine
    state: StateStore

    @property
    def leads(self) -> bool: ...

    def submit(self, command: bytes, *, grows_state: bool, now_ms: int, on_answer: OnAnswer) -> None: ...


class Expiry:
    """The watch over what is to end, of one replica."""

    __slots__ = ("_clients_due_ms", "_is_proposed", "due_ms")

    def __init__(self, now_ms: int) -> None:
        self.due_ms = now_ms
        """When to look again, by the clock that never jumps."""
        self._clients_due_ms = now_ms + CLIENTS_INTERVAL_MS
        self._is_proposed = False

    def look(self, replica: Proposer, now_ms: int, stamp_ms: int) -> None:
        """Proposes the end of what is past its time, if this node leads and its last proposal was answered.
        `stamp_ms` is what a leader would stamp a batch with now."""
        self.due_ms = now_ms + LOOK_INTERVAL_MS
        term = replica.raft.term
        if self._is_proposed or not replica.leads or replica.state.applied.term != term:
            return
        clock_ms = max(replica.machine.clock_ms, stamp_ms)
        ended = list(islice(leases.due(replica.state, clock_ms), CANDIDATES_MAX))
        idle: list[int] = []
        if now_ms >= self._clients_due_ms:
            idle = list(islice(clients.idle_clients(replica.state, clock_ms), CANDIDATES_MAX))
            if len(idle) < CANDIDATES_MAX:
                self._clients_due_ms = now_ms + CLIENTS_INTERVAL_MS
        user_data = due.exists(replica.state, clock_ms)
        if not ended and not idle and not user_data:
            return
        command = command_pb2.Command(
            expire={"term": term, "lease_ids": ended, "client_ids": idle, "user_data": user_data}
        )
        self._is_proposed = True
        replica.submit(
            command.SerializeToString(), grows_state=False, now_ms=now_ms, on_answer=self._on_answer
        )

    def _on_answer(self, answer: Answer | RequestError) -> None:
        """There may be more, of a lease with many keys too: it is looked at again at once. If it failed, the
        next look finds the same again, should this node still lead."""
        self._is_proposed = False
        if isinstance(answer, Answer):
            self.due_ms = 0
