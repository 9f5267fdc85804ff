"""The checkers of leases: runs that fit, and runs that do not."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from kvraft.machine.machine import BATCH_VERSION, Machine
from kvraft.machine.results import Answer, Failed, FailureReason, PutResult, RenewLeasesResult
from kvraft.raft.types import Entry, EntryKind, Index, Term
from kvraft.v1 import command_pb2
from tests.sim.checkers.ledger import mark
from tests.sim.history import Outcome, Violation
from tests.sim.leases import commands
from tests.sim.leases.elections import Election, Elections
from tests.sim.leases.lifetimes import check_ended, check_lasting, check_lifetimes
from tests.sim.leases.model import Model
from tests.sim.leases.story import Ask, Lifetime, Sighting, Story
from tests.sim.limits import LEASE_KEYS_AT_ONCE, small_limits
from tests.sim.timeline import MS_US, SECOND_US
from tests.unit.machine.plain_state import PlainState

LEASE, OTHER = 100, 200
TTL_MS = 1_000
TERM = 5
START_MS = 1_000_000


class Run:
    """A log, which the real machine applies at once and the model in the end."""

    def __init__(self) -> None:
        self.now_ms = START_MS
        self.asks: dict[int, Ask] = {}
        self.state = PlainState()
        self.machine = Machine(self.state)
        self._journal: dict[Index, Entry] = {}

    def ask(self, command: command_pb2.Command) -> Ask:
        """A command that is applied and answered."""
        number = len(self.asks) + 1
        ask = self.asks[number] = Ask(number, "", command, begun_us=0, ended_us=0, outcome=Outcome.DONE)
        ask.answer = self.repeat(ask)
        return ask

    def repeat(self, ask: Ask) -> Answer:
        return self._apply(mark(ask.command, ask.number), TERM)

    def expire(self, *lease_ids: int, term: int = TERM) -> None:
        """An entry of expiry by the leader of TERM, in `term`."""
        command = command_pb2.Command(expire={"term": TERM, "lease_ids": lease_ids})
        self._apply(command.SerializeToString(), term)

    def _apply(self, command: bytes, term: int) -> Answer:
        group = command_pb2.CommandGroup(origin_id=1, group_id=1, commands=[command])
        batch = command_pb2.CommandBatch(version=BATCH_VERSION, time_ms=self.now_ms, groups=[group])
        index = Index(len(self._journal) + 1)
        self._journal[index] = Entry(index, Term(term), EntryKind.COMMAND, batch.SerializeToString())
        (applied,) = self.machine.apply(batch.SerializeToString(), term)
        return applied.answers[0]

    def check(self) -> Model:
        model = Model(LEASE_KEYS_AT_ONCE)
        model.apply_all(self._journal)
        model.check_answers(self.asks)
        model.check_state("n1", self.state, self.machine)
        return model


def granted(*keys: bytes) -> Run:
    """A lease with keys."""
    run = Run()
    run.ask(commands.grant(LEASE, TTL_MS))
    for key in keys:
        run.ask(commands.put(key, b"", LEASE))
    return run


# --- the log --------------------------------------------------------------------------------------


def test_a_good_run() -> None:
    with small_limits():
        run = granted(b"a", b"b", b"c")
        run.ask(commands.grant(LEASE, TTL_MS))
        given = run.ask(commands.grant(0, TTL_MS))
        run.ask(commands.move_all((b"a", b"d"), LEASE, b"moved", (5, 0)))
        run.ask(commands.move_all((b"a", b"d"), LEASE, b"moved", (LEASE, OTHER)))
        run.ask(commands.move_all((b"a", b"d"), OTHER, b"moved", (LEASE, 0)))
        run.ask(commands.compare_and_set(b"e", 0, b"", LEASE))
        run.ask(commands.compare_and_set(b"e", 0, b"", LEASE))
        run.ask(commands.delete(b"b"))
        run.ask(commands.delete(b"b"))
        run.now_ms += TTL_MS - 1
        run.ask(commands.renew((LEASE, OTHER)))
        run.now_ms += 1
        run.expire(LEASE, OTHER, given.answer.revision if given.answer else 0)
        run.now_ms += TTL_MS
        run.expire(LEASE, term=TERM + 1)
        run.ask(commands.put(b"f", b"", LEASE))
        run.expire(LEASE)
        run.ask(commands.put(b"g", b"", LEASE))
        run.ask(commands.grant(LEASE, TTL_MS))
        run.expire(LEASE)
        run.ask(commands.grant(LEASE, TTL_MS))
        run.ask(commands.revoke(LEASE))
        run.ask(commands.revoke(LEASE))
    model = run.check()
    assert model.events["lease ended in steps"] == 1
    assert model.events["expiry of another term"] == 1
    assert model.events["expiry of a lease that was renewed or gone"] == 2


def test_a_numbered_command_is_done_once() -> None:
    run = Run()
    run.ask(commands.register())
    numbered = commands.grant(0, TTL_MS)
    numbered.client_id, numbered.sequence = 1, 1
    run.repeat(run.ask(numbered))
    assert len(run.check().leases) == 1


def test_any_other_command_that_is_applied_twice() -> None:
    run = Run()
    run.repeat(run.ask(commands.grant(0, TTL_MS)))
    with pytest.raises(Violation, match="applied twice"):
        run.check()


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (commands.renew((LEASE,)), RenewLeasesResult((0,))),
        (commands.renew((OTHER,)), RenewLeasesResult((TTL_MS,))),
        (commands.put(b"a", b"", OTHER), PutResult(None)),
        (commands.put(b"a", b"", LEASE), Failed(FailureReason.LEASE_NOT_FOUND, LEASE)),
    ],
)
def test_an_answer_that_does_not_fit(command: command_pb2.Command, answer: RenewLeasesResult) -> None:
    run = granted()
    ask = run.ask(command)
    assert ask.answer is not None
    ask.answer = Answer(ask.answer.revision, answer)
    with pytest.raises(Violation, match="was due"):
        run.check()


def test_a_refused_command_that_was_applied_all_the_same() -> None:
    run = granted()
    run.ask(commands.revoke(LEASE)).outcome = Outcome.NOT_APPLIED
    with pytest.raises(Violation, match="all the same"):
        run.check()


def test_a_row_that_leads_nowhere() -> None:
    run = granted(b"a")
    run.state.put(b"\x02\x02" + bytes(16), b"", None)
    with pytest.raises(Violation, match="lease rows"):
        run.check()


def test_a_key_that_outlives_its_lease() -> None:
    run = granted(b"a")
    row = run.state.get(b"\x01a")
    assert row is not None
    run.ask(commands.revoke(LEASE))
    run.state.put(b"\x01a", row, None)
    with pytest.raises(Violation, match="holds"):
        run.check()


# --- what owners see ------------------------------------------------------------------------------


def story_of(renewed_ms: int, missed_ms: int) -> tuple[Story, Lifetime]:
    """A lease was renewed, and answered so 10 ms later; once it was found to be gone."""
    lifetime = Lifetime(LEASE, TTL_MS)
    lifetime.renewed.append(Sighting(renewed_ms * MS_US, (renewed_ms + 10) * MS_US))
    lifetime.missed_us.append(missed_ms * MS_US)
    return Story(lifetimes={LEASE: lifetime}), lifetime


def elections_of(*elections: tuple[int, int, int]) -> Elections:
    """(moment, milliseconds; term; how far ahead, milliseconds)"""
    noted = Elections()
    for moment_ms, term, ahead_ms in elections:
        noted.note(Election(moment_ms * MS_US, term, ahead_ms, ahead_ms))
    return noted


@pytest.mark.parametrize(
    ("missed_ms", "elections"),
    [
        (5_950, [(4_000, 1, 0)]),  # a fast clock
        (5_200, [(4_000, 1, 0), (5_100, 2, 800)]),
        (5_200, [(4_000, 1, -400), (5_100, 2, 400)]),
        (5_200, [(4_000, 1, 300), (5_005, 2, -500), (5_100, 3, 300)]),  # the second one may have stamped it
    ],
)
def test_a_lease_that_may_have_ended(missed_ms: int, elections: list[tuple[int, int, int]]) -> None:
    story, _ = story_of(5_000, missed_ms)
    check_lifetimes(story, elections_of(*elections))


@pytest.mark.parametrize(
    ("missed_ms", "elections"),
    [
        (5_900, [(4_000, 1, 0)]),
        (5_200, [(4_000, 1, 0), (5_100, 2, 0)]),  # by an election alone
        (5_200, [(4_000, 1, 800), (5_100, 2, 800)]),  # a clock no further ahead
        (5_200, [(3_000, 1, 0), (4_000, 2, 800), (5_100, 3, 800)]),  # the first one leads no more
        (5_200, [(3_000, 2, 800), (4_000, 1, 0), (5_100, 3, 800)]),  # nor does one of a term that is over
        (4_900, [(4_000, 1, 0)]),  # and then it was renewed
    ],
)
def test_a_lease_that_ended_before_its_time(missed_ms: int, elections: list[tuple[int, int, int]]) -> None:
    story, lifetime = story_of(5_000, missed_ms)
    with pytest.raises(Violation, match="gone at"):
        check_lifetimes(story, elections_of(*elections))
    lifetime.revoked_us = 4_950 * MS_US
    if missed_ms > 5_000:
        check_lifetimes(story, elections_of(*elections))


def check_all_ended(run: Run, lasting: Iterable[int] = ()) -> None:
    check_ended(Story(lasting=dict.fromkeys(lasting, b"a")), "n1", run.state)


def test_a_lease_that_does_not_end() -> None:
    run = granted(b"a")
    check_all_ended(run, lasting=(LEASE,))
    with pytest.raises(Violation, match="does not end"):
        check_all_ended(run)


def test_a_key_that_does_not_end() -> None:
    run = granted(b"a")
    run.state.delete(b"\x02\x01" + LEASE.to_bytes(8, "big"), run.state.get(b"\x02\x01" + bytes(7) + b"d"))
    with pytest.raises(Violation, match="its key b'a' is not"):
        check_all_ended(run)


def test_a_lasting_lease_that_is_gone() -> None:
    run = granted(b"a")
    lifetime = Lifetime(LEASE, TTL_MS, [Sighting(5 * SECOND_US, 5 * SECOND_US + 1)])
    story = Story(lifetimes={LEASE: lifetime}, lasting={LEASE: b"a"})
    elections = elections_of((4_000, 1, 0))
    check_lasting(story, elections, run.state, 5_500 * MS_US)
    run.ask(commands.revoke(LEASE))
    check_lasting(story, elections, run.state, 7_000 * MS_US)
    with pytest.raises(Violation, match="before its time"):
        check_lasting(story, elections, run.state, 5_500 * MS_US)
