"""What becomes of a command: answered, certainly not applied, or unknown - and never two of them."""

from __future__ import annotations

import pytest

from kvraft.errors import Reason, RequestError
from kvraft.machine.results import Answer, DeleteResult
from kvraft.node.proposals import LOSS_SUSPECTED_MS, Proposals, Waiter
from kvraft.node.settings import NodeSettings
from kvraft.raft.types import Term

SETTINGS = NodeSettings(
    admission_timeout_ms=2_000,
    leaderless_timeout_ms=600,
    outcome_timeout_ms=5_000,
    waiting_commands_max=5,
    waiting_bytes_max=1_000,
    batch_bytes_max=100,
)
T1, T2 = Term(1), Term(2)


class Client:
    """Submits commands and keeps what it is told, in order."""

    def __init__(self) -> None:
        self.proposals = Proposals(SETTINGS, first_group_id=(1 << 64) - 1)
        self.told: list[tuple[bytes, object]] = []

    def submit(self, command: bytes, *, grows_state: bool = True, now_ms: int = 0) -> None:
        def on_answer(answer: Answer | RequestError) -> None:
            self.told.append((command, answer.reason if isinstance(answer, RequestError) else answer))

        self.proposals.accept(Waiter(command, grows_state, now_ms, on_answer))


@pytest.fixture
def client() -> Client:
    return Client()


def answer(revision: int) -> Answer:
    return Answer(revision, DeleteResult(False, None))


def test_commands_that_wait_together_go_as_one_group_up_to_its_bytes(client: Client) -> None:
    for size in (60, 40, 1, 200):
        client.submit(b"x" * size)
    sizes = []
    while client.proposals.has_waiting:
        group = client.proposals.take_group(T1, 0)
        sizes.append([len(command) for command in group.commands])
    assert sizes == [[60, 40], [1], [200]]


def test_an_applied_group_is_answered_in_order_and_once(client: Client) -> None:
    client.submit(b"a")
    client.submit(b"b")
    group = client.proposals.take_group(T1, 0)
    client.proposals.applied(group.group_id, [answer(1), answer(2)])
    client.proposals.applied(group.group_id, [answer(1), answer(2)])
    assert client.told == [(b"a", answer(1)), (b"b", answer(2))]
    assert client.proposals.in_flight == 0


def test_answers_to_an_earlier_life_of_the_node_are_ignored(client: Client) -> None:
    client.submit(b"a")
    client.proposals.applied(12345, [answer(1)])
    assert client.told == []


def test_an_entry_of_a_later_term_proves_that_a_group_is_lost(client: Client) -> None:
    client.submit(b"a")
    client.proposals.take_group(T1, 0)
    client.proposals.term_applied(T1)
    assert client.told == []
    client.submit(b"b")
    second = client.proposals.take_group(T2, 0)
    client.proposals.term_applied(T2)
    assert client.told == [(b"a", Reason.NOT_APPLIED)]
    client.proposals.applied(second.group_id, [answer(7)])
    assert client.told[1:] == [(b"b", answer(7))]


def test_a_group_that_was_not_given_to_anybody_waits_again_before_the_others(client: Client) -> None:
    client.submit(b"a")
    client.submit(b"b")
    group = client.proposals.take_group(T1, 0)
    client.submit(b"c")
    client.proposals.put_back(group.group_id)
    assert client.proposals.take_group(T1, 0).commands == (b"a", b"b", b"c")
    assert client.told == []


def test_a_group_that_is_missing_before_a_later_one_waits_again(client: Client) -> None:
    for command in (b"a", b"b"):
        client.submit(command)
        client.proposals.take_group(T1, 0)
    client.submit(b"c")
    later = client.proposals.take_group(T1, 0)
    client.submit(b"d")
    latest = client.proposals.take_group(T1, 0)
    client.proposals.applied(later.group_id, [answer(1)])
    assert client.told == [(b"c", answer(1))]
    assert client.proposals.take_group(T1, 0).commands == (b"a", b"b"), "and no longer the later one"
    client.proposals.applied(latest.group_id, [answer(2)])
    assert client.told[1:] == [(b"d", answer(2))]
    assert client.proposals.in_flight == 2


def test_a_group_without_commands_asks_whether_those_before_it_were_lost(client: Client) -> None:
    client.submit(b"a")
    client.proposals.take_group(T1, 0)
    probe = client.proposals.take_group(T1, 500)
    assert (probe.commands, probe.grows_state) == ((), False)
    client.proposals.applied(probe.group_id, [])
    assert client.proposals.take_group(T1, 501).commands == (b"a",)
    assert client.told == []


def test_a_loss_is_suspected_when_the_leader_is_silent_about_what_it_was_given(client: Client) -> None:
    suspects = client.proposals.suspects_loss
    assert not suspects(T1, 10_000), "nothing was given"
    client.submit(b"a")
    assert not suspects(T1, 10_000), "nor here"
    client.proposals.take_group(T1, 100)
    assert not suspects(T1, 599)
    assert suspects(T1, 600)
    assert not suspects(T2, 600), "an entry of the new term will tell"
    client.proposals.take_group(T1, 600)
    assert not suspects(T1, 1_099), "it was asked"
    assert suspects(T1, 1_100), "and the question may be lost as well"
    client.proposals.give_up("of a test")
    assert not suspects(T1, 10_000), "nobody waits any more"


def test_a_question_that_is_refused_is_not_asked_again_at_once(client: Client) -> None:
    client.submit(b"a")
    client.proposals.take_group(T1, 0)
    question = client.proposals.take_group(T1, 500)
    client.proposals.refused(question.group_id, Reason.OVERLOADED)
    assert not client.proposals.suspects_loss(T1, 999)
    assert client.proposals.suspects_loss(T1, 1_000)


def test_a_refusal_that_comes_too_late_changes_nothing(client: Client) -> None:
    client.submit(b"a")
    refused = client.proposals.take_group(T1, 0)
    client.submit(b"b")
    client.proposals.applied(client.proposals.take_group(T1, 0).group_id, [answer(1)])
    for reason in (Reason.NO_LEADER, Reason.OVERLOADED, Reason.NO_SPACE):
        client.proposals.refused(refused.group_id, reason)
    assert client.proposals.take_group(T1, 0).commands == (b"a",)
    assert not client.proposals.has_waiting


def test_a_refusal_for_leadership_lets_the_commands_wait_for_the_next_leader(client: Client) -> None:
    client.submit(b"a")
    group = client.proposals.take_group(T1, 0)
    client.proposals.refused(group.group_id, Reason.NO_LEADER)
    client.proposals.term_applied(T2)
    assert client.told == [], "it was never proposed, so no entry can say anything about it"
    assert client.proposals.has_waiting


def test_an_overloaded_leader_is_told_to_the_callers(client: Client) -> None:
    client.submit(b"a")
    client.proposals.refused(client.proposals.take_group(T1, 0).group_id, Reason.OVERLOADED)
    assert client.told == [(b"a", Reason.OVERLOADED)]


def test_without_space_deletes_go_on(client: Client) -> None:
    client.submit(b"put")
    client.submit(b"delete", grows_state=False)
    group = client.proposals.take_group(T1, 0)
    assert group.grows_state
    client.proposals.refused(group.group_id, Reason.NO_SPACE)
    assert client.told == [(b"put", Reason.NO_SPACE)]
    again = client.proposals.take_group(T1, 0)
    assert (again.commands, again.grows_state) == ((b"delete",), False)


def test_what_waits_too_long_was_not_applied_what_is_pending_is_unknown(client: Client) -> None:
    client.submit(b"pending")
    client.proposals.take_group(T1, 0)
    client.submit(b"waiting", now_ms=100)
    client.proposals.expire(2_099, leaderless_ms=0)
    assert client.told == []
    client.proposals.expire(2_100, leaderless_ms=0)
    assert client.told == [(b"waiting", Reason.NO_LEADER)]
    client.proposals.expire(5_000, leaderless_ms=0)
    assert client.told[1:] == [(b"pending", Reason.OUTCOME_UNKNOWN)]


def test_without_a_leader_everybody_is_answered_within_the_leaderless_timeout(client: Client) -> None:
    client.submit(b"pending")
    client.proposals.take_group(T1, 0)
    client.submit(b"waiting", now_ms=700)
    client.proposals.expire(700, leaderless_ms=599)
    assert client.told == []
    client.proposals.expire(701, leaderless_ms=600)
    assert client.told == [(b"waiting", Reason.NO_LEADER), (b"pending", Reason.OUTCOME_UNKNOWN)]


def test_a_snapshot_leaves_pending_groups_unknown(client: Client) -> None:
    client.submit(b"a")
    client.proposals.take_group(T1, 0)
    client.proposals.skipped()
    assert client.told == [(b"a", Reason.OUTCOME_UNKNOWN)]


def test_the_limits_of_what_waits_hold_for_commands_and_bytes(client: Client) -> None:
    client.submit(b"x" * 1_000)
    client.submit(b"y")
    assert client.told == [(b"y", Reason.OVERLOADED)]
    other = Client()
    for _ in range(6):
        other.submit(b"z")
    assert other.told == [(b"z", Reason.OVERLOADED)]
    group = other.proposals.take_group(T1, 0)
    other.proposals.applied(group.group_id, [answer(1)] * 5)
    other.submit(b"z")
    assert other.proposals.in_flight == 1


def test_heavy_commands_wait_for_each_other_and_light_ones_for_none(client: Client) -> None:
    def submit(name: bytes, work: int) -> None:
        client.proposals.accept(Waiter(name, True, 0, lambda told: client.told.append((name, told)), work))

    work = SETTINGS.heavy_work_max // 2
    for name in (b"a", b"b", b"c"):
        submit(name, work)
    submit(b"light", 1)
    group = client.proposals.take_group(T1, 0)
    assert group.commands == (b"light", b"a", b"b")
    assert not client.proposals.has_waiting
    submit(b"again", 1)
    assert client.proposals.take_group(T1, 0).commands == (b"again",)
    client.proposals.applied(group.group_id, [answer(1)] * 3)
    assert client.proposals.take_group(T1, 0).commands == (b"c",)


def test_a_heavy_command_alone_may_be_more_than_the_limit_and_waits_for_its_turn(client: Client) -> None:
    told: list[object] = []
    for _ in range(2):
        work = 2 * SETTINGS.heavy_work_max
        client.proposals.accept(Waiter(b"x", True, 0, told.append, work))
    group = client.proposals.take_group(T1, 0)
    assert not client.proposals.has_waiting
    client.proposals.expire(SETTINGS.admission_timeout_ms, 0)
    (refused,) = told
    assert isinstance(refused, RequestError)
    assert (refused.reason, refused.applied) == (Reason.OVERLOADED, "no")
    client.proposals.put_back(group.group_id)
    assert client.proposals.take_group(T1, 0).commands == (b"x",)


def test_a_question_alone_is_not_asked_again(client: Client) -> None:
    """It has no commands that could be lost."""
    client.submit(b"a")
    group = client.proposals.take_group(T1, 0)
    assert client.proposals.suspects_loss(T1, LOSS_SUSPECTED_MS)
    client.proposals.take_group(T1, LOSS_SUSPECTED_MS)
    client.proposals.applied(group.group_id, [answer(1)])
    assert not client.proposals.suspects_loss(T1, 10 * LOSS_SUSPECTED_MS)
