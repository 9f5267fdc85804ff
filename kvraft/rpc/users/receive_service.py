"""The ReceiveMessages call: the messages of many devices on one stream, and what is said of them.

Commands of the stream go to the node's `DeliveryHub`, in order; what the hub has for the stream is made into
frames here, one at a time, when the stream can take it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
from google.protobuf.message import Message

from kvraft.errors import Reason, RequestError
from kvraft.node.delivery import READER_TIMEOUT_MS
from kvraft.node.delivery_stream import (
    AckConfirmed,
    Attached,
    Closed,
    CommandRefused,
    Delivered,
    DeliveryStream,
    QueueEmpty,
    StreamEvent,
)
from kvraft.node.node import Node
from kvraft.rpc.kv_requests import invalid
from kvraft.rpc.sending import send
from kvraft.rpc.status import code_number
from kvraft.rpc.users.receive_requests import attach_order, check_acknowledge, refusals
from kvraft.v1 import message_pb2

RESPONSE_BYTES_MAX = 64 << 10
"""A frame ends when it has so much; one event more may exceed it."""
_EVENT_BYTES = 32

Context = grpc.aio.ServicerContext[Message, Message]


class ReceiveService:
    """Serves the receivers of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def serve(
        self, requests: AsyncIterator[message_pb2.ReceiveMessagesRequest], context: Context
    ) -> None:
        """Until the client is gone, or the node stops; or the client asks for nothing more and nothing is
        attached. Raises RequestError."""
        ready, has_room = asyncio.Event(), asyncio.Event()
        stream = self._node.replica.deliveries.open_stream(ready.set)
        reader = asyncio.create_task(self._read(requests, stream, has_room))
        reader.add_done_callback(lambda _: ready.set())
        try:
            while True:
                ready.clear()
                while (response := _next_response(stream)) is not None:
                    has_room.set()
                    # The hub closes who does not read; for as long again they may take what tells them so.
                    await send(context, response, 2 * READER_TIMEOUT_MS / 1000)
                if stream.has_ended:
                    return
                if reader.done() and (reader.exception() is not None or not stream.attachments):
                    reader.result()
                    return
                await ready.wait()
        finally:
            stream.close()
            # What breaks off here may have something to be proposed.
            self._node.wake()
            reader.cancel()
            await asyncio.wait((reader,))

    async def _read(
        self,
        requests: AsyncIterator[message_pb2.ReceiveMessagesRequest],
        stream: DeliveryStream,
        has_room: asyncio.Event,
    ) -> None:
        """A client that asks and does not read the answers is not heard further: HTTP/2 holds it back."""
        deliveries = self._node.replica.deliveries
        async for request in requests:
            while stream.is_behind:
                has_room.clear()
                await has_room.wait()
            if not request.commands:
                stream.queue(CommandRefused(0, invalid("commands", "is empty; set at least one")))
            unready: RequestError | None = None
            if any(command.HasField("attach") for command in request.commands):
                unready = await self._until_ready()
            due_ms = deliveries.deadline_ms
            for command in request.commands:
                try:
                    self._carry_out(command, stream, unready)
                except RequestError as error:
                    stream.queue(CommandRefused(_attachment_id(command), error))
            if deliveries.deadline_ms < due_ms:
                self._node.wake()

    async def _until_ready(self) -> RequestError | None:
        """Waits until this node, if it leads, knows of everything that was committed. What it failed with: it
        leads no more."""
        if self._node.replica.leads:
            try:
                await self._node.fresh()
            except RequestError as error:
                return error
        return None

    def _carry_out(
        self, command: message_pb2.ReceiveCommand, stream: DeliveryStream, unready: RequestError | None
    ) -> None:
        """Raises RequestError if it breaks a rule: it is answered by itself, and the others go on."""
        deliveries = self._node.replica.deliveries
        match command.WhichOneof("command"):
            case "attach" if unready is not None:
                stream.queue(Closed(command.attach.attachment_id, Reason.NOT_LEADER, str(unready)))
            case "attach":
                try:
                    order = attach_order(command.attach)
                except RequestError as error:
                    stream.queue(Closed(command.attach.attachment_id, error.reason, str(error)))
                else:
                    deliveries.attach(stream, order)
            case "acknowledge":
                acknowledge = command.acknowledge
                check_acknowledge(acknowledge)
                deliveries.acknowledge(
                    stream,
                    acknowledge.attachment_id,
                    through_seq=acknowledge.through_seq,
                    seqs=acknowledge.seqs,
                    refusals=refusals(acknowledge),
                )
            case "detach":
                deliveries.detach(stream, command.detach.attachment_id)
            case _:
                raise invalid("command", "is empty; set `attach`, `acknowledge` or `detach`")


def _attachment_id(command: message_pb2.ReceiveCommand) -> int:
    """Whom a command is about; 0: it does not say."""
    kind = command.WhichOneof("command")
    attachment_id: int = getattr(command, kind).attachment_id if kind else 0
    return attachment_id


def _next_response(stream: DeliveryStream) -> message_pb2.ReceiveMessagesResponse | None:
    events: list[message_pb2.ReceiveEvent] = []
    size_bytes = 0
    while size_bytes < RESPONSE_BYTES_MAX and (event := stream.take()) is not None:
        events.append(_event(event))
        size_bytes += event.size_bytes if isinstance(event, Delivered) else _EVENT_BYTES
    return message_pb2.ReceiveMessagesResponse(events=events) if events else None


def _event(event: StreamEvent) -> message_pb2.ReceiveEvent:
    message = message_pb2.ReceiveEvent(attachment_id=event.attachment_id)
    match event:
        case Attached():
            message.attached.ack_floor = event.ack_floor
            message.attached.next_seq = event.next_seq
            message.attached.device_revision = event.device_revision
        case Delivered():
            message.delivery.CopyFrom(event.delivery)
        case AckConfirmed():
            message.ack_confirmed.ack_floor = event.ack_floor
            message.ack_confirmed.seqs.extend(event.seqs)
        case QueueEmpty():
            message.queue_empty.SetInParent()
        case CommandRefused():
            message.command_refused.code = code_number(event.error.reason)
            message.command_refused.reason = event.error.reason.value
            message.command_refused.message = str(event.error)
        case Closed():
            message.closed.code = 0 if event.reason is None else code_number(event.reason)
            message.closed.reason = "" if event.reason is None else event.reason.value
            message.closed.message = event.message
            message.closed.leader_id = event.leader_id
    return message
