"""Somebody speaks in the nodes' names: in some runs, all the time, what no correct node says.

Each message is made for the moment at which it arrives, so that it is wrong for certain: what could be true
would be believed, and must be. Whoever believes one of these, stores it or stops because of it, is found by
the laws, at the next start, or when everything has to serve again. In the same runs the clock of one node is
a month ahead, most of the time.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from kvraft.node.forwarding import ForwardedGroup
from kvraft.raft.claims import TERM_JUMP_MAX
from kvraft.raft.messages import (
    AppendEntries,
    AppendEntriesAccepted,
    AppendEntriesRefused,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
    Message,
    RequestVote,
    RequestVoteResponse,
    TimeoutNow,
)
from kvraft.raft.raft import Raft
from kvraft.raft.types import Entry, EntryKind, Index, NodeId, SnapshotMetadata, Term
from kvraft.v1 import command_pb2
from tests.sim.host import Host, World
from tests.sim.timeline import MS_US

MONTH_MS = 31 * 24 * 3_600_000
SHARE = 0.3
"""Of the runs."""
GARBAGE = (
    b"",
    b"\xff\xff\xff",
    command_pb2.Command(put={"key": b"k" * 2_000}).SerializeToString(),
    command_pb2.Command(grant_lease={"ttl_ms": (1 << 64) - 1}).SerializeToString(),
    command_pb2.Command(user_data={}).SerializeToString(),
)


class Forger:
    """Begins by itself, in a share of the runs, and ends with `stop`."""

    def __init__(self, world: World, chance: random.Random, *, dreams: bool) -> None:
        """`dreams`: whether a clock is a month ahead."""
        self._world = world
        self._chance = chance
        self._hosts = list(world.hosts.values())
        self._is_over = chance.random() >= SHARE
        self._dreamer = chance.choice(self._hosts)
        """Whose clock is a month ahead."""
        if not self._is_over:
            world.timeline.after(MS_US, self._forge)
            if dreams:
                world.timeline.after(MS_US, self._dream)

    def stop(self) -> None:
        """Nobody forges any more."""
        self._is_over = True
        if self._dreamer.clock.wall_ahead_ms > MONTH_MS // 2:
            self._dreamer.clock.wall_ahead_ms = 0

    def _forge(self) -> None:
        if self._is_over:
            return
        target = self._chance.choice(self._hosts)
        replica = target.replica
        if replica is not None:
            peers = [node for node in self._world.network.node_ids if node != target.node_id]
            target.post(target.life, lambda: self._arrive(target, self._chance.choice(peers)))
        self._world.timeline.after(self._chance.randrange(5, 200) * MS_US, self._forge)

    def _dream(self) -> None:
        if not self._is_over:
            self._dreamer.clock.wall_ahead_ms = self._chance.choice((0, MONTH_MS, MONTH_MS))
            self._world.report.fault("clock a month ahead", self._dreamer.name)
            self._world.timeline.after(self._chance.randrange(500, 10_000) * MS_US, self._dream)

    def _arrive(self, target: Host, sender: NodeId) -> None:
        replica = target.replica
        if replica is None or self._is_over:
            return
        target.turn()  # what waits is older than this
        if target.replica is None:
            return
        if self._chance.random() < 0.2:
            self._world.report.fault("garbage forwarded", target.name)
            group = ForwardedGroup(
                group_id=self._chance.getrandbits(64),
                term=replica.raft.term,
                grows_state=False,
                commands=(self._chance.choice(GARBAGE),),
            )
            target.take(sender, group)
            return
        make = self._chance.choice((self._invented_term, self._wrong_claim))
        message = make(replica.raft, sender, target.node_id)
        if message is not None:
            self._world.report.fault("message forged", f"{sender}>{target.name} {message}")
            target.take(sender, message)

    def _invented_term(self, raft: Raft, sender: NodeId, target: NodeId) -> Message | None:
        if not raft.term:
            return None
        far = raft.term + TERM_JUMP_MAX + 1
        term = Term(self._chance.choice((far, 1 << 62, (1 << 63) - 1, (1 << 64) - 2, (1 << 64) - 1)))
        zero = Index(0)
        head = {"sender": sender, "target": target, "term": term}
        entry = Entry(Index(1), term, EntryKind.NOOP, b"")
        makers: list[Callable[[], Message]] = [
            lambda: RequestVote(
                **head, last_log_index=Index(1), last_log_term=Term(1), leadership_transfer=True
            ),
            lambda: RequestVoteResponse(**head, granted=self._chance.random() < 0.5),
            lambda: AppendEntries(
                **head,
                prev_log_index=zero,
                prev_log_term=Term(0),
                entries=(entry,),
                leader_commit=Index(1),
            ),
            lambda: AppendEntriesAccepted(**head, match_index=Index(1)),
            lambda: AppendEntriesRefused(**head, rejected_index=Index(1), hint_index=zero, hint_term=Term(0)),
            lambda: Heartbeat(**head, commit_index=zero, round=1),
            lambda: HeartbeatResponse(**head, round=1),
            lambda: TimeoutNow(**head),
        ]
        return self._chance.choice(makers)()

    def _wrong_claim(self, raft: Raft, sender: NodeId, target: NodeId) -> Message | None:
        """One that contradicts what the node knows just now."""
        beyond = Index(raft.last_log_index + self._chance.choice((1, 5, 1 << 40, 1 << 63)))
        head = {"sender": sender, "target": target, "term": raft.term}
        leader = raft.leader_id
        if leader == target:
            if self._chance.random() < 0.5:
                return AppendEntriesAccepted(**head, match_index=beyond)
            return HeartbeatResponse(**head, round=1 << 50)
        if leader is None:
            return None
        snapshot = SnapshotMetadata(index=Index(1 << 61), term=raft.term, configuration=raft.configuration)
        if leader == sender:
            if self._chance.random() < 0.5:
                return Heartbeat(**head, commit_index=beyond, round=1)
            return InstallSnapshot(**head, snapshot=snapshot)
        if self._chance.random() < 0.5:
            return Heartbeat(**head, commit_index=Index(0), round=1)
        return TimeoutNow(**head)
