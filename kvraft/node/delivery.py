"""How messages get to the devices that are connected: the leader's memory of who receives.

    attach       a device that has a session begins to receive, behind the ack floor of its queue
    publish      an entry was applied: attachments are looked up by the queues and sessions that it touched
    take         a stream has room (`delivery_stream`): the next messages are read, as far as windows let
    acknowledge  what receivers say is gathered (`acknowledgements`) and proposed; when it is applied,
                 messages leave the window, and the receiver is told
    look         time passes: what was gathered is proposed, what was refused comes again, and who does not
                 read is closed

What is in flight is known here and nowhere else. A message leaves its queue when its acknowledgement is
applied, never because it was sent; so whatever happens to the receiver, the stream or the leader, the next
attachment begins again after the ack floor. An attachment that breaks off counts a failed delivery of the
oldest message that its receiver had and did not answer, and of no other: where a message brings receivers
down, it is that one. A leader that is deposed, or stops, counts nothing: it was not the receiver's fault.

An entry costs a look-up for each queue it touched, however many devices are attached. Everything runs in the
owner's thread, between two awaits, without clock or I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from heapq import heapify, heappop, heappush

from google.protobuf.timestamp_pb2 import Timestamp

from kvraft.errors import Reason, RequestError
from kvraft.machine.results import Answer, Failed, FailureReason, ListResult, UserDataResult
from kvraft.machine.users import keys, queues, sessions
from kvraft.machine.users.rows import find_device, find_user
from kvraft.machine.users.space import SessionEnd, Touched
from kvraft.node.acknowledgements import (
    GATHER_MS,
    NEVER_MS,
    RETRY_MS,
    Acknowledged,
    Gathering,
    Item,
    proposal,
)
from kvraft.node.attachment import Attachment, AttachOrder, Refusal
from kvraft.node.delivery_stream import (
    AckConfirmed,
    Attached,
    Closed,
    CommandRefused,
    Delivered,
    DeliveryStream,
    QueueEmpty,
)
from kvraft.node.expiry import Proposer
from kvraft.node.refusals import request_error
from kvraft.node.sharing import Share
from kvraft.v1 import message_pb2, user_data_pb2

READER_TIMEOUT_MS = 60_000
"""A stream that takes nothing for so long, while something waits, is closed."""
PAUSE_MS = 5_000
"""A node that looked for nothing for so long was paused."""
NODE_ATTACHMENTS_MAX = 100_000
REMEMBERED_MAX = 10_000
"""Devices of which it is remembered how far they were sent, after they are gone."""

_ENDS = {
    SessionEnd.CLOSED: (Reason.SESSION_CLOSED, "the session was closed"),
    SessionEnd.REVOKED: (Reason.SESSION_REVOKED, "the user was logged out; sign in again"),
    SessionEnd.EXPIRED: (Reason.SESSION_EXPIRED, "the session ended with its lease; open another one"),
    SessionEnd.REMOVED: (Reason.DEVICE_NOT_FOUND, "the device was removed"),
}
_SUPERSEDED = "another session of the device took over; open a session again if it is to be served here"
_ATTACHED_AGAIN = "the device was attached once more, by this stream or another one"
_NOT_LEADER = "this node does not lead; attach at the leader"


class DeliveryHub:
    """All attachments of a node: there are some only while it leads."""

    __slots__ = (
        "_by_device",
        "_delays",
        "_delays_counted",
        "_delivered",
        "_gathering",
        "_is_shut",
        "_now_ms",
        "_replica",
        "_stalled",
        "_streams",
        "_under_way",
        "share",
    )

    def __init__(self, replica: Proposer) -> None:
        self._replica = replica
        self._by_device: dict[tuple[str, str], Attachment] = {}
        self._streams: dict[DeliveryStream, None] = {}
        self._gathering = Gathering()
        self._delays: list[tuple[int, int, Attachment, int]] = []
        """A heap: when, the number of the delay, whose, and which message is to come again."""
        self._delays_counted = 0
        self._stalled: dict[DeliveryStream, int] = {}
        """Streams that have something to read, and since when they have read nothing; ascending."""
        self._delivered: dict[tuple[str, str, int], int] = {}
        """Of the devices (and the revisions that registered them) that were attached last: the highest number
        that was sent."""
        self._now_ms = 0
        self._under_way = 0
        """Proposals that are not answered."""
        self._is_shut = False
        self.share = Share(NODE_ATTACHMENTS_MAX)
        """Of attached devices."""

    @property
    def attachment_count(self) -> int:
        return len(self._by_device)

    @property
    def _gathered_ms(self) -> int:
        """When what is gathered now is to be proposed: at once if there is nobody to wait for."""
        is_alone = not self._under_way and self._gathering.due_ms == NEVER_MS
        return self._now_ms if is_alone else self._now_ms + GATHER_MS

    @property
    def deadline_ms(self) -> int:
        """When `look` has something to do, if nothing happens before."""
        due_ms = self._gathering.due_ms
        if self._delays:
            due_ms = min(due_ms, self._delays[0][0])
        if self._stalled:
            due_ms = min(due_ms, next(iter(self._stalled.values())) + READER_TIMEOUT_MS)
        return due_ms

    # --- what a replica tells --------------------------------------------------------------------

    def look(self, now_ms: int) -> None:
        """Does what is due. Called at every turn, several times a second."""
        if now_ms - self._now_ms > PAUSE_MS:
            # It was this node that stood still, not its readers.
            self._stalled = dict.fromkeys(self._stalled, now_ms)
        self._now_ms = now_ms
        if now_ms < self.deadline_ms:
            return
        if now_ms >= self._gathering.due_ms:
            for items in self._gathering.take():
                self._under_way += 1
                self._replica.submit(
                    proposal(items),
                    grows_state=False,
                    now_ms=now_ms,
                    on_answer=partial(self._answered, items),
                )
        while self._delays and self._delays[0][0] <= now_ms:
            due_ms, _, attachment, seq = heappop(self._delays)
            if attachment.delayed.get(seq) == due_ms:
                attachment.deliver_again(seq)
                attachment.stream.mark(attachment)
        while self._stalled:
            stream, since_ms = next(iter(self._stalled.items()))
            if now_ms - since_ms < READER_TIMEOUT_MS:
                break
            self._end_stream(
                stream,
                Reason.SLOW_CONSUMER,
                f"the stream took nothing for {READER_TIMEOUT_MS // 1000} s; attach again, and read on",
                failed=True,
            )
            self._stalled.pop(stream, None)

    def publish(self, touched: Touched) -> None:
        """An entry was applied, which touched this."""
        if not self._by_device:
            return
        for device in touched.queues:
            attachment = self._by_device.get(device)
            if attachment is not None:
                attachment.stream.mark(attachment)
        for device, end in touched.sessions.items():
            attachment = self._by_device.get(device)
            if attachment is None:
                continue
            if end is None:
                if self._epoch(device) != attachment.order.epoch:
                    self._end(attachment, Reason.SESSION_SUPERSEDED, _SUPERSEDED, failed=True)
            else:
                self._end(attachment, *_ENDS[end], failed=end is SessionEnd.EXPIRED)

    def lose_leadership(self, leader_id: int) -> None:
        """This node does not lead; `leader_id` does, if it is not 0."""
        self._gathering.clear()
        for attachment in list(self._by_device.values()):
            self._end(attachment, Reason.NOT_LEADER, _NOT_LEADER, leader_id=leader_id)
        self._delivered.clear()

    def shut_down(self, why: str = "this node is stopping") -> None:
        """Ends every attachment and every stream; new ones end at once, until `reopen`."""
        self._is_shut = True
        for stream in list(self._streams):
            self._end_stream(stream, Reason.SHUTTING_DOWN, f"{why}; attach at the next leader", failed=False)

    def reopen(self) -> None:
        """Takes streams again."""
        self._is_shut = False

    # --- what the services ask --------------------------------------------------------------------

    def open_stream(self, on_ready: Callable[[], None]) -> DeliveryStream:
        """`on_ready` is called whenever there may be something to take."""
        stream = DeliveryStream(self, on_ready)
        stream.has_ended = self._is_shut
        self._streams[stream] = None
        return stream

    def attach(self, stream: DeliveryStream, order: AttachOrder) -> None:
        """Answered by `Attached`, or by `Closed`. The state is as fresh as a linearizable read. Raises
        RequestError if the stream uses the number: whatever is answered would be taken for the other's."""
        if order.attachment_id in stream.attachments:
            raise RequestError(
                Reason.INVALID_ARGUMENT,
                f"attach.attachment_id is {order.attachment_id}, which another attachment of the stream has",
                field="attach.attachment_id",
            )
        refused = self._refused(stream, order)
        if refused is not None:
            stream.queue(refused)
            return
        device = order.user_id, order.device_id
        earlier = self._by_device.get(device)
        if earlier is not None:
            self._end(earlier, Reason.SESSION_SUPERSEDED, _ATTACHED_AGAIN, failed=True)
        self.share.add(stream.connection)
        row = queues.find(self._replica.state, *device)
        attachment = Attachment(stream, order)
        attachment.ack_floor = attachment.position = attachment.delivered_seq = row.ack_floor
        device_revision = self._registered(device)
        attachment.redelivered_seq = self._delivered.pop((*device, device_revision), 0)
        attachment.gone = _gone(row)
        attachment.empty_seq = row.next_seq - 1
        self._by_device[device] = attachment
        stream.attachments[order.attachment_id] = attachment
        stream.queue(Attached(order.attachment_id, row.ack_floor, row.next_seq, device_revision))
        stream.mark(attachment)

    def acknowledge(
        self,
        stream: DeliveryStream,
        attachment_id: int,
        *,
        through_seq: int,
        seqs: Sequence[int],
        refusals: Sequence[Refusal],
    ) -> None:
        """Answered by `AckConfirmed` when it is applied, or by `CommandRefused` if a message was not
        delivered. Of an attachment that has ended: nothing happens."""
        attachment = stream.attachments.get(attachment_id)
        if attachment is None:
            return
        highest = max((through_seq, *seqs, *(refusal.seq for refusal in refusals)))
        if not highest:
            return
        if highest > attachment.delivered_seq:
            error = RequestError(
                Reason.INVALID_ARGUMENT,
                f"acknowledge names message {highest}, which was not delivered to this attachment",
                field="acknowledge",
            )
            stream.queue(CommandRefused(attachment_id, error))
            return
        in_flight, wanted = attachment.in_flight, set(seqs)
        refused = [refusal for refusal in refusals if refusal.seq in in_flight]
        answered = [
            message
            for seq, message in in_flight.items()
            if not message.is_answered and (seq <= through_seq or seq in wanted)
        ]
        answered += [in_flight[refusal.seq] for refusal in refused]
        for message in answered:
            message.is_answered = True
        self._gathering.acknowledge(
            attachment,
            through_seq,
            seqs,
            refused,
            messages=len(answered),
            due_ms=self._gathered_ms,
        )

    def detach(self, stream: DeliveryStream, attachment_id: int) -> None:
        """Answered by `Closed` when every acknowledgement is confirmed."""
        attachment = stream.attachments.get(attachment_id)
        if attachment is not None:
            attachment.is_detaching = True
            self._end_if_detached(attachment)

    def hand_over(self, message: message_pb2.Message, devices: Iterable[tuple[str, str]]) -> int:
        """Gives a message that is not stored to those devices that are attached and whose stream has room;
        how many they are."""
        machine = self._replica.machine
        accept_time = Timestamp()
        accept_time.FromMilliseconds(machine.clock_ms)
        delivery = message_pb2.Delivery(
            message=message, accept_time=accept_time, revision=machine.revision, attempt=1
        )
        size_bytes = queues.size_of(message)
        count = 0
        for device in devices:
            attachment = self._by_device.get(device)
            if attachment is None or attachment.is_detaching or attachment.stream.is_full:
                continue
            attachment.stream.queue(Delivered(attachment.order.attachment_id, delivery, size_bytes))
            count += 1
        return count

    # --- for the streams --------------------------------------------------------------------------

    def fill(self, attachment: Attachment) -> None:
        """Looks how its queue stands, and queues as much as fits. Raises StorageError."""
        row = queues.find(self._replica.state, *attachment.device)
        self._settle(attachment, row)
        if attachment.is_detaching:
            return
        if not (self._deliver_again(attachment, row) and self._deliver_next(attachment, row)):
            attachment.stream.mark(attachment)
        self._tell_if_empty(attachment)

    def close_stream(self, stream: DeliveryStream) -> None:
        self._end_stream(
            stream, Reason.SESSION_CLOSED, "the stream of the receiver ended without a detach", failed=True
        )
        self._streams.pop(stream, None)
        self._stalled.pop(stream, None)

    def waits(self, stream: DeliveryStream) -> None:
        """Something waits to be read."""
        self._stalled.setdefault(stream, self._now_ms)

    def has_read(self, stream: DeliveryStream) -> None:
        """It took something; perhaps more waits."""
        self._stalled.pop(stream, None)
        self._stalled[stream] = self._now_ms

    def keeps_up(self, stream: DeliveryStream) -> None:
        """Nothing waits."""
        self._stalled.pop(stream, None)

    # --- beginnings and ends ----------------------------------------------------------------------

    def _refused(self, stream: DeliveryStream, order: AttachOrder) -> Closed | None:
        replica = self._replica
        attachment_id = order.attachment_id
        if stream.has_ended:
            return Closed(attachment_id, Reason.SHUTTING_DOWN, "the stream has ended; open another one")
        if not replica.leads or replica.state.applied.term != replica.raft.term:
            leader_id = replica.raft.leader_id or 0
            return Closed(attachment_id, Reason.NOT_LEADER, _NOT_LEADER, leader_id)
        device = order.user_id, order.device_id
        if not self._registered(device):
            return Closed(attachment_id, Reason.DEVICE_NOT_FOUND, "the user has no such device")
        if self._epoch(device) != order.epoch:
            return Closed(
                attachment_id,
                Reason.SESSION_SUPERSEDED,
                "the epoch is not that of the device's session, which ended or was taken over; open another",
            )
        if device not in self._by_device and not self.share.has_room(stream.connection):
            message = self.share.refusal(stream.connection, "attached devices")
            return Closed(attachment_id, Reason.OVERLOADED, message)
        return None

    def _registered(self, device: tuple[str, str]) -> int:
        """The revision at which the device was registered; 0: there is no such device."""
        user_id, device_id = device
        found = find_user(self._replica.state, user_id)
        registered = None if found is None else find_device(found[0], device_id)
        return 0 if registered is None else registered.create_revision

    def _epoch(self, device: tuple[str, str]) -> int | None:
        session = sessions.find(self._replica.state, *device)
        return None if session is None else session.epoch

    def _end(
        self,
        attachment: Attachment,
        reason: Reason | None,
        message: str,
        *,
        leader_id: int = 0,
        failed: bool = False,
    ) -> None:
        """`failed`: it breaks off, which counts against the message that its receiver was at."""
        stream, device = attachment.stream, attachment.device
        del self._by_device[device]
        self.share.give_back(stream.connection)
        del stream.attachments[attachment.order.attachment_id]
        stream.due.pop(attachment, None)
        if attachment.delayed:
            self._delays = [delay for delay in self._delays if delay[2] is not attachment]
            heapify(self._delays)
        if failed and attachment.in_flight:
            self._settle(attachment, queues.find(self._replica.state, *device))
            suspect = attachment.suspect
            if suspect is not None:
                self._gathering.fail(attachment, suspect, message, due_ms=self._gathered_ms)
        if attachment.delivered_seq > attachment.ack_floor:
            self._delivered[*device, self._registered(device)] = attachment.delivered_seq
            if len(self._delivered) > REMEMBERED_MAX:
                del self._delivered[next(iter(self._delivered))]
        stream.queue(Closed(attachment.order.attachment_id, reason, message, leader_id))

    def _end_stream(self, stream: DeliveryStream, reason: Reason, message: str, *, failed: bool) -> None:
        for attachment in list(stream.attachments.values()):
            self._end(attachment, reason, message, failed=failed)
        stream.has_ended = True
        stream.on_ready()

    def _end_if_detached(self, attachment: Attachment) -> None:
        if attachment.is_detaching and not attachment.unconfirmed:
            self._end(attachment, None, "it was detached")

    # --- messages -----------------------------------------------------------------------------------

    def _settle(self, attachment: Attachment, row: user_data_pb2.QueueRow) -> None:
        """Lets go of the messages that are not in the queue any more."""
        missing = _gone(row) - attachment.gone
        if not missing:
            return
        attachment.gone += missing
        attachment.ack_floor = row.ack_floor
        attachment.position = max(attachment.position, row.ack_floor)
        missing -= self._forget(attachment, lambda seq: seq <= row.ack_floor)
        if missing:
            # What left the queue out of turn has to be looked for.
            state = self._replica.state
            queue = keys.queue_key(*attachment.device)
            self._forget(attachment, lambda seq: state.get(keys.entry_key(queue, seq)) is None)

    @staticmethod
    def _forget(attachment: Attachment, is_gone: Callable[[int], bool]) -> int:
        """How many they were."""
        count = 0
        for seq in [seq for seq in attachment.in_flight if is_gone(seq)]:
            attachment.ended(seq)
            count += 1
        for seq in [seq for seq in attachment.delayed if is_gone(seq)]:
            del attachment.delayed[seq]
            count += 1
        for seq in [seq for seq in attachment.again if is_gone(seq)]:
            attachment.again.remove(seq)
            count += 1
        return count

    def _deliver_again(self, attachment: Attachment, row: user_data_pb2.QueueRow) -> bool:
        """Those that were refused, as far as there is room. False: the stream is full."""
        replica = self._replica
        while attachment.again:
            seq = attachment.again[0]
            queued = next(
                queues.live_after(replica.state, *attachment.device, seq - 1, replica.machine.clock_ms), None
            )
            if queued is not None and queued.seq == seq:
                if not attachment.has_room(queued.entry.size_bytes):
                    return True
                if attachment.stream.is_full:
                    return False
                self._deliver(attachment, row, queued, redelivered=True)
            attachment.again.pop(0)
        return True

    def _deliver_next(self, attachment: Attachment, row: user_data_pb2.QueueRow) -> bool:
        """Those that were not delivered yet, as far as there is room. False: the stream is full."""
        replica = self._replica
        last_seq = row.next_seq - 1
        if attachment.again or attachment.position >= last_seq or not attachment.has_room(0):
            return True
        for queued in queues.live_after(
            replica.state, *attachment.device, attachment.position, replica.machine.clock_ms
        ):
            if not attachment.has_room(queued.entry.size_bytes):
                return True
            if attachment.stream.is_full:
                return False
            self._deliver(attachment, row, queued, redelivered=queued.seq <= attachment.redelivered_seq)
            attachment.position = queued.seq
        attachment.position = last_seq
        return True

    @staticmethod
    def _deliver(
        attachment: Attachment,
        row: user_data_pb2.QueueRow,
        queued: queues.QueuedMessage,
        *,
        redelivered: bool,
    ) -> None:
        failures = row.attempts if queued.seq == row.suspect_seq else 0
        delivery = queues.delivery(queued, failures + 1, redelivered or failures > 0)
        size_bytes = queued.entry.size_bytes
        attachment.queued(queued.seq, size_bytes)
        attachment.stream.queue(Delivered(attachment.order.attachment_id, delivery, size_bytes))

    @staticmethod
    def _tell_if_empty(attachment: Attachment) -> None:
        last_seq = attachment.empty_seq
        if last_seq is None or attachment.is_open(last_seq):
            return
        attachment.empty_seq = None
        attachment.stream.queue(QueueEmpty(attachment.order.attachment_id))

    # --- acknowledgements -------------------------------------------------------------------------

    def _answered(self, items: list[Item], answer: Answer | RequestError) -> None:
        """A proposal was applied, or was not."""
        self._under_way -= 1
        if isinstance(answer, RequestError):
            for item in items:
                if isinstance(item, Acknowledged):
                    self._not_applied(item, answer)
            return
        result = answer.result
        assert isinstance(result, ListResult), result
        for item, (_, each) in zip(items, result.answers, strict=True):
            if isinstance(item, Acknowledged) and self._is_attached(item.attachment):
                item.attachment.unconfirmed -= 1
                if isinstance(each, Failed):
                    self._acknowledgement_refused(item.attachment, each)
                else:
                    assert isinstance(each, UserDataResult), each
                    assert isinstance(each.response, message_pb2.AcknowledgeMessagesResponse), each
                    self._applied(item, each.response)

    def _is_attached(self, attachment: Attachment) -> bool:
        return self._by_device.get(attachment.device) is attachment

    def _applied(self, item: Acknowledged, response: message_pb2.AcknowledgeMessagesResponse) -> None:
        attachment = item.attachment
        if item.confirms:
            floor = response.ack_floor
            seqs = tuple(seq for seq in item.seqs if seq > floor)
            attachment.stream.queue(AckConfirmed(attachment.order.attachment_id, floor, seqs))
        self._put_off(attachment, item.refusals.values())
        attachment.stream.mark(attachment)
        self._end_if_detached(attachment)

    def _put_off(self, attachment: Attachment, refusals: Iterable[Refusal]) -> None:
        """These messages are to be delivered again, now or later."""
        for refusal in refusals:
            if refusal.seq not in attachment.in_flight:
                continue
            attachment.ended(refusal.seq)
            if refusal.delay_ms:
                due_ms = self._now_ms + refusal.delay_ms
                attachment.delayed[refusal.seq] = due_ms
                self._delays_counted += 1
                heappush(self._delays, (due_ms, self._delays_counted, attachment, refusal.seq))
            else:
                attachment.deliver_again(refusal.seq)

    def _acknowledgement_refused(self, attachment: Attachment, failed: Failed) -> None:
        error = request_error(failed)
        superseded = failed.reason is FailureReason.SESSION_SUPERSEDED
        self._end(attachment, error.reason, str(error), failed=superseded)

    def _not_applied(self, item: Acknowledged, error: RequestError) -> None:
        """It is said again: acknowledging twice does no harm. Where a refusal may have been counted, its
        message is only delivered again."""
        attachment = item.attachment
        if not self._is_attached(attachment):
            return
        attachment.unconfirmed -= 1
        refusals = list(item.refusals.values())
        if error.applied != "no":
            self._put_off(attachment, refusals)
            refusals = []
        if item.confirms or refusals:
            self._gathering.acknowledge(
                attachment,
                item.through_seq,
                item.seqs,
                refusals,
                messages=0,
                due_ms=self._now_ms + RETRY_MS,
            )
        attachment.stream.mark(attachment)
        self._end_if_detached(attachment)


def _gone(row: user_data_pb2.QueueRow) -> int:
    """How many messages have left the queue."""
    return row.next_seq - 1 - row.live
