"""Changes of keys as they are made, over a stream that outlives the node it comes from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum

import grpc

from kvraft.client.endpoint import Endpoint
from kvraft.client.errors import (
    Compacted,
    DeadlineExceeded,
    InvalidArgument,
    KvraftError,
    ResourceExhausted,
    Unavailable,
)
from kvraft.client.failover import Failover
from kvraft.client.keys import KeyRange
from kvraft.client.method import Method
from kvraft.client.results import KeyValue
from kvraft.client.status import error_from_status
from kvraft.v1 import kv_pb2

_WATCH = Method("/kvraft.v1.KvService/Watch", kv_pb2.WatchResponse.FromString, writes=False)
_WATCH_ID = 1
"""Each watch has a stream of its own."""
SILENCE_S_MAX = 30.0
"""A node says something every 20 seconds at the latest; one that does not is left."""


class EventKind(StrEnum):
    """What happened to a key."""

    PUT = "PUT"
    DELETE = "DELETE"
    """It was deleted, or its lease ended."""


_KINDS = {kv_pb2.EVENT_KIND_PUT: EventKind.PUT, kv_pb2.EVENT_KIND_DELETE: EventKind.DELETE}
_NUMBERS = {kind: number for number, kind in _KINDS.items()}


@dataclass(frozen=True, slots=True)
class Event:
    """One change of one key."""

    kind: EventKind
    kv: KeyValue
    """The key as it is since; of a deleted one only `key` and `mod_revision` say something."""
    previous: KeyValue | None
    """What it held before, if that was asked for and the key existed."""

    @property
    def revision(self) -> int:
        """The revision that made the change."""
        return self.kv.mod_revision

    @classmethod
    def of(cls, message: kv_pb2.Event) -> Event:
        previous = KeyValue.of(message.previous) if message.HasField("previous") else None
        return cls(_KINDS[message.kind], KeyValue.of(message.kv), previous)


@dataclass(frozen=True, slots=True)
class EventBatch:
    """All that one revision changed of the watched keys, in the order in which it did. Never empty."""

    revision: int
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Iterates over changes: `async for event in client.kv.watch(...)`; `batches` gives those of a revision
    together. It does not end by itself.

    Every event comes once, in the order of the revisions, whichever nodes it comes from: when one fails, the
    watch goes on at the next behind the last revision that was given. A node that is behind is waited for.
    Without `start_revision` the watch begins when it first reaches a node, with what that node does next.

    Raises Compacted when no node has the history back to where the watch has to go on, and any other
    KvraftError when no node could be watched for `timeout_s`. To go on after an error, begin a new watch with
    the last revision that was given, plus one.
    """

    failover: Failover
    keys: KeyRange
    start_revision: int
    previous: bool
    exclude: tuple[EventKind, ...]

    async def __aiter__(self) -> AsyncIterator[Event]:
        async with aclosing(self.batches()) as batches:
            async for batch in batches:
                for event in batch.events:
                    yield event

    async def batches(self) -> AsyncGenerator[EventBatch, None]:
        """The same, one item for each revision that changed something."""
        reading = _Reading(self.start_revision)
        pacing = self.failover.pacing()
        compacted: dict[str, int] = {}
        while True:
            endpoint = self.failover.endpoint
            call = endpoint.bidirectional(_WATCH, self._requests(reading.position))
            error: KvraftError
            began = False
            try:
                while True:
                    # Cancels the call only when a node hangs, which is left then.
                    async with asyncio.timeout(SILENCE_S_MAX if began else pacing.attempt_s(writes=False)):
                        response = await call.read()
                    # The stubs have no common base for the two.
                    if not isinstance(response, kv_pb2.WatchResponse):
                        error = _unavailable("the stream ended", endpoint)
                        break
                    if response.HasField("canceled"):
                        error = _error_of(response.canceled, endpoint)
                        break
                    began = True
                    for batch in reading.take(response):
                        yield batch
                    pacing = self.failover.pacing()
                    compacted.clear()
                    if not response.header.leader_id and not response.created:
                        error = _unavailable("the node has lost its leader, and may be behind", endpoint)
                        break
            except TimeoutError:
                error = DeadlineExceeded(
                    f"Watch at {endpoint.address} said nothing in time [DEADLINE_EXCEEDED]. "
                    "Retry, or give a longer timeout.",
                    reason="DEADLINE_EXCEEDED",
                )
            except grpc.aio.AioRpcError as status:
                error = error_from_status(status, call="Watch", writes=False, endpoint=endpoint.address)
            finally:
                call.cancel()
            reading.drop_fragments()
            if isinstance(error, Compacted):
                compacted[endpoint.address] = error.oldest_revision
                if len(compacted) == len(self.failover.addresses):
                    raise _compacted(min(compacted.values()))
                # Another node may have more.
                self.failover.leave(endpoint)
                await pacing.pause(error)
            else:
                await self.failover.before_next(error, endpoint, pacing)

    async def _requests(self, position: int) -> AsyncIterator[kv_pb2.WatchRequest]:
        """Nothing is asked for but the watch, so the stream's own direction ends with it."""
        yield kv_pb2.WatchRequest(
            create=kv_pb2.WatchCreate(
                watch_id=_WATCH_ID,
                range=self.keys.to_message(),
                start_revision=position,
                previous=self.previous,
                exclude=[_NUMBERS[kind] for kind in self.exclude],
                progress_notify=True,
            )
        )


class _Reading:
    """How far a watch has come: a revision is given when it is whole."""

    __slots__ = ("_events", "position")

    def __init__(self, position: int) -> None:
        self.position = position
        """The first revision that is still wanted; 0: the next one of the node."""
        self._events: list[Event] = []
        """Of a revision of which more is to come."""

    def take(self, response: kv_pb2.WatchResponse) -> Iterator[EventBatch]:
        if response.created:
            self.position = self.position or response.header.revision + 1
            return
        for event in map(Event.of, response.events):
            if self._events and event.revision != self._events[-1].revision:
                yield self._batch()
            self._events.append(event)
        if not response.fragment:
            if self._events:
                yield self._batch()
            # A node that is behind the start says so in its progress.
            self.position = max(self.position, response.header.revision + 1)

    def drop_fragments(self) -> None:
        """The next node sends the whole revision."""
        self._events = []

    def _batch(self) -> EventBatch:
        events, self._events = tuple(self._events), []
        revision = events[0].revision
        self.position = revision + 1
        return EventBatch(revision, events)


def _error_of(canceled: kv_pb2.WatchCanceled, endpoint: Endpoint) -> KvraftError:
    reason, message = canceled.reason, f"Watch at {endpoint.address} ended: {canceled.message}"
    match reason:
        case "COMPACTED":
            return Compacted(f"{message} [COMPACTED].", oldest_revision=canceled.oldest_revision)
        case "INVALID_ARGUMENT":
            return InvalidArgument(f"{message} [INVALID_ARGUMENT].", reason=reason, violations=())
        case "TOO_MANY_WATCHES":
            return ResourceExhausted(f"{message} [{reason}].", reason=reason, retry_after_s=None)
        case _:
            return Unavailable(f"{message} [{reason}].", reason=reason)


def _unavailable(why: str, endpoint: Endpoint) -> Unavailable:
    return Unavailable(
        f"Watch at {endpoint.address} failed: {why} [CONNECTION_LOST].", reason="CONNECTION_LOST"
    )


def _compacted(oldest_revision: int) -> Compacted:
    return Compacted(
        "No node has the changes back to where the watch has to go on [COMPACTED]. Read the keys, and watch "
        "from the revision after that of the answer. The oldest revision to watch from is "
        f"{oldest_revision}.",
        oldest_revision=oldest_revision,
    )
