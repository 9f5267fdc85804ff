"""Calls that wait together travel together: every write, and every read of a single key.

    write(), read()      a call waits in a queue
      -> Batch           as many as wait, at most two batches of writes and two of reads under way
      -> the stream      one at a time, to the leader if that is one of the endpoints (`batch_stream`)
      -> response        each call gets its part

A write batch has a number (`session`), so it may be sent again: when the stream breaks, everything
under way is sent over the next one, unchanged, until it is answered or its callers' time is up. Each
call ends after its timeout at the latest, whatever becomes of the rest (`deadlines`). A batch none of whose
callers waits any more is forgotten, and its number with it: no node will apply it from then on.
"""

from __future__ import annotations

import copy

from kvraft.client.batch_stream import BatchStream
from kvraft.client.batches import ReadCall, WriteCall
from kvraft.client.errors import ResourceExhausted
from kvraft.client.failover import Failover
from kvraft.v1 import common_pb2, pipeline_pb2

REQUEST_BYTES_MAX = 4 << 20
"""Of one command, as the nodes have it."""


class Pipeline:
    """Writes and reads that may take one time. Arguments are messages, or checked: nothing about a call can
    fail once others share its batch."""

    __slots__ = ("_binding", "_stream", "_timeout_s")

    def __init__(self, failover: Failover, *, registers: bool = True) -> None:
        self._binding = failover.binding
        self._stream = BatchStream(failover, registers=registers)
        self._timeout_s = failover.timeout_s

    def with_timeout(self, timeout_s: float) -> Pipeline:
        """The same for calls that may take another time."""
        other = copy.copy(self)
        other._timeout_s = timeout_s
        return other

    async def write(
        self, command: pipeline_pb2.WriteCommand, name: str
    ) -> tuple[common_pb2.ResponseHeader, pipeline_pb2.WriteResult]:
        """One command, applied once. Raises KvraftError."""
        stream = self._stream
        loop = self._binding.check()
        now_s = loop.time()
        call = WriteCall(command, name, loop, now_s, self._timeout_s)
        if call.size_bytes > REQUEST_BYTES_MAX:
            raise _too_large(name, call.size_bytes, " It was not applied.")
        stream.writes.append(call)
        stream.added(call, now_s)
        try:
            return await call.done
        finally:
            stream.waiting.discard(call)

    async def read(
        self, key: bytes, consistency: common_pb2.Consistency
    ) -> tuple[common_pb2.ResponseHeader, pipeline_pb2.ReadResult]:
        """One key. Raises KvraftError."""
        stream = self._stream
        loop = self._binding.check()
        now_s = loop.time()
        call = ReadCall(key, consistency, loop, now_s, self._timeout_s)
        if len(key) > REQUEST_BYTES_MAX:
            raise _too_large("Get", len(key), "")
        stream.reads.append(call)
        stream.added(call, now_s)
        try:
            return await call.done
        finally:
            stream.waiting.discard(call)

    async def close(self) -> None:
        """Ends what is under way, and gives the client's number back."""
        await self._stream.close()


def _too_large(name: str, size_bytes: int, outcome: str) -> ResourceExhausted:
    return ResourceExhausted(
        f"{name} has {size_bytes:,} bytes; at most {REQUEST_BYTES_MAX:,} are allowed.{outcome}",
        reason="MESSAGE_TOO_LARGE",
        retry_after_s=None,
    )
