"""The Watch call: many watches on one stream, each answered in the order of the revisions.

What the stream asks for goes to the node's `WatchHub`; what the hub queues is made into messages here, one at
a time, when the stream can take it (`kvraft.rpc.watch_responses`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from functools import partial

import grpc
from google.protobuf.message import Message

from kvraft.errors import RequestError
from kvraft.machine import keys
from kvraft.machine.records import KvRecord
from kvraft.node.node import Node
from kvraft.node.watching import (
    Canceled,
    CancelReason,
    Created,
    Delivery,
    Events,
    Progress,
    WatchOrder,
    WatchStream,
)
from kvraft.rpc.header import ResponseHeaders
from kvraft.rpc.kv_requests import check_range, invalid
from kvraft.rpc.paging import key_value
from kvraft.rpc.sending import send
from kvraft.rpc.watch_responses import PROGRESS_INTERVAL_S, deliveries, pages
from kvraft.storage.interfaces import Change
from kvraft.v1 import kv_pb2

Context = grpc.aio.ServicerContext[Message, Message]


class WatchService:
    """Serves the watches of one node."""

    def __init__(
        self,
        node: Node,
        headers: ResponseHeaders,
        *,
        reader_timeout_s: float,
        progress_interval_s: float = PROGRESS_INTERVAL_S,
    ) -> None:
        """A stream that takes nothing for `reader_timeout_s` ends with SLOW_CONSUMER; for as long again it
        may still take what tells it so."""
        self._node = node
        self._headers = headers
        self._reader_timeout_s = reader_timeout_s
        self._progress_interval_s = progress_interval_s

    async def serve(self, requests: AsyncIterator[kv_pb2.WatchRequest], context: Context) -> None:
        """Until the client is gone, or the node stops; or the client asks for nothing more and no watch is
        left. Raises RequestError."""
        hub = self._node.replica.watches
        ready, has_room = asyncio.Event(), asyncio.Event()
        stream = hub.open_stream(ready.set)
        reader = asyncio.create_task(_read(requests, stream, has_room))
        reader.add_done_callback(lambda _: ready.set())

        def is_over() -> bool:
            if reader.done() and (reader.exception() is not None or not stream.watches):
                reader.result()
                return True
            return stream.has_ended

        taken = deliveries(hub, stream, ready, progress_interval_s=self._progress_interval_s, is_over=is_over)
        try:
            async with aclosing(taken):
                async for delivery in taken:
                    has_room.set()
                    for response in self._responses(delivery):
                        await self._send(context, response, stream)
        finally:
            stream.close()
            reader.cancel()
            await asyncio.wait((reader,))

    async def _send(self, context: Context, response: kv_pb2.WatchResponse, stream: WatchStream) -> None:
        slow = asyncio.get_running_loop().call_later(
            self._reader_timeout_s,
            stream.end,
            CancelReason.SLOW_CONSUMER,
            f"the stream took nothing for {self._reader_timeout_s:.0f} s; watch again from "
            "`resume_revision`, and take the events as they come",
        )
        try:
            await send(context, response, 2 * self._reader_timeout_s)
        finally:
            slow.cancel()

    def _responses(self, delivery: Delivery) -> Iterator[kv_pb2.WatchResponse]:
        header = self._headers.at
        match delivery:
            case Created(watch_id, revision):
                yield kv_pb2.WatchResponse(header=header(revision), watch_id=watch_id, created=True)
            case Progress(watch_id, revision):
                yield kv_pb2.WatchResponse(header=header(revision), watch_id=watch_id)
            case Canceled():
                yield kv_pb2.WatchResponse(
                    header=header(delivery.revision),
                    watch_id=delivery.watch_id,
                    canceled=kv_pb2.WatchCanceled(
                        reason=delivery.reason.value,
                        message=delivery.message,
                        resume_revision=delivery.resume_revision,
                        oldest_revision=delivery.oldest_revision,
                    ),
                )
            case Events(watch_id, previous, revisions):
                for revision, is_fragment, events in pages(revisions, partial(_event, previous=previous)):
                    yield kv_pb2.WatchResponse(
                        header=header(revision), watch_id=watch_id, events=events, fragment=is_fragment
                    )


async def _read(
    requests: AsyncIterator[kv_pb2.WatchRequest], stream: WatchStream, has_room: asyncio.Event
) -> None:
    """A client that asks and does not read the answers is not heard further: HTTP/2 holds it back."""
    async for request in requests:
        while stream.is_behind:
            has_room.clear()
            await has_room.wait()
        match request.WhichOneof("request"):
            case "create":
                _create(stream, request.create)
            case "cancel":
                stream.cancel(request.cancel.watch_id)
            case "progress":
                stream.progress()
            case _:
                raise invalid("request", "is empty; set `create`, `cancel` or `progress`")


def _create(stream: WatchStream, create: kv_pb2.WatchCreate) -> None:
    excluded = set(create.exclude)
    try:
        bounds = check_range(create.range)
        if not excluded <= {kv_pb2.EVENT_KIND_PUT, kv_pb2.EVENT_KIND_DELETE}:
            raise invalid("exclude", "holds a kind of event that this node does not know")
    except RequestError as error:
        stream.refuse(create.watch_id, CancelReason.INVALID_ARGUMENT, str(error))
        return
    stream.create(
        WatchOrder(
            watch_id=create.watch_id,
            bounds=keys.kv_range(*bounds),
            start_revision=create.start_revision,
            previous=create.previous,
            puts=kv_pb2.EVENT_KIND_PUT not in excluded,
            deletes=kv_pb2.EVENT_KIND_DELETE not in excluded,
            progress=create.progress_notify,
        )
    )


def _event(revision: int, change: Change, *, previous: bool) -> tuple[kv_pb2.Event, int]:
    row_key, row, before = change
    if not previous:
        before = None
    key = keys.kv_user_key(row_key)
    event = kv_pb2.Event(
        kind=kv_pb2.EVENT_KIND_DELETE if row is None else kv_pb2.EVENT_KIND_PUT,
        kv=kv_pb2.KeyValue(key=key, mod_revision=revision)
        if row is None
        else key_value(key, KvRecord.decode(row)),
        previous=None if before is None else key_value(key, KvRecord.decode(before)),
    )
    return event, len(row_key) + len(row or b"") + len(before or b"")
