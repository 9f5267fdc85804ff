"""What peers said that cannot be, and was refused: for the log, where each peer has a line a minute however
often it happens, and for whoever asks for the status."""

from __future__ import annotations

from dataclasses import dataclass

from kvraft.raft.types import NodeId

LOG_INTERVAL_MS = 60_000
SHOWN_MS = 600_000
"""How long after the last one a peer is still named."""


@dataclass(slots=True)
class PeerRefusal:
    """What was refused of one peer."""

    why: str
    """Of the last one; follows the peer's name in a sentence."""
    count: int
    last_ms: int
    logged_ms: int


class PeerRefusals:
    """Who sent what no correct node sends."""

    __slots__ = ("_of",)

    def __init__(self) -> None:
        self._of: dict[NodeId, PeerRefusal] = {}

    def note(self, peer: NodeId, why: str, now_ms: int) -> int:
        """How many of this peer's are to be told now; 0: it was told of lately."""
        known = self._of.get(peer)
        if known is None:
            self._of[peer] = PeerRefusal(why, 1, now_ms, now_ms)
            return 1
        known.why, known.count, known.last_ms = why, known.count + 1, now_ms
        if now_ms - known.logged_ms < LOG_INTERVAL_MS:
            return 0
        known.logged_ms = now_ms
        return known.count

    def recent(self, now_ms: int) -> dict[NodeId, PeerRefusal]:
        """Of whom something was refused in the last ten minutes."""
        return {peer: each for peer, each in sorted(self._of.items()) if now_ms - each.last_ms <= SHOWN_MS}
