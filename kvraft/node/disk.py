"""The replica's disk, in threads: one writes the log, one flushes the state and tidies up.

They are two so that a flush, which may take seconds, never delays the fsync that clients wait for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from kvraft.node.node import Node
from kvraft.node.replica import Replica
from kvraft.node.worker import Worker
from kvraft.raft.types import Index
from kvraft.storage.interfaces import LogStorage, LogWrite, StateStore
from kvraft.storage.state import discard_state, discard_superseded, open_received


class ThreadedDisk:
    """Implements `kvraft.node.ports.Disk`."""

    def __init__(
        self,
        *,
        log: LogStorage,
        state: StateStore,
        state_directory: Path,
        loop: asyncio.AbstractEventLoop,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._log = log
        self._state = state
        self._state_directory = state_directory
        self._log_writer = Worker("kvraft-log", loop, on_failure)
        self._state_writer = Worker("kvraft-state", loop, on_failure)
        self._node: Node | None = None

    def start(self, node: Node) -> None:
        """`node` is told what is finished."""
        self._node = node

    def write_log(self, write: LogWrite) -> None:
        self._log_writer.run(lambda: self._log.append(write), self._tell(Replica.log_written))

    def flush_state(self, state: StateStore) -> None:
        self._state_writer.run(state.flush, self._tell(Replica.state_flushed))

    def compact_log(self, base_index: Index) -> None:
        self._log_writer.run(lambda: self._log.compact(base_index), self._tell(Replica.log_compacted))

    def open_state(self, generation: int) -> StateStore:
        self._state.close()
        self._state = open_received(self._state_directory, generation)
        self._tidy_up(lambda: discard_superseded(self._state_directory, generation))
        return self._state

    def discard_snapshot(self, generation: int) -> None:
        self._tidy_up(lambda: discard_state(self._state_directory, generation))

    def close(self, *, flush: bool) -> None:
        """Waits for what was begun, then closes log and state; with `flush`, nothing need be replayed at
        the next start. Raises StorageError."""
        self._log_writer.stop()
        self._state_writer.stop()
        if flush and self._state.freeze():
            self._state.flush()
        self._log.close()
        self._state.close()

    def _tidy_up(self, job: Callable[[], None]) -> None:
        """Nobody waits for it."""
        self._state_writer.run(job, lambda _: None)

    def _tell(self, what: Callable[[Replica], None]) -> Callable[[None], None]:
        def told(_: None) -> None:
            assert self._node is not None, "a disk finished before the node was listening"
            what(self._node.replica)
            self._node.wake()

        return told
