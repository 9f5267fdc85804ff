"""The laws of Raft, checked after every step of the real algorithm."""

from __future__ import annotations

from kvraft.raft.events import Event
from kvraft.raft.invariants import ClusterChecker, TransitionChecker, check_state
from kvraft.raft.raft import Raft
from kvraft.raft.ready import Ready
from kvraft.raft.roles import Leader
from kvraft.raft.types import Entry, Index

Journal = dict[Index, Entry]
"""Every entry that any node has applied."""


class WatchedRaft(Raft):
    """A node's `Raft`, watched."""

    __slots__ = ("_journal", "_laws", "_transitions")

    def __init__(self, raft: Raft, journal: Journal, laws: ClusterChecker | None) -> None:
        """Takes the place of `raft`, which has not stepped yet. Without laws it only keeps the journal."""
        self._state = raft._state
        self._reported_role = raft._reported_role
        self._journal = journal
        self._laws = laws
        self._transitions = TransitionChecker(self)
        if laws is not None:
            laws.restarted(self)
            check_state(self)

    def step(self, event: Event, now_ms: int) -> None:
        role, commit_index = self._state.role, self._state.commit_index
        super().step(event, now_ms)
        if self._laws is not None:
            check_state(self)
            self._transitions.check()
            state = self._state
            if state.role is role and isinstance(role, Leader) and state.commit_index > commit_index:
                # 5.4.2: "Only log entries from the leader's current term are committed by counting."
                assert state.log.term(state.commit_index) == state.term, (
                    f"node {state.node_id} committed {state.commit_index} of an older term than {state.term}"
                )

    def take_ready(self, *, may_apply: bool = True) -> Ready:
        ready = super().take_ready(may_apply=may_apply)
        if self._laws is not None:
            check_state(self)
            self._transitions.check()
            self._laws.observe(self, ready)
        for entry in ready.committed:
            self._journal.setdefault(entry.index, entry)
        return ready
