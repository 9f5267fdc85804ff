"""WatchSessions: what happens to the sessions of some users, or of a lease, in the order of the revisions.

A call is one watch of the node's `WatchHub`, over a range of rows for each user, and ends with it.
What the hub queues is made into responses here, when the call can take them; while watches lag behind the
state, whoever has nothing to send takes the next slice of the history for all of them, as in
`kvraft.rpc.watch_service`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

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
from kvraft.storage.interfaces import Change
from kvraft.v1 import session_pb2

RESPONSE_BYTES_MAX = 1 << 20
RESPONSE_EVENTS_MAX = 1_000
"""A response ends when it has reached one of these, the first at rows; a revision that has more is sent in
fragments."""
PROGRESS_INTERVAL_S = 10.0

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
        hub, clock = self._node.replica.watches, asyncio.get_running_loop().time
        ready = asyncio.Event()
        stream = hub.open_stream(ready.set)
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
            progress_due_s = clock() + self._progress_interval_s
            while True:
                ready.clear()
                while (delivery := stream.take()) is not None:
                    for response in self._responses(delivery, request.from_revision):
                        await self._send(context, response)
                if clock() >= progress_due_s:
                    progress_due_s = clock() + self._progress_interval_s
                    stream.notify_quiet()
                elif hub.lags:
                    hub.catch_up()
                    await asyncio.sleep(0)
                else:
                    try:
                        async with asyncio.timeout_at(progress_due_s):
                            await ready.wait()
                    except TimeoutError:
                        continue
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
                for revision, is_fragment, events in _pages(revisions):
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


def _pages(
    revisions: Sequence[tuple[int, Sequence[Change]]],
) -> Iterator[tuple[int, bool, list[session_pb2.SessionEvent]]]:
    """The events in responses: the last revision of each, and whether more of it follow."""
    page: list[session_pb2.SessionEvent] = []
    size_bytes = last = 0
    for revision, changes in revisions:
        for _, row, previous in changes:
            if size_bytes >= RESPONSE_BYTES_MAX or len(page) >= RESPONSE_EVENTS_MAX:
                yield last, last == revision, page
                page, size_bytes = [], 0
            page.append(_event(revision, row, previous))
            size_bytes += len(row or b"") + len(previous or b"")
            last = revision
    yield last, False, page


def _event(revision: int, row: bytes | None, previous: bytes | None) -> session_pb2.SessionEvent:
    """`kvraft.machine.users.sessions` says what the rows are."""
    assert row is not None, "the end of a session was recorded without a reason"
    before = None if previous is None else session_pb2.Session.FromString(previous)
    ended = sessions.end_of_row(row)
    if ended is not None:
        return session_pb2.SessionEvent(kind=_KINDS[ended], session=before, revision=revision)
    session = session_pb2.Session.FromString(row)
    if before is None:
        return session_pb2.SessionEvent(
            kind=session_pb2.SessionEvent.KIND_OPENED, session=session, revision=revision
        )
    return session_pb2.SessionEvent(
        kind=session_pb2.SessionEvent.KIND_REPLACED,
        session=session,
        revision=revision,
        replaced_epoch=before.epoch,
    )
