"""Ranges of any size, read as a stream that outlives the node it comes from."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace

import grpc

from kvraft.client.endpoint import answer
from kvraft.client.errors import KvraftError
from kvraft.client.failover import Failover
from kvraft.client.keys import KeyRange
from kvraft.client.method import Method
from kvraft.client.reading import AtLeast, Consistency, consistency_fields
from kvraft.client.results import KeyValue
from kvraft.client.status import error_of_attempt
from kvraft.v1 import kv_pb2

_STREAM_RANGE = Method("/kvraft.v1.KvService/StreamRange", kv_pb2.StreamRangeResponse.FromString)


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeStream:
    """Iterates over the keys of a range: `async for kv in client.kv.stream_range(...)`.

    All keys are of one revision as long as the stream of the node holds. If it breaks, reading
    goes on behind the last key that arrived, on whichever endpoint works, at the same **or a later**
    revision: no key is given twice and none that was there all the time is missed, but keys behind
    the seam may be newer than those before it. The limit counts on.

    Raises KvraftError, DeadlineExceeded when no page came for `timeout_s`; the time between two
    pages that the caller takes does not count.
    """

    failover: Failover
    keys: KeyRange
    limit: int
    """0: no limit."""
    reverse: bool
    keys_only: bool
    consistency: Consistency

    async def __aiter__(self) -> AsyncIterator[KeyValue]:
        async with aclosing(self.pages()) as pages:
            async for page in pages:
                for kv in page:
                    yield kv

    async def pages(self) -> AsyncGenerator[tuple[KeyValue, ...], None]:
        """The same in the pages in which the keys arrive, none of them empty."""
        rest = self
        pacing = self.failover.pacing()
        while True:
            endpoint = self.failover.endpoint
            call = endpoint.stream(_STREAM_RANGE, rest._request())
            error: KvraftError
            try:
                while True:
                    # Cancels the call only when a node hangs, which ends this stream anyway.
                    response = await answer(call.read(), pacing.attempt_s(repeatable=True))
                    # The stubs have no common base for the two.
                    if not isinstance(response, kv_pb2.StreamRangeResponse):
                        return
                    if page := tuple(map(KeyValue.of, response.kvs)):
                        yield page
                        left = rest._after(page, response.header.revision)
                        if left is None:
                            return
                        rest = left
                        pacing = self.failover.pacing()
            except grpc.aio.AioRpcError as status:
                error = error_of_attempt(status, _STREAM_RANGE, endpoint.address)
            finally:
                call.cancel()
            await self.failover.before_next(error, endpoint, pacing)

    def _request(self) -> kv_pb2.StreamRangeRequest:
        consistency, min_revision = consistency_fields(self.consistency)
        return kv_pb2.StreamRangeRequest(
            range=self.keys.to_message(),
            limit=self.limit,
            reverse=self.reverse,
            keys_only=self.keys_only,
            consistency=consistency,
            min_revision=min_revision,
        )

    def _after(self, page: tuple[KeyValue, ...], revision: int) -> RangeStream | None:
        """What is left to read behind a page; `None`: nothing."""
        keys = self.keys.after(page[-1].key, reverse=self.reverse)
        if keys.is_empty or (self.limit and len(page) >= self.limit):
            return None
        limit = self.limit - len(page) if self.limit else 0
        return replace(self, keys=keys, limit=limit, consistency=AtLeast(revision))
