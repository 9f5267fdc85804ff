"""The checks of single nodes on nodes that are wrong."""

from __future__ import annotations

import random

import pytest

from kvraft.raft.configuration import Configuration
from kvraft.raft.log import RaftLog
from kvraft.raft.messages import (
    AppendEntriesAccepted,
    Heartbeat,
    Message,
    RequestVote,
    RequestVoteResponse,
)
from kvraft.raft.raft import Raft
from kvraft.raft.settings import Settings
from kvraft.raft.types import Entry, EntryKind, HardState, Index, NodeId, Term
from kvraft.storage.interfaces import Applied, Identity, LogWrite
from kvraft.storage.memory_log import MemoryLog
from tests.sim.checkers.durability import check_persisted, check_promise, check_state_behind_log
from tests.sim.checkers.states import StateAgreement

ONE, TWO = NodeId(1), NodeId(2)


def _log(*terms: int, hard_state: HardState) -> MemoryLog:
    log = MemoryLog(Identity(cluster_id=1, cluster_name="c", node_id=1, initial_voters=(1, 2, 3)))
    entries = tuple(
        Entry(Index(place), Term(term), EntryKind.NOOP, b"") for place, term in enumerate(terms, start=1)
    )
    log.append(LogWrite(hard_state=hard_state, entries=entries))
    return log.reopened()


def _raft(log: MemoryLog) -> Raft:
    recovered = log.recovered
    return Raft(
        node_id=ONE,
        settings=Settings(),
        chance=random.Random(1),
        configuration=Configuration((ONE, TWO, NodeId(3))),
        hard_state=recovered.hard_state,
        log=RaftLog(
            base_index=recovered.base_index,
            base_term=recovered.base_term,
            last_index=recovered.last_index,
            term_starts=recovered.term_starts,
            reader=log,
            cache_bytes_max=1_000,
        ),
        applied_index=Index(0),
        now_ms=0,
    )


def _vote(term: int, *, granted: bool = True) -> RequestVoteResponse:
    return RequestVoteResponse(sender=ONE, target=TWO, term=Term(term), granted=granted)


def _accepted(match_index: int) -> AppendEntriesAccepted:
    return AppendEntriesAccepted(sender=ONE, target=TWO, term=Term(2), match_index=Index(match_index))


def test_what_is_on_disk_may_be_said() -> None:
    log = _log(1, 2, hard_state=HardState(Term(2), TWO))
    for message in (_vote(2), _accepted(2), _accepted(0)):
        check_promise(message, _raft(log), log)


@pytest.mark.parametrize(
    "message",
    [
        _vote(3),
        _accepted(3),
        RequestVoteResponse(sender=ONE, target=NodeId(3), term=Term(2), granted=True),
        RequestVote(sender=ONE, target=TWO, term=Term(2), last_log_index=Index(2), last_log_term=Term(2)),
        Heartbeat(sender=ONE, target=TWO, term=Term(3), commit_index=Index(0), round=1),
    ],
    ids=["a term", "an entry", "a vote", "an own vote", "a leader's term"],
)
def test_what_is_not_on_disk_may_not_be_said(message: Message) -> None:
    log = _log(1, 2, hard_state=HardState(Term(2), TWO))
    with pytest.raises(AssertionError, match=r"not on disk|without its own"):
        check_promise(message, _raft(log), log)


def test_another_entry_on_disk_than_the_one_that_is_accepted() -> None:
    accepted = _raft(_log(1, 2, hard_state=HardState(Term(2), TWO)))
    on_disk = _log(1, 1, hard_state=HardState(Term(2), TWO))
    with pytest.raises(AssertionError, match="an entry of term 1 is on disk, not 2"):
        check_promise(_accepted(2), accepted, on_disk)


@pytest.mark.parametrize(("index", "term"), [(3, 2), (2, 1)])
def test_a_state_ahead_of_its_log(index: int, term: int) -> None:
    applied = Applied(index=Index(index), term=Term(term), voters=(1,), learners=(), digest=0)
    with pytest.raises(AssertionError, match="the state is at"):
        check_state_behind_log(applied, _log(1, 2, hard_state=HardState(Term(2), TWO)))


def test_an_entry_that_counts_as_durable_and_is_not() -> None:
    hard_state = HardState(Term(2), TWO)
    believed = _raft(_log(1, 2, hard_state=hard_state))
    check_persisted(believed, _log(1, 2, hard_state=hard_state))
    for on_disk in (_log(1, hard_state=hard_state), _log(1, 1, hard_state=hard_state)):
        with pytest.raises(AssertionError, match="counts as durable"):
            check_persisted(believed, on_disk)


def test_states_that_differ() -> None:
    agreement = StateAgreement()
    agreement.check(ONE, Index(7), 0xAB)
    agreement.check(TWO, Index(7), 0xAB)
    with pytest.raises(AssertionError, match="n2: digest"):
        agreement.check(TWO, Index(7), 0xCD)
