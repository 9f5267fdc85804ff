"""The door to the algorithm: step events, then take what is owed.

`Raft` decides which rule an event belongs to; the rules are in the modules named after the
paper's sections. It owns no clock, no randomness and no I/O.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import assert_never

from kvraft.raft import claims, election, reading, replication, snapshotting, transfer
from kvraft.raft.configuration import Configuration
from kvraft.raft.events import (
    CommitWanted,
    Compacted,
    Event,
    Persisted,
    Propose,
    Received,
    RequestRead,
    SnapshotInstalled,
    SnapshotReported,
    StateDiverged,
    TimePassed,
    TransferLeadership,
    Unreachable,
)
from kvraft.raft.log import RaftLog
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
from kvraft.raft.progress import Progress
from kvraft.raft.ready import Proposed, Ready, Refusal, Refused, Role, RoleChange, WrongClaim
from kvraft.raft.roles import Follower, Leader, PreCandidate, role_of
from kvraft.raft.settings import Settings
from kvraft.raft.state import Outbox, State
from kvraft.raft.types import Entry, EntryKind, HardState, Index, NodeId, Standing, Term


class Raft:
    """One node's part of the algorithm. The package says how to use it."""

    __slots__ = ("_reported_role", "_state")

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
        """Starts as a follower from what stable storage holds: the log, the hard state, and a state
        that has applied the log up to `applied_index`."""
        assert log.base_index <= applied_index <= log.last_index, (
            log.base_index,
            applied_index,
            log.last_index,
        )
        self._state = State(
            node_id=node_id,
            settings=settings,
            chance=chance,
            configuration=configuration,
            hard_state=hard_state,
            log=log,
            applied_index=applied_index,
            now_ms=now_ms,
        )
        self._reported_role: RoleChange | None = None

    @property
    def term(self) -> Term:
        return self._state.term

    @property
    def role(self) -> Role:
        return role_of(self._state.role)

    @property
    def leader_id(self) -> NodeId | None:
        return self._state.leader_id

    @property
    def standing(self) -> Standing:
        return self._state.standing

    @property
    def configuration(self) -> Configuration:
        return self._state.configuration

    @property
    def commit_index(self) -> Index:
        return self._state.commit_index

    @property
    def applied_index(self) -> Index:
        return self._state.applied_index

    @property
    def first_log_index(self) -> Index:
        return self._state.log.first_index

    @property
    def last_log_index(self) -> Index:
        return self._state.log.last_index

    @property
    def compactable_index(self) -> Index:
        """The log up to here may be dropped, once the state is durable that far."""
        return snapshotting.compactable_index(self._state)

    @property
    def followers(self) -> Mapping[NodeId, Progress]:
        """On the leader, what it knows of the others; elsewhere empty. To look at only."""
        role = self._state.role
        return role.progress if isinstance(role, Leader) else {}

    @property
    def deadline_ms(self) -> int:
        """When `TimePassed` is due, if nothing else happens before."""
        match self._state.role:
            case Leader() as leader:
                deadlines = [leader.heartbeat_due_ms, leader.quorum_check_due_ms]
                if leader.transfer is not None:
                    deadlines.append(leader.transfer.deadline_ms)
                for progress in leader.progress.values():
                    if progress.snapshot_retry_ms is not None:
                        deadlines.append(progress.snapshot_retry_ms)
                return min(deadlines)
            case _:
                return self._state.election_deadline_ms

    def step(self, event: Event, now_ms: int) -> None:
        """Takes one event. Time never goes back: an older `now_ms` counts as the last one."""
        state = self._state
        state.now_ms = max(state.now_ms, now_ms)
        match event:
            case TimePassed():
                self._on_time_passed()
            case Received(message=message):
                self._on_message(message)
            case Propose(ticket=ticket, data=data):
                self._on_propose(ticket, data)
            case RequestRead(ticket=ticket):
                reading.on_request_read(state, ticket)
            case Persisted():
                self._on_persisted(event)
            case SnapshotInstalled(index=index):
                snapshotting.on_installed(state, index)
            case SnapshotReported(target=target, succeeded=succeeded):
                if isinstance(state.role, Leader):
                    snapshotting.on_reported(state, state.role, target, succeeded=succeeded)
            case Compacted(index=index):
                state.log.compact(index)
            case Unreachable(peer=peer):
                if isinstance(state.role, Leader):
                    replication.on_unreachable(state.role, peer)
            case CommitWanted(peer=peer):
                if isinstance(state.role, Leader) and peer in state.role.progress:
                    state.role.progress[peer].commit_wanted = state.log.last_index
            case TransferLeadership(target=target_or_best):
                if isinstance(state.role, Leader):
                    transfer.begin(state, state.role, target_or_best)
            case StateDiverged():
                transfer.on_diverged(state)
            case _:
                assert_never(event)

    def take_ready(self, *, may_apply: bool = True) -> Ready:
        """Everything owed since the last call. `kvraft.raft.ready` says in which order to do it.

        Without `may_apply` committed entries stay where they are: the state has no room for more.
        """
        state = self._state
        committed = self._take_committed() if may_apply else ()
        if isinstance(state.role, Leader):
            replication.replicate(state, state.role)
            reading.start_pending_round(state, state.role)
        installing = state.installing if state.installing_is_new else None
        state.installing_is_new = False
        hard_state = state.hard_state if state.hard_state != state.handed_hard_state else None
        state.handed_hard_state = state.hard_state
        outbox, state.outbox = state.outbox, Outbox()
        return Ready(
            role_change=self._take_role_change(),
            hard_state=hard_state,
            entries=state.log.take_new(),
            install_snapshot=installing,
            messages=tuple(outbox.messages),
            messages_after_persist=tuple(outbox.messages_after_persist),
            committed=committed,
            proposed=tuple(outbox.proposed),
            refused=tuple(outbox.refused),
            confirmed_reads=tuple(outbox.confirmed_reads),
            failed_reads=tuple(outbox.failed_reads),
            send_snapshots=tuple(outbox.send_snapshots),
            wrong_claims=tuple(outbox.wrong_claims),
        )

    def _take_committed(self) -> tuple[Entry, ...]:
        """ "If commitIndex > lastApplied: increment lastApplied, apply log[lastApplied] to state
        machine (5.3)" - as far as the own disk holds it, so that a state is never ahead of its log."""
        state = self._state
        last = min(state.commit_index, state.log.persisted_index)
        if state.installing is not None or last <= state.applied_index:
            return ()
        first = Index(state.applied_index + 1)
        committed = tuple(state.log.slice(first, last, state.settings.committed_bytes_max))
        state.applied_index = committed[-1].index
        if isinstance(state.role, Leader):
            state.role.uncommitted_bytes -= sum(
                entry.size_bytes for entry in committed if entry.index >= state.role.term_start
            )
        state.log.shrink_cache(state.applied_index)
        return committed

    @property
    def has_unapplied(self) -> bool:
        """Whether another `take_ready` would hand over more committed entries at once."""
        state = self._state
        return state.installing is None and state.applied_index < min(
            state.commit_index, state.log.persisted_index
        )

    def _take_role_change(self) -> RoleChange | None:
        change = RoleChange(role=self.role, term=self.term, leader=self.leader_id)
        if change == self._reported_role:
            return None
        self._reported_role = change
        return change

    def _on_time_passed(self) -> None:
        state = self._state
        match state.role:
            case Leader() as leader:
                transfer.expire(state, leader)
                if state.role is not leader:
                    return
                snapshotting.retry_due(state, leader)
                if state.now_ms >= leader.quorum_check_due_ms:
                    replication.check_quorum(state, leader)
                if state.role is leader and state.now_ms >= leader.heartbeat_due_ms:
                    state.start_round(leader)
            case _:
                if state.now_ms >= state.election_deadline_ms:
                    election.on_election_timeout(state)

    def _on_propose(self, ticket: int, data: bytes) -> None:
        state = self._state
        match state.role:
            case Leader(transfer=None) as leader:
                if leader.uncommitted_bytes + len(data) > state.settings.uncommitted_bytes_max:
                    refusal = Refusal.OVERLOADED
                else:
                    index = state.append_own(leader, EntryKind.COMMAND, data)
                    state.outbox.proposed.append(Proposed(ticket=ticket, index=index, term=state.term))
                    return
            case Leader():
                refusal = Refusal.TRANSFERRING
            case _:
                refusal = Refusal.NOT_LEADER
        state.outbox.refused.append(Refused(ticket=ticket, reason=refusal))

    def _on_persisted(self, event: Persisted) -> None:
        state = self._state
        if event.last_index is not None:
            assert event.last_term is not None
            state.log.mark_persisted(event.last_index, event.last_term)
        if event.hard_state is not None:
            state.persisted_hard_state = event.hard_state
            election.on_vote_persisted(state, event.hard_state)
        if isinstance(state.role, Leader):
            caught_up = state.log.persisted_index == state.log.last_index
            state.role.stalled_since_ms = None if caught_up else state.now_ms
            replication.advance_commit(state, state.role)

    def _on_message(self, message: Message) -> None:
        state = self._state
        is_peer = message.sender in state.configuration.members and message.sender != state.node_id
        if not is_peer or message.target != state.node_id:
            return
        claim = self.wrong_claim(message)
        if claim is not None:
            self._refuse(message.sender, claim)
            return
        if isinstance(message, RequestVote):
            if election.hears_a_leader(state) and not message.leadership_transfer:
                return
            if message.term > state.term and not message.pre_vote:
                state.become_follower(message.term, None)
            election.on_request_vote(state, message)
            return
        granted_pre_vote = isinstance(message, RequestVoteResponse) and message.pre_vote and message.granted
        if message.term > state.term and not granted_pre_vote:
            from_leader = isinstance(message, AppendEntries | Heartbeat | InstallSnapshot | TimeoutNow)
            state.become_follower(message.term, message.sender if from_leader else None)
        elif message.term < state.term:
            self._on_old_term(message)
            return
        self._on_current_message(message)

    def wrong_claim(self, message: Message) -> str | None:
        """What is wrong with a message of a peer, were it stepped now; None: nothing."""
        return claims.wrong_claim(self._state, message)

    def _refuse(self, peer: NodeId, claim: str) -> None:
        """Believes nothing of a message. Of a follower that claims what cannot be, nothing counts any more
        until it has proven anew what it holds."""
        state = self._state
        state.outbox.wrong_claims.append(WrongClaim(peer=peer, claim=claim))
        if isinstance(state.role, Leader):
            state.role.progress[peer].set_aside()

    def _on_old_term(self, message: Message) -> None:
        """ "If a server receives a request with a stale term number, it rejects the request" (5.1),
        aloud: a leader that was left behind steps down on hearing the newer term."""
        state = self._state
        match message:
            case AppendEntries():
                replication.refuse(state, message, Index(0), Term(0))
            case Heartbeat():
                replication.answer_heartbeat(state, message)
            case _:
                pass

    def _on_current_message(self, message: Message) -> None:
        state, role = self._state, self._state.role
        match message:
            case RequestVoteResponse():
                election.on_request_vote_response(state, message)
            case AppendEntries():
                replication.on_append_entries(state, message)
            case Heartbeat():
                replication.on_heartbeat(state, message)
            case InstallSnapshot():
                snapshotting.on_install_snapshot(state, message)
            case TimeoutNow():
                if isinstance(role, Follower | PreCandidate) and election.may_campaign(state):
                    election.start_election(state, leadership_transfer=True)
            case AppendEntriesAccepted() if isinstance(role, Leader):
                replication.on_accepted(state, role, message)
            case AppendEntriesRefused() if isinstance(role, Leader):
                replication.on_refused(state, role, message)
            case HeartbeatResponse() if isinstance(role, Leader):
                replication.on_heartbeat_response(state, role, message)
                reading.confirm_rounds(state, role)
            case _:
                pass
