"""One replica: the algorithm, the machine and the state, driven by turns.

Whatever happens is put into the inbox or one of the queues; `turn` does everything that follows
from it, in the order that `kvraft.raft.ready` prescribes. There is no await, no clock and no thread
in here: time is an argument and the world is reached through `Ports`, so that the very same code
runs in the node and in the simulator.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace

from kvraft import errors
from kvraft.copyable import Copyable
from kvraft.errors import Reason, RequestError
from kvraft.machine.machine import BATCH_VERSION, AppliedGroup, Machine
from kvraft.machine.snapshot_check import SnapshotCheck
from kvraft.node.delivery import DeliveryHub
from kvraft.node.divergence import (
    DigestAnswer,
    DigestComparison,
    DigestMessage,
    DigestQuestion,
    DivergenceFound,
)
from kvraft.node.estimate import estimate
from kvraft.node.expiry import Expiry
from kvraft.node.forwarding import (
    ForwardAnswer,
    ForwardedGroup,
    ForwardedRead,
    ForwardRequest,
    GroupRefused,
    ReadIndexAnswer,
    ReadRefused,
)
from kvraft.node.leader_clock import LeaderClock
from kvraft.node.peer_refusals import PeerRefusals
from kvraft.node.pending_write import PendingWrite
from kvraft.node.ports import Disk, Peers
from kvraft.node.proposals import OnAnswer, Proposals, Waiter
from kvraft.node.queue_waiters import QueueWaiters
from kvraft.node.reads import OnFresh, Reader, Reads
from kvraft.node.settings import NodeSettings
from kvraft.node.upkeep import OnInstalled, Upkeep
from kvraft.node.views import Views
from kvraft.node.watching import WatchHub
from kvraft.raft.configuration import Configuration
from kvraft.raft.events import (
    CommitWanted,
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
)
from kvraft.raft.log import RaftLog
from kvraft.raft.messages import HeartbeatResponse, InstallSnapshot, Message
from kvraft.raft.raft import Raft
from kvraft.raft.ready import Ready, Refusal, Role, RoleChange, SendSnapshot
from kvraft.raft.settings import Settings
from kvraft.raft.types import INDEX_MAX, TERM_MAX, Entry, EntryKind, Index, NodeId, Standing
from kvraft.storage.errors import CorruptionError
from kvraft.storage.interfaces import InstalledSnapshot, LogStorage, LogWrite, StateStore
from kvraft.v1 import command_pb2


class SnapshotRefusedError(Copyable):
    """A snapshot is not to be received."""

    def __init__(self, why: str, *, is_wrong: bool) -> None:
        """`is_wrong`: no correct node sends it, and `why` follows the sender's name."""
        super().__init__(why)
        self.is_wrong = is_wrong


class Replica:
    """A member of the cluster, without its surroundings."""

    def __init__(
        self,
        *,
        node_id: NodeId,
        settings: NodeSettings,
        raft_settings: Settings,
        log: LogStorage,
        state: StateStore,
        peers: Peers,
        disk: Disk,
        on_role_change: Callable[[RoleChange], None],
        chance: random.Random,
        now_ms: int,
    ) -> None:
        """Goes on from what the log and the state hold. Raises CorruptionError if they do not belong
        together."""
        recovered = log.recovered
        applied = state.applied
        if recovered.hard_state.term > TERM_MAX or recovered.last_index > INDEX_MAX:
            raise CorruptionError(
                f"the log is in term {recovered.hard_state.term} and ends at entry {recovered.last_index}, "
                "which no cluster reaches: a broken or forged message was stored by a version that did not "
                "check it; re-seed this node, or, if every node of the cluster says so, restore a backup"
            )
        if not recovered.base_index <= applied.index <= recovered.last_index:
            raise CorruptionError(
                f"the state is at index {applied.index}, but the log holds the entries after "
                f"{recovered.base_index} up to {recovered.last_index}: one of them was lost or exchanged; "
                "move the data directory away and let the others re-seed this node"
            )
        self.node_id = node_id
        self.settings = settings
        self.state = state
        self.machine = Machine(state)
        self.raft = Raft(
            node_id=node_id,
            settings=raft_settings,
            chance=chance,
            configuration=Configuration(
                tuple(map(NodeId, applied.voters)), tuple(map(NodeId, applied.learners))
            ),
            hard_state=recovered.hard_state,
            log=RaftLog(
                base_index=recovered.base_index,
                base_term=recovered.base_term,
                last_index=recovered.last_index,
                term_starts=recovered.term_starts,
                reader=log,
                cache_bytes_max=raft_settings.log_cache_bytes,
            ),
            applied_index=applied.index,
            now_ms=now_ms,
        )
        self.proposals = Proposals(settings, first_group_id=chance.getrandbits(64))
        state.history.begin(self.machine.revision, settings.history_limits)
        self.watches = WatchHub(state, self.machine.revision)
        self.deliveries = DeliveryHub(self)
        self.queue_waiters = QueueWaiters()
        self.views = Views()
        self.reads = Reads(settings, first_read_id=chance.getrandbits(62))
        self.refusals = PeerRefusals()
        self.digests = DigestComparison(settings.digests_kept)
        self._owed_digest: tuple[NodeId, Index] | None = None
        """Who asked for this node's digest, and where."""
        self.refusal: RequestError | None = None
        """What every request is answered while this state is not to be believed."""
        self._clock = LeaderClock(node_id, replicated_ms=self.machine.clock_ms, now_ms=now_ms)
        self._expiry = Expiry(now_ms)
        self.wall_ms = self.machine.clock_ms
        """Of the last turn."""
        self.upkeep = Upkeep(self, log, disk, now_ms)
        self.no_space = False
        """Commands that grow the state are refused while it is true."""
        self.stopping = False
        """Set from outside: no new requests are taken."""
        self._on_role_change = on_role_change
        self._peers = peers
        self._disk = disk
        self._inbox: deque[Event] = deque()
        self._told_clocks: list[HeartbeatResponse] = []
        self._forwarded: deque[tuple[NodeId, ForwardRequest]] = deque()
        self._unapplied: deque[Entry] = deque()
        """Committed and handed over by the algorithm; more work perhaps than one turn may do."""
        self._steps: Iterator[AppliedGroup | None] | None = None
        """What is left of the first of them, if it is half applied."""
        self._ordered_snapshots: list[SendSnapshot] = []
        """They are of the state after `_unapplied`."""
        self._tickets = 0
        self._proposed_groups: dict[int, list[tuple[NodeId, int]]] = {}
        self._asked_reads: dict[int, tuple[NodeId, int]] = {}
        self._next_write = PendingWrite()
        self._current_write: PendingWrite | None = None
        self._leaderless_since_ms: int | None = now_ms
        self._digest_due_ms = now_ms
        self._housekeeping_due_ms = now_ms
        if self.raft.standing is Standing.DIVERGED:
            self._fence()

    # --- what happens to a replica ------------------------------------------------------------

    def submit(
        self, command: bytes, *, grows_state: bool, now_ms: int, on_answer: OnAnswer, work: int = 0
    ) -> None:
        """A client's write. `on_answer` is called once, now or in a later turn. `work`: about how much it is,
        if whoever calls knows (0: it is estimated)."""
        if self.stopping:
            on_answer(errors.shutting_down())
        elif self.refusal is not None:
            on_answer(self.refusal)
        elif self.takes_no_writes:
            on_answer(errors.no_space_for_log() if self.leads else errors.no_space_for_log_here())
        elif grows_state and self.refuses_growth:
            on_answer(errors.no_space())
        else:
            self._expect_requests(now_ms)
            work = work or estimate(self.state, command)
            self.proposals.accept(Waiter(command, grows_state, now_ms, on_answer, work))

    def read(self, *, now_ms: int, on_fresh: OnFresh) -> None:
        """A client's linearizable read: `on_fresh(None)` is called when the state may be read."""
        if self.stopping:
            on_fresh(errors.shutting_down())
        elif self.refusal is not None:
            on_fresh(self.refusal)
        else:
            self._expect_requests(now_ms)
            self.reads.accept(Reader(now_ms, on_fresh))

    def read_at_least(self, revision: int, *, now_ms: int, on_fresh: OnFresh) -> None:
        """A client's read that must see `revision`."""
        if self.stopping:
            on_fresh(errors.shutting_down())
        elif self.refusal is not None:
            on_fresh(self.refusal)
        elif revision <= self.machine.revision:
            on_fresh(None)
        else:
            self._expect_requests(now_ms)
            self.reads.wait_for_revision(revision, Reader(now_ms, on_fresh))

    def _expect_requests(self, now_ms: int) -> None:
        """Somebody waits: their time limits are looked after more often."""
        self._housekeeping_due_ms = min(self._housekeeping_due_ms, now_ms + 100)

    def receive(self, message: Message) -> None:
        """A peer's message."""
        if isinstance(message, HeartbeatResponse):
            self._told_clocks.append(message)
        self._inbox.append(Received(message))

    def check_snapshot(self, message: InstallSnapshot) -> SnapshotCheck:
        """What the rows of a snapshot have to pass which a peer is about to send. Raises SnapshotRefusedError
        if they need not come: it is not from the leader that is heard here in this term, or cannot be."""
        raft = self.raft
        if (message.sender, message.term) != (raft.leader_id, raft.term):
            raise SnapshotRefusedError(
                f"node {message.sender} sends a snapshot as leader of term {message.term}; here node "
                f"{raft.leader_id or 'none'} leads, and the term is {raft.term}",
                is_wrong=False,
            )
        if message.snapshot.configuration != raft.configuration:
            raise SnapshotRefusedError("sends a snapshot of a cluster of other members", is_wrong=True)
        claim = raft.wrong_claim(message)
        if claim is not None:
            raise SnapshotRefusedError(claim, is_wrong=True)
        if message.snapshot.index <= raft.applied_index:
            return SnapshotCheck(revision=0, clock_ms=0)  # not wanted, but its sender then learns so
        return SnapshotCheck(revision=self.machine.revision, clock_ms=self.machine.clock_ms)

    def receive_snapshot(self, message: InstallSnapshot, generation: int, on_installed: OnInstalled) -> None:
        """A whole snapshot lies beside the state as `generation`, durable and checked."""
        if self.upkeep.stage(message, generation, on_installed):
            self._inbox.append(Received(message))

    def receive_forwarded(self, follower: NodeId, request: ForwardRequest) -> None:
        """A follower asks on behalf of its clients."""
        self._forwarded.append((follower, request))

    def receive_answer(self, answer: ForwardAnswer) -> None:
        """The leader answers what was forwarded."""
        match answer:
            case GroupRefused(group_id=group_id, reason=reason):
                self.proposals.refused(group_id, reason)
            case ReadIndexAnswer(read_id=read_id, index=index):
                self.reads.answered(read_id, index)
            case ReadRefused(read_id=read_id):
                self.reads.refused(read_id)

    def receive_digest(self, peer: NodeId, message: DigestMessage) -> None:
        """A question, an answer or a verdict about the digests of states."""
        match message:
            case DigestQuestion(index=index):
                self._owed_digest = (peer, index)
            case DigestAnswer() if self.leads:
                found = self.digests.judge(peer, message, self.node_id, self.raft.configuration)
                for node, verdict in found.items():
                    self._tell_diverged(node, verdict)
            case DivergenceFound(index=index, digest=digest) if peer == self.raft.leader_id:
                if self._digest_at(index) not in (None, digest):
                    self._tell_diverged(self.node_id, message)
            case _:
                pass  # of another leader

    def _tell_diverged(self, node: NodeId, verdict: DivergenceFound) -> None:
        self._peers.tell_diverged(node, verdict.index)
        if node == self.node_id:
            self._inbox.append(StateDiverged())
            self._fence()
        else:
            self._peers.send_digest(node, verdict)

    def _fence(self) -> None:
        """Nobody is answered from this state any more, until another one is installed."""
        if self.refusal is not None:
            return
        self.refusal = errors.diverged()
        why = "the state of this node differs from a majority's"
        self.proposals.fail_waiting(self.refusal)
        self.proposals.give_up(why)
        self.reads.fail_all(self.refusal)
        self.watches.shut_down(why)
        self.deliveries.shut_down(why)
        self.queue_waiters.wake_all()

    def _answer_digest(self) -> None:
        """Once the index that was asked for is applied; where it is forgotten, or was skipped by a snapshot,
        there is no answer."""
        assert self._owed_digest is not None
        leader, index = self._owed_digest
        if self.state.applied.index < index:
            return
        self._owed_digest = None
        digest = self._digest_at(index)
        if digest is not None:
            self._peers.send_digest(leader, DigestAnswer(index, digest))

    def _digest_at(self, index: Index) -> int | None:
        """This node's digest there, also of the state that it began with; None if it is not known."""
        applied = self.state.applied
        return applied.digest if applied.index == index else self.digests.at(index)

    def _ask_digests(self) -> None:
        applied = self.state.applied
        question = self.digests.ask(self.node_id, applied.index, applied.digest)
        for peer in self.raft.followers:
            self._peers.send_digest(peer, question)

    def refuse_peer(self, peer: NodeId, why: str, now_ms: int) -> None:
        """A peer sent what no correct node sends; nothing of it was taken. `why` follows the peer's name."""
        count = self.refusals.note(peer, why, now_ms)
        if count:
            self._peers.tell_refused(peer, why, count)

    def tell(self, event: Event) -> None:
        """Anything else the algorithm should know, such as `Unreachable`."""
        self._inbox.append(event)

    def tell_first(self, event: Event) -> None:
        """The same, before all that waits."""
        self._inbox.appendleft(event)

    def transfer_leadership(self) -> None:
        """Hands over, if this node leads."""
        self._inbox.append(TransferLeadership())

    def fail_requests(self) -> None:
        """The node stops now: what was never given to a leader was not applied, the rest is unknown."""
        self.stopping = True
        self.proposals.fail_waiting(errors.shutting_down())
        self.proposals.give_up("the node stopped")
        self.reads.fail_all(errors.shutting_down())
        self.watches.shut_down()
        self.deliveries.shut_down()
        self.queue_waiters.wake_all()

    # --- what the ports have finished ---------------------------------------------------------

    def log_written(self) -> None:
        """The current write is durable: its promises may leave."""
        write, self._current_write = self._current_write, None
        assert write is not None
        if write.snapshot is not None:
            self._install(write.snapshot)
        self._send_all(write.messages)
        last = write.entries[-1] if write.entries else None
        self._inbox.append(
            Persisted(
                hard_state=write.hard_state,
                last_index=None if last is None else last.index,
                last_term=None if last is None else last.term,
            )
        )

    def snapshot_sent(self, target: NodeId, *, succeeded: bool) -> None:
        """The transfer to this follower ended."""
        self._inbox.append(SnapshotReported(target=target, succeeded=succeeded))

    # --- turns --------------------------------------------------------------------------------

    @property
    def deadline_ms(self) -> int:
        """When the next turn is due, if nothing happens before."""
        return min(
            self.raft.deadline_ms,
            self._housekeeping_due_ms,
            self._expiry.due_ms,
            self.deliveries.deadline_ms,
        )

    @property
    def has_work(self) -> bool:
        """Whether another turn is due at once."""
        return bool(self._inbox or self._unapplied) or (self._may_apply and self.raft.has_unapplied)

    @property
    def _may_apply(self) -> bool:
        """Whether the algorithm may hand over more."""
        return not self._unapplied and self._has_room

    @property
    def _has_room(self) -> bool:
        return self.state.memory_bytes < self.settings.memory_bytes_max

    @property
    def is_amid_entry(self) -> bool:
        """Whether an entry is half applied: the state is not that at an index of the log."""
        return self._steps is not None

    @property
    def takes_no_writes(self) -> bool:
        """Whether there is no room for anything: the log takes no entry, or memory no more of what the disk
        has no room for."""
        return self._disk.log_is_stalled or (self._disk.state_is_stalled and not self._has_room)

    @property
    def refuses_growth(self) -> bool:
        """Whether commands that grow the state are refused."""
        return self.no_space or self._disk.state_is_stalled

    @property
    def leads(self) -> bool:
        return self.raft.role is Role.LEADER

    def turn(self, now_ms: int, wall_ms: int, *, take_requests: bool = True) -> None:
        """Does everything that is to be done. `now_ms` never jumps; `wall_ms`, since the Unix epoch, is what
        a node that begins to lead sets its `LeaderClock` by. Without `take_requests` the clients' requests go
        on gathering.

        Storage errors, foreign formats and broken laws come out as exceptions: the node must stop.
        """
        raft = self.raft
        self.wall_ms = wall_ms
        self._note_clocks(now_ms)
        while self._inbox:
            raft.step(self._inbox.popleft(), now_ms)
        if now_ms >= raft.deadline_ms:
            raft.step(TimePassed(), now_ms)
        if now_ms >= self._expiry.due_ms:
            stamp_ms = self._stamp_ms(now_ms, wall_ms) if self.leads else None
            self._expiry.look(self, now_ms, stamp_ms or 0)
        self.deliveries.look(now_ms)
        if take_requests:
            self._pass_on_requests(now_ms, wall_ms)
        self._carry_out(raft.take_ready(may_apply=self._may_apply), now_ms)
        self._clock.follow(self.machine.clock_ms, now_ms)
        if self._owed_digest is not None:
            self._answer_digest()
        self.upkeep.rewrite_if_due(now_ms, wall_ms)
        self.upkeep.flush_if_due(now_ms)
        if now_ms >= self._housekeeping_due_ms:
            self._keep_house(now_ms)

    def _pass_on_requests(self, now_ms: int, wall_ms: int) -> None:
        """Gives the clients' commands and reads to whoever leads."""
        if self.leads and self.takes_no_writes:
            self._ask_own_reads(now_ms)
            return
        if self.leads:
            stamp_ms = self._stamp_ms(now_ms, wall_ms)
            if stamp_ms is not None:
                self._propose(now_ms, stamp_ms)
                self._ask_own_reads(now_ms)
            return
        self._refuse_forwarded()
        leader = self.raft.leader_id
        if leader is None:
            return
        term = self.raft.term
        while self.proposals.has_waiting or self.proposals.suspects_loss(term, now_ms):
            group = self.proposals.take_group(term, now_ms)
            request = ForwardedGroup(
                group_id=group.group_id,
                term=group.term,
                grows_state=group.grows_state,
                commands=group.commands,
            )
            if not self._peers.forward(leader, request):
                self.proposals.put_back(group.group_id)
                break
        if self.reads.has_new:
            read_id = self.reads.take_question(now_ms)
            if not self._peers.forward(leader, ForwardedRead(read_id=read_id)):
                self.reads.refused(read_id)

    def _refuse_forwarded(self) -> None:
        while self._forwarded:
            follower, request = self._forwarded.popleft()
            self._refuse(follower, request, Reason.NO_LEADER)

    def _stamp_ms(self, now_ms: int, wall_ms: int) -> int | None:
        return self._clock.read(self.raft.term, self.raft.configuration, now_ms=now_ms, wall_ms=wall_ms)

    def _note_clocks(self, now_ms: int) -> None:
        if not self.leads:
            self._clock.forget_others()
        for answer in self._told_clocks:
            # One of another term was refused, or is old: it is nobody's word on this leader's clock.
            if answer.wall_ms is not None and answer.term == self.raft.term:
                self._clock.told(answer.sender, answer.wall_ms, now_ms)
        self._told_clocks.clear()

    def clock_skews(self, now_ms: int) -> dict[NodeId, int]:
        """By how many milliseconds the clocks of voters are off, where that is too much; on the leader."""
        if not self.leads:
            return {}
        return self._clock.skews(self.raft.configuration, now_ms=now_ms, wall_ms=self.wall_ms)

    def time_ahead_ms(self, now_ms: int) -> int:
        """By how much replicated time is ahead of the voters' clocks; on the leader."""
        if not self.leads:
            return 0
        return self._clock.replicated_ahead_ms(self.raft.configuration, now_ms=now_ms, wall_ms=self.wall_ms)

    def _propose(self, now_ms: int, stamp_ms: int) -> None:
        """Turns everything that waits into as few entries as the limits let."""
        batch = _Batch(stamp_ms)
        while self._forwarded:
            follower, request = self._forwarded.popleft()
            if isinstance(request, ForwardedRead):
                self._ask_read(follower, request.read_id, now_ms)
            elif request.term != self.raft.term:
                self._refuse(follower, request, Reason.NO_LEADER)
            elif request.grows_state and self.refuses_growth:
                self._refuse(follower, request, Reason.NO_SPACE)
            else:
                batch = self._add_to(batch, follower, request.group_id, request.commands, now_ms)
        while self.proposals.has_waiting:
            group = self.proposals.take_group(self.raft.term, now_ms)
            batch = self._add_to(batch, self.node_id, group.group_id, group.commands, now_ms)
        self._propose_batch(batch, now_ms)

    def _add_to(
        self, batch: _Batch, origin: NodeId, group_id: int, commands: tuple[bytes, ...], now_ms: int
    ) -> _Batch:
        size_bytes = sum(map(len, commands))
        if batch.groups and batch.size_bytes + size_bytes > self.settings.batch_bytes_max:
            self._propose_batch(batch, now_ms)
            batch = _Batch(batch.message.time_ms)
        batch.add(origin, group_id, commands, size_bytes)
        return batch

    def _propose_batch(self, batch: _Batch, now_ms: int) -> None:
        if batch.groups:
            self._tickets += 1
            self._proposed_groups[self._tickets] = batch.groups
            self.raft.step(Propose(ticket=self._tickets, data=batch.message.SerializeToString()), now_ms)

    def _ask_own_reads(self, now_ms: int) -> None:
        if self.reads.has_new:
            self._ask_read(self.node_id, self.reads.take_question(now_ms), now_ms)

    def _ask_read(self, origin: NodeId, read_id: int, now_ms: int) -> None:
        self._tickets += 1
        self._asked_reads[self._tickets] = (origin, read_id)
        self.raft.step(RequestRead(ticket=self._tickets), now_ms)
        if origin != self.node_id:
            self.raft.step(CommitWanted(peer=origin), now_ms)

    def _refuse(self, follower: NodeId, request: ForwardRequest, reason: Reason) -> None:
        match request:
            case ForwardedGroup(group_id=group_id):
                self._peers.answer(follower, GroupRefused(group_id=group_id, reason=reason))
            case ForwardedRead(read_id=read_id):
                self._peers.answer(follower, ReadRefused(read_id=read_id))

    def _carry_out(self, ready: Ready, now_ms: int) -> None:
        """The effects of a `Ready`, in its order."""
        if ready.role_change is not None:
            self._leaderless_since_ms = now_ms if ready.role_change.leader is None else None
            self._on_role_change(ready.role_change)
            if not self.leads:
                self.deliveries.lose_leadership(ready.role_change.leader or 0)
        for wrong in ready.wrong_claims:
            self.refuse_peer(wrong.peer, wrong.claim, now_ms)
        self._send_all(ready.messages)
        self._collect_write(ready)
        self._start_write()
        self._report_proposals(ready, now_ms)
        self._unapplied.extend(ready.committed)
        self._apply_committed(now_ms)
        self._report_reads(ready)
        self.reads.run(self.state.applied.index, self.machine.revision)
        self._ordered_snapshots.extend(ready.send_snapshots)
        if not self._unapplied:
            orders, self._ordered_snapshots = self._ordered_snapshots, []
            for order in orders:
                self._peers.send_snapshot(order, self.state.view())

    def _send_all(self, messages: tuple[Message, ...] | list[Message]) -> None:
        for message in messages:
            if isinstance(message, HeartbeatResponse):
                is_followed = self.watches.share.taken > 0 or bool(self.queue_waiters) or self.reads.waits
                self._peers.send(replace(message, wall_ms=self.wall_ms, follows_commits=is_followed))
            else:
                self._peers.send(message)

    def _collect_write(self, ready: Ready) -> None:
        snapshot = self.upkeep.unstage(ready.install_snapshot)
        if snapshot is not None:
            self._next_write.install(snapshot)
        self._next_write.add(ready)

    def _start_write(self) -> None:
        """One write at a time; what comes meanwhile is the next one. The state is not exchanged under a
        flush: a snapshot then waits, and what depends on it."""
        if self._current_write is not None:
            return
        if self.upkeep.holds_back_snapshot and self._next_write.snapshot is not None:
            write = self._next_write.take_hard_state()
        else:
            write, self._next_write = self._next_write, PendingWrite()
        if write.is_durable_already:
            self._send_all(write.messages)
            return
        self._current_write = write
        self._disk.write_log(
            LogWrite(
                installed_snapshot=write.snapshot,
                hard_state=write.hard_state,
                entries=tuple(write.entries),
            )
        )

    def _report_proposals(self, ready: Ready, now_ms: int) -> None:
        for proposed in ready.proposed:
            for origin, _ in self._proposed_groups.pop(proposed.ticket):
                if origin != self.node_id:
                    self.raft.step(CommitWanted(peer=origin), now_ms)
        for refused in ready.refused:
            reason = Reason.OVERLOADED if refused.reason is Refusal.OVERLOADED else Reason.NO_LEADER
            for origin, group_id in self._proposed_groups.pop(refused.ticket):
                if origin == self.node_id:
                    self.proposals.refused(group_id, reason)
                else:
                    self._peers.answer(origin, GroupRefused(group_id=group_id, reason=reason))

    def _report_reads(self, ready: Ready) -> None:
        for confirmed in ready.confirmed_reads:
            origin, read_id = self._asked_reads.pop(confirmed.ticket)
            if origin == self.node_id:
                self.reads.answered(read_id, confirmed.index)
            else:
                self._peers.answer(origin, ReadIndexAnswer(read_id=read_id, index=confirmed.index))
        for ticket in ready.failed_reads:
            origin, read_id = self._asked_reads.pop(ticket)
            if origin == self.node_id:
                self.reads.refused(read_id)
            else:
                self._peers.answer(origin, ReadRefused(read_id=read_id))

    def _apply_committed(self, now_ms: int) -> None:
        """As much as one turn may do. An entry that is more than that goes on in the next turn, so that
        heartbeats never wait for it."""
        self.machine.allowance = self.settings.turn_work_max
        while self._unapplied and self.machine.allowance > 0:
            was_half_applied = self._steps is not None
            self._apply(self._unapplied[0])
            if was_half_applied and self._steps is None:
                self.upkeep.flush_if_due(now_ms)  # which turns that end amid an entry cannot

    def _apply(self, entry: Entry) -> None:
        """Begins the first of the committed entries, or goes on with it."""
        if self._steps is None:
            self.proposals.term_applied(entry.term)
            self._steps = self._begin(entry)
        groups: list[AppliedGroup] = []
        for group in self._steps:
            if group is None:
                self._publish()
                break
            groups.append(group)
        else:
            self._steps = None
            self._unapplied.popleft()
            if entry.kind is EntryKind.COMMAND:
                self._publish()
            self.state.mark_applied(entry.index, entry.term)
            self.digests.remember(entry.index, self.state.applied.digest)
        for group in groups:
            if group.origin_id == self.node_id:
                self.proposals.applied(group.group_id, group.answers)

    def _begin(self, entry: Entry) -> Iterator[AppliedGroup | None]:
        return self.machine.apply(entry.data, entry.term) if entry.kind is EntryKind.COMMAND else iter(())

    def _publish(self) -> None:
        """What was changed is told to those who wait for it."""
        machine = self.machine
        self.state.history.record(machine.changes, machine.clock_ms)
        self.watches.publish(machine.changes, machine.revision)
        self.deliveries.publish(machine.touched)
        self.queue_waiters.wake(machine.touched.queues)
        if machine.touched.erased:
            self.upkeep.erasures.applied(machine.revision, machine.clock_ms)

    def _install(self, snapshot: InstalledSnapshot) -> None:
        """The log says that the received state is the state: from here on it is."""
        self._unapplied.clear()
        self._steps = None
        self.state = self._disk.open_state(snapshot.generation)
        self.machine = Machine(self.state)
        self.state.history.begin(self.machine.revision, self.settings.history_limits)
        self.watches.replace_state(self.state, self.machine.revision)
        self.queue_waiters.wake_all()
        self.proposals.skipped()
        if self.refusal is not None:
            self.refusal = None
            self.watches.reopen()
            self.deliveries.reopen()
        self._inbox.append(SnapshotInstalled(index=snapshot.metadata.index))
        self.upkeep.installed()

    def _keep_house(self, now_ms: int) -> None:
        """What is due now and then: timeouts of waiting clients, the comparison of digests, and that a
        leader which can write nothing lets another one lead."""
        idle = self.proposals.in_flight == 0 and self.reads.in_flight == 0
        self._housekeeping_due_ms = now_ms + (500 if idle else 100)
        since_ms = self._leaderless_since_ms
        leaderless_ms = 0 if since_ms is None else now_ms - since_ms
        self.proposals.expire(now_ms, leaderless_ms)
        self.reads.expire(now_ms, leaderless_ms, self.machine.revision)
        if self.leads and self.takes_no_writes:
            self._refuse_forwarded()
            self.transfer_leadership()
        if self.leads and now_ms >= self._digest_due_ms:
            self._digest_due_ms = now_ms + self.settings.digest_interval_ms
            self._ask_digests()


class _Batch:
    """A `CommandBatch` in the making."""

    __slots__ = ("groups", "message", "size_bytes")

    def __init__(self, time_ms: int) -> None:
        self.message = command_pb2.CommandBatch(version=BATCH_VERSION, time_ms=time_ms)
        self.groups: list[tuple[NodeId, int]] = []
        self.size_bytes = 0

    def add(self, origin: NodeId, group_id: int, commands: tuple[bytes, ...], size_bytes: int) -> None:
        self.message.groups.add(origin_id=origin, group_id=group_id, commands=commands)
        self.groups.append((origin, group_id))
        self.size_bytes += size_bytes
