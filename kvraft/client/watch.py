"""Changes of keys as they are made, over a stream that outlives the node it comes from."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum

import grpc
from google.protobuf.message import Message

from kvraft.client.endpoint import Endpoint
from kvraft.client.errors import Compacted, InvalidArgument, KvraftError, ResourceExhausted, Unavailable
from kvraft.client.failover import Failover
from kvraft.client.following import Feed, follow
from kvraft.client.keys import KeyRange
from kvraft.client.method import Method
from kvraft.client.results import KeyValue
from kvraft.v1 import kv_pb2

_WATCH = Method("/kvraft.v1.KvService/Watch", kv_pb2.WatchResponse.FromString)
_WATCH_ID = 1
"""Each watch has a stream of its own."""


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

    @property
    def resume_revision(self) -> int:
        """Where a watch goes on that has dealt with all of this batch: its `start_revision`."""
        return self.revision + 1


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
        async with aclosing(follow(self.failover, _KeyFeed(self))) as revisions:
            async for revision, events in revisions:
                yield EventBatch(revision, events)


class _KeyFeed(Feed[kv_pb2.WatchResponse, Event]):
    __slots__ = ("_watch",)

    name = "Watch"
    read_again = "Read the keys"

    def __init__(self, watch: Watch) -> None:
        super().__init__(kv_pb2.WatchResponse, watch.start_revision)
        self._watch = watch

    def open(self, endpoint: Endpoint) -> grpc.aio.StreamStreamCall[Message, kv_pb2.WatchResponse]:
        return endpoint.bidirectional(_WATCH, self._requests())

    def changes(self, response: kv_pb2.WatchResponse) -> Iterator[Event]:
        return map(Event.of, response.events)

    def failure(self, response: kv_pb2.WatchResponse, endpoint: Endpoint) -> KvraftError | None:
        return _error_of(response.canceled, endpoint) if response.HasField("canceled") else None

    async def _requests(self) -> AsyncIterator[kv_pb2.WatchRequest]:
        """Nothing is asked for but the watch, so the stream's own direction ends with it."""
        watch = self._watch
        yield kv_pb2.WatchRequest(
            create=kv_pb2.WatchCreate(
                watch_id=_WATCH_ID,
                range=watch.keys.to_message(),
                start_revision=self.position,
                previous=watch.previous,
                exclude=[_NUMBERS[kind] for kind in watch.exclude],
                progress_notify=True,
            )
        )


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
