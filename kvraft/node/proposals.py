"""Commands of this node's own clients, from acceptance to answer.

A command is *waiting* until it is given to a leader as part of a group, then *pending* until the
log tells its fate:

- an applied entry holds the group: here are the answers;
- an entry of a later term is applied and the group was not among the entries before it: terms
  only rise along the log, so it never will be. Not applied, for certain;
- the leader refused it: it was never proposed, and waits again or is refused to its caller;
- a group that was given after it, to the same leader, is applied: it was lost on its way to the
  leader, or the refusal on its way back, and it waits again;
- neither within a time: the outcome is unknown, and the caller is told so.

A group is given to a leader once and never again, whatever happens: giving it twice could
apply it twice. (Its commands may be given anew, as another group, once it is certain that the
first will never be applied.)

Why the order proves a loss: a term has one leader, which proposes what it takes in the order in
which it came; groups come in the order in which they were given, with gaps where a stream broke,
because a leader takes nothing more from a stream once its follower has opened the next one; and the
log keeps that order. So a group that is missing before a later one will never come. Where nothing
later is to be given, a group without commands is: its place in the log is all that is asked for.

Commands that are much work (`kvraft.node.estimate`) wait apart, and are given only as long as those under way
are not too much together. So what every node has to apply is never long, and whoever writes a key does
not wait for a thousand messages to a large group that were sent before. (Of writes that are under way at the
same time the order is open.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from kvraft import errors
from kvraft.errors import Reason, RequestError
from kvraft.machine.results import Answer
from kvraft.node.settings import NodeSettings
from kvraft.raft.types import Term

LOSS_SUSPECTED_MS = 500
"""A leader that works has applied what it was given long before."""

HEAVY_WORK_MIN = 2_000
"""From so much work on, some 6 ms, a command waits apart. A batch of plain puts has less."""

OnAnswer = Callable[[Answer | RequestError], None]
"""Called once, in the owner's thread."""


@dataclass(frozen=True, slots=True)
class Waiter:
    """A command and who waits for it."""

    command: bytes
    grows_state: bool
    accepted_ms: int
    on_answer: OnAnswer
    work: int = 1
    """About how much it is (`kvraft.node.estimate`)."""

    @property
    def is_heavy(self) -> bool:
        return self.work >= HEAVY_WORK_MIN


@dataclass(frozen=True, slots=True)
class PendingGroup:
    """A group that a leader of `term` may have proposed."""

    group_id: int
    term: Term
    given_ms: int
    waiters: Sequence[Waiter]

    @property
    def commands(self) -> tuple[bytes, ...]:
        return tuple(waiter.command for waiter in self.waiters)

    @property
    def grows_state(self) -> bool:
        return any(waiter.grows_state for waiter in self.waiters)

    @property
    def heavy_work(self) -> int:
        return sum(waiter.work for waiter in self.waiters if waiter.is_heavy)


class Proposals:
    """The bookkeeping of one node's clients."""

    __slots__ = (
        "_applied_term",
        "_asked_ms",
        "_heavy",
        "_next_group_id",
        "_pending",
        "_pending_work",
        "_settings",
        "_waiting",
        "_waiting_bytes",
        "in_flight",
    )

    def __init__(self, settings: NodeSettings, first_group_id: int) -> None:
        """`first_group_id` must differ at every start, so that entries of an earlier life of this
        node are not taken for answers to this one: random, or counted in the simulator."""
        self._settings = settings
        self._waiting: deque[Waiter] = deque()
        self._heavy: deque[Waiter] = deque()
        """Those of them that are much work."""
        self._waiting_bytes = 0
        self._pending: dict[int, PendingGroup] = {}
        self._pending_work = 0
        """Of the heavy commands among them."""
        self._next_group_id = first_group_id
        self._applied_term = Term(0)
        self._asked_ms: int | None = None
        """When a group without commands was given last."""
        self.in_flight = 0
        """Commands accepted and not yet answered."""

    @property
    def has_waiting(self) -> bool:
        """Whether there is something to be given now."""
        return bool(self._waiting) or self._may_take_heavy

    @property
    def _may_take_heavy(self) -> bool:
        if not self._heavy:
            return False
        return (
            not self._pending_work
            or self._pending_work + self._heavy[0].work <= self._settings.heavy_work_max
        )

    def accept(self, waiter: Waiter) -> None:
        """Takes a command, or refuses it at once."""
        if (
            self.in_flight >= self._settings.waiting_commands_max
            or self._waiting_bytes + len(waiter.command) > self._settings.waiting_bytes_max
        ):
            waiter.on_answer(errors.overloaded(f"{self.in_flight} commands wait at this node already"))
            return
        self.in_flight += 1
        self._waiting_bytes += len(waiter.command)
        self._queue_of(waiter).append(waiter)

    def _queue_of(self, waiter: Waiter) -> deque[Waiter]:
        return self._heavy if waiter.is_heavy else self._waiting

    def suspects_loss(self, term: Term, now_ms: int) -> bool:
        """Whether commands may have been lost on their way to the leader of `term`: another group, be it
        without commands, will tell."""
        if self.in_flight == len(self._waiting) + len(self._heavy):
            return False
        last = next(reversed(self._pending.values()))
        # The question itself may have been refused: then it is asked again, but not at once.
        since_ms = last.given_ms if self._asked_ms is None else max(last.given_ms, self._asked_ms)
        return last.term == term and now_ms - since_ms >= LOSS_SUSPECTED_MS

    def take_group(self, term: Term, now_ms: int) -> PendingGroup:
        """The next group for the leader of `term`, without commands if none waits; from now on its outcome
        is open."""
        waiters: list[Waiter] = []
        size_bytes = 0
        while self.has_waiting:
            queue = self._waiting or self._heavy
            size_bytes += len(queue[0].command)
            if waiters and size_bytes > self._settings.batch_bytes_max:
                break
            waiter = queue.popleft()
            waiters.append(waiter)
            if queue is self._heavy:
                self._pending_work += waiter.work
        if not waiters:
            self._asked_ms = now_ms
        group = PendingGroup(self._next_group_id, term, now_ms, waiters)
        self._next_group_id = (self._next_group_id + 1) % (1 << 64)
        self._pending[group.group_id] = group
        return group

    def put_back(self, group_id: int) -> None:
        """The group is in no log and never will be: its commands wait again, before the others."""
        group = self._pending.get(group_id)
        if group is not None:
            self._take_back(group, group.waiters)

    def refused(self, group_id: int, reason: Reason) -> None:
        """A leader refused the group. Without space only the commands that grow the state fail."""
        group = self._pending.get(group_id)
        match reason:
            case Reason.OVERLOADED if group is not None:
                self._finish(group, errors.overloaded("the leader has too many uncommitted bytes"))
            case Reason.INVALID_ARGUMENT if group is not None:
                self._finish(group, errors.refused_by_leader())
            case Reason.NO_SPACE if group is not None:
                self._take_back(group, [waiter for waiter in group.waiters if not waiter.grows_state])
                for waiter in group.waiters:
                    if waiter.grows_state:
                        self._answer(waiter, errors.no_space())
            case _:
                self.put_back(group_id)

    def applied(self, group_id: int, answers: Sequence[Answer]) -> None:
        """The group was applied, and those before it that were not never will be. Unknown ids are those of
        an earlier life of this node."""
        group = self._pending.get(group_id)
        if group is None:
            return
        lost = list(takewhile(lambda earlier: earlier is not group, self._pending.values()))
        self._forget(group)
        for waiter, answer in zip(group.waiters, answers, strict=True):
            self._answer(waiter, answer)
        for earlier in reversed(lost):
            self.put_back(earlier.group_id)

    def term_applied(self, term: Term) -> None:
        """An entry of `term` was applied, so whatever an earlier leader was given and has not been
        applied is lost for certain."""
        if term == self._applied_term:
            return
        self._applied_term = term
        for group in [group for group in self._pending.values() if group.term < term]:
            self._finish(group, errors.not_applied())

    def skipped(self) -> None:
        """A snapshot was installed: entries were applied elsewhere that this node never saw."""
        self.give_up("this node was so far behind that it was sent a snapshot")

    def give_up(self, why: str) -> None:
        """Whatever is pending has an unknown outcome."""
        for group in list(self._pending.values()):
            self._finish(group, errors.outcome_unknown(why))

    def expire(self, now_ms: int, leaderless_ms: int) -> None:
        """Answers those who have waited too long. `leaderless_ms`: how long no leader is known."""
        limit_ms = self._settings.admission_timeout_ms
        leaderless = leaderless_ms >= self._settings.leaderless_timeout_ms
        while self._waiting and (leaderless or now_ms - self._waiting[0].accepted_ms >= limit_ms):
            waiter = self._waiting.popleft()
            self._answer(waiter, errors.no_leader(now_ms - waiter.accepted_ms))
        while self._heavy and (leaderless or now_ms - self._heavy[0].accepted_ms >= limit_ms):
            waiter = self._heavy.popleft()
            waited_ms = now_ms - waiter.accepted_ms
            self._answer(
                waiter, errors.no_leader(waited_ms) if not self._pending_work else _too_busy(waited_ms)
            )
        if leaderless:
            self.give_up("no leader was found in time")
        limit_ms = self._settings.outcome_timeout_ms
        for group in [group for group in self._pending.values() if now_ms - group.given_ms >= limit_ms]:
            self._finish(group, errors.outcome_unknown(f"no answer came within {limit_ms} ms"))

    def fail_waiting(self, error: RequestError) -> None:
        """Answers everything that was not given to a leader."""
        for queue in (self._waiting, self._heavy):
            while queue:
                self._answer(queue.popleft(), error)

    def _take_back(self, group: PendingGroup, waiters: Sequence[Waiter]) -> None:
        """The group is nowhere any more, and these of it wait again."""
        self._forget(group)
        for waiter in reversed(waiters):
            self._queue_of(waiter).appendleft(waiter)

    def _forget(self, group: PendingGroup) -> None:
        del self._pending[group.group_id]
        self._pending_work -= group.heavy_work

    def _finish(self, group: PendingGroup, error: RequestError) -> None:
        self._forget(group)
        for waiter in group.waiters:
            self._answer(waiter, error)

    def _answer(self, waiter: Waiter, answer: Answer | RequestError) -> None:
        self.in_flight -= 1
        self._waiting_bytes -= len(waiter.command)
        waiter.on_answer(answer)


def _too_busy(waited_ms: int) -> RequestError:
    return errors.overloaded(f"it is much work, and so are those before it: it waited for {waited_ms} ms")
