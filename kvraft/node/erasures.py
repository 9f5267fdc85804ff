"""When a node makes its files anew, so that what was erased is in none of them.

Deleting rows leaves their bytes in the log, in free pages of the state and in the history of changes. So a
node that has applied an erasure copies its state into new files (`kvraft.storage.state.rewrite`) and lets the
log begin anew after it, as if it had been sent a snapshot of itself. The moment at which both become true is
one record of the log; until then, whatever happens, the node has its old files and begins again.

That writes the whole state once, so the erasures of a while share it: it begins `erasure_delay_ms` after the
first of them, by replicated time. It also waits until no registered client can ask again for an answer from
before, since such answers are kept as rows: until it has said that it has them, or was forgotten for being
idle.

Each node does this for itself. What it has done is in its files (`Cleaned`), and what is to be done is in the
audit entries of the state, so nothing of it is lost or repeated when the node stops; a node that was sent a
snapshot has only ever received what was not erased.
"""

from __future__ import annotations

from dataclasses import dataclass

from kvraft.machine import keys
from kvraft.machine.clients import answer_of_row
from kvraft.machine.results import ListResult, Result, UserDataResult
from kvraft.machine.users import audit
from kvraft.storage.interfaces import StateReader, StateStore

LOOK_INTERVAL_MS = 1_000
"""How often it is looked whether it is time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureProgress:
    """How far a node has come with an erasure."""

    applied: bool
    """Whether no read finds the user any more."""
    log_clean: bool
    """Whether no file of the log holds it."""
    state_clean: bool
    """Whether no file of the state holds it."""
    clean_ms: int | None
    """Since when, in milliseconds since the Unix epoch; None: not yet."""


class Erasures:
    """What was erased and is still in the files of one node."""

    __slots__ = ("_delay_ms", "_first_ms", "_last_revision", "_look_due_ms")

    def __init__(self, delay_ms: int) -> None:
        self._delay_ms = delay_ms
        self._first_ms: int | None = None
        """When the first one was applied that is still there, by replicated time; None: there is none."""
        self._last_revision = 0
        self._look_due_ms = 0

    def begin(self, state: StateStore) -> None:
        """From a state as it is, and what is known of its files."""
        self._first_ms = None
        for revision, time_ms in audit.erasures_after(state, state.cleaned.revision):
            self.applied(revision, time_ms)

    def applied(self, revision: int, clock_ms: int) -> None:
        """A user was erased."""
        if self._first_ms is None:
            self._first_ms = clock_ms
        self._last_revision = revision

    def are_due(self, state: StateReader, now_ms: int, wall_ms: int) -> bool:
        """Whether to begin now; looks into the state once a second. `wall_ms`: since the Unix epoch."""
        if self._first_ms is None or now_ms < self._look_due_ms:
            return False
        self._look_due_ms = now_ms + LOOK_INTERVAL_MS
        if wall_ms < self._first_ms + self._delay_ms:
            return False
        return cleanable_revision(state, self._last_revision) == self._last_revision


def cleanable_revision(state: StateReader, revision: int) -> int:
    """Up to which erasure a copy of the state, which is at `revision`, would hold nothing: answers from
    before a later one may tell of what it erased."""
    for _, row in state.scan(*keys.ANSWERS):
        answer = answer_of_row(row)
        if answer.revision < revision and _is_of_users(answer.result):
            revision = answer.revision
    return revision


def _is_of_users(result: Result) -> bool:
    if isinstance(result, ListResult):
        return any(_is_of_users(answer.result) for answer in result.answers)
    return isinstance(result, UserDataResult)
