"""The replica's disk, in threads: one writes the log, one flushes the state and tidies up.

They are two so that a flush, which may take seconds, never delays the fsync that clients wait for. Where
the disk is full a write is made again until there is room (`kvraft.node.worker`); `log_is_stalled` and
`state_is_stalled` say so meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from kvraft.node.node import Node
from kvraft.node.replica import Replica
from kvraft.node.worker import Worker
from kvraft.raft.types import Index
from kvraft.storage.errors import ExhaustedError
from kvraft.storage.interfaces import Cleaned, InstalledSnapshot, LogStorage, LogWrite, StateStore
from kvraft.storage.state import (
    FIRST_GENERATION,
    LayeredState,
    discard_state,
    discard_superseded,
    open_received,
    state_beside,
)


class ThreadedDisk:
    """Implements `kvraft.node.ports.Disk`."""

    def __init__(
        self,
        *,
        log: LogStorage,
        state: LayeredState,
        state_directory: Path,
        loop: asyncio.AbstractEventLoop,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._log = log
        self._state = state
        installed = log.recovered.installed_snapshot
        self._generation = FIRST_GENERATION if installed is None else installed.generation
        """Of the state."""
        self._state_directory = state_directory
        self._tidying = 0
        """Jobs that are not done."""
        self._log_writer = Worker("kvraft-log", loop, on_failure)
        self._state_writer = Worker("kvraft-state", loop, on_failure)
        self._node: Node | None = None

    def start(self, node: Node) -> None:
        """`node` is told what is finished."""
        self._node = node

    def write_log(self, write: LogWrite) -> None:
        self._log_writer.run(lambda: self._log.append(write), self._tell(Replica.log_written))

    def flush_state(self, state: StateStore) -> None:
        self._state_writer.run(state.flush, self._tell(lambda replica: replica.upkeep.state_flushed()))

    def compact_log(self, base_index: Index) -> None:
        self._log_writer.tidy_up(
            lambda: self._log.compact(base_index), self._tell(lambda replica: replica.upkeep.log_compacted())
        )

    @property
    def log_is_stalled(self) -> bool:
        return self._log_writer.is_stalled

    @property
    def state_is_stalled(self) -> bool:
        return self._state_writer.is_stalled

    def rewrite_state(self, cleaned: Cleaned) -> None:
        self._state.begin_rewrite(lambda: state_beside(self._state_directory), cleaned)

    def abandon_rewrite(self) -> None:
        rewrite = self._state.rewrite
        self._state.abandon_rewrite()
        if rewrite is not None and rewrite.generation:
            self.discard_snapshot(rewrite.generation)

    def rebase_log(self, snapshot: InstalledSnapshot) -> None:
        self._log_writer.run(
            lambda: self._log.rebase(snapshot), self._tell(lambda replica: replica.upkeep.log_rebased())
        )

    def exchange_state(self, generation: int, revision: int, time_ms: int) -> None:
        replaced, self._generation = self._generation, generation
        self._state.exchange(revision, time_ms)
        self._tidy_up(lambda: discard_state(self._state_directory, replaced))

    @property
    def is_tidy(self) -> bool:
        return not self._tidying

    def open_state(self, generation: int) -> StateStore:
        self.abandon_rewrite()
        self._state.close()
        self._state = open_received(self._state_directory, generation)
        replaced, self._generation = self._generation, generation
        self._tidy_up(lambda: discard_superseded(self._state_directory, generation))
        if replaced > generation:  # it was received while the one that is replaced was rewritten
            self._tidy_up(lambda: discard_state(self._state_directory, replaced))
        return self._state

    def discard_snapshot(self, generation: int) -> None:
        self._tidy_up(lambda: discard_state(self._state_directory, generation))

    def close(self, *, flush: bool) -> None:
        """Waits for what was begun, then closes log and state; with `flush`, nothing need be replayed at
        the next start, if there is room. Raises StorageError."""
        is_stalled = self.state_is_stalled
        self._log_writer.stop()
        self._state_writer.stop()
        if flush and not is_stalled and self._state.freeze():
            with contextlib.suppress(ExhaustedError):
                self._state.flush()
        self._log.close()
        self._state.close()

    def _tidy_up(self, job: Callable[[], None]) -> None:
        """Nobody waits for it."""

        def done(_: None) -> None:
            self._tidying -= 1

        self._tidying += 1
        self._state_writer.tidy_up(job, done)

    def _tell(self, what: Callable[[Replica], None]) -> Callable[[None], None]:
        def told(_: None) -> None:
            assert self._node is not None, "a disk finished before the node was listening"
            what(self._node.replica)
            self._node.wake()

        return told
