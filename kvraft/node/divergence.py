"""Comparing states: nodes that have applied the same entries must hold the same rows, always.

Followers tell the leader the digest of their state at an applied index; the leader remembers its
own digests for a while and compares. The check is always on: what is off is not there on the day
it is needed.
"""

from __future__ import annotations

from collections import deque

from kvraft.raft.configuration import Configuration
from kvraft.raft.types import Index, NodeId


class DigestComparison:
    """The recent digests of this node, and who disagreed with them."""

    __slots__ = ("_digests", "_order", "_size_max", "disagreed")

    def __init__(self, size_max: int) -> None:
        self._size_max = size_max
        self._digests: dict[Index, int] = {}
        self._order: deque[Index] = deque()
        self.disagreed: dict[NodeId, Index] = {}
        """The last index at which each node's digest differed from this one's."""

    def remember(self, index: Index, digest: int) -> None:
        """This node's digest once `index` is applied."""
        self._digests[index] = digest
        self._order.append(index)
        if len(self._order) > self._size_max:
            del self._digests[self._order.popleft()]

    def compare(self, node: NodeId, index: Index, digest: int) -> bool | None:
        """Whether the node's state is equal at `index`; None where this node cannot tell."""
        own = self._digests.get(index)
        if own is None:
            return None
        if own == digest:
            self.disagreed.pop(node, None)
            return True
        self.disagreed[node] = index
        return False

    def suspects(self, own_id: NodeId, configuration: Configuration) -> dict[NodeId, Index]:
        """Whose state is to be doubted: those who disagree, or this node itself if it stands
        against a majority."""
        if configuration.has_quorum(self.disagreed):
            return {own_id: max(self.disagreed.values())}
        return dict(self.disagreed)
