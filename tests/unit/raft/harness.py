"""A cluster of pure cores in one hand: a bag of messages, disks that take their time, clocks that
run only when told to, and the laws of `kvraft.raft.invariants` checked after every step.

A node is `step`ped like the real loop does it: what it hands over to be written becomes one write,
at most one of them under way; messages that wait for the disk leave when that write completes.
The state is the list of applied entries, so that states can be compared.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kvraft.raft.configuration import Configuration
from kvraft.raft.events import (
    Compacted,
    Event,
    Persisted,
    Propose,
    Received,
    RequestRead,
    SnapshotInstalled,
    SnapshotReported,
    TimePassed,
)
from kvraft.raft.invariants import ClusterChecker, TransitionChecker, check_state
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
from kvraft.raft.raft import Raft
from kvraft.raft.ready import ConfirmedRead, Proposed, Ready, Refused, Role, RoleChange, WrongClaim
from kvraft.raft.settings import Settings
from kvraft.raft.state import State
from kvraft.raft.types import Entry, EntryKind, HardState, Index, NodeId, SnapshotMetadata, Term

AppliedState = tuple[Entry, ...]
"""Every entry from index 1 on: what a state machine that forgets nothing would hold."""


BEFORE_THE_LOG = Index(0)
BEFORE_ANY_TERM = Term(0)


def entry(index: int, term: int, data: bytes = b"") -> Entry:
    return Entry(Index(index), Term(term), EntryKind.COMMAND, data)


def entries(first: int, *terms: int) -> tuple[Entry, ...]:
    """Entries of these terms from index `first` on."""
    return tuple(entry(first + position, term) for position, term in enumerate(terms))


def hard_state(term: int, voted_for: int | None) -> HardState:
    return HardState(Term(term), None if voted_for is None else NodeId(voted_for))


@dataclass(slots=True)
class Write:
    """What waits for the disk, or is on its way there."""

    install: SnapshotMetadata | None = None
    hard_state: HardState | None = None
    entries: list[Entry] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)

    @property
    def is_durable_work(self) -> bool:
        return self.install is not None or self.hard_state is not None or bool(self.entries)

    def add(self, ready: Ready) -> None:
        """Joins what came while another write was under way into one."""
        if ready.install_snapshot is not None:
            self.install = ready.install_snapshot
            self.entries.clear()
        if ready.hard_state is not None:
            self.hard_state = ready.hard_state
        if ready.entries:
            kept = [entry for entry in self.entries if entry.index < ready.entries[0].index]
            self.entries = kept + list(ready.entries)
        self.messages.extend(ready.messages_after_persist)

    @property
    def persisted(self) -> Persisted:
        last = self.entries[-1] if self.entries else None
        return Persisted(
            hard_state=self.hard_state,
            last_index=last.index if last else None,
            last_term=last.term if last else None,
        )


@dataclass(slots=True)
class Disk:
    """What survives a crash. Also the core's `LogReader`."""

    configuration: Configuration
    hard_state: HardState = field(default_factory=lambda: HardState(BEFORE_ANY_TERM, None))
    base_index: Index = BEFORE_THE_LOG
    base_term: Term = BEFORE_ANY_TERM
    log: list[Entry] = field(default_factory=list)
    state: AppliedState = ()

    @property
    def last_index(self) -> Index:
        return Index(self.base_index + len(self.log))

    def write(self, write: Write, state: AppliedState | None) -> None:
        """All of it or, if this is never called, none of it."""
        if write.install is not None:
            assert state is not None
            self.state = state
            self.base_index, self.base_term = write.install.index, write.install.term
            self.configuration = write.install.configuration
            self.log.clear()
        if write.hard_state is not None:
            assert write.hard_state.term >= self.hard_state.term
            if write.hard_state.term == self.hard_state.term and self.hard_state.voted_for is not None:
                assert write.hard_state.voted_for == self.hard_state.voted_for, "one vote per term"
            self.hard_state = write.hard_state
        if write.entries:
            first = write.entries[0].index
            assert self.base_index < first <= self.last_index + 1, "the log on disk has no holes"
            assert len(self.state) < first, "what is applied is never overwritten"
            # Terms, votes and entries share one order: no entry is durable before its term is.
            assert write.entries[-1].term <= self.hard_state.term
            del self.log[first - self.base_index - 1 :]
            self.log.extend(write.entries)

    def compact(self, index: Index) -> None:
        assert self.base_index <= index <= len(self.state), "the log leads on from the durable state"
        self.base_term = self.term(index)
        del self.log[: index - self.base_index]
        self.base_index = index

    def term(self, index: Index) -> Term:
        return self.base_term if index == self.base_index else self.log[index - self.base_index - 1].term

    def entries(self, first: Index, last: Index, bytes_max: int) -> list[Entry]:
        held = self.log[first - self.base_index - 1 : last - self.base_index]
        assert held, (first, last, self.base_index, self.last_index)
        found = held[:1]
        size = found[0].size_bytes
        for candidate in held[1:]:
            size += candidate.size_bytes
            if size > bytes_max:
                break
            found.append(candidate)
        return found


class Node:
    """One core with its disk, and a record of everything it handed over."""

    def __init__(self, node_id: NodeId, disk: Disk, settings: Settings, seed: int) -> None:
        self.node_id = node_id
        self.disk = disk
        self.settings = settings
        self.chance = random.Random(seed)
        self.clock_ms = 0
        self.is_up = True
        self.proposed: list[Proposed] = []
        self.refused: list[Refused] = []
        self.confirmed_reads: list[ConfirmedRead] = []
        self.failed_reads: list[int] = []
        self.wrong_claims: list[WrongClaim] = []
        self.role_changes: list[RoleChange] = []
        self.start()

    def start(self) -> None:
        """Begins anew from what the disk holds."""
        disk = self.disk
        runs = [
            (entry.index, entry.term)
            for before, entry in zip([None, *disk.log], disk.log, strict=False)
            if before is None or before.term != entry.term
        ]
        log = RaftLog(
            base_index=disk.base_index,
            base_term=disk.base_term,
            last_index=disk.last_index,
            term_starts=runs,
            reader=disk,
            cache_bytes_max=self.settings.log_cache_bytes,
        )
        self.state: list[Entry] = list(disk.state)
        self.raft = Raft(
            node_id=self.node_id,
            settings=self.settings,
            chance=self.chance,
            configuration=disk.configuration,
            hard_state=disk.hard_state,
            log=log,
            applied_index=Index(len(disk.state)),
            now_ms=self.clock_ms,
        )
        self.waiting = Write()
        self.under_way: Write | None = None
        self.transitions = TransitionChecker(self.raft)
        self.is_up = True
        check_state(self.raft)

    @property
    def core(self) -> State:
        """Everything the node knows; tests may look."""
        return self.raft._state

    @property
    def log_terms(self) -> list[int]:
        """The term of every entry held."""
        log = self.core.log
        return [log.term(Index(index)) or 0 for index in range(log.base_index + 1, log.last_index + 1)]

    def progress(self, peer: int) -> Progress:
        return self.raft.followers[NodeId(peer)]

    def step(self, event: Event) -> None:
        self.raft.step(event, self.clock_ms)
        check_state(self.raft)
        self.transitions.check()

    def take_ready(self) -> Ready:
        ready = self.raft.take_ready()
        check_state(self.raft)
        self.transitions.check()
        self.proposed.extend(ready.proposed)
        self.refused.extend(ready.refused)
        self.confirmed_reads.extend(ready.confirmed_reads)
        self.failed_reads.extend(ready.failed_reads)
        self.wrong_claims.extend(ready.wrong_claims)
        if ready.role_change is not None:
            self.role_changes.append(ready.role_change)
        for applied in ready.committed:
            assert applied.index == len(self.state) + 1, "entries are applied in order, once"
            assert applied.index <= self.disk.last_index, "what is applied is durable here"
            assert self.disk.term(applied.index) == applied.term, "what is applied is durable here"
            self.state.append(applied)
        return ready


class Cluster:
    """Nodes, the messages between them, and the laws over all of them."""

    def __init__(
        self,
        voters: int | Sequence[int] = 3,
        *,
        learners: Sequence[int] = (),
        logs: Mapping[int, Sequence[int]] | None = None,
        terms: dict[int, int] | None = None,
        settings: Settings | None = None,
        seed: int = 0,
        writes_at_once: bool = True,
    ) -> None:
        """`logs`: the terms of the entries a node begins with, none of them known as committed;
        `terms`: its current term, if that is not its last entry's."""
        ids = range(1, voters + 1) if isinstance(voters, int) else voters
        self.configuration = Configuration(tuple(map(NodeId, ids)), tuple(map(NodeId, learners)))
        self.settings = settings or Settings(heartbeat_interval_ms=100)
        self.writes_at_once = writes_at_once
        """Whether every write completes by itself; otherwise `complete_write` does it."""
        self.network: list[Message] = []
        self.lost: list[Message] = []
        self.cuts: set[tuple[int, int]] = set()
        """Directed links on which everything is lost."""
        self.reports: list[tuple[NodeId, SnapshotReported]] = []
        """Ends of snapshot transfers that their senders do not know of yet."""
        self.snapshots: dict[tuple[Index, Term], AppliedState] = {}
        self.checker = ClusterChecker()
        self.observer: Callable[[Node, Ready], None] = lambda node, ready: None
        self.nodes: dict[int, Node] = {}
        for node_id in self.configuration.members:
            log = list(entries(1, *(logs or {}).get(node_id, ())))
            term = (terms or {}).get(node_id, log[-1].term if log else 0)
            disk = Disk(self.configuration, HardState(Term(term), None), log=log)
            self.nodes[node_id] = Node(node_id, disk, self.settings, seed * 100 + node_id)

    def __getitem__(self, node_id: int) -> Node:
        return self.nodes[node_id]

    # --- one node -----------------------------------------------------------------------------

    def step(self, node_id: int, *events: Event) -> None:
        """Steps the events, then takes what is owed, once, as a turn of the loop does."""
        node = self.nodes[node_id]
        for event in events:
            node.step(event)
        self.turn(node)

    def turn(self, node: Node) -> None:
        while True:
            ready = node.take_ready()
            self.checker.observe(node.raft, ready)
            self.observer(node, ready)
            self.network.extend(ready.messages)
            node.waiting.add(ready)
            for sent in ready.send_snapshots:
                assert sent.snapshot.index == len(node.state), "a snapshot is the state after `committed`"
                assert sent.snapshot.index == node.progress(sent.target).snapshot_index
                key = (sent.snapshot.index, sent.snapshot.term)
                assert self.snapshots.setdefault(key, tuple(node.state)) == tuple(node.state)
                self.network.append(
                    InstallSnapshot(
                        sender=node.node_id, target=sent.target, term=sent.term, snapshot=sent.snapshot
                    )
                )
            if not node.raft.has_unapplied:
                break
        self._begin_write(node)
        while self.writes_at_once and node.under_way is not None:
            self.complete_write(node.node_id)

    def _begin_write(self, node: Node) -> None:
        if node.under_way is not None:
            return
        if node.waiting.is_durable_work:
            node.under_way, node.waiting = node.waiting, Write()
        else:
            self.network.extend(node.waiting.messages)
            node.waiting.messages.clear()

    def write_to_disk(self, node: Node) -> Write:
        """The write under way reaches the disk; the node does not know yet."""
        write = node.under_way
        assert write is not None
        node.under_way = None
        state = self.snapshots[write.install.index, write.install.term] if write.install else None
        node.disk.write(write, state)
        return write

    def complete_write(self, node_id: int) -> None:
        """The write under way is durable: its messages leave, and the node hears of it."""
        node = self.nodes[node_id]
        write = self.write_to_disk(node)
        self.network.extend(write.messages)
        if write.install is not None:
            state = self.snapshots[write.install.index, write.install.term]
            if node.core.installing == write.install:
                node.state = list(state)
            node.step(SnapshotInstalled(index=write.install.index))
        node.step(write.persisted)
        self.turn(node)

    def complete_writes(self, node_id: int) -> None:
        while self.nodes[node_id].under_way is not None:
            self.complete_write(node_id)

    def receive(self, message: Message) -> None:
        """A message arrives, wherever it came from."""
        self.step(message.target, Received(message))

    def propose(self, node_id: int, data: bytes = b"x", *, ticket: int = 0) -> None:
        self.step(node_id, Propose(ticket=ticket, data=data))

    def read(self, node_id: int, ticket: int) -> None:
        self.step(node_id, RequestRead(ticket=ticket))

    def flush_and_compact(self, node_id: int, index: int | None = None) -> None:
        """The state becomes durable, then the log before it goes."""
        node = self.nodes[node_id]
        if node.core.installing is not None:
            return
        node.disk.state = tuple(node.state)
        until = node.raft.compactable_index if index is None else Index(index)
        assert until <= node.raft.compactable_index
        if until > node.disk.base_index:
            node.disk.compact(until)
            self.step(node_id, Compacted(index=until))

    def crash(self, node_id: int, *, write_survives: bool = False) -> None:
        """What was not durable is gone; of the write under way, everything or nothing."""
        node = self.nodes[node_id]
        if write_survives and node.under_way is not None:
            self.write_to_disk(node)
        node.is_up = False

    def restart(self, node_id: int) -> None:
        node = self.nodes[node_id]
        node.start()
        self.checker.restarted(node.raft)
        self.turn(node)

    # --- the network --------------------------------------------------------------------------

    def cut(self, *links: tuple[int, int]) -> None:
        self.cuts.update(links)

    def isolate(self, node_id: int) -> None:
        for other in self.nodes:
            if other != node_id:
                self.cut((node_id, other), (other, node_id))

    def heal(self) -> None:
        self.cuts.clear()

    def arrives(self, message: Message) -> bool:
        target = self.nodes.get(message.target)
        return (message.sender, message.target) not in self.cuts and target is not None and target.is_up

    def deliver(self, message: Message) -> None:
        """Delivers one message, or loses it where its link is cut or its target down."""
        if self.arrives(message):
            self.receive(message)
            self._report_later(message, succeeded=True)
        else:
            self.lose(message)

    def deliver_together(self, target: int, messages: Iterable[Message]) -> None:
        """Delivers messages for one node in one turn."""
        arriving = [message for message in messages if self.arrives(message)]
        self.step(target, *map(Received, arriving))
        for message in arriving:
            self._report_later(message, succeeded=True)

    def lose(self, message: Message) -> None:
        self.lost.append(message)
        self._report_later(message, succeeded=False)

    def _report_later(self, message: Message, *, succeeded: bool) -> None:
        if isinstance(message, InstallSnapshot):
            report = SnapshotReported(target=message.target, succeeded=succeeded)
            self.reports.append((message.sender, report))

    def report(self, sender: NodeId, report: SnapshotReported) -> None:
        if self.nodes[sender].is_up:
            self.step(sender, report)

    def deliver_all(self) -> None:
        """Until nothing is on its way."""
        for _ in range(100_000):
            if self.network:
                self.deliver(self.network.pop(0))
            elif self.reports:
                self.report(*self.reports.pop(0))
            else:
                return
        raise AssertionError(f"messages without end: {self.network[:10]}")

    def take_sent(self, sender: int | None = None) -> list[Message]:
        """What is on its way, taken off it."""
        taken = [message for message in self.network if sender in (None, message.sender)]
        self.network = [message for message in self.network if sender not in (None, message.sender)]
        return taken

    # --- time ---------------------------------------------------------------------------------

    def pass_ms(self, duration_ms: int) -> None:
        """Time passes at the same pace everywhere; what is sent arrives at once."""
        self.deliver_all()
        rounds_left = 100 + duration_ms
        while duration_ms >= 0:
            rounds_left -= 1
            assert rounds_left > 0, "a deadline that has come does not go away"
            up = [node for node in self.nodes.values() if node.is_up]
            pause = min((max(node.raft.deadline_ms - node.clock_ms, 0) for node in up), default=duration_ms)
            pause = min(pause, duration_ms)
            for node in self.nodes.values():
                node.clock_ms += pause
            duration_ms -= pause
            due = [node for node in up if node.raft.deadline_ms <= node.clock_ms]
            if not due:
                return
            for node in due:
                self.step(node.node_id, TimePassed())
            self.deliver_all()

    def time_out(self, node_id: int) -> None:
        """The node's own clock comes to its deadline, nobody else's does."""
        node = self.nodes[node_id]
        node.clock_ms = max(node.clock_ms, node.raft.deadline_ms)
        self.step(node_id, TimePassed())

    def elect(self, node_id: int) -> None:
        """Time passes everywhere until the node stands for election, first of all, and wins."""
        node = self.nodes[node_id]
        pause = max(0, node.raft.deadline_ms - node.clock_ms)
        for other in self.nodes.values():
            other.clock_ms += pause
        self.step(node_id, TimePassed())
        self.deliver_all()
        assert node.raft.role is Role.LEADER, node.raft.role

    # --- looking ------------------------------------------------------------------------------

    @property
    def leaders(self) -> list[Node]:
        return [node for node in self.nodes.values() if node.is_up and node.raft.role is Role.LEADER]

    @property
    def leader(self) -> Node:
        """The leader of the highest term."""
        return max(self.leaders, key=lambda node: node.raft.term)


def become_leader(cluster: Cluster, node_id: int = 1, *, voters: Iterable[int] = (2, 3)) -> Node:
    """Makes the node leader by answers written here, without stepping any other node. What it
    sent is taken off the network."""
    node = cluster.nodes[node_id]
    cluster.time_out(node_id)
    for voter in voters:
        if node.raft.role is Role.PRE_CANDIDATE:
            cluster.receive(vote(voter, target=node_id, term=node.raft.term + 1, pre_vote=True))
    if node.under_way is not None:
        cluster.complete_write(node_id)  # its own vote
    for voter in voters:
        if node.raft.role is Role.CANDIDATE:
            cluster.receive(vote(voter, target=node_id, term=node.raft.term))
    assert node.raft.role is Role.LEADER, node.raft.role
    cluster.take_sent()
    return node


def request_vote(
    sender: int,
    target: int,
    *,
    term: int,
    last: tuple[int, int] = (0, 0),
    pre_vote: bool = False,
    leadership_transfer: bool = False,
) -> RequestVote:
    """`last`: index and term of the candidate's last entry."""
    return RequestVote(
        sender=NodeId(sender),
        target=NodeId(target),
        term=Term(term),
        last_log_index=Index(last[0]),
        last_log_term=Term(last[1]),
        pre_vote=pre_vote,
        leadership_transfer=leadership_transfer,
    )


def append(
    target: int,
    *new: Entry,
    term: int,
    prev: tuple[int, int] = (0, 0),
    commit: int = 0,
    sender: int = 1,
) -> AppendEntries:
    """`prev`: index and term of the entry before the new ones."""
    return AppendEntries(
        sender=NodeId(sender),
        target=NodeId(target),
        term=Term(term),
        prev_log_index=Index(prev[0]),
        prev_log_term=Term(prev[1]),
        entries=new,
        leader_commit=Index(commit),
    )


def heartbeat(target: int, *, term: int, commit: int = 0, round: int = 1, sender: int = 1) -> Heartbeat:
    return Heartbeat(
        sender=NodeId(sender), target=NodeId(target), term=Term(term), commit_index=Index(commit), round=round
    )


def heartbeat_response(sender: int, *, term: int, round: int, target: int = 1) -> HeartbeatResponse:
    return HeartbeatResponse(sender=NodeId(sender), target=NodeId(target), term=Term(term), round=round)


def accepted(sender: int, *, term: int, match: int, target: int = 1) -> AppendEntriesAccepted:
    return AppendEntriesAccepted(
        sender=NodeId(sender), target=NodeId(target), term=Term(term), match_index=Index(match)
    )


def refused(
    sender: int, *, term: int, rejected: int, hint: tuple[int, int], target: int = 1
) -> AppendEntriesRefused:
    return AppendEntriesRefused(
        sender=NodeId(sender),
        target=NodeId(target),
        term=Term(term),
        rejected_index=Index(rejected),
        hint_index=Index(hint[0]),
        hint_term=Term(hint[1]),
    )


def vote(
    sender: int, *, term: int, granted: bool = True, pre_vote: bool = False, target: int = 1
) -> RequestVoteResponse:
    return RequestVoteResponse(
        sender=NodeId(sender), target=NodeId(target), term=Term(term), granted=granted, pre_vote=pre_vote
    )


def install(
    target: int, index: int, of_term: int, *, term: int, configuration: Configuration, sender: int = 1
) -> InstallSnapshot:
    return InstallSnapshot(
        sender=NodeId(sender),
        target=NodeId(target),
        term=Term(term),
        snapshot=SnapshotMetadata(index=Index(index), term=Term(of_term), configuration=configuration),
    )


def timeout_now(target: int, *, term: int, sender: int = 1) -> TimeoutNow:
    return TimeoutNow(sender=NodeId(sender), target=NodeId(target), term=Term(term))
