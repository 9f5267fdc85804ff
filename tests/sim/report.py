"""What a run tells: a trace to read, and how often each thing happened."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable

from tests.sim.timeline import Timeline


class Report:
    """Counts always; speaks only if somebody listens, since most runs are not read."""

    __slots__ = ("_fingerprint", "_print", "_timeline", "events", "faults", "is_traced")

    def __init__(self, timeline: Timeline, show: Callable[[str], None] | None, *, fingerprint: bool) -> None:
        """`show` is given each line; `fingerprint` keeps a hash of all lines."""
        self._timeline = timeline
        self._print = show
        self._fingerprint = hashlib.blake2b(digest_size=16) if fingerprint else None
        self.is_traced = show is not None or fingerprint
        """Look at this before making a line that costs something."""
        self.faults: Counter[str] = Counter()
        """Faults that took effect, by kind."""
        self.events: Counter[str] = Counter()
        """What the cluster and its clients did, by kind."""

    def fault(self, kind: str, where: object = "") -> None:
        self.faults[kind] += 1
        if self.is_traced:
            self.say("fault", f"{kind} {where}")

    def say(self, who: object, what: str) -> None:
        """One line of the trace."""
        line = f"{self._timeline.now_us / 1e6:11.6f} {who:>6} {what}"
        if self._print is not None:
            self._print(line)
        if self._fingerprint is not None:
            self._fingerprint.update(line.encode())

    @property
    def fingerprint(self) -> str:
        """The hash of the trace."""
        assert self._fingerprint is not None, "no fingerprint was asked for"
        return self._fingerprint.hexdigest()
