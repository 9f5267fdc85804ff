"""Sending: what is queued where, what a sender is answered, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kvraft.machine.results import FailureReason
from kvraft.machine.users import queues, sends
from kvraft.v1 import message_pb2
from tests.unit.machine.users.message_store import DAY_MS, MessageStore, check_laws
from tests.unit.machine.users.user_store import START_MS

QUEUED = message_pb2.SEND_OUTCOME_QUEUED
SCHEDULED = message_pb2.SEND_OUTCOME_SCHEDULED
BLOCKED = message_pb2.SEND_OUTCOME_BLOCKED
NO_RECIPIENTS = message_pb2.SEND_OUTCOME_NO_RECIPIENTS
MINUTE_MS = 60_000


@pytest.fixture
def store() -> Iterator[MessageStore]:
    store = MessageStore()
    yield store
    check_laws(store.state)


def timestamp(ms: int) -> dict[str, int]:
    return {"seconds": ms // 1000, "nanos": ms % 1000 * 1_000_000}


def full(store: MessageStore, monkeypatch: pytest.MonkeyPatch, messages: int = 1) -> None:
    """Queues hold so many messages."""
    monkeypatch.setattr(queues, "MESSAGES_MAX", messages)


def results(response: Any) -> list[tuple[str, int, bool]]:
    return [(each.device_id, each.seq, each.queue_full) for each in response.device_results]


def test_a_message_is_in_the_queue_as_it_was_sent(store: MessageStore) -> None:
    response = store.send("m1", payload=b"hi", conversation_id="c", request_receipt=True)
    (queued,) = store.live()
    assert (queued.seq, queued.message) == (
        1,
        store.request("m1", payload=b"hi", conversation_id="c", request_receipt=True).message,
    )
    assert response.outcome == QUEUED
    assert results(response) == [("phone", 1, False)]
    assert response.queued_devices == 1
    assert response.header.revision == store.machine.revision == queued.entry.revision
    assert response.accept_time.ToMilliseconds() == START_MS == queued.entry.accept_ms
    assert store.machine.touched.queues == {("bob", "phone"): None}
    delivery = queues.delivery(queued, 2, True)
    assert (delivery.seq, delivery.attempt, delivery.redelivered) == (1, 2, True)
    assert delivery.expire_time.ToMilliseconds() == START_MS + 30 * DAY_MS


def test_numbers_of_a_queue_are_contiguous(store: MessageStore) -> None:
    for _ in range(5):
        store.send()
    assert store.seqs() == [1, 2, 3, 4, 5]
    assert [queued.seq for queued in store.live(after_seq=3)] == [4, 5]


def test_a_message_to_several_devices_is_stored_once(store: MessageStore) -> None:
    store.register("bob", "laptop")
    response = store.send("m1")
    assert results(response) == [("phone", 1, False), ("laptop", 1, False)]
    assert store.bodies() == 2
    assert store.ids("bob", "phone") == store.ids("bob", "laptop") == ["m1"]
    store.acknowledge(1)
    assert store.bodies() == 2
    store.acknowledge(1, device_id="laptop")
    assert store.bodies() == 0


def test_nobody_sends_to_an_unknown_user(store: MessageStore) -> None:
    assert store.refused("send_message", store.request(user_id="eve")) is FailureReason.USER_NOT_FOUND


# --- duplicates -----------------------------------------------------------------------------------


def test_a_repeated_message_gets_the_first_answer(store: MessageStore) -> None:
    first = store.send("m1", payload=b"x")
    store.send("m2")
    store.acknowledge(1)
    revision = store.machine.revision
    store.now_ms += DAY_MS - 1
    again = store.send("m1", payload=b"x", client_time={"seconds": 5}, ttl={"seconds": 9})
    assert again.duplicate
    again.duplicate = False
    assert again == first
    assert store.machine.revision == revision
    assert store.ids() == ["m2"]


def test_a_message_is_forgotten_after_a_day(store: MessageStore) -> None:
    store.send("m1", payload=b"x")
    store.now_ms += DAY_MS
    assert not store.send("m1", payload=b"y").duplicate
    assert store.ids() == ["m1", "m1"]


@pytest.mark.parametrize(
    "other",
    [
        {"payload": b"y"},
        {"content_type": message_pb2.CONTENT_TYPE_OPAQUE},
        {"conversation_id": "d"},
        {"media": {"uri": "u"}},
        {"media": {"uri": "v", "size_bytes": 1}},
        {"payload": b"", "conversation_id": "xc"},
    ],
)
def test_another_message_under_the_same_id_is_refused(store: MessageStore, other: dict[str, Any]) -> None:
    content = {"payload": b"x", "conversation_id": "c"}
    store.send("m1", **content)
    reason = store.refused("send_message", store.request("m1", **content | other))
    assert reason is FailureReason.MESSAGE_ID_REUSED


def test_media_that_differ_are_other_messages(store: MessageStore) -> None:
    media = {"uri": "u", "size_bytes": 3, "mime_type": "a/b", "sha256": b"x" * 32}
    store.send("m1", media=media)
    assert store.send("m1", media=media).duplicate
    for field, value in (("uri", "v"), ("size_bytes", 4), ("mime_type", "a/c"), ("sha256", b"y" * 32)):
        reason = store.refused("send_message", store.request("m1", media=media | {field: value}))
        assert reason is FailureReason.MESSAGE_ID_REUSED


def test_ids_are_of_one_sender_and_destination(store: MessageStore) -> None:
    store.create_group("ada", "bob")
    for fields in ({}, {"sender_id": "bob"}, {"user_id": "ada"}, {"group_id": "g"}):
        assert not store.send("m1", **fields).duplicate


def test_a_duplicate_is_one_though_it_would_be_refused_now(
    store: MessageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.send("m1", expire_time=timestamp(START_MS + 1_000))
    full(store, monkeypatch)
    store.now_ms += 5_000
    assert store.send("m1", expire_time=timestamp(START_MS + 1_000)).duplicate


def test_the_memory_is_forgotten_two_generations_later(
    store: MessageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kvraft.machine.users.due.SENT_AT_ONCE_MAX", 2)
    for _ in range(3):
        store.send()

    def sent() -> int:
        return sum(1 for key in store.state.rows if key[0] == 5)

    store.pass_time(DAY_MS)
    assert sent() == 3
    store.pass_time(DAY_MS)
    assert sent() == 1
    store.pass_time()
    assert sent() == 0


# --- time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "accepted"),
    [
        ({"expire_time": timestamp(START_MS)}, False),
        ({"expire_time": timestamp(START_MS + 1)}, True),
        ({"expire_time": timestamp(START_MS + sends.AHEAD_MS_MAX)}, True),
        ({"expire_time": timestamp(START_MS + sends.AHEAD_MS_MAX + 1)}, False),
        ({"deliver_time": timestamp(START_MS + sends.AHEAD_MS_MAX)}, True),
        ({"deliver_time": timestamp(START_MS + sends.AHEAD_MS_MAX + 1)}, False),
        ({"deliver_time": timestamp(START_MS + 5), "expire_time": timestamp(START_MS + 5)}, False),
        ({"deliver_time": timestamp(START_MS + 5), "expire_time": timestamp(START_MS + 6)}, True),
        ({"deliver_time": timestamp(START_MS + 5), "ttl": {"seconds": 1}}, True),
    ],
)
def test_times_must_lie_ahead(store: MessageStore, times: dict[str, Any], accepted: bool) -> None:
    request = store.request(**times)
    if accepted:
        assert store.do("send_message", request).queued_devices == 1
    else:
        assert store.refused("send_message", request) is FailureReason.TIME_NOT_AHEAD


def test_a_message_expires_and_leaves_a_hole(store: MessageStore) -> None:
    store.send("m1", ttl={"seconds": 60})
    store.send("m2")
    store.now_ms += MINUTE_MS
    assert store.ids() == ["m2"]
    assert store.queue().live == 2
    store.pass_time()
    assert (store.queue().live, store.queue().expired, store.queue().ack_floor) == (1, 1, 1)
    store.send("m3")
    assert store.seqs() == [2, 3]


def test_a_message_lives_thirty_days(store: MessageStore) -> None:
    store.send("m1")
    store.pass_time(30 * DAY_MS - 1)
    assert store.ids() == ["m1"]
    store.pass_time(1)
    assert store.ids() == []
    assert (store.queue().expired, store.queue().due_ms) == (1, 0)


def test_what_is_due_is_done_in_steps(store: MessageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kvraft.machine.users.due.MESSAGES_AT_ONCE_MAX", 4)
    for _ in range(6):
        store.send()
        store.send(ttl={"seconds": 60})
        store.send(deliver_time=timestamp(START_MS + 1_000))
    store.now_ms += 30 * DAY_MS
    steps = 0
    while store.queue().due_ms and store.queue().due_ms <= store.now_ms:
        store.pass_time()
        check_laws(store.state)
        steps += 1
    assert 18 / 4 <= steps <= 18
    assert (store.queue().expired, store.queue().live, store.queue().scheduled) == (12, 6, 0)


def test_a_scheduled_message_is_queued_when_it_is_due(store: MessageStore) -> None:
    store.register("bob", "laptop")
    response = store.send("m1", deliver_time=timestamp(START_MS + MINUTE_MS))
    assert response.outcome == SCHEDULED
    assert results(response) == [("phone", 0, False), ("laptop", 0, False)]
    store.send("m2")
    store.block("bob", "ada")
    store.pass_time(MINUTE_MS - 1)
    assert store.ids() == ["m2"]
    store.pass_time(1)
    assert store.ids() == store.ids("bob", "laptop") == ["m2", "m1"]
    assert store.live()[1].entry.expire_ms == START_MS + MINUTE_MS + 30 * DAY_MS
    assert store.machine.touched.queues == {("bob", "laptop"): None, ("bob", "phone"): None}


def test_scheduled_messages_are_queued_in_the_order_of_their_times(store: MessageStore) -> None:
    store.send("late", deliver_time=timestamp(START_MS + 2_000))
    store.send("early", deliver_time=timestamp(START_MS + 1_000))
    store.send("late too", deliver_time=timestamp(START_MS + 2_000))
    store.pass_time(MINUTE_MS)
    assert store.ids() == ["early", "late", "late too"]


def test_a_delivery_time_that_has_passed_is_now(store: MessageStore) -> None:
    assert store.send("m1", deliver_time=timestamp(START_MS), ttl={"seconds": 1}).outcome == QUEUED
    assert store.live()[0].entry.expire_ms == START_MS + 1_000


def test_the_life_of_a_scheduled_message_begins_when_it_is_due(store: MessageStore) -> None:
    store.send("m1", deliver_time=timestamp(START_MS + MINUTE_MS), ttl={"seconds": 1})
    store.pass_time(MINUTE_MS)
    assert store.live()[0].entry.expire_ms == START_MS + MINUTE_MS + 1_000


def test_what_was_due_and_expired_while_nobody_led_is_given_a_number(store: MessageStore) -> None:
    store.send("m1", deliver_time=timestamp(START_MS + 1_000), ttl={"seconds": 1})
    store.pass_time(MINUTE_MS)
    assert (store.queue().next_seq, store.queue().expired, store.queue().live) == (2, 1, 0)


# --- collapse -------------------------------------------------------------------------------------


def test_a_message_takes_the_place_of_one_with_its_key(store: MessageStore) -> None:
    store.send("m1", collapse_key="here")
    store.send("m2")
    store.send("m3", collapse_key="there")
    store.send("m4", collapse_key="here")
    assert store.ids() == ["m2", "m3", "m4"]
    assert (store.queue().collapsed, store.queue().ack_floor) == (1, 1)


def test_what_was_acknowledged_is_not_collapsed(store: MessageStore) -> None:
    store.send("m1", collapse_key="here")
    store.acknowledge(1)
    store.send("m2", collapse_key="here")
    assert (store.queue().acked, store.queue().collapsed) == (1, 0)


def test_a_scheduled_message_collapses_when_it_is_due(store: MessageStore) -> None:
    store.send("m1", collapse_key="here", deliver_time=timestamp(START_MS + MINUTE_MS))
    store.send("m2", collapse_key="here")
    store.send("m3", collapse_key="here", deliver_time=timestamp(START_MS + MINUTE_MS))
    assert store.ids() == ["m2"]
    store.pass_time(MINUTE_MS)
    assert store.ids() == ["m3"]
    assert store.queue().collapsed == 2


def test_a_shared_body_is_let_go_of_where_it_collapses(store: MessageStore) -> None:
    store.register("bob", "laptop")
    store.send("m1", collapse_key="here")
    store.acknowledge(1, device_id="laptop")
    store.send("m2", collapse_key="here")
    assert store.bodies() == 2


# --- quota ----------------------------------------------------------------------------------------


def test_a_full_queue_does_not_hold_up_the_others(
    store: MessageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.register("bob", "laptop")
    full(store, monkeypatch)
    store.send("m1")
    store.acknowledge(1, device_id="laptop")
    response = store.send("m2")
    assert results(response) == [("laptop", 2, False), ("phone", 0, True)]
    assert response.queued_devices == 1
    assert store.bodies() == 2
    reason = store.refused("send_message", store.request("m3"))
    assert reason is FailureReason.QUEUE_FULL
    store.acknowledge(1)
    assert not store.send("m3").duplicate


def test_scheduled_messages_count(store: MessageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    full(store, monkeypatch, 2)
    store.send(deliver_time=timestamp(START_MS + MINUTE_MS))
    store.send()
    assert store.refused("send_message", store.request()) is FailureReason.QUEUE_FULL
    store.pass_time(MINUTE_MS)
    assert (store.queue().live, store.queue().scheduled) == (2, 0)
    store.purge()
    assert store.send().queued_devices == 1


def test_bytes_count_to_the_last_one(store: MessageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "BYTES_MAX", 2 * 256 + 10 + 6)
    store.send(payload=b"x" * 10)
    media = {"uri": "ü", "mime_type": "a/b"}
    reason = store.refused("send_message", store.request(payload=b"xx", media=media))
    assert reason is FailureReason.QUEUE_FULL
    assert store.send(payload=b"x", media=media).queued_devices == 1


# --- blocks ---------------------------------------------------------------------------------------


def test_who_is_blocked_cannot_tell(store: MessageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.register("cyd", "phone")
    store.block("bob", "ada")
    full(store, monkeypatch, 1)

    def seen(user_id: str) -> list[Any]:
        before = store.machine.revision
        answers: list[Any] = [
            store.send("m1", user_id=user_id, sender_id="ada"),
            store.send("m1", user_id=user_id, sender_id="ada"),
            store.send("m1", user_id=user_id, sender_id="ada", payload=b"other"),
            store.send("m2", user_id=user_id, expire_time=timestamp(START_MS)),
        ]
        for answer in answers[:2]:
            for field in ("outcome", "device_results", "queued_devices"):
                answer.ClearField(field)
            answer.header.revision -= before
        return [*answers, store.machine.revision - before]

    assert seen("bob") == seen("cyd")
    assert store.seqs() == []
    assert store.send("m3", user_id="bob").outcome == BLOCKED


def test_a_full_queue_refuses_whoever_is_blocked_as_well(
    store: MessageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.block("bob", "ada")
    full(store, monkeypatch)
    store.send(sender_id="cyd")
    assert store.refused("send_message", store.request()) is FailureReason.QUEUE_FULL


# --- groups ---------------------------------------------------------------------------------------


@pytest.fixture
def group() -> Iterator[MessageStore]:
    store = MessageStore(
        ("ada", "phone"), ("ada", "laptop"), ("bob", "phone"), ("cyd", "phone"), ("cyd", "laptop")
    )
    store.create_group("ada", "bob", "cyd")
    yield store
    check_laws(store.state)


def test_a_group_message_goes_to_every_device_but_the_one_it_comes_from(group: MessageStore) -> None:
    response = group.send("m1", group_id="g")
    assert (response.outcome, response.queued_devices, results(response)) == (QUEUED, 4, [])
    assert group.ids("ada", "laptop") == group.ids("cyd", "laptop") == group.ids("bob", "phone") == ["m1"]
    assert group.ids("ada", "phone") == []
    assert group.bodies() == 2
    for user_id, device_id in (("ada", "laptop"), ("bob", "phone"), ("cyd", "phone"), ("cyd", "laptop")):
        assert group.acknowledge(1, user_id=user_id, device_id=device_id).acknowledged == 1
    assert group.bodies() == 0


def test_who_is_not_in_a_group_does_not_send_to_it(group: MessageStore) -> None:
    group.register("eve", "phone")
    request = group.request(group_id="g", sender_id="eve")
    assert group.refused("send_message", request) is FailureReason.NOT_MEMBER
    request = group.request(group_id="h")
    assert group.refused("send_message", request) is FailureReason.GROUP_NOT_FOUND


def test_a_block_of_direct_messages_lets_group_messages_through(group: MessageStore) -> None:
    group.block("bob", "ada")
    group.block("cyd", "ada", groups=True)
    response = group.send("m1", group_id="g")
    assert (response.outcome, response.queued_devices) == (QUEUED, 2)
    assert group.ids("bob", "phone") == group.ids("ada", "laptop") == ["m1"]
    assert group.ids("cyd", "phone") == []


def test_a_group_of_one_device_has_no_recipients() -> None:
    store = MessageStore()
    store.create_group("ada")
    response = store.send("m1", group_id="g")
    assert (response.outcome, response.queued_devices) == (NO_RECIPIENTS, 0)
    assert store.send("m1", group_id="g").duplicate


def test_full_queues_of_a_group_are_named(group: MessageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    full(group, monkeypatch)
    monkeypatch.setattr(sends, "FULL_RESULTS_MAX", 2)
    for user_id in ("bob", "cyd"):
        group.send(user_id=user_id)
    response = group.send("m1", group_id="g")
    assert [(each.user_id, each.device_id) for each in response.device_results] == [
        ("bob", "phone"),
        ("cyd", "phone"),
    ]
    assert (response.outcome, response.queued_devices) == (QUEUED, 1)
    again = group.send("m1", group_id="g")
    assert (again.duplicate, again.queued_devices, list(again.device_results)) == (True, 1, [])
    assert group.refused("send_message", group.request(group_id="g")) is FailureReason.QUEUE_FULL


def test_everybody_in_a_group_gets_messages_in_the_same_order(group: MessageStore) -> None:
    for number in range(10):
        group.send(f"m{number}", group_id="g", sender_id=("ada", "bob")[number % 2], sender_device_id="")
    expected = [f"m{number}" for number in range(10)]
    assert group.ids("cyd", "phone") == group.ids("bob", "phone") == group.ids("ada", "laptop") == expected
