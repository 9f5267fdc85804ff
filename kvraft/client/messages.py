"""Messages: sent to users and groups, and received from the queue of each device."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

import grpc.aio

from kvraft.client.arguments import checked
from kvraft.client.errors import (
    FailedPrecondition,
    KvraftError,
    OutcomeUnknown,
    Unavailable,
)
from kvraft.client.failover import Failover
from kvraft.client.limits import LEASE_TTL_S_MAX, LEASE_TTL_S_MIN, check_number
from kvraft.client.listing import PAGE_SIZE, Listing
from kvraft.client.message import ContentType, Delivery, Media, OutgoingMessage
from kvraft.client.message_results import (
    AcknowledgeResult,
    DeadLetter,
    DeadLetterPage,
    DeleteDeadLettersResult,
    PullResult,
    PurgeQueueResult,
    Queue,
    QueuePage,
    QueueResult,
    RedriveResult,
    SendResult,
)
from kvraft.client.method import Method
from kvraft.client.pipeline import Pipeline
from kvraft.client.reading import LINEARIZABLE, Consistency, consistency_fields
from kvraft.client.receive_stream import ReceiveStream
from kvraft.client.receiver import (
    WINDOW_BYTES,
    WINDOW_MESSAGES,
    DeviceSession,
    GivenSession,
    OwnSession,
    Receiver,
    Reception,
)
from kvraft.client.releases import Releases
from kvraft.client.results import Header
from kvraft.client.sessions import Sessions
from kvraft.client.status import error_of_attempt, error_of_batch, in_doubt
from kvraft.client.user_data import write
from kvraft.v1 import common_pb2, message_pb2, pipeline_pb2

_SERVICE = "/kvraft.v1.MessageService/"
_SEND = Method(_SERVICE + "SendMessage", message_pb2.SendMessageResponse.FromString)
_BATCH = Method(_SERVICE + "BatchSendMessages", message_pb2.BatchSendMessagesResponse.FromString)
_PULL = Method(_SERVICE + "PullMessages", message_pb2.PullMessagesResponse.FromString)
_QUEUE = Method(_SERVICE + "GetQueue", message_pb2.GetQueueResponse.FromString)
_QUEUES = Method(_SERVICE + "ListQueues", message_pb2.ListQueuesResponse.FromString)
_DEAD = Method(_SERVICE + "ListDeadLetters", message_pb2.ListDeadLettersResponse.FromString)


@checked
class Messages:
    """`client.messages`. Every method raises KvraftError."""

    __slots__ = ("_failover", "_leader", "_pipeline", "_releases", "_sessions", "_stream")

    def __init__(
        self,
        failover: Failover,
        pipeline: Pipeline,
        sessions: Sessions,
        stream: ReceiveStream,
        releases: Releases,
    ) -> None:
        self._failover = failover
        self._releases = releases
        self._pipeline = pipeline
        self._sessions = sessions
        self._leader = stream.leader
        self._stream = stream

    # --- sending ------------------------------------------------------------------------------

    async def send(
        self,
        sender_id: str,
        *,
        to: str = "",
        group: str = "",
        text: str | None = None,
        payload: bytes = b"",
        content_type: ContentType | None = None,
        media: Media | None = None,
        message_id: str = "",
        sender_device_id: str = "",
        conversation_id: str = "",
        client_time: datetime | None = None,
        ttl_s: float | None = None,
        deliver_time: datetime | None = None,
        collapse_key: str = "",
        ephemeral: bool = False,
        request_receipt: bool = False,
        for_service: bool = False,
    ) -> SendResult:
        """Sends a message to a user or a group: see `OutgoingMessage`. It is on the disks of a majority when
        this returns. Raises NotFound (USER_NOT_FOUND, GROUP_NOT_FOUND), ResourceExhausted (QUEUE_FULL),
        PermissionDenied (NOT_MEMBER), InvalidArgument (MESSAGE_ID_REUSED), ValueError."""
        return await self._send(
            OutgoingMessage(
                sender_id=sender_id,
                to=to,
                group=group,
                text=text,
                payload=payload,
                content_type=content_type,
                media=media,
                message_id=message_id,
                sender_device_id=sender_device_id,
                conversation_id=conversation_id,
                client_time=client_time,
                ttl_s=ttl_s,
                deliver_time=deliver_time,
                collapse_key=collapse_key,
                ephemeral=ephemeral,
                request_receipt=request_receipt,
                for_service=for_service,
            )
        )

    async def send_many(self, messages: Sequence[OutgoingMessage]) -> list[SendResult | KvraftError]:
        """Sends messages, together and in this order; of each what became of it. Raises ValueError, and
        then nothing was sent."""
        for message in messages:
            message.to_request()
        outcomes = await asyncio.gather(*map(self._send, messages), return_exceptions=True)
        found: list[SendResult | KvraftError] = []
        for outcome in outcomes:
            if not isinstance(outcome, SendResult | KvraftError):
                raise outcome
            found.append(outcome)
        return found

    async def send_in_order(self, messages: Sequence[OutgoingMessage]) -> list[SendResult | KvraftError]:
        """Sends 1 to 100 messages, together at most 4 MiB, so that they are accepted one right after the
        other, in this order; of each what became of it. (Calls of `send` that run at the same time keep no
        order. Messages to so many devices that they are too much work for one batch go in several.) Sent
        again after an error, those that were accepted are found to be duplicates. Raises ValueError,
        KvraftError."""
        requests = [message.to_request() for message in messages]
        found: list[SendResult | KvraftError] = []
        while True:
            rest = requests[len(found) :]
            batch = message_pb2.BatchSendMessagesRequest(requests=rest)
            response = await self._failover.call(_BATCH, batch)
            for request, each in zip(rest, response.results, strict=True):
                if each.error.reason == "TOO_MUCH_WORK" and found:
                    break  # as are those after it: they are the next batch
                found.append(self._sent_in_order(response.header, request, each))
            else:
                return found

    def _sent_in_order(
        self,
        header: common_pb2.ResponseHeader,
        request: message_pb2.SendMessageRequest,
        each: message_pb2.BatchSendMessagesResponse.Result,
    ) -> SendResult | KvraftError:
        if each.HasField("error"):
            error = pipeline_pb2.PipelineError(
                code=each.error.code, reason=each.error.reason, message=each.error.message
            )
            endpoint = self._failover.endpoint.address
            return error_of_batch(error, call="SendMessage", writes=True, endpoint=endpoint)
        at = Header.at(header, each.response.header.revision)
        return SendResult.of(at, request.message.message_id, each.response)

    async def _send(self, message: OutgoingMessage) -> SendResult:
        request = message.to_request()
        message_id = request.message.message_id
        if message.ephemeral:
            sent = await self._send_to_leader(request)
            return SendResult.of(Header.of(sent.header), message_id, sent)
        header, response = await write(self._pipeline, "send_message", request)
        return SendResult.of(header, message_id, response)

    async def _send_to_leader(
        self, request: message_pb2.SendMessageRequest
    ) -> message_pb2.SendMessageResponse:
        """Only the leader knows who is connected. Nothing is stored, so it may be sent again; who got it
        twice sees the same message."""
        pacing = self._failover.pacing()
        maybe_applied = False
        while True:
            endpoint = await self._leader.find()
            error: KvraftError
            if endpoint is None:
                error = Unavailable(
                    "SendMessage failed: no leader was found [NO_LEADER].", reason="NO_LEADER"
                )
            else:
                try:
                    return await endpoint.unary(_SEND, request, pacing.attempt_s(repeatable=True))
                except grpc.aio.AioRpcError as status:
                    error = error_of_attempt(status, _SEND, endpoint.address)
                self._leader.lost(endpoint)
            if isinstance(error, FailedPrecondition) and error.reason == "NOT_LEADER":
                error = Unavailable(str(error), reason=error.reason)
            maybe_applied = maybe_applied or error.applied == "unknown"
            try:
                if not isinstance(error, Unavailable | OutcomeUnknown):
                    raise error
                await pacing.pause(error)
            except KvraftError as final:
                raise in_doubt(final, maybe_applied=maybe_applied) from None

    # --- receiving ----------------------------------------------------------------------------

    def receive(
        self,
        user_id: str,
        device_id: str,
        *,
        epoch: int | None = None,
        window_messages: int = WINDOW_MESSAGES,
        window_bytes: int = WINDOW_BYTES,
        until_empty: bool = False,
        ttl_s: float = 10.0,
    ) -> Receiver:
        """Receives the messages of a device, in order, for as long as it is iterated over:

        async for message in client.messages.receive("bob", "phone"):
            print(message.text)
            await message.ack()

        `epoch` is that of the device's session. Without one a session is opened, under a lease that lives
        `ttl_s` without this process, and closed at the end; it takes the place of another one. At most
        `window_messages` (1 to 256) and `window_bytes` (at most 4 MiB) are handed out and not acknowledged.
        `until_empty`: the iteration ends when everything that was queued at its beginning is acknowledged.
        All receivers of a client share one stream.
        """
        session: DeviceSession
        if epoch is None:
            check_number("ttl_s", ttl_s, LEASE_TTL_S_MIN, LEASE_TTL_S_MAX)
            session = OwnSession(self._sessions.gateway("", ttl_s), user_id, device_id)
        else:
            session = GivenSession(epoch)
        reception = Reception(
            self._stream,
            user_id,
            device_id,
            session,
            self._releases,
            window_messages=window_messages,
            window_bytes=window_bytes,
            until_empty=until_empty,
        )
        return Receiver(reception)

    async def pull(
        self,
        user_id: str,
        device_id: str,
        *,
        max_messages: int = 50,
        wait_s: float = 0.0,
        after_seq: int = 0,
    ) -> PullResult:
        """Reads the oldest messages of a queue (at most 256, with numbers above `after_seq`), and waits up to
        `wait_s` for one if there is none. They stay in the queue until they are acknowledged."""
        clock = asyncio.get_running_loop().time
        ends_at_s = clock() + wait_s
        while True:
            # A call waits for a part of the time that an attempt may take, and is made again.
            part_s = min(max(0.0, ends_at_s - clock()), self._failover.timeout_s / 4)
            request = message_pb2.PullMessagesRequest(
                user_id=user_id, device_id=device_id, max_messages=max_messages, after_seq=after_seq
            )
            request.wait.FromMilliseconds(round(part_s * 1000))
            response = await self._failover.call(_PULL, request)
            if response.deliveries or clock() >= ends_at_s:
                deliveries = tuple(map(Delivery.of, response.deliveries))
                return PullResult(Header.of(response.header), deliveries, response.more)

    async def acknowledge(
        self,
        user_id: str,
        device_id: str,
        *,
        through_seq: int = 0,
        seqs: Sequence[int] = (),
        nacks: Sequence[tuple[int, str]] = (),
        epoch: int = 0,
    ) -> AcknowledgeResult:
        """Acknowledges messages: all up to a number, and further ones (at most 1,000). `nacks` are messages
        that could not be handled, with the reason. `epoch` is that of the device's session, 0 if it has none;
        raises Aborted (SESSION_SUPERSEDED) if it is not."""
        request = message_pb2.AcknowledgeMessagesRequest(
            user_id=user_id,
            device_id=device_id,
            epoch=epoch,
            through_seq=through_seq,
            seqs=seqs,
            nacks=[message_pb2.Nack(seq=seq, reason=reason) for seq, reason in nacks],
        )
        header, response = await write(self._pipeline, "acknowledge_messages", request)
        return AcknowledgeResult(header, response.acknowledged, response.ack_floor, response.dead)

    # --- queues -------------------------------------------------------------------------------

    async def queue(
        self, user_id: str, device_id: str, *, consistency: Consistency = LINEARIZABLE
    ) -> QueueResult:
        """Tells how a queue stands."""
        level, min_revision = consistency_fields(consistency)
        request = message_pb2.GetQueueRequest(
            user_id=user_id, device_id=device_id, consistency=level, min_revision=min_revision
        )
        response = await self._failover.call(_QUEUE, request)
        return QueueResult(Header.of(response.header), Queue.of(response.queue))

    async def queues(
        self,
        user_id: str = "",
        *,
        only_nonempty: bool = False,
        page_size: int = 50,
        page_token: str = "",
        consistency: Consistency = LINEARIZABLE,
    ) -> QueuePage:
        """Reads one page of the queues of a user, or of all users: at most `page_size` (1 to 1,000)."""
        level, min_revision = consistency_fields(consistency)
        request = message_pb2.ListQueuesRequest(
            user_id=user_id,
            only_nonempty=only_nonempty,
            page_size=page_size,
            page_token=page_token,
            consistency=level,
            min_revision=min_revision,
        )
        response = await self._failover.call(_QUEUES, request)
        return QueuePage(
            Header.of(response.header), tuple(map(Queue.of, response.queues)), response.next_page_token
        )

    def all_queues(
        self, user_id: str = "", *, only_nonempty: bool = False, consistency: Consistency = LINEARIZABLE
    ) -> Listing[Queue]:
        """All of them: `async for queue in client.messages.all_queues()`."""

        async def read(token: str) -> tuple[tuple[Queue, ...], str]:
            page = await self.queues(
                user_id,
                only_nonempty=only_nonempty,
                page_size=PAGE_SIZE,
                page_token=token,
                consistency=consistency,
            )
            return page.queues, page.next_page_token

        return Listing(read)

    async def purge(self, user_id: str, device_id: str) -> PurgeQueueResult:
        """Deletes all messages of a queue, also those that are scheduled."""
        request = message_pb2.PurgeQueueRequest(user_id=user_id, device_id=device_id)
        header, response = await write(self._pipeline, "purge_queue", request)
        return PurgeQueueResult(header, response.purged, response.unscheduled)

    # --- dead letters -------------------------------------------------------------------------

    async def dead_letters(
        self,
        user_id: str,
        device_id: str,
        *,
        page_size: int = 50,
        page_token: str = "",
        consistency: Consistency = LINEARIZABLE,
    ) -> DeadLetterPage:
        """Reads one page of the messages that could not be delivered, oldest first."""
        level, min_revision = consistency_fields(consistency)
        request = message_pb2.ListDeadLettersRequest(
            user_id=user_id,
            device_id=device_id,
            page_size=page_size,
            page_token=page_token,
            consistency=level,
            min_revision=min_revision,
        )
        response = await self._failover.call(_DEAD, request)
        return DeadLetterPage(
            Header.of(response.header),
            tuple(map(DeadLetter.of, response.dead_letters)),
            response.next_page_token,
        )

    def all_dead_letters(
        self, user_id: str, device_id: str, *, consistency: Consistency = LINEARIZABLE
    ) -> Listing[DeadLetter]:
        """All of them, oldest first."""

        async def read(token: str) -> tuple[tuple[DeadLetter, ...], str]:
            page = await self.dead_letters(
                user_id, device_id, page_size=PAGE_SIZE, page_token=token, consistency=consistency
            )
            return page.dead_letters, page.next_page_token

        return Listing(read)

    async def redrive(self, user_id: str, device_id: str, seqs: Sequence[int] = ()) -> RedriveResult:
        """Puts dead letters (at most 1,000; none: all) back at the end of the queue, with new numbers."""
        request = message_pb2.RedriveDeadLettersRequest(user_id=user_id, device_id=device_id, seqs=seqs)
        header, response = await write(self._pipeline, "redrive_dead_letters", request)
        return RedriveResult(header, response.redriven, response.left)

    async def delete_dead_letters(
        self, user_id: str, device_id: str, seqs: Sequence[int] = ()
    ) -> DeleteDeadLettersResult:
        """Deletes dead letters (at most 1,000; none: all)."""
        request = message_pb2.DeleteDeadLettersRequest(user_id=user_id, device_id=device_id, seqs=seqs)
        header, response = await write(self._pipeline, "delete_dead_letters", request)
        return DeleteDeadLettersResult(header, response.deleted)
