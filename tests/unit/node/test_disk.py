"""The disk in threads: what takes long never runs in the loop's."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from kvraft.node.disk import ThreadedDisk
from kvraft.raft.configuration import Configuration
from kvraft.raft.types import Index, NodeId, SnapshotMetadata, Term
from kvraft.storage.interfaces import Identity
from kvraft.storage.memory_log import MemoryLog
from kvraft.storage.state import FIRST_GENERATION, LayeredState, MemoryEngine, open_state, receive_state

METADATA = SnapshotMetadata(index=Index(7), term=Term(3), configuration=Configuration((NodeId(1),)))
IDENTITY = Identity(cluster_id=1, cluster_name="test", node_id=1, initial_voters=(1,))


class BusyState(LayeredState):
    """Its flush takes until it is let go."""

    def __init__(self) -> None:
        super().__init__(MemoryEngine(), voters=(1,))
        self.may_end = threading.Event()

    def flush(self) -> None:
        self.may_end.wait()


def test_a_superseded_state_is_deleted_behind_the_flush_that_is_under_way(tmp_path: Path) -> None:
    state = open_state(tmp_path, FIRST_GENERATION, voters=(1,))
    receiver = receive_state(tmp_path)
    receiver.finish(METADATA, 0)
    busy = BusyState()
    with asyncio.Runner() as runner:
        disk = ThreadedDisk(
            log=MemoryLog(IDENTITY),
            state=state,
            state_directory=tmp_path,
            loop=runner.get_loop(),
            on_failure=pytest.fail,
        )
        disk.flush_state(busy)
        received = disk.open_state(receiver.generation)
        assert received.applied.index == 7
        assert sorted(path.name for path in tmp_path.iterdir()) == ["00000001", "00000002"]
        busy.may_end.set()
        disk.close(flush=False)
    assert [path.name for path in tmp_path.iterdir()] == ["00000002"]
