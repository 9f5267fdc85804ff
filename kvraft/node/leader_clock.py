"""The clock that a leader stamps its batches with: what replicated time is made of.

It is set once, when the node begins to lead in a term, and runs on by the clock that never jumps. So whatever
somebody does to the machine's clock (a wrong date, a step of NTP) ends no lease and no message under a leader
that serves. And it is never set back behind what earlier leaders stamped: a node whose clock is behind makes
nothing live longer.
"""

from __future__ import annotations

from kvraft.raft.types import Term


class LeaderClock:
    """Replicated time as this node stamps it while it leads."""

    __slots__ = ("_ahead_ms", "_term")

    def __init__(self) -> None:
        self._term: Term | None = None
        self._ahead_ms = 0
        """Of the clock that never jumps."""

    def read(self, term: Term, *, now_ms: int, wall_ms: int, replicated_ms: int) -> int:
        """Milliseconds since the Unix epoch. This node leads in `term`; `wall_ms` is what its machine takes
        for the time, `replicated_ms` the highest stamp it has applied."""
        if term != self._term:
            self._term = term
            self._ahead_ms = wall_ms - now_ms
        # Not only at the beginning: what earlier leaders stamped may be applied a little later.
        self._ahead_ms = max(self._ahead_ms, replicated_ms - now_ms)
        return now_ms + self._ahead_ms
