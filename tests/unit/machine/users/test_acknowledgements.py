"""Acknowledgements, failures and receipts: what leaves a queue, who may say so, and who is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kvraft.machine.results import FailureReason
from kvraft.machine.users import dead_letters, keys, queues, receipts
from kvraft.v1 import message_pb2, session_pb2
from tests.unit.machine.users.message_store import DAY_MS, MessageStore, check_laws
from tests.unit.machine.users.user_store import START_MS


@pytest.fixture
def store() -> Iterator[MessageStore]:
    store = MessageStore()
    yield store
    check_laws(store.state)


def open_session(store: MessageStore) -> int:
    request = session_pb2.OpenSessionRequest(user_id="bob", device_id="phone", lease_id=store.grant())
    session = store.do("open_session", request).session
    assert isinstance(session, session_pb2.Session)
    return session.epoch


def send(store: MessageStore, count: int) -> None:
    for number in range(1, count + 1):
        store.send(f"m{number}")


# --- acknowledgements -----------------------------------------------------------------------------


def test_a_cumulative_acknowledgement_deletes_from_the_front(store: MessageStore) -> None:
    send(store, 5)
    response = store.acknowledge(3)
    assert (response.acknowledged, response.ack_floor) == (3, 3)
    assert store.seqs() == [4, 5]
    assert (store.queue().acked, store.queue().live) == (3, 2)
    assert store.machine.touched.queues == {("bob", "phone"): None}


def test_a_selective_acknowledgement_leaves_a_hole(store: MessageStore) -> None:
    send(store, 5)
    assert store.acknowledge(0, 4, 2).ack_floor == 0
    assert store.seqs() == [1, 3, 5]
    assert store.acknowledge(0, 1).ack_floor == 2
    assert store.acknowledge(0, 3).ack_floor == 4
    assert store.acknowledge(5).ack_floor == 5


def test_a_wide_hole_is_crossed(store: MessageStore) -> None:
    send(store, 60)
    store.acknowledge(0, *range(2, 60))
    assert store.seqs() == [1, 60]
    assert store.acknowledge(1).ack_floor == 59
    assert store.seqs() == [60]


def test_acknowledging_again_changes_nothing(store: MessageStore) -> None:
    send(store, 3)
    store.acknowledge(2)
    rows, revision = store.rows(), store.machine.revision
    response = store.acknowledge(2, 1, 2)
    assert (response.acknowledged, response.ack_floor) == (0, 2)
    assert (store.rows(), store.machine.revision) == (rows, revision)


def test_a_number_counts_once(store: MessageStore) -> None:
    send(store, 3)
    assert store.acknowledge(2, 2, 3, 3).acknowledged == 3


@pytest.mark.parametrize("given", [{"through_seq": 4}, {"seqs": [4]}, {"nacks": [{"seq": 4}]}])
def test_nobody_acknowledges_what_was_not_given(store: MessageStore, given: dict[str, object]) -> None:
    send(store, 3)
    request = message_pb2.AcknowledgeMessagesRequest(user_id="bob", device_id="phone", **given)
    assert store.refused("acknowledge_messages", request) is FailureReason.SEQ_NOT_GIVEN


def test_only_the_session_acknowledges(store: MessageStore) -> None:
    send(store, 3)
    assert store.acknowledge(1).acknowledged == 1
    assert store.acknowledge(1, epoch=7) is FailureReason.SESSION_SUPERSEDED
    first = open_session(store)
    assert store.acknowledge(2) is FailureReason.SESSION_SUPERSEDED
    assert store.acknowledge(2, epoch=first).acknowledged == 1
    second = open_session(store)
    assert store.acknowledge(3, epoch=first) is FailureReason.SESSION_SUPERSEDED
    assert store.acknowledge(3, epoch=second).acknowledged == 1


def test_an_unknown_device_has_no_queue(store: MessageStore) -> None:
    assert store.acknowledge(device_id="tv") is FailureReason.DEVICE_NOT_FOUND
    assert store.acknowledge(user_id="eve") is FailureReason.DEVICE_NOT_FOUND
    assert store.purge(device_id="tv") is FailureReason.DEVICE_NOT_FOUND
    assert store.redrive(device_id="tv") is FailureReason.DEVICE_NOT_FOUND
    assert store.delete_dead_letters(device_id="tv") is FailureReason.DEVICE_NOT_FOUND


def test_the_index_of_what_is_due_is_not_touched(store: MessageStore) -> None:
    send(store, 1)
    due_ms = store.queue().due_ms
    store.acknowledge(1)
    store.now_ms += 5_000
    store.send()
    assert store.queue().due_ms == due_ms == START_MS + 30 * DAY_MS
    store.pass_time(30 * DAY_MS - 5_000)
    assert store.queue().due_ms == due_ms + 5_000


# --- failures -------------------------------------------------------------------------------------


def test_the_twentieth_failure_of_the_first_message_makes_it_a_dead_letter(store: MessageStore) -> None:
    send(store, 3)
    for attempt in range(1, 20):
        assert store.acknowledge(nacks=(1,)).dead == 0
        assert store.queue().attempts == attempt
    response = store.acknowledge(nacks=(1,))
    assert (response.dead, response.ack_floor) == (1, 1)
    assert store.seqs() == [2, 3]
    assert (store.queue().dead, store.queue().dead_letters, store.queue().attempts) == (1, 1, 0)
    (letter,) = queues.dead_letters(store.state, "bob", "phone", 0)
    assert (letter.seq, letter.message.message_id) == (1, "m1")
    assert (letter.entry.reason, letter.entry.attempts, letter.entry.dead_ms) == ("broken", 20, START_MS)


def test_failures_of_others_do_not_count(store: MessageStore) -> None:
    send(store, 3)
    revision = store.machine.revision
    assert store.acknowledge(nacks=(2, 3)).dead == 0
    assert not store.fail(2)
    assert store.machine.revision == revision


def test_failures_are_forgotten_with_their_message(store: MessageStore) -> None:
    send(store, 3)
    store.acknowledge(nacks=(1,) * 19)
    assert store.queue().attempts == 19
    store.acknowledge(1)
    assert store.queue().attempts == 0
    assert store.acknowledge(nacks=(2,) * 19).dead == 0
    assert store.fail(2)


def test_what_is_acknowledged_in_the_same_command_goes_first(store: MessageStore) -> None:
    send(store, 3)
    store.acknowledge(1, nacks=(2,))
    assert (store.queue().suspect_seq, store.queue().attempts) == (2, 1)


def test_each_failure_of_one_command_counts(store: MessageStore) -> None:
    send(store, 3)
    assert store.acknowledge(nacks=(1,) * 20 + (2,) * 20).dead == 2
    assert store.seqs() == [3]


def test_a_failed_delivery_counts_like_a_refusal(store: MessageStore) -> None:
    send(store, 1)
    assert [store.fail(1) for _ in range(20)] == [False] * 19 + [True]
    assert not store.fail(1)
    assert not store.fail(1, device_id="tv")


def test_the_oldest_dead_letter_makes_room(store: MessageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "KEPT_MAX", 2)
    store.register("bob", "laptop")
    send(store, 3)
    store.acknowledge(nacks=(1,) * 20 + (2,) * 20 + (3,) * 20)
    assert store.dead_seqs() == [2, 3]
    store.purge("bob", "laptop")
    assert store.bodies() == 4
    assert store.delete_dead_letters(2, 2, 9).deleted == 1
    assert store.delete_dead_letters().deleted == 1
    assert store.bodies() == 0


def test_dead_letters_are_queued_again(store: MessageStore) -> None:
    store.send("m1", collapse_key="here", ttl={"seconds": 60})
    store.send("m2")
    store.acknowledge(nacks=(1,) * 20 + (2,) * 20)
    store.send("m3", collapse_key="here")
    store.pass_time(DAY_MS)
    response = store.redrive()
    assert (response.redriven, response.left) == (2, 0)
    assert [(q.seq, q.message.message_id) for q in store.live()] == [(3, "m3"), (4, "m1"), (5, "m2")]
    assert store.live()[1].entry.expire_ms == store.now_ms + 30 * DAY_MS
    assert store.dead_seqs() == []
    assert store.queue().dead == 2
    assert not store.live()[1].entry.reason


def test_named_dead_letters_are_queued_again_as_far_as_there_is_room(
    store: MessageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(store, 4)
    store.acknowledge(nacks=(1,) * 20 + (2,) * 20 + (3,) * 20)
    monkeypatch.setattr(queues, "MESSAGES_MAX", 2)
    response = store.redrive(3, 2, 77)
    assert (response.redriven, response.left) == (1, 1)
    assert store.dead_seqs() == [1, 3]
    assert store.ids() == ["m4", "m2"]


# --- receipts -------------------------------------------------------------------------------------


def receipt_of(queued: queues.QueuedMessage) -> message_pb2.Receipt:
    assert queued.message.content_type == message_pb2.CONTENT_TYPE_RECEIPT
    return message_pb2.Receipt.FromString(queued.message.payload)


def test_a_sender_is_told_once_what_was_acknowledged(store: MessageStore) -> None:
    for number in range(1, 4):
        store.send(f"m{number}", request_receipt=number != 2)
    store.acknowledge(3)
    (told,) = store.live("ada", "phone")
    assert told.message.sender_id == "bob"
    assert told.message.message_id == f"receipt-{store.machine.revision}"
    receipt = receipt_of(told)
    assert (receipt.user_id, receipt.device_id, list(receipt.message_ids)) == ("bob", "phone", ["m1", "m3"])
    assert receipt.acknowledge_time.ToMilliseconds() == START_MS
    assert store.machine.touched.queues == {("bob", "phone"): None, ("ada", "phone"): None}


def test_every_sender_is_told_of_their_own_messages(store: MessageStore) -> None:
    store.register("cyd", "phone")
    for number, sender_id in enumerate(("ada", "cyd", "ada"), 1):
        store.send(f"m{number}", sender_id=sender_id, request_receipt=True)
    store.acknowledge(3)
    assert list(receipt_of(store.live("ada", "phone")[0]).message_ids) == ["m1", "m3"]
    assert list(receipt_of(store.live("cyd", "phone")[0]).message_ids) == ["m2"]


def test_who_sends_to_themselves_is_told_in_the_same_queue(store: MessageStore) -> None:
    store.send("m1", user_id="ada", request_receipt=True)
    assert store.acknowledge(1, user_id="ada").ack_floor == 1
    assert [queued.seq for queued in store.live("ada", "phone")] == [2]


def test_receipts_of_shared_messages_come_from_each_device(store: MessageStore) -> None:
    store.register("bob", "laptop")
    store.send("m1", request_receipt=True)
    store.acknowledge(1)
    store.acknowledge(1, device_id="laptop")
    assert [receipt_of(each).device_id for each in store.live("ada", "phone")] == ["phone", "laptop"]


def test_who_cannot_be_told_is_passed_over(store: MessageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.register("cyd", "phone")
    store.send("m1", sender_id="nobody", request_receipt=True)
    store.send("m2", sender_id="cyd", request_receipt=True)
    store.block("cyd", "bob")
    store.send("m3", request_receipt=True)
    store.send("full", user_id="ada")
    monkeypatch.setattr(queues, "MESSAGES_MAX", 1)
    assert store.acknowledge(3).acknowledged == 3
    assert store.ids("ada", "phone") == ["full"]
    assert store.ids("cyd", "phone") == []


def test_very_many_messages_make_several_receipts(
    store: MessageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipts, "MESSAGES_MAX", 2)
    for number in range(1, 6):
        store.send(f"m{number}", request_receipt=True)
    store.acknowledge(5)
    told = store.live("ada", "phone")
    assert [list(receipt_of(each).message_ids) for each in told] == [["m1", "m2"], ["m3", "m4"], ["m5"]]
    assert len({each.message.message_id for each in told}) == 3


# --- whole queues ---------------------------------------------------------------------------------


def test_a_purged_queue_goes_on_with_its_numbers(store: MessageStore) -> None:
    send(store, 3)
    store.send(collapse_key="here", ttl={"seconds": 5})
    store.send("m9", deliver_time={"seconds": START_MS // 1000 + 60})
    store.acknowledge(1)
    response = store.purge()
    assert (response.purged, response.unscheduled) == (3, 1)
    assert (store.queue().purged, store.queue().ack_floor, store.queue().due_ms) == (3, 4, 0)
    store.send()
    assert store.seqs() == [5]
    store.pass_time(DAY_MS)
    assert store.seqs() == [5]


def test_purging_an_empty_queue_changes_nothing(store: MessageStore) -> None:
    rows = store.rows()
    assert store.purge() == message_pb2.PurgeQueueResponse()
    assert store.rows() == rows


def test_nothing_is_left_of_a_queue_whose_device_is_removed(store: MessageStore) -> None:
    store.register("bob", "laptop")
    store.create_group("ada", "bob")
    rows = set(store.rows())
    store.send()
    store.send(group_id="g")
    store.send(collapse_key="here", ttl={"seconds": 5})
    store.send(deliver_time={"seconds": START_MS // 1000 + 60})
    store.acknowledge(nacks=(1,) * 20)
    store.acknowledge(3)
    store.purge()
    store.delete_dead_letters()
    assert [store.fail(1, device_id="laptop") for _ in range(20)][-1]
    assert store.remove_device("bob", "laptop").purged_messages == 3
    check_laws(store.state)
    assert {key for key in store.rows() if key[0] != 5} - rows == {keys.queue_key("bob", "phone")}
    store.register("bob", "laptop")
    store.send()
    assert store.seqs("bob", "laptop") == [1]


def test_several_receipts_of_one_acknowledgement_are_bodies_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A sender with two devices, and more messages than one receipt holds: each is shared by two queues."""
    monkeypatch.setattr(receipts, "MESSAGES_MAX", 2)
    store = MessageStore(("bob", "phone"), ("ada", "phone"), ("ada", "pad"))
    for number in range(1, 6):
        store.send(f"m{number}", sender_id="ada", request_receipt=True)
    store.acknowledge(5)

    for device_id in ("phone", "pad"):
        told = [list(receipt_of(each).message_ids) for each in store.live("ada", device_id)]
        assert told == [["m1", "m2"], ["m3", "m4"], ["m5"]]
    check_laws(store.state)
    for device_id in ("phone", "pad"):
        store.acknowledge(3, user_id="ada", device_id=device_id)
    assert store.bodies() == 0
    check_laws(store.state)
