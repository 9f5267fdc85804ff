"""Equal entries make equal states, and a node goes forward: looked at after every turn."""

from __future__ import annotations

from kvraft.node.replica import Replica
from kvraft.raft.types import Index, NodeId


class StateAgreement:
    """The digest of the state after each entry, from whoever applied it first, and all others beside it."""

    __slots__ = ("_applied", "_digests", "_revisions")

    def __init__(self) -> None:
        self._digests: dict[Index, int] = {}
        self._revisions: dict[Index, int] = {}
        self._applied: dict[NodeId, Index] = {}

    def booted(self, node_id: NodeId, replica: Replica) -> None:
        """A process begins from its disk, maybe behind where it was."""
        applied = replica.state.applied
        self.check(node_id, applied.index, applied.digest)
        self._applied[node_id] = applied.index

    def observe(self, node_id: NodeId, replica: Replica) -> None:
        """After a turn. Raises AssertionError if the node disagrees with another one."""
        applied = replica.state.applied
        before = self._applied[node_id]
        if applied.index == before:
            return
        assert applied.index > before, f"n{node_id}: the state went back from {before} to {applied.index}"
        known = replica.digests._digests
        for position in range(before + 1, applied.index):
            index = Index(position)
            if index in known:
                self.check(node_id, index, known[index])
        self.check(node_id, applied.index, applied.digest)
        self._applied[node_id] = applied.index
        if replica.is_amid_entry:
            return  # the revision is already another one
        revision = self._revisions.setdefault(applied.index, replica.machine.revision)
        assert revision == replica.machine.revision, (
            f"n{node_id}: revision {replica.machine.revision} at {applied.index}, elsewhere {revision}"
        )

    def check(self, node_id: NodeId, index: Index, digest: int) -> None:
        """Raises AssertionError if another node had another digest at this index."""
        known = self._digests.setdefault(index, digest)
        assert known == digest, f"n{node_id}: digest {digest:016x} at {index}, elsewhere {known:016x}"
