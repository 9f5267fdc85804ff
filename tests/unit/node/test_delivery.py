"""The rules of delivery, one by one."""

from __future__ import annotations

import pytest

from kvraft import errors
from kvraft.errors import RequestError
from kvraft.node import delivery_stream
from kvraft.node.delivery_stream import CommandRefused
from kvraft.node.sharing import Share
from kvraft.v1 import message_pb2, session_pb2
from tests.unit.node.delivery_world import (
    BOB,
    AckConfirmed,
    Attached,
    Closed,
    Delivered,
    QueueEmpty,
    Receiver,
    World,
)

LAPTOP = ("bob", "laptop")


@pytest.fixture
def world() -> World:
    return World(BOB, LAPTOP)


# --- beginnings ----------------------------------------------------------------------------------


def test_what_is_queued_comes_in_order_and_then_what_is_sent(world: World) -> None:
    world.send(3)
    bob = world.receiver()

    first, *rest = bob.take()
    assert isinstance(first, Attached)
    assert (first.ack_floor, first.next_seq, first.device_revision) == (0, 4, 1)
    assert [event.delivery.seq for event in rest if isinstance(event, Delivered)] == [1, 2, 3]
    world.send(2)
    assert bob.seqs() == [4, 5]


def test_a_delivery_is_the_message_as_it_was_accepted(world: World) -> None:
    world.send()
    (got,) = world.receiver().deliveries()
    assert (got.seq, got.attempt, got.redelivered) == (1, 1, False)
    assert got.message.message_id == "m1"
    assert got.revision > 0
    assert got.accept_time.ToMilliseconds() < got.expire_time.ToMilliseconds()


def test_only_the_epoch_of_the_session_is_attached(world: World) -> None:
    old = world.open_session()
    new = world.open_session()
    bob = Receiver(world)
    bob.attach(epoch=old)
    bob.attach(epoch=0)
    assert bob.ends() == ["SESSION_SUPERSEDED", "SESSION_SUPERSEDED"]
    bob.attach(epoch=new)
    assert [type(event) for event in bob.take()] == [Attached, QueueEmpty]


def test_an_unknown_device_is_refused(world: World) -> None:
    bob = Receiver(world)
    bob.attach(("bob", "watch"), epoch=1)
    bob.attach(("eve", "phone"), epoch=1)
    assert bob.ends() == ["DEVICE_NOT_FOUND", "DEVICE_NOT_FOUND"]


def test_only_a_leader_that_has_applied_an_entry_of_its_own_term_delivers(world: World) -> None:
    epoch = world.open_session()
    bob = Receiver(world)
    world.raft.term += 1
    bob.attach(epoch=epoch)
    world.leads = False
    world.raft.leader_id = 3
    bob.attach(epoch=epoch)
    first, second = bob.take()
    assert isinstance(first, Closed)
    assert isinstance(second, Closed)
    assert (first.reason, second.reason) == (errors.Reason.NOT_LEADER,) * 2
    assert second.leader_id == 3


def test_a_number_is_used_once_at_a_time(world: World) -> None:
    bob = world.receiver()
    with pytest.raises(RequestError, match="attachment_id"):
        bob.attach(LAPTOP, epoch=world.open_session(LAPTOP))


def test_too_many_attachments_are_refused(world: World) -> None:
    bob = world.receiver()
    world.hub.share = Share(2)
    world.hub.share.add("")
    bob.attach(LAPTOP, epoch=world.open_session(LAPTOP), number=2)
    assert bob.ends() == ["OVERLOADED"]


# --- acknowledgements ------------------------------------------------------------------------------


def test_acknowledgements_are_gathered_and_confirmed_when_applied(world: World) -> None:
    world.send(5)
    bob = world.receiver()
    bob.take()
    bob.acknowledge(2)
    bob.acknowledge(0, 4)
    assert bob.take() == []
    assert world.queue().live == 5

    (command,) = world.commit()
    request = command.user_data.acknowledge_messages
    assert (request.through_seq, list(request.seqs)) == (2, [4])
    assert bob.take() == [AckConfirmed(1, 2, (4,))]
    assert (world.queue().live, world.queue().ack_floor) == (2, 2)


def test_those_of_all_receivers_are_one_proposal(world: World) -> None:
    world.send(2)
    bob = world.receiver()
    bob.attach(LAPTOP, epoch=world.open_session(LAPTOP), number=2)
    bob.take()
    bob.acknowledge(1)
    bob.acknowledge(2, number=2)
    world.after(10)
    assert len(world.proposed) == 1
    assert len(world.commit_proposed()) == 2
    assert set(map(str, bob.take())) >= {str(AckConfirmed(1, 1, ())), str(AckConfirmed(2, 2, ()))}


def test_a_lone_acknowledgement_does_not_wait_and_the_next_ones_do(world: World) -> None:
    world.send(3)
    bob = world.receiver()
    bob.take()
    bob.acknowledge(1)
    world.after(0)
    assert len(world.proposed) == 1
    bob.acknowledge(2)
    world.after(9)
    bob.acknowledge(3)
    assert len(world.proposed) == 1
    world.after(1)
    assert [len(command.list.commands) for command, _ in world.proposed] == [1, 1]
    world.commit_proposed()
    assert bob.take() == [AckConfirmed(1, 1, ()), AckConfirmed(1, 3, ()), QueueEmpty(1)]


def test_many_do_not_wait(world: World) -> None:
    world.send(200)
    bob = world.receiver(messages=256)
    bob.attach(LAPTOP, epoch=world.open_session(LAPTOP), number=2, messages=256)
    bob.take()
    bob.acknowledge(1)
    world.after(0)
    bob.acknowledge(200)
    world.after(0)
    assert len(world.proposed) == 1
    bob.acknowledge(200, number=2)
    assert world.hub.deadline_ms == 0
    world.after(0)
    assert len(world.proposed) == 2


def test_the_window_in_messages(world: World) -> None:
    world.send(10)
    bob = world.receiver(messages=3)
    assert bob.seqs() == [1, 2, 3]
    bob.acknowledge(2)
    assert bob.seqs() == []
    world.commit()
    assert bob.seqs() == [4, 5]
    bob.acknowledge(0, 4)
    world.commit()
    assert bob.seqs() == [6]


def test_the_window_in_bytes_lets_one_message_always(world: World) -> None:
    world.send(3, payload_bytes=1_000)
    bob = world.receiver(window_bytes=100)
    assert bob.seqs() == [1]
    bob.acknowledge(1)
    world.commit()
    assert bob.seqs() == [2]


def test_what_was_not_delivered_cannot_be_acknowledged(world: World) -> None:
    world.send(5)
    bob = world.receiver(messages=2)
    bob.take()
    bob.acknowledge(3)
    (refused,) = bob.take()
    assert isinstance(refused, CommandRefused)
    assert "message 3" in str(refused.error)
    assert world.queue().live == 5
    bob.acknowledge(1)
    world.commit()
    assert (world.queue().live, world.queue().attempts) == (4, 0), (
        "the attachment goes on, and nothing failed"
    )


def test_what_was_acknowledged_before_is_confirmed_again(world: World) -> None:
    world.send(2)
    bob = world.receiver()
    bob.take()
    bob.acknowledge(2)
    world.commit()
    bob.take()
    bob.acknowledge(1)
    world.commit()
    assert bob.take() == [AckConfirmed(1, 2, ())]


def test_a_superseded_epoch_acknowledges_nothing(world: World) -> None:
    world.send(1)
    bob = world.receiver()
    bob.take()
    bob.acknowledge(1)
    world.after(10)
    other = world.open_session()
    world.commit_proposed()
    assert bob.ends() == ["SESSION_SUPERSEDED"]
    assert world.queue().live == 1
    assert world.receiver(epoch=other).seqs() == [1]


def test_refused_by_an_overloaded_node_they_are_proposed_again(world: World) -> None:
    world.send(2)
    bob = world.receiver()
    bob.take()
    bob.acknowledge(1, nacks=((2, 0),))
    world.after(10)
    world.refuse(errors.overloaded("much"))
    world.after(99)
    assert not world.proposed
    world.after(1)
    world.commit_proposed()
    assert world.queue().attempts == 1
    assert [type(event) for event in bob.take()] == [AckConfirmed, Delivered]


def test_of_unknown_outcome_failures_are_not_counted_twice(world: World) -> None:
    world.send(2)
    bob = world.receiver()
    bob.take()
    bob.acknowledge(1, nacks=((2, 0),))
    world.after(10)
    world.refuse(errors.outcome_unknown("who knows"))
    assert bob.seqs() == [2]
    world.after(100)
    world.commit_proposed()
    assert world.queue().attempts == 0
    assert world.queue().ack_floor == 1


# --- the queue is empty ----------------------------------------------------------------------------


def test_an_empty_queue_is_told_at_once_and_once(world: World) -> None:
    bob = world.receiver()
    assert [type(event) for event in bob.take()] == [Attached, QueueEmpty]
    world.send(1)
    assert [type(event) for event in bob.take()] == [Delivered]
    bob.acknowledge(1)
    world.commit()
    assert [type(event) for event in bob.take()] == [AckConfirmed]


def test_it_is_empty_when_the_last_message_of_the_beginning_is_acknowledged(world: World) -> None:
    world.send(3)
    bob = world.receiver(messages=2)
    bob.take()
    world.send(1)
    bob.acknowledge(2)
    world.commit()
    assert [type(event) for event in bob.take()] == [AckConfirmed, Delivered, Delivered]
    bob.acknowledge(0, 4)
    world.commit()
    assert [type(event) for event in bob.take()] == [AckConfirmed]
    bob.acknowledge(0, 3)
    world.commit()
    assert [type(event) for event in bob.take()] == [AckConfirmed, QueueEmpty]


def test_expired_messages_are_passed_over(world: World) -> None:
    world.send(1, ttl_s=5)
    world.send(1)
    world.after(6_000)
    world.send(1)
    bob = world.receiver()
    assert bob.seqs() == [2, 3]
    bob.acknowledge(3)
    world.commit()
    assert [type(event) for event in bob.take()] == [AckConfirmed, QueueEmpty]


def test_a_purge_ends_what_is_in_flight(world: World) -> None:
    world.send(3)
    bob = world.receiver(messages=2)
    bob.take()
    world.do("purge_queue", message_pb2.PurgeQueueRequest(user_id="bob", device_id="phone"))
    world.send(1)
    assert [type(event) for event in bob.take()] == [Delivered, QueueEmpty]


def test_a_collapsed_message_makes_room(world: World) -> None:
    world.send(1)
    world.send(1, collapse_key="place")
    bob = world.receiver(messages=2)
    assert bob.seqs() == [1, 2]
    world.send(1, collapse_key="place")
    assert bob.seqs() == [3]


# --- failures --------------------------------------------------------------------------------------


def test_a_nack_brings_the_message_back_before_later_ones(world: World) -> None:
    world.send(4)
    bob = world.receiver(messages=2)
    bob.take()
    bob.acknowledge(nacks=((1, 0),))
    assert bob.seqs() == []
    world.commit()
    (again,) = bob.deliveries()
    assert (again.seq, again.attempt, again.redelivered) == (1, 2, True)
    bob.acknowledge(2)
    world.commit()
    assert bob.seqs() == [3, 4]


def test_nothing_overtakes_a_message_that_came_back_and_has_no_room(world: World) -> None:
    world.send(1, payload_bytes=5_000)
    world.send(2)
    bob = world.receiver(messages=2, window_bytes=5_600)
    assert bob.seqs() == [1, 2]
    bob.acknowledge(nacks=((1, 1),))
    world.commit()
    assert bob.seqs() == [3]
    world.after(1)
    assert bob.seqs() == []
    bob.acknowledge(0, 3)
    world.send(1)
    world.commit()
    assert bob.seqs() == [1]


def test_what_was_put_off_is_forgotten_with_its_attachment(world: World) -> None:
    world.send(1)
    bob = world.receiver()
    bob.take()
    bob.acknowledge(nacks=((1, 3_600_000),))
    world.commit()
    assert bob.take() == []
    assert world.hub.deadline_ms == world.now_ms + 3_600_000
    bob.stream.close()
    assert world.hub.deadline_ms > world.now_ms + 3_600_000


def test_what_is_acknowledged_and_refused_is_acknowledged(world: World) -> None:
    world.send(2)
    bob = world.receiver()
    bob.take()
    bob.acknowledge(1, nacks=((1, 0), (2, 0)))
    bob.acknowledge(0, 2)
    world.commit()
    assert [type(event) for event in bob.take()] == [AckConfirmed, QueueEmpty]
    assert (world.queue().live, world.queue().acked) == (0, 2)


def test_a_nack_with_delay_lets_the_others_go_on(world: World) -> None:
    world.send(3)
    bob = world.receiver(messages=1)
    assert bob.seqs() == [1]
    bob.acknowledge(nacks=((1, 5_000),))
    world.commit()
    assert bob.seqs() == [2]
    world.after(4_999)
    assert bob.seqs() == []
    bob.acknowledge(0, 2)
    world.commit()
    assert bob.seqs() == [1]
    bob.acknowledge(1)
    world.commit()
    assert bob.seqs() == [3]


def test_so_many_nacks_make_a_dead_letter_and_the_next_one_comes(world: World) -> None:
    world.send(2)
    bob = world.receiver(messages=1)
    for attempt in range(1, 21):
        (again,) = bob.deliveries()
        assert (again.seq, again.attempt) == (1, attempt)
        bob.acknowledge(nacks=((1, 0),))
        world.commit()
    assert bob.seqs() == [2]
    assert world.queue().dead == 1


def test_a_broken_stream_counts_against_the_oldest_message_it_had(world: World) -> None:
    world.send(3)
    bob = world.receiver()
    bob.take()
    bob.acknowledge(1)
    bob.stream.close()
    commands = world.commit()
    assert [command.user_data.WhichOneof("command") for command in commands] == [
        "acknowledge_messages",
        "fail_delivery",
    ]
    assert (world.queue().ack_floor, world.queue().suspect_seq, world.queue().attempts) == (1, 2, 1)
    found = [(each.seq, each.attempt, each.redelivered) for each in world.receiver().deliveries()]
    assert found == [(2, 2, True), (3, 1, True)]


def test_a_message_that_never_left_the_node_is_not_suspect(world: World) -> None:
    world.send(1)
    bob = world.receiver()
    world.send(1)
    assert len(bob.take(2)) == 2  # that it is attached, and the first message
    bob.acknowledge(1)
    bob.stream.close()
    (command,) = world.commit()
    assert command.user_data.HasField("acknowledge_messages")


def test_an_orderly_detach_counts_nothing_and_waits_for_confirmation(world: World) -> None:
    world.send(3)
    bob = world.receiver()
    bob.take()
    bob.acknowledge(1)
    world.hub.detach(bob.stream, 1)
    assert bob.take() == []
    world.commit()
    confirmed, closed = bob.take()
    assert confirmed == AckConfirmed(1, 1, ())
    assert isinstance(closed, Closed)
    assert closed.reason is None
    bob.stream.close()
    assert world.commit() == []
    assert [(each.seq, each.attempt) for each in world.receiver().deliveries()] == [(2, 1), (3, 1)]


def test_the_leaders_end_counts_nothing(world: World) -> None:
    world.send(1)
    bob = world.receiver()
    bob.take()
    bob.acknowledge(1)
    world.depose(3)
    (closed,) = bob.take()
    assert isinstance(closed, Closed)
    assert (closed.reason, closed.leader_id) == (errors.Reason.NOT_LEADER, 3)
    assert world.commit() == []
    assert world.queue().attempts == 0


def test_neither_does_a_stop(world: World) -> None:
    world.send(1)
    bob = world.receiver()
    bob.take()
    world.hub.shut_down()
    assert bob.ends() == ["SHUTTING_DOWN"]
    assert bob.stream.has_ended
    bob.attach(epoch=world.open_session())
    assert bob.ends() == ["SHUTTING_DOWN"]
    assert world.commit() == []


# --- sessions --------------------------------------------------------------------------------------


def test_a_second_attachment_ends_the_first(world: World) -> None:
    world.send(2)
    epoch = world.open_session()
    first = world.receiver(epoch=epoch)
    first.take()
    second = world.receiver(epoch=epoch)
    assert first.ends() == ["SESSION_SUPERSEDED"]
    assert [(each.seq, each.redelivered) for each in second.deliveries()] == [(1, True), (2, True)]
    first.acknowledge(2)  # too late: nothing happens
    world.commit()
    assert (world.queue().live, world.queue().attempts) == (2, 1)


def test_a_take_over_ends_the_attachment_before_anybody_attaches(world: World) -> None:
    bob = world.receiver()
    bob.take()
    world.open_session()
    assert bob.ends() == ["SESSION_SUPERSEDED"]


def test_each_end_of_a_session_has_its_reason(world: World) -> None:
    def close(epoch: int) -> None:
        request = session_pb2.CloseSessionRequest(user_id="bob", device_id="phone", epoch=epoch)
        world.do("close_session", request)

    def revoke(_: int) -> None:
        world.do("revoke_sessions", session_pb2.RevokeSessionsRequest(user_id="bob"))

    def remove(_: int) -> None:
        world.do("remove_device", session_pb2.RemoveDeviceRequest(user_id="bob", device_id="phone"))

    ways = {"SESSION_CLOSED": close, "SESSION_REVOKED": revoke, "DEVICE_NOT_FOUND": remove}
    for reason, way in ways.items():
        world.send(1)
        epoch = world.open_session()
        bob = world.receiver(epoch=epoch)
        bob.take()
        way(epoch)
        assert bob.ends() == [reason]
        assert world.commit() == []


def test_the_end_of_a_lease_ends_its_sessions(world: World) -> None:
    world.send(1)
    bob = world.receiver()
    bob.take()
    world.store.revoke(world.lease_id)
    world.hub.publish(world.machine.touched)
    assert bob.ends() == ["SESSION_EXPIRED"]
    assert len(world.commit()) == 1


# --- slow readers ----------------------------------------------------------------------------------


def test_a_slow_reader_is_not_sent_more_than_its_queue_holds(world: World) -> None:
    world.send(20, payload_bytes=20_000)
    bob = world.receiver()
    assert len(bob.take(2)) == 2
    assert bob.stream._queued_bytes < delivery_stream.STREAM_BYTES_MAX + 21_000
    assert len(bob.seqs()) == 19


def test_a_reader_that_takes_nothing_for_a_minute_is_closed(world: World) -> None:
    world.send(200)
    bob = world.receiver()
    bob.take(5)
    world.after(59_999)
    bob.take(1)
    world.after(59_999)
    assert bob.stream.attachments
    world.after(1)
    assert not bob.stream.attachments
    assert bob.stream.has_ended
    (command,) = world.commit()
    assert command.user_data.fail_delivery.seq == 1
    assert bob.ends() == ["SLOW_CONSUMER"]


def test_a_node_that_was_paused_does_not_blame_its_readers(world: World) -> None:
    world.send(200)
    bob = world.receiver()
    bob.take(5)
    world.now_ms += 70_000
    world.after(0)
    assert bob.stream.attachments
    world.after(60_000)
    assert not bob.stream.attachments


def test_a_reader_for_whom_nothing_waits_is_not_slow(world: World) -> None:
    bob = world.receiver()
    bob.take()
    world.after(120_000)
    assert bob.stream.attachments
    world.send(1)
    world.after(59_000)
    assert bob.seqs() == [1]


def test_attachments_of_a_stream_take_turns(world: World) -> None:
    world.send(20, payload_bytes=20_000)
    bob = world.receiver()
    bob.attach(LAPTOP, epoch=world.open_session(LAPTOP), number=2)
    events = [event for event in bob.take() if isinstance(event, Delivered)]
    order = [event.attachment_id for event in events]
    assert sorted(order) == [1] * 20 + [2] * 20
    assert order != sorted(order)
    for number in (1, 2):
        mine = [event.delivery.seq for event in events if event.attachment_id == number]
        assert mine == list(range(1, 21))


def test_an_entry_costs_nothing_for_those_it_does_not_touch(world: World) -> None:
    bob = world.receiver(LAPTOP)
    bob.take()
    ready = bob.ready
    world.do("register_device", session_pb2.RegisterDeviceRequest(user_id="carol", device_id="phone"))
    world.send(3, device=("carol", "phone"))
    assert bob.ready == ready
    assert not bob.stream.due


# --- messages that are not stored --------------------------------------------------------------------


def test_ephemeral_messages_go_to_who_is_attached(world: World) -> None:
    bob = world.receiver()
    bob.take()
    typing = message_pb2.Message(message_id="t", sender_id="alice", user_id="bob")
    assert world.hub.hand_over(typing, [BOB, LAPTOP]) == 1
    (event,) = bob.take()
    assert isinstance(event, Delivered)
    assert (event.delivery.seq, event.delivery.message.message_id) == (0, "t")
    assert world.queue().next_seq == 1


def test_ephemeral_messages_are_dropped_where_there_is_no_room(world: World) -> None:
    bob = world.receiver()
    bob.take()
    typing = message_pb2.Message(message_id="t", sender_id="alice", user_id="bob", payload=bytes(60_000))
    given = [world.hub.hand_over(typing, [BOB]) for _ in range(5)]
    assert given == [1, 1, 0, 0, 0]
