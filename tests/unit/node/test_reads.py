"""Reads wait until the state is fresh enough, share their questions, and are always answered."""

from __future__ import annotations

import pytest

from kvraft.errors import Reason, RequestError, shutting_down
from kvraft.node.reads import Reader, Reads
from kvraft.node.settings import NodeSettings
from kvraft.raft.types import Index

SETTINGS = NodeSettings(
    admission_timeout_ms=2_000, leaderless_timeout_ms=600, read_retry_ms=500, revision_timeout_ms=3_000
)


class Client:
    """Reads and keeps what it is told."""

    def __init__(self) -> None:
        self.reads = Reads(SETTINGS, first_read_id=0)
        self.told: list[tuple[str, Reason | None]] = []

    def reader(self, name: str, now_ms: int = 0) -> Reader:
        def on_fresh(error: RequestError | None) -> None:
            self.told.append((name, None if error is None else error.reason))

        return Reader(now_ms, on_fresh)


@pytest.fixture
def client() -> Client:
    return Client()


def test_reads_that_wait_together_share_one_question(client: Client) -> None:
    client.reads.accept(client.reader("a"))
    client.reads.accept(client.reader("b"))
    question = client.reads.take_question(0)
    assert not client.reads.has_new
    client.reads.accept(client.reader("c"))
    client.reads.answered(question, Index(5))
    client.reads.run(Index(4), 0)
    assert client.told == []
    client.reads.run(Index(5), 0)
    assert client.told == [("a", None), ("b", None)]
    assert client.reads.in_flight == 1


def test_a_lost_question_is_asked_anew_and_its_late_answer_counts_for_nothing(client: Client) -> None:
    client.reads.accept(client.reader("a"))
    first = client.reads.take_question(0)
    client.reads.expire(499, 0, 0)
    assert not client.reads.has_new
    client.reads.expire(500, 0, 0)
    assert client.reads.has_new
    second = client.reads.take_question(500)
    assert second != first
    client.reads.answered(first, Index(1))
    client.reads.run(Index(9), 0)
    assert client.told == []
    client.reads.answered(second, Index(9))
    client.reads.run(Index(9), 0)
    assert client.told == [("a", None)]


def test_a_refused_question_waits_for_the_next_leader_within_its_time(client: Client) -> None:
    client.reads.accept(client.reader("a", 0))
    client.reads.refused(client.reads.take_question(0))
    client.reads.expire(1_999, 0, 0)
    assert client.told == []
    client.reads.expire(2_000, 0, 0)
    assert client.told == [("a", Reason.NO_LEADER)]
    assert client.reads.in_flight == 0


def test_without_a_leader_reads_are_refused_soon(client: Client) -> None:
    client.reads.accept(client.reader("a", 1_000))
    client.reads.expire(1_001, 600, 0)
    assert client.told == [("a", Reason.NO_LEADER)]


def test_without_a_leader_reads_do_not_wait_for_their_index_for_ever(client: Client) -> None:
    client.reads.accept(client.reader("a"))
    client.reads.answered(client.reads.take_question(0), Index(5))
    client.reads.expire(2_900, 599, 0)
    assert client.told == []
    client.reads.expire(2_900, 600, 0)
    assert client.told == [("a", Reason.NO_LEADER)]
    client.reads.run(Index(5), 0)
    assert client.reads.in_flight == 0


def test_a_read_waits_for_its_revision_and_no_longer_than_its_time(client: Client) -> None:
    client.reads.wait_for_revision(7, client.reader("seven"))
    client.reads.wait_for_revision(9, client.reader("nine"))
    client.reads.run(Index(0), 6)
    assert client.told == []
    client.reads.run(Index(0), 8)
    assert client.told == [("seven", None)]
    client.reads.expire(2_999, 0, 8)
    assert client.told == [("seven", None)]
    client.reads.expire(3_000, 0, 8)
    assert client.told == [("seven", None), ("nine", Reason.REVISION_NOT_REACHED)]


def test_everybody_is_told_when_the_node_stops(client: Client) -> None:
    client.reads.accept(client.reader("asked"))
    client.reads.answered(client.reads.take_question(0), Index(100))
    client.reads.accept(client.reader("waiting"))
    client.reads.take_question(0)
    client.reads.accept(client.reader("new"))
    client.reads.wait_for_revision(5, client.reader("revision"))
    client.reads.fail_all(shutting_down())
    assert sorted(client.told) == [
        (name, Reason.SHUTTING_DOWN) for name in ("asked", "new", "revision", "waiting")
    ]
    assert client.reads.in_flight == 0


def test_a_read_whose_index_never_comes_is_told_so(client: Client) -> None:
    client.reads.accept(client.reader("a", 0))
    client.reads.answered(client.reads.take_question(100), Index(1 << 60))
    client.reads.expire(3_099, 0, 0)
    assert client.told == []
    client.reads.expire(3_100, 0, 0)
    assert client.told == [("a", Reason.NO_LEADER)]
    assert client.reads.in_flight == 0
