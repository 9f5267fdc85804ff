"""The laws of Raft, checked after every step of the real algorithm."""

from __future__ import annotations

from kvraft.raft.events import Event
from kvraft.raft.invariants import ClusterChecker, TransitionChecker, check_state
from kvraft.raft.raft import Raft
from kvraft.raft.ready import Ready


class CheckedRaft(Raft):
    """A node's `Raft`, watched."""

    __slots__ = ("_cluster", "_transitions")

    def __init__(self, raft: Raft, cluster: ClusterChecker) -> None:
        """Takes the place of `raft`, which has not stepped yet."""
        self._state = raft._state
        self._reported_role = raft._reported_role
        self._cluster = cluster
        cluster.restarted(self)
        check_state(self)
        self._transitions = TransitionChecker(self)

    def step(self, event: Event, now_ms: int) -> None:
        super().step(event, now_ms)
        check_state(self)
        self._transitions.check()

    def take_ready(self, *, may_apply: bool = True) -> Ready:
        ready = super().take_ready(may_apply=may_apply)
        check_state(self)
        self._transitions.check()
        self._cluster.observe(self, ready)
        return ready
