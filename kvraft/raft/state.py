"""The state of one node (figure 2, "State") and the ways in which it may change role (figure 4).

The rules that use it are in the modules named after the paper's sections: `election`,
`replication`, `reading`, `snapshotting`, `transfer`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from kvraft.raft.configuration import Configuration
from kvraft.raft.log import RaftLog
from kvraft.raft.messages import Heartbeat, Message
from kvraft.raft.progress import NEVER_MS, Progress
from kvraft.raft.ready import ConfirmedRead, Proposed, Refused, Role, SendSnapshot, WrongClaim
from kvraft.raft.roles import Candidate, Follower, Leader, PreCandidate, RoleState, role_of
from kvraft.raft.settings import Settings
from kvraft.raft.types import Entry, EntryKind, HardState, Index, NodeId, SnapshotMetadata, Term

# Figure 4, with the pre-candidate of dissertation 9.6 before the candidate. A follower becomes
# candidate without a pre-vote only when the leader asks it to (dissertation 3.10).
ALLOWED_TRANSITIONS = {
    Role.FOLLOWER: {Role.FOLLOWER, Role.PRE_CANDIDATE, Role.CANDIDATE},
    Role.PRE_CANDIDATE: {Role.FOLLOWER, Role.PRE_CANDIDATE, Role.CANDIDATE},
    Role.CANDIDATE: {Role.FOLLOWER, Role.PRE_CANDIDATE, Role.LEADER},
    Role.LEADER: {Role.FOLLOWER},
}


@dataclass(slots=True)
class Outbox:
    """What the next `Ready` will hand over."""

    messages: list[Message] = field(default_factory=list)
    messages_after_persist: list[Message] = field(default_factory=list)
    proposed: list[Proposed] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    confirmed_reads: list[ConfirmedRead] = field(default_factory=list)
    failed_reads: list[int] = field(default_factory=list)
    send_snapshots: list[SendSnapshot] = field(default_factory=list)
    wrong_claims: list[WrongClaim] = field(default_factory=list)


class State:
    """Everything a node knows."""

    __slots__ = (
        "applied_index",
        "commit_index",
        "configuration",
        "election_deadline_ms",
        "handed_hard_state",
        "installing",
        "installing_is_new",
        "log",
        "node_id",
        "now_ms",
        "outbox",
        "persisted_hard_state",
        "random",
        "role",
        "settings",
        "standing",
        "term",
        "voted_for",
    )

    def __init__(
        self,
        *,
        node_id: NodeId,
        settings: Settings,
        chance: random.Random,
        configuration: Configuration,
        hard_state: HardState,
        log: RaftLog,
        applied_index: Index,
        now_ms: int,
    ) -> None:
        self.node_id = node_id
        self.settings = settings
        self.random = chance
        self.configuration = configuration
        self.term = hard_state.term
        """currentTerm: "latest term server has seen" """
        self.voted_for = hard_state.voted_for
        """votedFor: "candidateId that received vote in current term" """
        self.standing = hard_state.standing
        self.handed_hard_state = hard_state
        self.persisted_hard_state = hard_state
        self.log = log
        self.commit_index = applied_index
        """commitIndex: "index of highest log entry known to be committed" """
        self.applied_index = applied_index
        """lastApplied: everything up to here was handed over for applying"""
        self.installing: SnapshotMetadata | None = None
        """A snapshot handed over for installation that is not yet the state."""
        self.installing_is_new = False
        self.role: RoleState = Follower(leader=None)
        self.now_ms = now_ms
        self.election_deadline_ms = 0
        self.outbox = Outbox()
        self.reset_election_timer()

    @property
    def hard_state(self) -> HardState:
        return HardState(self.term, self.voted_for, self.standing)

    @property
    def leader_id(self) -> NodeId | None:
        """Who leads, as far as this node knows."""
        match self.role:
            case Follower(leader=leader):
                return leader
            case Leader():
                return self.node_id
            case _:
                return None

    @property
    def peers(self) -> tuple[NodeId, ...]:
        """The other members."""
        return tuple(member for member in self.configuration.members if member != self.node_id)

    def send(self, message: Message) -> None:
        """At once: nothing in the message depends on what is not yet durable."""
        self.outbox.messages.append(message)

    def send_after_persist(self, message: Message) -> None:
        """Once everything up to now is durable: "before responding to RPCs" (figure 2)."""
        self.outbox.messages_after_persist.append(message)

    def reset_election_timer(self) -> None:
        """ "election timeouts are chosen randomly from a fixed interval" (5.2): [T, 2T)."""
        timeout_ms = self.settings.election_timeout_ms
        self.election_deadline_ms = self.now_ms + timeout_ms + self.random.randrange(timeout_ms)

    def become_follower(self, term: Term, leader: NodeId | None) -> None:
        """ "If RPC request or response contains term T > currentTerm: set currentTerm = T, convert
        to follower" (5.1); also a candidate that learns of the new leader, or a leader that lost
        its majority."""
        assert term >= self.term, (term, self.term)
        if term > self.term:
            self.term = term
            self.voted_for = None
        if isinstance(self.role, Leader):
            self._fail_reads(self.role)
        self._become(Follower(leader=leader, last_contact_ms=NEVER_MS if leader is None else self.now_ms))

    def become_pre_candidate(self) -> None:
        self._become(PreCandidate(granted={self.node_id}))

    def become_candidate(self) -> None:
        """ "To begin an election, a follower increments its current term and transitions to
        candidate state. It then votes for itself" (5.2)."""
        self._become(Candidate())
        self.term = Term(self.term + 1)
        self.voted_for = self.node_id

    def become_leader(self) -> None:
        """ "Once a candidate wins an election, it becomes leader" (5.2), and begins its term with an
        entry of its own, since only such entries commit by counting (5.4.2, section 8)."""
        next_index = Index(self.log.last_index + 1)
        leader = Leader(
            progress={peer: Progress(next_index) for peer in self.peers},
            term_start=next_index,
            heartbeat_due_ms=self.now_ms,
            quorum_check_due_ms=self.now_ms + self.settings.election_timeout_ms,
        )
        self._become(leader)
        self.append_own(leader, EntryKind.NOOP, b"")

    def append_own(self, leader: Leader, kind: EntryKind, data: bytes) -> Index:
        """ "If command received from client: append entry to local log"."""
        entry = Entry(Index(self.log.last_index + 1), self.term, kind, data)
        self.log.append((entry,))
        leader.uncommitted_bytes += entry.size_bytes
        if leader.stalled_since_ms is None:
            leader.stalled_since_ms = self.now_ms
        return entry.index

    def start_round(self, leader: Leader) -> None:
        """Sends a heartbeat to everyone; the answers show that this node still led *after* now."""
        leader.round += 1
        leader.heartbeat_due_ms = self.now_ms + self.settings.heartbeat_interval_ms
        for peer, progress in leader.progress.items():
            self.send_heartbeat(leader, peer, progress)

    def send_heartbeat(self, leader: Leader, peer: NodeId, progress: Progress) -> None:
        """Tells one follower who leads and how far it may commit: never beyond what it is known to
        hold, since entries past that may differ from the leader's."""
        commit_index = min(progress.match_index, self.commit_index)
        progress.commit_sent = max(progress.commit_sent, commit_index)
        self.send(
            Heartbeat(
                sender=self.node_id,
                target=peer,
                term=self.term,
                commit_index=commit_index,
                round=leader.round,
            )
        )

    def _become(self, role: RoleState) -> None:
        old, new = role_of(self.role), role_of(role)
        assert new in ALLOWED_TRANSITIONS[old], (old, new)
        self.role = role
        self.reset_election_timer()

    def _fail_reads(self, leader: Leader) -> None:
        for pending in leader.pending_rounds:
            self.outbox.failed_reads.extend(pending.tickets)
        self.outbox.failed_reads.extend(leader.new_reads)
