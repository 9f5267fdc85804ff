"""Changes as they are made, over streams that outlive the nodes they come from: what watches of keys and of
sessions have in common.

A watch goes from node to node with one number, the first revision that was not given yet. A revision is given
when it is whole.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterator
from typing import ClassVar, Generic, Protocol, TypeVar

import grpc
from google.protobuf.message import Message

from kvraft.client.endpoint import Endpoint, answer
from kvraft.client.errors import Compacted, KvraftError, Unavailable
from kvraft.client.failover import Failover
from kvraft.client.status import error_from_status
from kvraft.v1 import kv_pb2, session_pb2

SILENCE_S_MAX = 30.0
"""A node says something every 20 seconds at the latest; one that does not is left."""


class Change(Protocol):
    """An event of whatever is watched."""

    @property
    def revision(self) -> int: ...


ResponseT = TypeVar("ResponseT", kv_pb2.WatchResponse, session_pb2.WatchSessionsResponse)
ChangeT = TypeVar("ChangeT", bound=Change)


class Feed(ABC, Generic[ResponseT, ChangeT]):
    """One watch: how it is asked for, and how far it has come."""

    __slots__ = ("_changes", "position", "response_type")

    name: ClassVar[str]
    """Of the RPC."""
    read_again: ClassVar[str]
    """What helps where changes are missing for good."""

    def __init__(self, response_type: type[ResponseT], position: int) -> None:
        self.response_type: type[ResponseT] = response_type
        self.position = position
        """The first revision that is still wanted; 0: the next one of the node."""
        self._changes: list[ChangeT] = []
        """Of a revision of which more is to come."""

    @abstractmethod
    def open(
        self, endpoint: Endpoint
    ) -> grpc.aio.UnaryStreamCall[Message, ResponseT] | grpc.aio.StreamStreamCall[Message, ResponseT]:
        """Watches from `position` on."""

    @abstractmethod
    def changes(self, response: ResponseT) -> Iterator[ChangeT]:
        """What a response brings."""

    def failure(self, response: ResponseT, endpoint: Endpoint) -> KvraftError | None:  # noqa: ARG002
        """Why the watch ended, if a response says so."""
        return None

    def begin(self, response: ResponseT) -> None:
        """The first response of a node: the watch is there."""
        self._changes = []
        self.position = self.position or response.header.revision + 1

    def take(self, response: ResponseT) -> Iterator[tuple[int, tuple[ChangeT, ...]]]:
        """The revisions that are whole now."""
        for change in self.changes(response):
            if self._changes and change.revision != self._changes[-1].revision:
                yield self._whole()
            self._changes.append(change)
        if not response.fragment:
            if self._changes:
                yield self._whole()
            # A node that is behind the start says so in its progress.
            self.position = max(self.position, response.header.revision + 1)

    def _whole(self) -> tuple[int, tuple[ChangeT, ...]]:
        changes, self._changes = tuple(self._changes), []
        revision = changes[0].revision
        self.position = revision + 1
        return revision, changes


async def follow(
    failover: Failover, feed: Feed[ResponseT, ChangeT]
) -> AsyncGenerator[tuple[int, tuple[ChangeT, ...]], None]:
    """Each revision once, in order, whichever nodes it comes from. Raises KvraftError."""
    pacing = failover.pacing()
    compacted: dict[str, int] = {}
    while True:
        endpoint = failover.endpoint
        call = feed.open(endpoint)
        error: KvraftError | None
        began = False
        try:
            while True:
                # Cancels the call only when a node hangs, which is left then.
                patience_s = SILENCE_S_MAX if began else pacing.attempt_s(repeatable=True)
                response = await answer(call.read(), patience_s)
                # The stubs have no common base for the two.
                if not isinstance(response, feed.response_type):
                    error = _unavailable(feed, endpoint, "the stream ended")
                    break
                error = feed.failure(response, endpoint)
                if error is not None:
                    break
                is_first, began = not began, True
                if is_first:
                    feed.begin(response)
                else:
                    for whole in feed.take(response):
                        yield whole
                pacing = failover.pacing()
                compacted.clear()
                if not is_first and not response.header.leader_id:
                    error = _unavailable(feed, endpoint, "the node has lost its leader, and may be behind")
                    break
        except grpc.aio.AioRpcError as status:
            error = error_from_status(status, call=feed.name, writes=False, endpoint=endpoint.address)
            if error.reason == "SLOW_CONSUMER":
                error = _unavailable(feed, endpoint, "the node let go of a reader that was slow")
        finally:
            call.cancel()
        if isinstance(error, Compacted):
            compacted[endpoint.address] = error.oldest_revision
            if len(compacted) == len(failover.addresses):
                raise _compacted(feed, min(compacted.values()))
            # Another node may have more.
            failover.leave(endpoint)
            await pacing.pause(error)
        else:
            await failover.before_next(error, endpoint, pacing)


def _unavailable(feed: Feed[ResponseT, ChangeT], endpoint: Endpoint, why: str) -> Unavailable:
    return Unavailable(
        f"{feed.name} at {endpoint.address} failed: {why} [CONNECTION_LOST].", reason="CONNECTION_LOST"
    )


def _compacted(feed: Feed[ResponseT, ChangeT], oldest_revision: int) -> Compacted:
    return Compacted(
        f"No node has the changes back to where the watch has to go on [COMPACTED]. {feed.read_again}, and "
        "watch from the revision after that of the answer. The oldest revision to watch from is "
        f"{oldest_revision}.",
        oldest_revision=oldest_revision,
    )
