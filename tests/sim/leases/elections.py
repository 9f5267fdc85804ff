"""Who began to lead when, and how far the clock that it set its own by may have been ahead of true time: what
the bound on early ends is made of.

Replicated time is what leaders stamp. A leader sets its clock by the middle one of the voters it hears
when it begins to lead, and goes on by the clock that never jumps, 5 % fast or slow; if the last stamp, and
what has passed since then by such a clock, is more than that, it goes on from there. So time goes by faster
than for the owner by that rate alone, and leaps only when a leader begins and that middle one is ahead.

Which leader stamped a renewal that an owner asked for at some moment? One of those elected since, or else the
one that had the highest term then: an entry of a lower term, not yet there when a quorum had voted for a
higher one, is never committed. The same holds for the end of the lease, which comes later in the log. So
between a renewal and the end of its lease time may have leapt by as much as the furthest clock among the
leaders elected since is ahead of the one furthest behind among those that may have stamped the renewal.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.sim.leases.story import Sighting

RATE_MAX = 1.05
RATE_MIN = 0.95
ROUNDING_MS = 3
"""Clocks are read in whole milliseconds."""


@dataclass(frozen=True, slots=True)
class Election:
    """A node begins to lead."""

    moment_us: int
    term: int
    lowest_ms: int
    """Of true time, the middle one of a majority at least."""
    highest_ms: int
    """At most."""

    @classmethod
    def among(cls, moment_us: int, term: int, aheads_ms: list[int]) -> Election:
        """`aheads_ms`: of the voters' clocks."""
        quorum = len(aheads_ms) // 2 + 1
        place = (quorum - 1) // 2
        in_order = sorted(aheads_ms)
        return cls(moment_us, term, in_order[place], in_order[len(in_order) - quorum + place])


class Elections:
    """All those of a run, in their order."""

    def __init__(self) -> None:
        self._all: list[Election] = []

    def note(self, election: Election) -> None:
        self._all.append(election)

    def passed_ms_max(self, renewed: Sighting, until_us: int) -> float:
        """How much of replicated time may have gone by, at most, between a renewal and a moment."""
        later = [each for each in self._all if renewed.begun_us <= each.moment_us <= until_us]
        passed_ms = (until_us - renewed.begun_us) / 1000 * RATE_MAX + ROUNDING_MS
        if not later:
            return passed_ms
        lowest_ms = min(_ahead_ms_min(each, renewed.ended_us) for each in self._stampers(renewed))
        return passed_ms + max(0.0, max(each.highest_ms for each in later) - lowest_ms)

    def _stampers(self, renewed: Sighting) -> list[Election]:
        """The leaders that may have stamped a renewal."""
        earlier = [each for each in self._all if each.moment_us <= renewed.begun_us]
        latest = max(earlier, key=lambda each: each.term, default=None)
        since = [each for each in self._all if renewed.begun_us < each.moment_us <= renewed.ended_us]
        if latest is None:
            return since
        return [latest, *(each for each in since if each.term > latest.term)]


def _ahead_ms_min(election: Election, moment_us: int) -> float:
    """How far this leader's clock is ahead of true time at least, later on."""
    return election.lowest_ms - (moment_us - election.moment_us) / 1000 * (1 - RATE_MIN)
