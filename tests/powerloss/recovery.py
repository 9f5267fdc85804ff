"""What a node makes of a disk: the parts are opened as `kvraft.server` opens them, and a real `Replica`
starts on them and applies its log."""

from __future__ import annotations

import contextlib
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kvraft.machine import keys, kv
from kvraft.machine.records import KvRecord
from kvraft.node.divergence import DigestMessage
from kvraft.node.forwarding import ForwardAnswer, ForwardRequest
from kvraft.node.replica import Replica
from kvraft.node.settings import NodeSettings
from kvraft.raft.events import Received
from kvraft.raft.messages import AppendEntries, Message
from kvraft.raft.ready import SendSnapshot
from kvraft.raft.settings import Settings
from kvraft.raft.types import HardState, Index, NodeId, Term
from kvraft.storage.data_directory import DataDirectory
from kvraft.storage.errors import CorruptionError, DataDirectoryError, StorageError
from kvraft.storage.interfaces import Identity, LogWrite, RecoveredLog, StateStore, StateView
from kvraft.storage.log import SegmentedLog
from kvraft.storage.state import FIRST_GENERATION, LayeredState, open_state
from kvraft.storage.state.digest import MASK, row_hash

Rows = dict[bytes, KvRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """A node that started."""

    hard_state: HardState
    """As the log held it, before the node did anything."""
    last_index: Index
    flushed_index: Index
    """Of the state as it was opened."""
    revision: int
    rows: Rows
    torn_bytes: int
    digest_holds: bool
    """Whether the digest of the state is that of its rows."""
    puts: list[tuple[int, bytes, bytes]]
    """Revision, key and value of what the history has, all from its oldest revision on."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A node that did not want to start."""

    error: str


def recover(data_directory: Path, identity: Identity, segment_bytes: int) -> Recovered | Refused:
    """Starts the node that lives there, applies all that its log holds, and stops it."""
    try:
        with contextlib.ExitStack() as stack:
            directory = stack.enter_context(contextlib.closing(DataDirectory.open(data_directory)))
            if directory.is_initialised:
                log = SegmentedLog.open(directory.log_directory, segment_bytes=segment_bytes)
            else:
                log = SegmentedLog.create(directory.log_directory, identity, segment_bytes=segment_bytes)
            stack.callback(log.close)
            assert log.identity == identity, (log.identity, identity)
            installed = log.recovered.installed_snapshot
            state = open_state(
                directory.state_directory,
                FIRST_GENERATION if installed is None else installed.generation,
                voters=identity.initial_voters,
            )
            stack.callback(state.close)
            return _start(log, state)
    except (CorruptionError, DataDirectoryError, StorageError) as error:
        return Refused(f"{type(error).__name__}: {error}")


def _start(log: SegmentedLog, state: LayeredState) -> Recovered:
    recovered, flushed_index = log.recovered, state.applied.index
    disk = _Disk(log)
    replica = Replica(
        node_id=NodeId(log.identity.node_id),
        settings=NodeSettings(),
        raft_settings=Settings(),
        log=log,
        state=state,
        peers=_Nobody(),
        disk=disk,
        on_role_change=lambda _: None,
        chance=random.Random(0),
        now_ms=0,
    )
    now_ms = 0
    if len(log.identity.initial_voters) == 1:
        now_ms = 10 * Settings().election_timeout_ms  # it elects itself, and commits what it holds
    else:
        _commit_all(replica, recovered)
    while True:
        replica.turn(now_ms, 0)
        disk.tell(replica)
        if not replica.has_work and replica.state.applied.index >= recovered.last_index:
            break
    rows = dict(kv.scan(state, b"", b""))
    digest = sum(row_hash(key, value) for key, value in state.scan(b"", None)) & MASK
    return Recovered(
        hard_state=recovered.hard_state,
        last_index=recovered.last_index,
        flushed_index=flushed_index,
        revision=replica.machine.revision,
        rows=rows,
        torn_bytes=recovered.torn_bytes,
        digest_holds=digest == state.applied.digest,
        puts=list(_puts(state)),
    )


def _puts(state: LayeredState) -> Iterator[tuple[int, bytes, bytes]]:
    first = state.history.oldest_revision
    while revisions := state.read_history(first):
        for revision, changes in revisions:
            for key, row, _ in changes:
                assert row is not None, key
                yield revision, keys.kv_user_key(key), KvRecord.decode(row).value
        first = revisions[-1][0] + 1


def _commit_all(replica: Replica, recovered: RecoveredLog) -> None:
    """A leader of a new term that holds what the node holds, and says that all of it is committed."""
    last_term = recovered.term_starts[-1][1] if recovered.term_starts else recovered.base_term
    leader = next(each for each in replica.raft.configuration.voters if each != replica.node_id)
    replica.tell(
        Received(
            AppendEntries(
                sender=leader,
                target=replica.node_id,
                term=Term(recovered.hard_state.term + 1),
                prev_log_index=recovered.last_index,
                prev_log_term=last_term,
                entries=(),
                leader_commit=recovered.last_index,
            )
        )
    )


class _Disk:
    """Implements `kvraft.node.ports.Disk` at once; the end of each job is told between two turns."""

    def __init__(self, log: SegmentedLog) -> None:
        self._log = log
        self._ended: deque[Callable[[Replica], None]] = deque()

    def tell(self, replica: Replica) -> None:
        while self._ended:
            self._ended.popleft()(replica)

    log_is_stalled = state_is_stalled = False

    def write_log(self, write: LogWrite) -> None:
        self._log.append(write)
        self._ended.append(Replica.log_written)

    def flush_state(self, state: StateStore) -> None:
        state.flush()
        self._ended.append(lambda replica: replica.upkeep.state_flushed())

    def compact_log(self, base_index: Index) -> None:
        self._log.compact(base_index)
        self._ended.append(lambda replica: replica.upkeep.log_compacted())

    def open_state(self, generation: int) -> StateStore:
        raise AssertionError(f"nobody sent snapshot {generation}")

    def discard_snapshot(self, generation: int) -> None:
        raise AssertionError(f"nobody sent snapshot {generation}")


class _Nobody:
    """Implements `kvraft.node.ports.Peers`: all others are away."""

    def send(self, message: Message) -> None:
        pass

    def forward(self, leader: NodeId, request: ForwardRequest) -> bool:
        return False

    def answer(self, follower: NodeId, answer: ForwardAnswer) -> None:
        pass

    def tell_refused(self, peer: NodeId, why: str, count: int) -> None:
        raise AssertionError(f"node {peer} {why}")

    def tell_diverged(self, node: NodeId, index: Index) -> None:
        raise AssertionError(f"the state of node {node} differs at {index}")

    def send_digest(self, peer: NodeId, message: DigestMessage) -> None:
        pass

    def send_snapshot(self, order: SendSnapshot, view: StateView) -> None:
        view.close()
