"""A machine's disk: what is on it survives the process, what was only on its way does not.

Each job (a log write, a compaction, a flush of the state) takes simulated time and takes effect as a
whole at its end. A crash meanwhile loses it, or keeps it without anybody having been told: both are
what a real disk may do with a write that was not yet synced. Two queues work as the two threads of
`kvraft.node.disk` do.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from kvraft.raft.types import Index, SnapshotMetadata
from kvraft.storage.errors import StorageError
from kvraft.storage.interfaces import (
    Applied,
    Cleaned,
    Identity,
    InstalledSnapshot,
    LogWrite,
    StateStore,
)
from kvraft.storage.memory_log import MemoryLog
from kvraft.storage.state import FIRST_GENERATION, LayeredState, MemoryEngine, RewriteTarget
from tests.sim.report import Report
from tests.sim.timeline import MS_US, Timeline

NEED_ROOM = frozenset({"flush", "log write", "rebase"})
"""What waits on a full disk. Everything else makes room."""


class Process(Protocol):
    """What a disk needs of the process that uses it."""

    def post(self, life: int, action: Callable[[], None]) -> None:
        """Does something in the process, unless it is another one by then."""
        ...

    def stop(self, why: str) -> None: ...

    @property
    def life(self) -> int: ...


@dataclass(frozen=True, slots=True)
class _Job:
    kind: str
    life: int
    effect: Callable[[], None]
    on_done: Callable[[], None]


class _Queue:
    """Jobs in order, one at a time."""

    __slots__ = ("disk", "is_effected", "is_stalled", "jobs")

    def __init__(self, disk: SimulatedDisk) -> None:
        self.disk = disk
        self.jobs: deque[_Job] = deque()
        self.is_effected = False
        """Whether the first job has reached the disk, but the process has not heard of it."""
        self.is_stalled = False
        """Whether the first job waits for room."""

    def run(self, job: _Job) -> None:
        self.jobs.append(job)
        if len(self.jobs) == 1:
            self._begin()

    def _begin(self) -> None:
        self.is_effected = False
        self.hurry()

    def hurry(self) -> None:
        """The first job ends after a latency of now, unless it ends before."""
        if self.jobs:
            job = self.jobs[0]
            self.disk.timeline.after(self.disk.latency_us(job.kind), self._end, job)

    def _end(self, job: _Job) -> None:
        disk = self.disk
        if not self.jobs or self.jobs[0] is not job or self.is_effected:
            return  # the process died meanwhile, or the disk was healed
        self.is_stalled = disk.is_full and job.kind in NEED_ROOM
        if self.is_stalled:
            disk.report.events[f"{job.kind} waited for room"] += 1
            disk.timeline.after(500 * MS_US, self._end, job)
            return
        if disk.is_hung:
            disk.timeline.after(50 * MS_US, self._end, job)
            return
        if disk.is_failing:
            disk.is_failing = False
            disk.report.fault("disk failed", f"{disk.name} {job.kind}")
            disk.process.stop("disk failed")
            return
        job.effect()
        self.is_effected = True
        disk.report.events[job.kind] += 1

        def done() -> None:
            self.jobs.popleft()
            job.on_done()
            if self.jobs:
                self._begin()

        disk.process.post(job.life, done)

    def crash(self) -> None:
        """The process died: the job under way may have reached the disk, those behind it not."""
        if self.jobs:
            job = self.jobs[0]
            if self.is_effected:
                pass
            elif self.disk.chance.random() < 0.5:
                job.effect()
                self.disk.report.fault(f"crash kept an unconfirmed {job.kind}", self.disk.name)
            else:
                self.disk.report.fault(f"crash lost a {job.kind}", self.disk.name)
            self.jobs.clear()
        self.is_stalled = False


class SimulatedDisk:
    """Implements `kvraft.node.ports.Disk`."""

    def __init__(
        self,
        timeline: Timeline,
        chance: random.Random,
        report: Report,
        identity: Identity,
        learners: tuple[int, ...],
    ) -> None:
        self.timeline = timeline
        self.chance = chance
        self.report = report
        self.name = f"n{identity.node_id}"
        self.process: Process
        self._voters, self._learners = identity.initial_voters, learners
        self.log = MemoryLog(identity)
        self.generations: dict[int, MemoryEngine] = {FIRST_GENERATION: MemoryEngine()}
        """The directories of states, by name."""
        self._log_queue = _Queue(self)
        self._state_queue = _Queue(self)
        self._told: Callable[[str], None] = lambda _: None
        self._state: LayeredState | None = None
        self.generation = FIRST_GENERATION
        """Of the state."""
        self.slowness = self.flush_slowness = 1.0
        self.is_hung = False
        self.is_failing = False
        self.is_full = False

    # --- a process begins and ends ------------------------------------------------------------

    def boot(self, told: Callable[[str], None]) -> tuple[MemoryLog, StateStore]:
        """What a new process finds. `told` is called with the name of the replica's method that is to
        be told of an end."""
        self._told = told
        self.log = self.log.reopened()
        installed = self.log.recovered.installed_snapshot
        generation = FIRST_GENERATION if installed is None else installed.generation
        state = self._state = self._open(generation)
        self.generation = generation
        self.generations = {generation: self.generations[generation]}
        return self.log, state

    def crash(self) -> None:
        """The process died."""
        self._log_queue.crash()
        self._state_queue.crash()
        self._state = None

    def heal(self) -> None:
        """Quick and faultless from now on, also for what is under way."""
        self.slowness = self.flush_slowness = 1.0
        self.is_hung = self.is_failing = self.is_full = False
        self._log_queue.hurry()
        self._state_queue.hurry()

    @property
    def is_flushing(self) -> bool:
        return bool(self._state_queue.jobs)

    def latency_us(self, kind: str) -> int:
        fastest_us = 5_000 if kind == "flush" else 200
        slowness = self.flush_slowness if kind == "flush" else self.slowness
        return int((fastest_us + self.chance.expovariate(1 / (3 * fastest_us))) * slowness)

    # --- Disk ---------------------------------------------------------------------------------

    def write_log(self, write: LogWrite) -> None:
        self._run(self._log_queue, "log write", lambda: self.log.append(write), "log_written")

    def compact_log(self, base_index: Index) -> None:
        self._run(self._log_queue, "compaction", lambda: self.log.compact(base_index), "upkeep.log_compacted")

    def flush_state(self, state: StateStore) -> None:
        self._run(self._state_queue, "flush", state.flush, "upkeep.state_flushed")

    def rewrite_state(self, cleaned: Cleaned) -> None:
        assert self._state is not None
        self._state.begin_rewrite(self._new_target, cleaned)

    def _new_target(self) -> RewriteTarget:
        generation = self.begin_receiving()
        return RewriteTarget(generation, self.generations[generation], lambda: None)

    def abandon_rewrite(self) -> None:
        assert self._state is not None
        rewrite = self._state.rewrite
        self._state.abandon_rewrite()
        if rewrite is not None and rewrite.generation:
            self._discard(rewrite.generation)

    def rebase_log(self, snapshot: InstalledSnapshot) -> None:
        self._run(self._log_queue, "rebase", lambda: self.log.rebase(snapshot), "upkeep.log_rebased")

    def exchange_state(self, generation: int, revision: int, time_ms: int) -> None:
        assert self._state is not None
        self._state.exchange(revision, time_ms)
        replaced, self.generation = self.generation, generation
        self._run(self._state_queue, "discard", lambda: self._discard(replaced), None)
        self.report.events["state rewritten"] += 1

    @property
    def log_is_stalled(self) -> bool:
        return self._log_queue.is_stalled

    @property
    def state_is_stalled(self) -> bool:
        return self._state_queue.is_stalled

    @property
    def is_tidy(self) -> bool:
        return True

    def open_state(self, generation: int) -> StateStore:
        assert self._state is not None
        self.abandon_rewrite()
        self._state.close()
        self._state = self._open(generation)
        self.generation = generation
        self._run(self._state_queue, "discard", lambda: self.delete_superseded(generation), None)
        self.report.events["snapshot installed"] += 1
        return self._state

    def discard_snapshot(self, generation: int) -> None:
        self._run(self._state_queue, "discard", lambda: self._discard(generation), None)

    def _run(self, queue: _Queue, kind: str, effect: Callable[[], None], told: str | None) -> None:
        tell = self._told
        queue.run(
            _Job(kind, self.process.life, effect, (lambda: None) if told is None else lambda: tell(told))
        )

    def _open(self, generation: int) -> LayeredState:
        if generation not in self.generations:
            raise StorageError(f"{self.name}: the log names generation {generation}, but it is not there")
        return LayeredState(self.generations[generation], voters=self._voters, learners=self._learners)

    def delete_superseded(self, generation: int) -> None:
        """While the process runs a newer one may be what is just being received."""
        for older in [each for each in self.generations if each < generation]:
            del self.generations[older]

    def _discard(self, generation: int) -> None:
        self.generations.pop(generation, None)

    # --- states that are received -------------------------------------------------------------

    def begin_receiving(self) -> int:
        """A new directory, as `receive_state` makes one."""
        generation = max(self.generations) + 1
        self.generations[generation] = MemoryEngine()
        return generation

    def finish_receiving(
        self, generation: int, rows: list[tuple[bytes, bytes]], metadata: SnapshotMetadata, digest: int
    ) -> bool:
        """Makes a received state durable. False: its directory went meanwhile."""
        engine = self.generations.get(generation)
        if engine is None:
            return False
        configuration = metadata.configuration
        engine.write(
            rows,
            Applied(
                index=metadata.index,
                term=metadata.term,
                voters=configuration.voters,
                learners=configuration.learners,
                digest=digest,
            ),
        )
        return True

    def abandon_receiving(self, generation: int) -> None:
        self._discard(generation)
