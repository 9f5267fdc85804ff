"""WatchSessions: what happens to the sessions of some users, or of a lease, in the order of the revisions.

A call is one watch of the node's `WatchHub`, over a range of rows for each user, and ends with it.
What the hub queues is made into responses here, when the call can take them (`kvraft.rpc.watch_responses`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing

import grpc
from google.protobuf.message import Message

from kvraft import errors
from kvraft.errors import Reason, RequestError
from kvraft.machine.users import sessions
from kvraft.machine.users.space import SessionEnd
from kvraft.node.node import Node
from kvraft.node.watching import Canceled, CancelReason, Created, Delivery, Events, Progress, WatchOrder
from kvraft.rpc.header import ResponseHeaders
from kvraft.rpc.sending import send
from kvraft.rpc.users.session_requests import watched_rows
from kvraft.rpc.watch_responses import PROGRESS_INTERVAL_S, deliveries, pages
from kvraft.storage.interfaces import Change
from kvraft.v1 import session_pb2

Context = grpc.aio.ServicerContext[Message, Message]
Kind = session_pb2.SessionEvent.Kind

_KINDS: dict[SessionEnd, Kind] = {
    SessionEnd.CLOSED: session_pb2.SessionEvent.KIND_CLOSED,
    SessionEnd.REMOVED: session_pb2.SessionEvent.KIND_CLOSED,
    SessionEnd.REVOKED: session_pb2.SessionEvent.KIND_REVOKED,
    SessionEnd.EXPIRED: session_pb2.SessionEvent.KIND_EXPIRED,
}


class SessionWatch:
    """Serves the watches of one node."""

    def __init__(
        self,
        node: Node,
        headers: ResponseHeaders,
        *,
        reader_timeout_s: float,
        progress_interval_s: float = PROGRESS_INTERVAL_S,
    ) -> None:
        """A caller that takes nothing for `reader_timeout_s` is refused the rest."""
        self._node = node
        self._headers = headers
        self._reader_timeout_s = reader_timeout_s
        self._progress_interval_s = progress_interval_s

    async def serve(self, request: session_pb2.WatchSessionsRequest, context: Context) -> None:
        """Until the caller is gone. Raises RequestError, also when the node stops."""
        bounds, *more_bounds = watched_rows(request)
        hub = self._node.replica.watches
        ready = asyncio.Event()
        stream = hub.open_stream(ready.set)
        taken = deliveries(
            hub, stream, ready, progress_interval_s=self._progress_interval_s, is_over=lambda: False
        )
        try:
            stream.create(
                WatchOrder(
                    watch_id=1,
                    bounds=bounds,
                    more_bounds=tuple(more_bounds),
                    start_revision=request.from_revision,
                    progress=True,
                )
            )
            async with aclosing(taken):
                async for delivery in taken:
                    for response in self._responses(delivery, request.from_revision):
                        await self._send(context, response)
        finally:
            stream.close()

    async def _send(self, context: Context, response: session_pb2.WatchSessionsResponse) -> None:
        try:
            await send(context, response, self._reader_timeout_s)
        except RequestError as error:
            if error.reason is not Reason.SLOW_READER:
                raise
            raise RequestError(
                Reason.SLOW_CONSUMER,
                f"the caller took nothing for {self._reader_timeout_s:.0f} s; watch again from the revision "
                "after that of the last response that came, and take the events as they come",
            ) from None

    def _responses(
        self, delivery: Delivery, from_revision: int
    ) -> Iterator[session_pb2.WatchSessionsResponse]:
        match delivery:
            case Created(revision=revision):
                before = from_revision - 1 if from_revision else revision
                yield session_pb2.WatchSessionsResponse(header=self._headers.at(before))
            case Progress(revision=revision):
                yield session_pb2.WatchSessionsResponse(header=self._headers.at(revision))
            case Canceled():
                raise _error_of(delivery)
            case Events(revisions=revisions):
                for revision, is_fragment, events in pages(revisions, _event):
                    yield session_pb2.WatchSessionsResponse(
                        header=self._headers.at(revision), events=events, fragment=is_fragment
                    )


def _error_of(canceled: Canceled) -> RequestError:
    match canceled.reason:
        case CancelReason.COMPACTED:
            return RequestError(
                Reason.COMPACTED,
                f"the history of this node begins with revision {canceled.oldest_revision}; list the "
                "sessions, and watch from the revision after that of the answer; or ask another node",
                metadata={"oldest_revision": str(canceled.oldest_revision)},
            )
        case CancelReason.SHUTTING_DOWN:
            return errors.shutting_down()
        case _:
            # Too many watches: nothing else ends one that its caller has not given up.
            return errors.overloaded(canceled.message)


def _event(revision: int, change: Change) -> tuple[session_pb2.SessionEvent, int]:
    """`kvraft.machine.users.sessions` says what the rows are."""
    _, row, previous = change
    assert row is not None, "the end of a session was recorded without a reason"
    event = session_pb2.SessionEvent(revision=revision)
    before = None if previous is None else session_pb2.Session.FromString(previous)
    ended = sessions.end_of_row(row)
    if ended is not None:
        event.kind = _KINDS[ended]
        if before is not None:
            event.session.CopyFrom(before)
    else:
        event.session.ParseFromString(row)
        if before is None:
            event.kind = session_pb2.SessionEvent.KIND_OPENED
        else:
            event.kind = session_pb2.SessionEvent.KIND_REPLACED
            event.replaced_epoch = before.epoch
    return event, len(row) + len(previous or b"")
