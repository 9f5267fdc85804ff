"""Known bugs of leases, put in on purpose: what ends them too early, too late, or on one node only.

Two rules stand behind each other where an expiry is applied: it does nothing in another term than its
leader's, and nothing to a lease that is not past its time. Each is left out alone, and both together. Without
the first alone no owner is harmed, because the second judges by the log; only who reads the log sees it. A
third rule, that a new leader proposes nothing before it has applied the first entry of its term, is not left
out: what it would propose too early are candidates, and the other two judge them, so nobody could tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pytest

from kvraft.machine import lease_commands, leases
from kvraft.machine.machine import Machine
from kvraft.machine.results import RenewLeasesResult
from kvraft.machine.space import KvSpace
from kvraft.machine.users.space import UserSpace
from kvraft.node import expiry
from kvraft.node.expiry import Expiry, Proposer
from kvraft.node.leader_clock import LeaderClock
from kvraft.raft.configuration import Configuration
from kvraft.raft.types import Term
from kvraft.storage.interfaces import StateReader, StateTransaction
from kvraft.v1 import command_pb2

Patch = pytest.MonkeyPatch


def _expiry_of_any_term(patch: Patch) -> None:
    expire = Machine._expire

    def of_any_term(machine: Machine, space: KvSpace, command: command_pb2.ExpireCommand, term: int) -> bool:
        return expire(machine, space, command, command.term)

    patch.setattr(Machine, "_expire", of_any_term)


def _expiry_at_any_time(patch: Patch) -> None:
    expire = lease_commands.expire

    def at_any_time(space: UserSpace, lease_ids: Iterable[int]) -> bool:
        clock_ms = space.clock_ms
        space.clock_ms = 1 << 62
        changed = expire(space, lease_ids)
        space.clock_ms = clock_ms
        return changed

    patch.setattr(lease_commands, "expire", at_any_time)


def _expiry_is_believed(patch: Patch) -> None:
    _expiry_of_any_term(patch)
    _expiry_at_any_time(patch)


class _LeadersMemory:
    """What a leader knows of leases beside the state, since it began to lead."""

    def __init__(self) -> None:
        self._of: dict[int, tuple[object, int, dict[int, int]]] = {}
        """By state: the state itself, a term, and when leases end."""

    def ends(self, state: StateReader, term: int | None = None) -> dict[int, int]:
        """In another term than before there is nothing yet."""
        known, known_term, ends = self._of.get(id(state), (None, 0, {}))
        if known is not state or (term is not None and term != known_term):
            ends = {}
        self._of[id(state)] = state, known_term if term is None else term, ends
        return ends


def _renewals_in_the_leaders_memory(patch: Patch) -> None:
    """The log has the renewal and the state does not: who leads remembers it, the next leader does not."""
    memory = _LeadersMemory()
    look = Expiry.look
    due = leases.due

    def renew(
        state: StateTransaction, command: command_pb2.RenewLeasesCommand, clock_ms: int
    ) -> RenewLeasesResult:
        ttls_ms = []
        for lease_id in command.lease_ids:
            lease = leases.get(state, lease_id)
            ttls_ms.append(0 if lease is None else lease.ttl_ms)
            if lease is not None:
                memory.ends(state)[lease_id] = clock_ms + lease.ttl_ms
        return RenewLeasesResult(tuple(ttls_ms))

    def look_with_memory(self: Expiry, replica: Proposer, now_ms: int, stamp_ms: int) -> None:
        memory.ends(replica.state, replica.raft.term)
        look(self, replica, now_ms, stamp_ms)

    def due_by_memory(state: StateReader, clock_ms: int) -> Iterator[int]:
        ends = memory.ends(state)
        return (lease_id for lease_id in due(state, clock_ms) if ends.get(lease_id, 0) <= clock_ms)

    patch.setattr(lease_commands, "renew", renew)
    patch.setattr(Expiry, "look", look_with_memory)
    patch.setattr(expiry.leases, "due", due_by_memory)


def _elections_extend_leases(patch: Patch) -> None:
    """A new leader gives every lease its full time again, since it cannot know how much has passed."""
    memory = _LeadersMemory()
    look = Expiry.look
    due = leases.due

    def look_and_extend(self: Expiry, replica: Proposer, now_ms: int, stamp_ms: int) -> None:
        ends = memory.ends(replica.state, replica.raft.term)
        if not ends and replica.leads:
            ends[0] = 0  # from now on it has been looked at
            ends.update((each.lease_id, stamp_ms + each.ttl_ms) for each in leases.scan(replica.state, 0))
        look(self, replica, now_ms, stamp_ms)

    def due_by_memory(state: StateReader, clock_ms: int) -> Iterator[int]:
        ends = memory.ends(state)
        return (lease_id for lease_id in due(state, clock_ms) if ends.get(lease_id, 0) <= clock_ms)

    patch.setattr(Expiry, "look", look_and_extend)
    patch.setattr(expiry.leases, "due", due_by_memory)


def _time_follows_the_machines_clock(patch: Patch) -> None:
    """Who sets the clock of the leader's machine ahead ends leases."""
    read = LeaderClock.read

    def read_anew(
        self: LeaderClock, term: Term, configuration: Configuration, *, now_ms: int, wall_ms: int
    ) -> int:
        return max(read(self, term, configuration, now_ms=now_ms, wall_ms=wall_ms) or 0, wall_ms)

    patch.setattr(LeaderClock, "read", read_anew)


def _time_is_set_back(patch: Patch) -> None:
    """A new leader whose clock is behind sets replicated time back."""
    apply = Machine.apply

    def apply_anew(machine: Machine, data: bytes, term: int) -> object:
        machine.clock_ms = 0
        return apply(machine, data, term)

    patch.setattr(Machine, "apply", apply_anew)
    patch.setattr(LeaderClock, "follow", lambda *_: None)


def _idle_time_is_lost(patch: Patch) -> None:
    """A new leader whose clock is behind goes on from the last stamp, whenever that was."""

    def follow(self: LeaderClock, replicated_ms: int, now_ms: int) -> None:
        self._replicated_ahead_ms = replicated_ms - now_ms

    patch.setattr(LeaderClock, "follow", follow)


def _keys_outlive_their_lease(patch: Patch) -> None:
    patch.setattr(lease_commands, "_first", lambda *_: [])


def _moved_keys_stay_at_both(patch: Patch) -> None:
    """A key that was attached to another lease ends with the first one too."""
    patch.setattr(leases, "detach", lambda *_: None)


def _steps_are_forgotten(patch: Patch) -> None:
    """Of a lease that has too many keys to end at once the rest is left behind."""
    patch.setattr(leases, "begin_end", leases.remove)


LEASE_MUTANTS: tuple[tuple[str, Callable[[Patch], None]], ...] = (
    ("lease expired by a deposed leader", _expiry_is_believed),
    ("expiry of any term is applied", _expiry_of_any_term),
    ("expiry of a lease that was renewed is applied", _expiry_at_any_time),
    ("a renewal is known to its leader alone", _renewals_in_the_leaders_memory),
    ("an election extends leases", _elections_extend_leases),
    ("a clock that is set ends leases", _time_follows_the_machines_clock),
    ("a new leader sets the time back", _time_is_set_back),
    ("what passed since the last stamp is lost in an election", _idle_time_is_lost),
    ("keys outlive their lease", _keys_outlive_their_lease),
    ("a moved key ends with its old lease too", _moved_keys_stay_at_both),
    ("of many keys of a lease some are left", _steps_are_forgotten),
)
