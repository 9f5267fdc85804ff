"""Known bugs, put in on purpose: does the simulator find them?

A test that cannot fail proves nothing, so each bug that others have paid for is made again here, as a
patch that is in force for one run and nowhere else, and runs are made until one fails. Twice: once
with every checker, once with only what clients can see, since the laws know this implementation and
the clients do not.

    python -m tests.sim.mutants [name ...]
"""

from __future__ import annotations

import multiprocessing
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from kvraft import errors
from kvraft.machine import kv, machine, txn
from kvraft.machine.answers import encode_answer
from kvraft.machine.clients import Clients, _Client
from kvraft.machine.compares import holds
from kvraft.machine.results import Answer
from kvraft.machine.space import KvSpace
from kvraft.node import pending_write, proposals, reads
from kvraft.node.leader_clock import LeaderClock
from kvraft.node.replica import Replica
from kvraft.node.watching import WatchHub, WatchStream, _Place
from kvraft.raft import claims, reading, replication, snapshotting
from kvraft.raft.configuration import Configuration
from kvraft.raft.log import RaftLog
from kvraft.raft.messages import (
    AppendEntries,
    AppendEntriesAccepted,
    Heartbeat,
    Message,
    RequestVoteResponse,
)
from kvraft.raft.progress import Progress
from kvraft.raft.ready import ConfirmedRead, Ready, SendSnapshot
from kvraft.raft.roles import Leader, PendingRound
from kvraft.raft.state import State
from kvraft.raft.types import Entry, HardState, Index, NodeId, SnapshotMetadata, Term
from kvraft.rpc import forwarded_commands
from kvraft.storage.errors import StorageError
from kvraft.storage.interfaces import Applied, LogWrite, StateStore
from kvraft.storage.memory_log import MemoryLog
from kvraft.storage.state import tables
from kvraft.storage.state.history import HistoryFlush, Revision
from kvraft.storage.state.memory_engine import MemoryEngine
from kvraft.storage.state.store import LayeredState, LayeredView
from kvraft.v1 import command_pb2
from tests.sim.disk import SimulatedDisk
from tests.sim.leases.mutants import LEASE_MUTANTS
from tests.sim.mail.mutants import MAIL_MUTANTS
from tests.sim.network import Network
from tests.sim.simulation import Kind, Result, kind_of, run

Patch = pytest.MonkeyPatch
SEEDS_MAX = 200
CLIENTS_SEEDS_MAX = 40


@dataclass(frozen=True, slots=True)
class Mutant:
    """A known bug and how to put it in."""

    name: str
    apply: Callable[[Patch], None]
    kind: Kind | None = None
    """Only runs of this kind can find it."""


def _vote_not_persisted(patch: Patch) -> None:
    append = MemoryLog.append

    def forget_vote(log: MemoryLog, write: LogWrite) -> None:
        if write.hard_state is not None:
            write = replace(write, hard_state=HardState(write.hard_state.term, None))
        append(log, write)

    patch.setattr(MemoryLog, "append", forget_vote)


def _term_not_persisted(patch: Patch) -> None:
    append = MemoryLog.append
    patch.setattr(MemoryLog, "append", lambda log, write: append(log, replace(write, hard_state=None)))


def _answered_before_fsync(patch: Patch, kind: type[Message]) -> None:
    send_after_persist = State.send_after_persist

    def send(state: State, message: Message) -> None:
        if isinstance(message, kind):
            state.send(message)
        else:
            send_after_persist(state, message)

    patch.setattr(State, "send_after_persist", send)


def _leader_counts_itself_before_fsync(patch: Patch) -> None:
    def advance_commit(state: State, leader: Leader) -> None:
        match_indexes: dict[NodeId, int] = {
            peer: progress.match_index for peer, progress in leader.progress.items()
        }
        match_indexes[state.node_id] = state.log.last_index
        index = Index(state.configuration.quorum_value(match_indexes))
        if index > state.commit_index and state.log.term(index) == state.term:
            state.commit_index = index

    patch.setattr(replication, "advance_commit", advance_commit)


def _truncates_on_every_append(patch: Patch) -> None:
    on_append_entries = replication.on_append_entries

    def truncate_first(state: State, message: AppendEntries) -> None:
        first = Index(message.prev_log_index + 1)
        log = state.log
        if log.term(message.prev_log_index) == message.prev_log_term and log.base_index < first:
            if first <= log.last_index:
                log.truncate(max(first, Index(state.applied_index + 1)))
            state.commit_index = min(state.commit_index, log.last_index)
        on_append_entries(state, message)

    patch.setattr(replication, "on_append_entries", truncate_first)


def _commits_old_terms_by_counting(patch: Patch) -> None:
    def advance_commit(state: State, leader: Leader) -> None:
        match_indexes: dict[NodeId, int] = {
            peer: progress.match_index for peer, progress in leader.progress.items()
        }
        match_indexes[state.node_id] = state.log.persisted_index
        index = Index(state.configuration.quorum_value(match_indexes))
        state.commit_index = max(state.commit_index, index)

    patch.setattr(replication, "advance_commit", advance_commit)


def _raw_commit_in_heartbeats(patch: Patch) -> None:
    def send_heartbeat(state: State, leader: Leader, peer: NodeId, progress: Progress) -> None:
        state.send(
            Heartbeat(
                sender=state.node_id,
                target=peer,
                term=state.term,
                commit_index=state.commit_index,
                round=leader.round,
            )
        )

    def on_heartbeat(state: State, message: Heartbeat) -> None:
        replication.recognise_leader(state, message.sender)
        replication.commit_to(state, min(message.commit_index, state.log.last_index))
        replication.answer_heartbeat(state, message)

    patch.setattr(State, "send_heartbeat", send_heartbeat)
    patch.setattr(replication, "on_heartbeat", on_heartbeat)


def _start_round(
    *, waits_for_own_commit: bool, sends_round: bool, waits_for_answers: bool = True
) -> Callable[[State, Leader], None]:
    def start_pending_round(state: State, leader: Leader) -> None:
        if not leader.new_reads or leader.pending_rounds:
            return
        if waits_for_own_commit and state.commit_index < leader.term_start:
            return
        if sends_round or leader.round == 0:
            state.start_round(leader)
        if waits_for_answers:
            leader.pending_rounds.append(
                PendingRound(round=leader.round, index=state.commit_index, tickets=leader.new_reads)
            )
        else:
            state.outbox.confirmed_reads.extend(
                ConfirmedRead(ticket=ticket, index=state.commit_index) for ticket in leader.new_reads
            )
        leader.new_reads = []
        reading.confirm_rounds(state, leader)

    return start_pending_round


def _reads_before_own_commit(patch: Patch) -> None:
    patch.setattr(reading, "start_pending_round", _start_round(waits_for_own_commit=False, sends_round=True))


def _reads_confirmed_by_an_earlier_round(patch: Patch) -> None:
    patch.setattr(reading, "start_pending_round", _start_round(waits_for_own_commit=True, sends_round=False))


def _reads_without_a_round(patch: Patch) -> None:
    start = _start_round(waits_for_own_commit=True, sends_round=False, waits_for_answers=False)
    patch.setattr(reading, "start_pending_round", start)


def _read_index_reused(patch: Patch) -> None:
    take_question = reads.Reads.take_question

    def join_the_last(self: reads.Reads, now_ms: int) -> int:
        for read_id, asked in self._asked.items():
            asked.readers.extend(self._new)
            self._new = []
            return read_id
        return take_question(self, now_ms)

    patch.setattr(reads.Reads, "take_question", join_the_last)


def _reads_do_not_wait_for_apply(patch: Patch) -> None:
    run_reads = reads.Reads.run
    patch.setattr(
        reads.Reads, "run", lambda self, _index, revision: run_reads(self, Index(1 << 61), revision)
    )


def _applied_index_apart_from_data(patch: Patch) -> None:
    def flush(state: LayeredState) -> None:
        assert state._flush is not None
        state._floor.engine.write(tables.merge(state._flush.tables), state._applied, state._flush.history)
        state._flush.is_written = True

    patch.setattr(LayeredState, "flush", flush)


def _snapshot_named_too_low(patch: Patch) -> None:
    offer = snapshotting.offer

    def one_less(state: State, peer: NodeId, progress: Progress) -> None:
        offer(state, peer, progress)
        orders = state.outbox.send_snapshots
        if orders and orders[-1].target == peer and state.applied_index > state.log.first_index:
            index = Index(state.applied_index - 1)
            term = state.log.term(index)
            assert term is not None
            orders[-1] = SendSnapshot(
                target=peer,
                term=state.term,
                snapshot=SnapshotMetadata(index=index, term=term, configuration=state.configuration),
            )

    patch.setattr(snapshotting, "offer", one_less)


def _snapshot_installed_one_too_low(patch: Patch) -> None:
    """The receiver writes another index beside the rows than the one they stand for."""
    write = MemoryEngine.write

    def off_by_one(engine: MemoryEngine, rows: Any, applied: Applied, *history: Any) -> None:
        if isinstance(rows, list):  # a received state; a flush brings an iterator
            applied = replace(applied, index=Index(applied.index + 1))
        write(engine, rows, applied, *history)

    patch.setattr(MemoryEngine, "write", off_by_one)


def _late_fsync_counts(patch: Patch) -> None:
    def mark_persisted(log: RaftLog, index: Index, term: Term) -> None:
        log.persisted_index = max(log.persisted_index, min(index, log._handed_index))

    patch.setattr(RaftLog, "mark_persisted", mark_persisted)


def _learners_count(patch: Patch) -> None:
    def quorum_value(configuration: Configuration, values: dict[NodeId, int]) -> int:
        reached = sorted((values.get(member, 0) for member in configuration.members), reverse=True)
        return reached[configuration.quorum - 1]

    patch.setattr(Configuration, "quorum_value", quorum_value)


def _log_dropped_beyond_the_state(patch: Patch) -> None:
    patch.setattr(LayeredState, "flushed_index", property(lambda state: state.applied.index))


def _not_applied_on_losing_the_leader(patch: Patch) -> None:
    def give_up(self: proposals.Proposals, _why: str) -> None:
        for group in list(self._pending.values()):
            self._finish(group, errors.not_applied())

    patch.setattr(proposals.Proposals, "give_up", give_up)


def _not_applied_after_a_time(patch: Patch) -> None:
    expire = proposals.Proposals.expire

    def too_early(self: proposals.Proposals, now_ms: int, leaderless_ms: int) -> None:
        for group in [each for each in self._pending.values() if now_ms - each.given_ms > 700]:
            self._finish(group, errors.not_applied())
        expire(self, now_ms, leaderless_ms)

    patch.setattr(proposals.Proposals, "expire", too_early)


def _gives_a_group_twice(patch: Patch) -> None:
    expire = proposals.Proposals.expire

    def again(self: proposals.Proposals, now_ms: int, leaderless_ms: int) -> None:
        for group in [each for each in self._pending.values() if now_ms - each.given_ms > 400]:
            self.put_back(group.group_id)
        expire(self, now_ms, leaderless_ms)

    patch.setattr(proposals.Proposals, "expire", again)


def _collected_entries_are_not_replaced(patch: Patch) -> None:
    """A write that waits keeps entries that were overwritten meanwhile."""

    def add(self: pending_write.PendingWrite, ready: Ready) -> None:
        if ready.hard_state is not None:
            self.hard_state = ready.hard_state
        if ready.entries:
            known = {entry.index for entry in self.entries}
            self.entries.extend(entry for entry in ready.entries if entry.index not in known)
        self.messages.extend(ready.messages_after_persist)

    patch.setattr(pending_write.PendingWrite, "add", add)


def _accepts_before_the_snapshot(patch: Patch) -> None:
    """While a snapshot waits for a flush, what depends on it leaves with what does not."""

    def take_hard_state(self: pending_write.PendingWrite) -> pending_write.PendingWrite:
        write = pending_write.PendingWrite()
        write.hard_state, self.hard_state = self.hard_state, None
        write.messages, self.messages = self.messages, []
        return write

    patch.setattr(pending_write.PendingWrite, "take_hard_state", take_hard_state)


def _streams_overtake_each_other(patch: Patch) -> None:
    """What a broken stream held arrives behind what came on the next one."""
    break_connection = Network.break_connection

    def keep_what_is_under_way(self: Network, follower: NodeId, leader: NodeId) -> None:
        connection = self._connections.get((follower, leader))
        break_connection(self, follower, leader)
        if connection is not None:
            connection.is_alive = True
            for payload in connection.held[True]:
                self._timeline.after(900_000, self.receivers[leader], follower, payload)

    patch.setattr(Network, "break_connection", keep_what_is_under_way)


def _installation_deletes_what_is_received(patch: Patch) -> None:
    def delete_all_others(disk: SimulatedDisk, generation: int) -> None:
        disk.generations = {each: state for each, state in disk.generations.items() if each == generation}

    patch.setattr(SimulatedDisk, "delete_superseded", delete_all_others)


def _numbers_are_not_remembered(patch: Patch) -> None:
    patch.setattr(Clients, "remember", lambda *_: None)


def _numbers_are_not_compared(patch: Patch) -> None:
    patch.setattr(machine, "fingerprint_of", lambda _data, _client_id: bytes(8))


def _acknowledged_numbers_are_forgotten(patch: Patch) -> None:
    patch.setattr(_Client, "is_stale", lambda *_: False)


def _entries_applied_whole(patch: Patch) -> None:
    apply = Replica._apply

    def at_once(self: Replica, entry: Entry) -> None:
        self.machine.allowance += 1_000_000
        apply(self, entry)
        self.machine.allowance -= 1_000_000

    patch.setattr(Replica, "_apply", at_once)


def _snapshots_without_clients(patch: Patch) -> None:
    real = LayeredView.scan

    def scan(view: LayeredView, *args: Any, **kwargs: Any) -> Iterator[tuple[bytes, bytes]]:
        return (row for row in real(view, *args, **kwargs) if not row[0].startswith(b"\x03"))

    patch.setattr(LayeredView, "scan", scan)


def _answers_in_memory_only(patch: Patch) -> None:
    def remember(clients: Clients, command: command_pb2.Command, fingerprint: bytes, answer: Answer) -> None:
        client = clients._find(command.client_id)
        assert client is not None
        client.answers[command.sequence] = fingerprint + encode_answer(answer)

    def forget(_clients: Clients, _client_id: int, client: _Client, sequence: int) -> None:
        del client.answers[sequence]

    patch.setattr(Clients, "remember", remember)
    patch.setattr(Clients, "_forget_answer", forget)


def _transactions_compare_absent_keys_as_equal(patch: Patch) -> None:
    def or_absent(space: KvSpace, compare: command_pb2.TxnCommand.Compare) -> bool:
        return holds(space, compare) or kv.get(space.state, compare.start) is None

    patch.setattr(txn, "holds", or_absent)


def _transactions_told_in_pieces(patch: Patch) -> None:
    publish = WatchHub.publish

    def piece_by_piece(hub: WatchHub, revisions: Sequence[Revision], revision: int) -> None:
        publish(hub, [(each, [change]) for each, changes in revisions for change in changes], revision)

    patch.setattr(WatchHub, "publish", piece_by_piece)


def _last_revision_told_again_after_catching_up(patch: Patch) -> None:
    catch_up = WatchHub.catch_up

    def once_more(hub: WatchHub) -> None:
        passing = list(hub._passing.all())
        catch_up(hub)
        for watch in passing:
            if watch.place is _Place.LIVE and hub._state.history.oldest_revision <= hub.revision:
                hub._leave(watch)
                hub._passing.add(watch.order.bounds, watch)
                for revision, changes in hub._state.read_history(hub.revision):
                    hub._deliver(hub._passing, revision, changes)
                hub._passing.remove(watch.order.bounds, watch)
                hub._enter(watch, _Place.LIVE)

    patch.setattr(WatchHub, "catch_up", once_more)


def _history_trimmed_but_not_told(patch: Patch) -> None:
    real = HistoryFlush.obsolete

    def obsolete(flush: HistoryFlush, block: bytes) -> bool:
        oldest_revision = flush.extent.oldest_revision
        is_obsolete = real(flush, block)
        flush.extent = replace(flush.extent, oldest_revision=oldest_revision)
        return is_obsolete

    patch.setattr(HistoryFlush, "obsolete", obsolete)


def _parked_watches_go_on_from_now(patch: Patch) -> None:
    unpark = WatchHub.unpark

    def from_now(hub: WatchHub, stream: WatchStream) -> None:
        for watch in stream.parked:
            watch.position = hub.revision + 1
        unpark(hub, stream)

    patch.setattr(WatchHub, "unpark", from_now)


def _watches_not_told_of_a_snapshot(patch: Patch) -> None:
    def replace_state(hub: WatchHub, state: StateStore, revision: int) -> None:
        hub._state, hub.revision = state, revision

    patch.setattr(WatchHub, "replace_state", replace_state)


def _terms_are_stored_unchecked(patch: Patch) -> None:
    patch.setattr(claims, "_impossible_number", lambda *_: None)


def _claims_are_believed(patch: Patch) -> None:
    patch.setattr(claims, "_contradiction", lambda *_: None)


def _forwarded_garbage_is_proposed(patch: Patch) -> None:
    patch.setattr(forwarded_commands, "check_commands", lambda *_: None)


def _one_clock_decides(patch: Patch) -> None:
    """A leader goes by its own clock."""

    def own_alone(self: LeaderClock, configuration: Configuration, own_ahead_ms: int) -> dict[NodeId, int]:
        return dict.fromkeys(configuration.voters, own_ahead_ms)

    patch.setattr(LeaderClock, "_voters_ahead_ms", own_alone)


MUTANTS = (
    Mutant("vote not persisted", _vote_not_persisted),
    Mutant("term not persisted", _term_not_persisted),
    Mutant("vote answered before fsync", lambda patch: _answered_before_fsync(patch, RequestVoteResponse)),
    Mutant(
        "append answered before fsync", lambda patch: _answered_before_fsync(patch, AppendEntriesAccepted)
    ),
    Mutant("leader counts itself before its fsync", _leader_counts_itself_before_fsync),
    Mutant("truncation on every append", _truncates_on_every_append),
    Mutant("commit of an old term's entry by counting", _commits_old_terms_by_counting),
    Mutant("commit index taken raw from a heartbeat", _raw_commit_in_heartbeats),
    Mutant("read served before the term's first commit", _reads_before_own_commit),
    Mutant("read confirmed by a round sent before it came", _reads_confirmed_by_an_earlier_round),
    Mutant("read served without asking anybody", _reads_without_a_round),
    Mutant("read index reused", _read_index_reused),
    Mutant("read served before its index is applied", _reads_do_not_wait_for_apply),
    Mutant("applied index saved apart from data", _applied_index_apart_from_data),
    Mutant("snapshot offered under the index before", _snapshot_named_too_low),
    Mutant("snapshot installed under the index after", _snapshot_installed_one_too_low),
    Mutant("late fsync counted for overwritten entries", _late_fsync_counts),
    Mutant("overwritten entries kept in a waiting write", _collected_entries_are_not_replaced),
    Mutant("learner counted in the quorum", _learners_count),
    Mutant("log dropped beyond the durable state", _log_dropped_beyond_the_state),
    Mutant("not applied: answered when no leader is known", _not_applied_on_losing_the_leader),
    Mutant("not applied: answered after a time", _not_applied_after_a_time),
    Mutant("group given to a leader twice", _gives_a_group_twice),
    Mutant("accepted before the snapshot is durable", _accepts_before_the_snapshot),
    Mutant("a stream's rest taken after the next one's", _streams_overtake_each_other),
    Mutant("installation deletes a newer snapshot", _installation_deletes_what_is_received),
    Mutant("repeated number applied again", _numbers_are_not_remembered),
    Mutant("answer given to another command of its number", _numbers_are_not_compared),
    Mutant("acknowledged number applied again", _acknowledged_numbers_are_forgotten),
    Mutant("an entry applied in one turn whatever its work", _entries_applied_whole, Kind.KEYS),
    Mutant("client sessions left out of the snapshot", _snapshots_without_clients),
    Mutant("answers kept in memory only", _answers_in_memory_only),
    Mutant("a transaction finds any absent key equal", _transactions_compare_absent_keys_as_equal),
    Mutant("a transaction told to watches in pieces", _transactions_told_in_pieces),
    Mutant("last revision told again after catching up", _last_revision_told_again_after_catching_up),
    Mutant("history trimmed but not told", _history_trimmed_but_not_told),
    Mutant("a parked watch goes on from now", _parked_watches_go_on_from_now),
    Mutant("watches not told of an installed snapshot", _watches_not_told_of_a_snapshot),
    Mutant("term stored unchecked", _terms_are_stored_unchecked),
    Mutant("claim believed", _claims_are_believed),
    Mutant("forwarded garbage proposed", _forwarded_garbage_is_proposed),
    Mutant("one clock decides", _one_clock_decides),
    *(Mutant(name, apply) for name, apply in MAIL_MUTANTS),
    *(Mutant(name, apply, Kind.LEASES) for name, apply in LEASE_MUTANTS),
)


@dataclass(frozen=True, slots=True)
class Catch:
    """Who found a mutant, and with which seed."""

    seed: int
    checker: str
    message: str


def hunt(mutant: Mutant, *, only_clients: bool, seeds_max: int = SEEDS_MAX) -> Catch | None:
    """Runs seeds from 1 on until one fails; None if none does."""
    for seed in range(1, seeds_max + 1):
        if mutant.kind not in (None, kind_of(seed)):
            continue
        with pytest.MonkeyPatch.context() as patch:
            mutant.apply(patch)
            result = run(seed, only_clients=only_clients)
        if result.failure is not None:
            return Catch(seed, checker_of(result), " ".join(str(result.failure).split())[:90])
    return None


CHECKERS = {
    "checker.py": "mail",
    "lifetimes.py": "owners of leases",
    "model.py": "leases and the log",
    "host.py": "clocks, and the work of a turn",
    "hostile.py": "numbers used again",
    "invariants.py": "laws of Raft",
    "states.py": "digests",
    "ledger.py": "ledger",
    "revisions.py": "revisions",
    "linearizability.py": "linearizability",
    "laws.py": "laws of Raft",
    "durability.py": "durability",
    "simulation.py": "recovery and agreement",
    "transfers.py": "snapshot transfer",
    "watchers.py": "watches",
    "watches.py": "watches",
    "workload.py": "ledger",
}


def checker_of(result: Result) -> str:
    """Where the failure was raised: one of the checkers, or the node itself by its own asserts."""
    assert isinstance(result.failure, AssertionError | StorageError), result.failure
    assert result.failure is not None
    file = traceback.extract_tb(result.failure.__traceback__)[-1].filename.rsplit("/", 1)[-1]
    assert file != "mutants.py", "the mutant itself fails"
    return CHECKERS.get(file, f"the node ({file})")


def main(names: list[str]) -> int:
    """Prints a line for each mutant; 1 if one was not caught by any checker."""
    chosen = [place for place, mutant in enumerate(MUTANTS) if not names or mutant.name in names]
    missed = 0
    print(f"{'mutant':<48} {'seeds':>5}  {'found by':<32} {'seeds':>5}  found by clients' checkers alone")
    with multiprocessing.Pool(2) as pool:
        for place, catches in zip(chosen, pool.imap(_hunt_both, chosen), strict=True):
            line = f"{MUTANTS[place].name:<48}"
            for catch in catches:
                if catch is None:
                    line += f" {'-':>5}  {'NOT CAUGHT':<32}"
                else:
                    line += f" {catch.seed:>5}  {catch.checker:<32}"
            missed += catches[0] is None
            print(line.rstrip(), flush=True)
    return 1 if missed else 0


def _hunt_both(place: int) -> tuple[Catch | None, Catch | None]:
    mutant = MUTANTS[place]
    return hunt(mutant, only_clients=False), hunt(mutant, only_clients=True, seeds_max=CLIENTS_SEEDS_MAX)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
