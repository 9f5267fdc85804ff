"""What a replica does with its files beside the writes of the log: flushes, compaction, copies, snapshots.

The state is in one phase at a time. A flush writes what was applied; after it the log may drop segments,
or, when a complete copy of the state lies beside it (`kvraft.storage.state.rewrite`), begin anew. A
snapshot that was received becomes the state when the log's record of it is durable, never under a flush. A
full disk shows here as a flush that does not end: what is applied meanwhile stays in memory, up to a limit,
and in the log.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING

from kvraft.node.erasures import ErasureProgress, Erasures, cleanable_revision
from kvraft.node.ports import Disk
from kvraft.node.space import Room
from kvraft.raft.configuration import Configuration
from kvraft.raft.events import Compacted
from kvraft.raft.messages import InstallSnapshot
from kvraft.raft.types import Index, NodeId, SnapshotMetadata
from kvraft.storage.interfaces import Cleaned, DiskSpace, InstalledSnapshot, LogStorage

if TYPE_CHECKING:
    from kvraft.node.replica import Replica

OnInstalled = Callable[[bool], None]
"""Called once: whether the received snapshot became the state."""


class Phase(Enum):
    """What is being done with the state."""

    IDLE = "idle"
    FLUSHING = "flushing"
    INSTALL_WAITS = "flushing, and a received state waits for the end of it"
    INSTALLING = "the log writes that a received state is the state"
    REBASING = "the log writes that the copy is the state, and begins anew after it"


ALLOWED_TRANSITIONS = {
    Phase.IDLE: {Phase.FLUSHING, Phase.INSTALLING},
    Phase.FLUSHING: {Phase.IDLE, Phase.INSTALL_WAITS, Phase.REBASING},
    Phase.INSTALL_WAITS: {Phase.INSTALLING},
    Phase.INSTALLING: {Phase.IDLE},
    Phase.REBASING: {Phase.IDLE},
}


class Upkeep:
    """The files of one replica."""

    def __init__(self, replica: Replica, log: LogStorage, disk: Disk, now_ms: int) -> None:
        self._replica = replica
        self._log = log
        self._disk = disk
        self._phase = Phase.IDLE
        self._staged: tuple[InstallSnapshot, int, OnInstalled] | None = None
        """Received in this turn."""
        self._on_installed: OnInstalled | None = None
        self._rebasing: InstalledSnapshot | None = None
        self._is_compacting = False
        self._flushed_ms = now_ms
        self._room: Room | None = None
        """None: not known, or of no concern."""
        self.erasures = Erasures(replica.settings.erasure_delay_ms)
        self.take_up_erasures()

    def _become(self, phase: Phase) -> None:
        assert phase in ALLOWED_TRANSITIONS[self._phase], (self._phase, phase)
        self._phase = phase

    # --- flushes, and what follows them -------------------------------------------------------

    def flush_if_due(self, now_ms: int) -> None:
        """Begins a flush when there is enough to write, or it is time; never amid an entry."""
        settings, state = self._replica.settings, self._replica.state
        due = (
            now_ms - self._flushed_ms >= settings.flush_interval_ms
            or state.memory_bytes >= settings.flush_bytes
        )
        if due and self._phase is Phase.IDLE and not self._replica.is_amid_entry:
            self._flushed_ms = now_ms
            if state.freeze(trims_history=self._must_trim_history):
                self._become(Phase.FLUSHING)
                self._disk.flush_state(state)

    def state_flushed(self) -> None:
        """The frozen tables are in the state on disk."""
        state = self._replica.state
        state.flush_done()
        if state.rewrite is not None and state.rewrite.has_failed:
            self._disk.abandon_rewrite()
        if self._phase is Phase.INSTALL_WAITS:
            self._become(Phase.INSTALLING)
        elif self._may_rebase:
            self._rebase()
            return
        else:
            self._become(Phase.IDLE)
        self._compact()

    def _compact(self) -> None:
        """Begins to drop segments that nobody needs."""
        replica = self._replica
        if self._is_compacting or self._phase is Phase.REBASING:
            return
        retained_bytes = replica.settings.log_retained_bytes
        if self._room is not None:
            retained_bytes = min(retained_bytes, self._room.log_retained_bytes)
        droppable = min(replica.state.flushed_index, replica.raft.compactable_index)
        base_index = self._log.plan_compaction(Index(droppable), retained_bytes)
        if base_index >= replica.raft.first_log_index:
            self._is_compacting = True
            # First of all: from now on nothing may ask for what is being dropped.
            replica.tell_first(Compacted(index=base_index))
            self._disk.compact_log(base_index)

    def log_compacted(self) -> None:
        """The segments that were to go are gone."""
        self._is_compacting = False

    # --- space --------------------------------------------------------------------------------

    def measured(self, space: DiskSpace, reserve_bytes: int) -> None:
        """The disk has this much room now: what that means for growth, history, log and free pages."""
        state = self._replica.state
        room = self._room = Room(
            space=space, reserve_bytes=reserve_bytes, usage=state.usage, log_bytes=self._log.size_bytes
        )
        self._replica.no_space = room.refuses_growth
        state.history.limit_bytes(room.history_bytes_max)
        if room.log_retained_bytes < self._replica.settings.log_retained_bytes:
            self._compact()

    @property
    def _must_trim_history(self) -> bool:
        room = self._room
        return room is not None and room.refuses_growth and room.usage.history_bytes > 0

    # --- new files ----------------------------------------------------------------------------

    def rewrite_if_due(self, now_ms: int, wall_ms: int) -> None:
        """What was erased is to leave the files, and free pages are to be given back where room is scarce.
        Without room for a copy that waits."""
        replica = self._replica
        if self._phase is not Phase.IDLE:
            return
        fits = not replica.no_space if self._room is None else self._room.fits_copy
        if replica.state.rewrite is not None:
            if not fits:
                self._disk.abandon_rewrite()
        elif fits:
            time_ms = max(wall_ms, replica.machine.clock_ms)
            is_wasteful = self._room is not None and self._room.is_wasteful
            if self.erasures.are_due(replica.state, now_ms, time_ms) or is_wasteful:
                revision = cleanable_revision(replica.state, replica.machine.revision)
                self._disk.rewrite_state(Cleaned(revision=revision, time_ms=time_ms))

    @property
    def _may_rebase(self) -> bool:
        """Whether the copy of the state may take its place, and the log begin anew after it."""
        rewrite = self._replica.state.rewrite
        return (
            rewrite is not None
            and rewrite.is_complete
            and self._replica.state.flushed.index <= self._replica.raft.compactable_index
            and not self._is_compacting
            and self._staged is None
        )

    def _rebase(self) -> None:
        state = self._replica.state
        assert state.rewrite is not None
        flushed = state.flushed
        metadata = SnapshotMetadata(
            index=flushed.index,
            term=flushed.term,
            configuration=Configuration(
                tuple(map(NodeId, flushed.voters)), tuple(map(NodeId, flushed.learners))
            ),
        )
        self._become(Phase.REBASING)
        self._rebasing = InstalledSnapshot(metadata=metadata, generation=state.rewrite.generation)
        # First of all: from now on nothing may ask for what is being dropped.
        self._replica.tell_first(Compacted(index=flushed.index))
        self._disk.rebase_log(self._rebasing)

    def log_rebased(self) -> None:
        """The log says that the copy is the state: from here on it is."""
        assert self._rebasing is not None
        generation, self._rebasing = self._rebasing.generation, None
        self._become(Phase.IDLE)
        self._disk.exchange_state(generation, self._replica.machine.revision, self._replica.wall_ms)
        self.take_up_erasures()

    def take_up_erasures(self) -> None:
        """The state is another one, or in other files. New ones hold nothing that was erased before."""
        state, machine = self._replica.state, self._replica.machine
        revision = cleanable_revision(state, machine.revision)
        state.begin_cleaned(Cleaned(revision=revision, time_ms=machine.clock_ms))
        self.erasures.begin(state)

    def erasure(self, erasure_id: int) -> ErasureProgress:
        """How far this node has come with an erasure, which is named by its revision."""
        cleaned = self._replica.state.cleaned
        is_copied = cleaned.revision >= erasure_id
        log_clean, state_clean = is_copied and self._log.is_tidy, is_copied and self._disk.is_tidy
        return ErasureProgress(
            applied=self._replica.machine.revision >= erasure_id,
            log_clean=log_clean,
            state_clean=state_clean,
            clean_ms=cleaned.time_ms if log_clean and state_clean else None,
        )

    # --- received states ----------------------------------------------------------------------

    def stage(self, message: InstallSnapshot, generation: int, on_installed: OnInstalled) -> bool:
        """A whole snapshot lies beside the state, durable and checked. False: it is not wanted now."""
        if self._staged is not None or self._phase not in (Phase.IDLE, Phase.FLUSHING):
            self._disk.discard_snapshot(generation)
            on_installed(False)
            return False
        self._staged = (message, generation, on_installed)
        return True

    def unstage(self, wanted: SnapshotMetadata | None) -> InstalledSnapshot | None:
        """What was staged, if the algorithm wants just this to be the state: the log has to say so next."""
        if self._staged is None:
            return None
        (message, generation, on_installed), self._staged = self._staged, None
        if wanted != message.snapshot:
            self._disk.discard_snapshot(generation)
            on_installed(False)
            return None
        self._on_installed = on_installed
        self._become(Phase.INSTALL_WAITS if self._phase is Phase.FLUSHING else Phase.INSTALLING)
        return InstalledSnapshot(metadata=message.snapshot, generation=generation)

    @property
    def holds_back_snapshot(self) -> bool:
        """Whether the log must not yet say that a received state is the state."""
        return self._phase is Phase.INSTALL_WAITS

    def installed(self) -> None:
        """What was received is the state."""
        self._become(Phase.IDLE)
        self.take_up_erasures()
        on_installed, self._on_installed = self._on_installed, None
        assert on_installed is not None
        on_installed(True)
