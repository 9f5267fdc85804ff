"""The clock that a leader stamps its batches with: what replicated time is made of.

It is set once, when the node begins to lead in a term, and runs on by the clock that never jumps. So whatever
somebody does to the machine's clock (a wrong date, a step of NTP) ends no lease and no message under a leader
that serves. And it is never set back behind what earlier leaders stamped, nor behind what has passed since
the last stamp: every node counts that by its own clock that never jumps, from the moment it applied the stamp
on. So an election makes nothing live longer, though the new leader's clock be behind and nobody have written
for a while.
"""

from __future__ import annotations

from kvraft.raft.types import Term


class LeaderClock:
    """Replicated time: followed on every node, and stamped while this one leads."""

    __slots__ = ("_ahead_ms", "_replicated_ahead_ms", "_replicated_ms", "_term")

    def __init__(self, *, replicated_ms: int, now_ms: int) -> None:
        self._term: Term | None = None
        self._ahead_ms = 0
        """Of the clock that never jumps."""
        self._replicated_ms = replicated_ms
        self._replicated_ahead_ms = replicated_ms - now_ms

    def follow(self, replicated_ms: int, now_ms: int) -> None:
        """The highest stamp that is applied, in milliseconds since the Unix epoch. The newest one counts, not
        the one that was furthest ahead: of how much faster this node's clock runs, nothing adds up."""
        if replicated_ms > self._replicated_ms:
            self._replicated_ms = replicated_ms
            self._replicated_ahead_ms = replicated_ms - now_ms

    def read(self, term: Term, *, now_ms: int, wall_ms: int) -> int:
        """Milliseconds since the Unix epoch. This node leads in `term`; `wall_ms` is what its machine takes
        for the time."""
        if term != self._term:
            self._term = term
            self._ahead_ms = wall_ms - now_ms
        # Not only at the beginning: what earlier leaders stamped may be applied a little later.
        self._ahead_ms = max(self._ahead_ms, self._replicated_ahead_ms)
        return now_ms + self._ahead_ms
