"""What the replica needs of the world. The node gives it asyncio, threads and gRPC; a simulator
gives it queues. Nothing here waits: what takes time is begun, and its end is told to the replica.
"""

from __future__ import annotations

from typing import Protocol

from kvraft.node.divergence import DigestMessage
from kvraft.node.forwarding import ForwardAnswer, ForwardRequest
from kvraft.raft.messages import Message
from kvraft.raft.ready import SendSnapshot
from kvraft.raft.types import Index, NodeId
from kvraft.storage.interfaces import Cleaned, InstalledSnapshot, LogWrite, StateStore, StateView


class Peers(Protocol):
    """The other nodes. Everything but `forward` may be lost without a word."""

    def send(self, message: Message) -> None:
        """To `message.target`, in order with what was sent there before."""
        ...

    def forward(self, leader: NodeId, request: ForwardRequest) -> bool:
        """To the leader. Some of it may be lost, but as long as this process lives nothing arrives behind
        what was sent after it (see `kvraft.node.proposals`). False: it cannot be sent now, and was not."""
        ...

    def answer(self, follower: NodeId, answer: ForwardAnswer) -> None:
        """To a follower that forwarded something."""
        ...

    def send_digest(self, peer: NodeId, message: DigestMessage) -> None:
        """Between the leader and a member."""
        ...

    def tell_diverged(self, node: NodeId, index: Index) -> None:
        """Logs that the state of a node, maybe this one, differs from a majority's at this index."""
        ...

    def tell_refused(self, peer: NodeId, why: str, count: int) -> None:
        """Logs that this peer sent what no correct node sends, `count` times by now. `why` follows its
        name."""
        ...

    def send_snapshot(self, order: SendSnapshot, view: StateView) -> None:
        """Begins a transfer and closes the view after it; ends with `Replica.snapshot_sent`."""
        ...


class Disk(Protocol):
    """The own disk. A failure does not come back: it stops the node; for room it waits."""

    @property
    def log_is_stalled(self) -> bool:
        """Whether the log takes nothing more until there is room."""
        ...

    @property
    def state_is_stalled(self) -> bool:
        """Whether the flush that was begun waits for room."""
        ...

    def write_log(self, write: LogWrite) -> None:
        """Begins one durable write; ends with `Replica.log_written`. One at a time."""
        ...

    def flush_state(self, state: StateStore) -> None:
        """Begins `state.flush()`; ends with `Upkeep.state_flushed`. One at a time."""
        ...

    def compact_log(self, base_index: Index) -> None:
        """Begins dropping old segments; ends with `Upkeep.log_compacted`. One at a time."""
        ...

    def rewrite_state(self, cleaned: Cleaned) -> None:
        """Begins a copy of the state in new files; the flushes from now on make it."""
        ...

    def abandon_rewrite(self) -> None:
        """Lets go of the copy, and begins to delete it. Never while a flush is under way."""
        ...

    def rebase_log(self, snapshot: InstalledSnapshot) -> None:
        """Begins `LogStorage.rebase`; ends with `Upkeep.log_rebased`. One at a time."""
        ...

    def exchange_state(self, generation: int, revision: int, time_ms: int) -> None:
        """The copy is the state from now on, which is at `revision`; begins to delete the files it had."""
        ...

    @property
    def is_tidy(self) -> bool:
        """Whether the files of all states but the present one are deleted."""
        ...

    def open_state(self, generation: int) -> StateStore:
        """Opens a received state, which is the state from now on; closes the old one and begins to delete
        it."""
        ...

    def discard_snapshot(self, generation: int) -> None:
        """Deletes a received state that is not wanted."""
        ...
