"""Cuts the power at every moment of a recording that matters, lets the node start on what may be left, and
compares with what was acknowledged by then.

Moments that matter: right before something becomes durable, and the end. The disks that are possible at any
other moment are possible at the next one of these as well, where no less has been promised.
"""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xxhash import xxh3_128_digest

from kvraft.raft.types import HardState, Term
from kvraft.storage.interfaces import Identity
from tests.powerloss.cuts import QUICK, Cut, Cuts, Effort
from tests.powerloss.disk import Disk, Image
from tests.powerloss.events import Answer, Event, Sync, WriteSync
from tests.powerloss.nodes import SEGMENT_BYTES, rows_at
from tests.powerloss.recovery import Recovered, Refused, recover

LOST, REFUSED, WRONG, RECOVERED = "lost", "refused", "wrong", "recovered"
BAD = frozenset({LOST, REFUSED, WRONG})
"""A power cut is no reason to refuse to start either: nothing is damaged."""
FINDINGS_MAX = 10
_NEW = HardState(Term(0), None)
MEMORY = Path("/dev/shm") if os.path.isdir("/dev/shm") else None
"""Where disks are best laid out; None: where temporary files are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A node's life: what reached its disk and when, and what was promised on its behalf."""

    name: str
    identity: Identity
    events: Sequence[Event]
    history: Sequence[tuple[bytes, bytes]]
    """The (key, value) put at each revision from 1 on."""
    before: Sequence[Event] = ()
    """What was on the disk, durably, and had been promised, before the power can fail."""
    needed_after: int = 0
    """Writes of later revisions could not be acknowledged without this node: all others that were up were
    needed too. So it holds them."""
    votes: bool = True
    """Likewise elections: it voted for whoever led."""


@dataclass(slots=True)
class Promise:
    """What a client, or the rest of the cluster, may rely on."""

    revision: int = 0
    term: int = 0
    leader: int = 0

    def keep(self, answer: Answer) -> None:
        self.revision = max(self.revision, answer.revision)
        if answer.term > self.term:
            self.term, self.leader = answer.term, answer.leader


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a disk, whatever was promised."""

    verdict: str
    what: str
    """What is wrong; empty if nothing is."""
    revision: int = 0
    hard_state: HardState = _NEW
    is_torn: bool = False
    """An unfinished record was cut off the log."""
    is_replayed: bool = False
    """The log had entries that the state did not have."""


@dataclass(slots=True)
class Report:
    """What came out."""

    name: str
    moments: int = 0
    acknowledged: int = 0
    images: Counter[str] = field(default_factory=Counter)
    """By the kind of loss."""
    opened: int = 0
    """Different ones."""
    torn_tails: int = 0
    """Of these, how many had an unfinished record cut off."""
    replayed: int = 0
    """Of these, how many had entries in the log that the state did not have."""
    verdicts: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    """What should not be, with what is needed to see it again: the first `FINDINGS_MAX`."""


def check(
    recording: Recording,
    scratch: Path,
    *,
    seed: int,
    effort: Effort,
    stop_at: frozenset[str] = BAD,
) -> Report:
    """Ends early after the first moment with a verdict of `stop_at`. `scratch` is an empty directory for the
    disks, best in memory; those of findings stay there."""
    checker = _Checker(recording, scratch, seed, effort)
    for moment in checker.moments():
        checker.cut_power(moment)
        if stop_at & checker.report.verdicts.keys():
            break
    return checker.report


def interrupted(recording: Recording, scratch: Path, *, seed: int) -> tuple[Image, Promise, int]:
    """A disk after a power cut in the second half of a recording, with a torn record at the end of the log
    and a state that lags behind; what had been promised; and the revision at which a node starts on it."""
    checker = _Checker(recording, scratch, seed, QUICK)
    for moment in checker.moments():
        if 2 * moment < recording.events[-1].moment:
            continue
        for _, image, outcome in checker.outcomes(moment):
            if outcome.is_torn and outcome.is_replayed:
                return image, checker.promise, outcome.revision
    raise AssertionError("no power cut tears a record")


class _Checker:
    def __init__(self, recording: Recording, scratch: Path, seed: int, effort: Effort) -> None:
        self.promise = Promise()
        self.report = Report(recording.name)
        self._disk = Disk()
        self._recording = recording
        self._scratch = scratch
        self._seed = seed
        self._effort = effort
        self._outcomes: dict[bytes, Outcome] = {}

    def moments(self) -> Iterator[int]:
        """The moments that matter, one by one; disk and promise are then as they are at that moment."""
        for event in self._recording.before:
            self._take(event)
        for event in self._recording.events:
            if isinstance(event, Sync | WriteSync):
                yield event.moment
            self._take(event)
        yield self._recording.events[-1].moment + 1

    def cut_power(self, moment: int) -> None:
        """At this moment, the present one."""
        self.report.moments += 1
        for cut, image, outcome in self.outcomes(moment):
            self.report.images[cut.kind] += 1
            verdict, what = self._judge(outcome)
            self.report.verdicts[verdict] += 1
            if what and len(self.report.findings) < FINDINGS_MAX:
                kept = self._scratch / f"found{len(self.report.findings)}"
                lay_out(image, kept)
                self.report.findings.append(self._found(verdict, what, moment, cut, kept))

    def outcomes(self, moment: int) -> Iterator[tuple[Cut, Image, Outcome]]:
        """What the disks that are tried come to."""
        chance = random.Random(f"{self._seed} {moment}")
        for cut in Cuts(self._disk, chance).chosen(self._effort):
            image = self._disk.image(cut.chosen)
            yield cut, image, self._outcome(image)

    def _take(self, event: Event) -> None:
        if isinstance(event, Answer) and event.revision > self._recording.needed_after:
            self.promise.keep(event)
            self.report.acknowledged += 1
        self._disk.take(event)

    def _outcome(self, image: Image) -> Outcome:
        digest = xxh3_128_digest(
            b"".join(
                b"%d %s %d " % (contents is None, path.encode(), len(contents or b"")) + (contents or b"")
                for path, contents in sorted(image.items())
            )
        )
        if digest not in self._outcomes:
            directory = self._scratch / "image"
            lay_out(image, directory)
            found = recover(directory / "data", self._recording.identity, SEGMENT_BYTES)
            shutil.rmtree(directory)
            self._outcomes[digest] = outcome = self._outcome_of(found)
            self.report.opened += 1
            self.report.torn_tails += outcome.is_torn
            self.report.replayed += outcome.is_replayed
        return self._outcomes[digest]

    def _outcome_of(self, found: Recovered | Refused) -> Outcome:
        if isinstance(found, Refused):
            return Outcome(verdict=REFUSED, what=found.error)
        history = self._recording.history
        what = ""
        if found.revision > len(history) or found.rows != rows_at(history, found.revision):
            what = f"the rows at revision {found.revision} are not those that were put"
        elif not found.digest_holds:
            what = "the digest of the state is not that of its rows"
        elif found.puts != (kept := _puts_of(history, found)):
            what = f"the history has {len(found.puts)} puts, not the {len(kept)} that it should have"
        return Outcome(
            verdict=WRONG if what else RECOVERED,
            what=what,
            revision=found.revision,
            hard_state=found.hard_state,
            is_torn=found.torn_bytes > 0,
            is_replayed=found.last_index > found.flushed_index,
        )

    def _judge(self, outcome: Outcome) -> tuple[str, str]:
        """The verdict, and what is wrong if something is."""
        promise, hard_state = self.promise, outcome.hard_state
        if outcome.verdict != RECOVERED:
            return outcome.verdict, outcome.what
        if outcome.revision < promise.revision:
            return LOST, f"the state ends at revision {outcome.revision}, {promise.revision} was acknowledged"
        if hard_state.term < promise.term:
            return LOST, f"{hard_state}, but it had promised term {promise.term}"
        voted_for = hard_state.voted_for or 0
        if self._recording.votes and hard_state.term == promise.term and voted_for != promise.leader:
            return LOST, f"{hard_state}, but it had voted for {promise.leader}"
        return RECOVERED, ""

    def _found(self, verdict: str, what: str, moment: int, cut: Cut, kept: Path) -> str:
        return (
            f"{self._recording.name}: {verdict}: {what} [power cut at line {moment // 2 + 1} of the strace, "
            f"{cut.kind}: {cut.chosen}; the disk is in {kept}]"
        )


def _puts_of(history: Sequence[tuple[bytes, bytes]], found: Recovered) -> list[tuple[int, bytes, bytes]]:
    """What a history has that begins where this one does. It may begin late, but not behind its end."""
    first = found.puts[0][0] if found.puts else found.revision + 1
    return [(number, *put) for number, put in enumerate(history[: found.revision], 1) if number >= first]


def lay_out(image: Image, directory: Path) -> None:
    """Makes a real directory of an image."""
    directory.mkdir(mode=0o700)
    for path, contents in sorted(image.items()):
        if contents is None:
            (directory / path).mkdir(mode=0o700)
        else:
            (directory / path).write_bytes(contents)
