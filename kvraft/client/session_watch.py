"""What happens to sessions, over a stream that outlives the node it comes from."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum

import grpc
from google.protobuf.message import Message

from kvraft.client.endpoint import Endpoint
from kvraft.client.failover import Failover
from kvraft.client.following import Feed, follow
from kvraft.client.method import Method
from kvraft.client.session_results import Session
from kvraft.v1 import session_pb2

_WATCH = Method("/kvraft.v1.SessionService/WatchSessions", session_pb2.WatchSessionsResponse.FromString)


class SessionEventKind(StrEnum):
    """What happened to a session."""

    UNKNOWN = "UNKNOWN"
    """Something this version of the library does not know."""
    OPENED = "OPENED"
    """The device had no session before."""
    REPLACED = "REPLACED"
    """A new session took the place of another, perhaps at another lease."""
    CLOSED = "CLOSED"
    """Closed by its gateway, or with its device."""
    REVOKED = "REVOKED"
    """The user was logged out."""
    EXPIRED = "EXPIRED"
    """Its lease ended."""


_KINDS = {
    session_pb2.SessionEvent.KIND_OPENED: SessionEventKind.OPENED,
    session_pb2.SessionEvent.KIND_REPLACED: SessionEventKind.REPLACED,
    session_pb2.SessionEvent.KIND_CLOSED: SessionEventKind.CLOSED,
    session_pb2.SessionEvent.KIND_REVOKED: SessionEventKind.REVOKED,
    session_pb2.SessionEvent.KIND_EXPIRED: SessionEventKind.EXPIRED,
}


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """Something happened to a session."""

    kind: SessionEventKind
    session: Session
    """The new one of OPENED and REPLACED, else the one that ended."""
    revision: int
    replaced_epoch: int
    """Of REPLACED: the epoch of the session whose place it took."""

    @classmethod
    def of(cls, message: session_pb2.SessionEvent) -> SessionEvent:
        kind = _KINDS.get(message.kind, SessionEventKind.UNKNOWN)
        return cls(kind, Session.of(message.session), message.revision, message.replaced_epoch)


@dataclass(frozen=True, slots=True)
class SessionEventBatch:
    """All that happened at one revision to the watched sessions. Never empty."""

    revision: int
    events: tuple[SessionEvent, ...]

    @property
    def resume_revision(self) -> int:
        """Where a watch goes on that has dealt with all of this batch: its `from_revision`."""
        return self.revision + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionWatch:
    """Iterates over what happens: `async for event in client.sessions.watch(...)`; `batches` gives the events
    of a revision together. It does not end by itself, and goes from node to node, as `Watch`.

    Raises Compacted when no node has the history back to where the watch has to go on: list the sessions
    then, and watch from the revision after that of the answer. Any other KvraftError when no node could be
    watched for `timeout_s`.
    """

    failover: Failover
    user_ids: tuple[str, ...]
    lease_id: int
    from_revision: int

    async def __aiter__(self) -> AsyncIterator[SessionEvent]:
        async with aclosing(self.batches()) as batches:
            async for batch in batches:
                for event in batch.events:
                    yield event

    async def batches(self) -> AsyncGenerator[SessionEventBatch, None]:
        """The same, one item for each revision at which something happened."""
        async with aclosing(follow(self.failover, _SessionFeed(self))) as revisions:
            async for revision, events in revisions:
                yield SessionEventBatch(revision, events)


class _SessionFeed(Feed[session_pb2.WatchSessionsResponse, SessionEvent]):
    __slots__ = ("_watch",)

    name = "WatchSessions"
    read_again = "List the sessions"

    def __init__(self, watch: SessionWatch) -> None:
        super().__init__(session_pb2.WatchSessionsResponse, watch.from_revision)
        self._watch = watch

    def open(
        self, endpoint: Endpoint
    ) -> grpc.aio.UnaryStreamCall[Message, session_pb2.WatchSessionsResponse]:
        request = session_pb2.WatchSessionsRequest(
            user_ids=self._watch.user_ids, lease_id=self._watch.lease_id, from_revision=self.position
        )
        return endpoint.stream(_WATCH, request)

    def changes(self, response: session_pb2.WatchSessionsResponse) -> Iterator[SessionEvent]:
        return map(SessionEvent.of, response.events)
