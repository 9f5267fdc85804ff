"""The clock that a leader stamps its batches with: what replicated time is made of.

It is set once, when the node begins to lead in a term, and runs on by the clock that never jumps. So whatever
somebody does to the machine's clock (a wrong date, a step of NTP) ends no lease and no message under a leader
that serves. And it is never set back behind what earlier leaders stamped, nor behind what has passed since
the last stamp: every node counts that by its own clock that never jumps, from the moment it applied the stamp
on. So an election makes nothing live longer, though the new leader's clock be behind and nobody have written
for a while.

It is not set by the leader's own clock alone, which may be wrong by a month: the answers to heartbeats say
what the other voters take for the time, and the clock of the middle one counts, of an even number the earlier
of the two in the middle. So as long as most clocks are right, replicated time is; of two that disagree the
earlier is believed, because what ended too early cannot be had back. Until a majority of the voters, this
node included, is heard in the term, a leader stamps nothing, and what is to be proposed waits for the first
answers. A cluster of one node has one clock, and most clocks together are believed whatever they say.
"""

from __future__ import annotations

from collections.abc import Iterable

from kvraft.raft.configuration import Configuration
from kvraft.raft.types import NodeId, Term

SKEW_MS_MAX = 5_000
"""A clock that is further from the middle one needs an operator's eye."""


class LeaderClock:
    """Replicated time: followed on every node, and stamped while this one leads."""

    __slots__ = (
        "_ahead_ms",
        "_node_id",
        "_others",
        "_replicated_ahead_ms",
        "_replicated_ms",
        "_term",
    )

    def __init__(self, node_id: NodeId, *, replicated_ms: int, now_ms: int) -> None:
        self._node_id = node_id
        self._term: Term | None = None
        """That it is set for."""
        self._others: dict[NodeId, int] = {}
        """How far the other nodes' clocks are ahead of the clock that never jumps."""
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

    def told(self, peer: NodeId, wall_ms: int, now_ms: int) -> None:
        """What a peer took for the time when it answered just now."""
        self._others[peer] = wall_ms - now_ms

    def forget_others(self) -> None:
        """This node does not lead: what it was told is of an earlier term."""
        self._others.clear()

    def read(self, term: Term, configuration: Configuration, *, now_ms: int, wall_ms: int) -> int | None:
        """Milliseconds since the Unix epoch, of a node that leads in `term` and whose machine takes `wall_ms`
        for the time; None: too few voters have told what they do."""
        if term != self._term:
            voters = self._voters_ahead_ms(configuration, wall_ms - now_ms)
            if not configuration.has_quorum(voters):
                return None
            self._term = term
            self._ahead_ms = _middle(voters.values())
        # Not only at the beginning: what earlier leaders stamped may be applied a little later.
        self._ahead_ms = max(self._ahead_ms, self._replicated_ahead_ms)
        return now_ms + self._ahead_ms

    def skews(self, configuration: Configuration, *, now_ms: int, wall_ms: int) -> dict[NodeId, int]:
        """By how many milliseconds the clocks of voters are ahead of the middle one (or behind: negative),
        where that is too much. Of a node that leads."""
        voters = self._voters_ahead_ms(configuration, wall_ms - now_ms)
        middle_ms = _middle(voters.values())
        return {
            voter: ahead_ms - middle_ms
            for voter, ahead_ms in sorted(voters.items())
            if abs(ahead_ms - middle_ms) > SKEW_MS_MAX
        }

    def replicated_ahead_ms(self, configuration: Configuration, *, now_ms: int, wall_ms: int) -> int:
        """By how much replicated time is ahead of the middle clock. Of a node that leads."""
        return self._ahead_ms - _middle(self._voters_ahead_ms(configuration, wall_ms - now_ms).values())

    def _voters_ahead_ms(self, configuration: Configuration, own_ahead_ms: int) -> dict[NodeId, int]:
        everyone = {**self._others, self._node_id: own_ahead_ms}
        return {voter: everyone[voter] for voter in configuration.voters if voter in everyone}


def _middle(ahead_ms: Iterable[int]) -> int:
    told = sorted(ahead_ms)
    return told[(len(told) - 1) // 2] if told else 0
