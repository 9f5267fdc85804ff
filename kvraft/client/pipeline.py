"""Calls that wait together travel together: every write, and every read of a single key.

    write(), read()      a call waits in a queue
      -> Batch           as many as wait, at most two batches of writes and two of reads under way
      -> the stream      one at a time, to the leader if that is one of the endpoints
      -> response        each call gets its part

A write batch has a number (`sessions`), so it may be sent again: when the stream breaks, everything
under way is sent over the next one, unchanged, until it is answered or its callers' time is up. Each
call ends after `timeout_s` at the latest. A batch none of whose callers waits any more is forgotten,
and its number with it: no node will apply it from then on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence, Sized
from functools import partial

import grpc.aio
from google.protobuf.message import Message

from kvraft.client.batches import Batch, ReadBatch, ReadCall, WriteBatch, WriteCall
from kvraft.client.errors import (
    ClientClosed,
    DeadlineExceeded,
    KvraftError,
    OutcomeUnknown,
    ResourceExhausted,
    Unavailable,
)
from kvraft.client.failover import Failover
from kvraft.client.leader import LeaderFinder
from kvraft.client.method import Method
from kvraft.client.pacing import pause_s
from kvraft.client.session import Session
from kvraft.client.status import error_from_status, error_of_batch
from kvraft.v1 import common_pb2, pipeline_pb2

_PIPELINE = Method("/kvraft.v1.PipelineService/Pipeline", pipeline_pb2.PipelineResponse.FromString)
BATCHES_MAX = 2
"""Of a kind, under way: one on the disks while the next one travels. More would only be smaller."""
BATCH_CALLS_MAX = 1_000
SHARED_CALLS_MIN = 256
"""Up to so many calls travel in one batch if they can; of more, each batch has its even share. Otherwise one
batch would have nearly all of a crowd for ever, since those who are answered together call again together,
and the client would rest while the nodes work, and they while it does."""
REQUEST_BYTES_MAX = 4 << 20
"""Of one command, as the nodes have it."""
BATCH_BYTES_MAX = 1 << 20
"""A single larger call still goes, alone."""
SWEEP_S = 0.1
"""How often calls are looked through for those whose time is up."""

_RETRIED = (Unavailable, DeadlineExceeded, OutcomeUnknown)
"""Failures after which a batch is sent again; all others are answers."""
Failure = Callable[[str, bool], KvraftError]
"""What went wrong, as the error of a call of this name that writes, or does not."""


class _Frames:
    """The requests of one stream. (Not a generator: gRPC lets go of it at any moment.)"""

    __slots__ = ("_next", "is_over")

    def __init__(self, next_frame: Callable[[_Frames], Awaitable[pipeline_pb2.PipelineRequest]]) -> None:
        self._next = next_frame
        self.is_over = False
        """Set when the stream is left: whoever still waits for a request of it must not get one."""

    def __aiter__(self) -> _Frames:
        return self

    async def __anext__(self) -> pipeline_pb2.PipelineRequest:
        return await self._next(self)


class Pipeline:
    """The queues, the batches under way, and the stream of one client."""

    def __init__(self, failover: Failover) -> None:
        self._failover = failover
        self._session = Session(failover)
        self._leader = LeaderFinder(failover)
        self._writes: deque[WriteCall] = deque()
        self._reads: deque[ReadCall] = deque()
        self._under_way: dict[int, Batch] = {}
        self._next_tag = 1
        self._due = asyncio.Event()
        """Set when a batch may be made, or the stream be left."""
        self._leave = False
        self._rounds = 0
        """Failures in a row."""
        self._failure: Failure | None = None
        """The last one."""
        self._resend: deque[Batch] = deque()
        """Under way already when the stream was opened, and not yet sent over it."""
        self._heard_at_s = 0.0
        self._stream: grpc.aio.StreamStreamCall[Message, pipeline_pb2.PipelineResponse] | None = None
        self._runner: asyncio.Task[None] | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def write(
        self, command: pipeline_pb2.WriteCommand, name: str
    ) -> tuple[common_pb2.ResponseHeader, pipeline_pb2.WriteResult]:
        """One command, applied once. Raises KvraftError."""
        call = WriteCall(command, name, self._deadline())
        if call.size_bytes > REQUEST_BYTES_MAX:
            raise ResourceExhausted(
                f"{name} has {call.size_bytes:,} bytes; at most {REQUEST_BYTES_MAX:,} are allowed. It was "
                "not applied.",
                reason="MESSAGE_TOO_LARGE",
                retry_after_s=None,
            )
        self._writes.append(call)
        self._start()
        return await call.done

    async def read(
        self, key: bytes, consistency: common_pb2.Consistency
    ) -> tuple[common_pb2.ResponseHeader, pipeline_pb2.ReadResult]:
        """One key. Raises KvraftError."""
        call = ReadCall(key, consistency, self._deadline())
        self._reads.append(call)
        self._start()
        return await call.done

    async def close(self) -> None:
        """Ends what is under way, and gives the client's number back."""
        self._is_closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._runner is not None:
            self._leave = False
            self._runner.cancel()
            await asyncio.wait((self._runner,))
        for call in self._calls():
            call.fail(self._closed(call))
        self._leader.close()
        await self._session.close()

    # --- calls --------------------------------------------------------------------------------

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._failover.timeout_s

    def _start(self) -> None:
        if self._is_closed:
            raise ClientClosed
        self._failover.check_open()
        self._due.set()
        if self._runner is None:
            self._runner = asyncio.create_task(self._run(), name="kvraft-pipeline")
            self._runner.add_done_callback(self._ran)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)

    def _calls(self) -> list[WriteCall | ReadCall]:
        under_way = [call for batch in self._under_way.values() for call in batch.calls]
        return [*under_way, *self._writes, *self._reads]

    def _sweep(self) -> None:
        """Ends calls whose time is up, forgets batches for which nobody waits, and notices a node that does
        not answer."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for batch in list(self._under_way.values()):
            for call in batch.calls:
                if call.ends_at_s <= now:
                    call.fail(self._too_late(call, maybe_applied=batch.maybe_applied))
            if all(call.done.done() for call in batch.calls):
                self._end(batch)
        for queue in (self._writes, self._reads):
            while queue and (queue[0].done.done() or queue[0].ends_at_s <= now):
                call = queue.popleft()
                call.fail(self._too_late(call, maybe_applied=False))
        silent_s = now - max(
            self._heard_at_s, min((b.sent_at_s for b in self._under_way.values()), default=now)
        )
        if silent_s > self._failover.timeout_s / 2 and len(self._failover.addresses) > 1:
            self._leave = True
            if self._stream is not None:
                self._stream.cancel()
        waiting = bool(self._writes or self._reads or self._under_way)
        self._sweeper = loop.call_later(SWEEP_S, self._sweep) if waiting else None

    def _too_late(self, call: WriteCall | ReadCall, *, maybe_applied: bool) -> KvraftError:
        writes = isinstance(call, WriteCall)
        failure = None if self._failure is None else self._failure(call.name, writes)
        waited = f"{call.name} was not answered within {self._failover.timeout_s} s."
        if maybe_applied:
            if isinstance(failure, OutcomeUnknown):
                return failure
            return OutcomeUnknown(
                f"{waited} It may have been applied: read before writing again.", reason="DEADLINE_EXCEEDED"
            )
        if failure is not None and failure.applied == "no":
            return failure
        outcome = " It was not applied." if writes else ""
        return DeadlineExceeded(f"{waited}{outcome}", reason="DEADLINE_EXCEEDED")

    @staticmethod
    def _closed(call: WriteCall | ReadCall) -> KvraftError:
        if isinstance(call, WriteCall) and call.was_sent:
            return OutcomeUnknown(
                f"{call.name} was under way when the client was closed. It may have been applied.",
                reason="CANCELLED",
            )
        return Unavailable(f"{call.name} was not sent before the client was closed.", reason="CANCELLED")

    # --- batches ------------------------------------------------------------------------------

    def _next_batch(self) -> Batch | None:
        kinds = [type(batch) for batch in self._under_way.values()]
        if self._reads and kinds.count(ReadBatch) < BATCHES_MAX and (reads := self._take_reads()):
            return self._begin(ReadBatch(self._next_tag, reads))
        if self._writes and kinds.count(WriteBatch) < BATCHES_MAX:
            if self._session.client_id is None:
                self._session.register(on_done=self._registered)
            elif writes := self._take_writes():
                return self._begin(WriteBatch(self._next_tag, writes, self._session.number()))
        return None

    def _begin(self, batch: Batch) -> Batch:
        self._next_tag += 1
        self._under_way[batch.tag] = batch
        return batch

    def _end(self, batch: Batch) -> None:
        self._under_way.pop(batch.tag, None)
        if isinstance(batch, WriteBatch):
            self._session.ended(batch.number)
        self._due.set()

    def _share(self, waiting: Sized, kind: type[Batch]) -> int:
        """How many of those that wait the next batch of a kind may have."""
        under_way = sum(len(batch.calls) for batch in self._under_way.values() if isinstance(batch, kind))
        even = -(-(len(waiting) + under_way) // BATCHES_MAX)
        return min(BATCH_CALLS_MAX, max(SHARED_CALLS_MIN, even))

    def _take_writes(self) -> list[WriteCall]:
        taken: list[WriteCall] = []
        size_bytes = 0
        calls_max = self._share(self._writes, WriteBatch)
        while self._writes and len(taken) < calls_max:
            call = self._writes[0]
            size_bytes += call.size_bytes
            if taken and size_bytes > BATCH_BYTES_MAX:
                break
            self._writes.popleft()
            if not call.done.done():
                taken.append(call)
        return taken

    def _take_reads(self) -> list[ReadCall]:
        """Reads of one consistency."""
        taken: list[ReadCall] = []
        calls_max = self._share(self._reads, ReadBatch)
        while self._reads and len(taken) < calls_max:
            if taken and self._reads[0].consistency != taken[0].consistency:
                break
            call = self._reads.popleft()
            if not call.done.done():
                taken.append(call)
        return taken

    def _registered(self, failure: KvraftError | None) -> None:
        if failure is not None and isinstance(failure, _RETRIED):
            self._failure = lambda name, _: Unavailable(
                f"{name} was not applied: the client has no number yet. {failure}", reason=failure.reason
            )
        elif failure is not None:
            while self._writes:
                self._writes.popleft().fail(failure)
        self._due.set()

    def _ran(self, runner: asyncio.Task[None]) -> None:
        """Streams never end by themselves: what ended them is a bug, of which callers must hear."""
        failure = None if runner.cancelled() else runner.exception()
        if failure is not None:
            self._runner = None
            self._give_up(lambda _name, _writes: failure)

    # --- the stream ---------------------------------------------------------------------------

    async def _run(self) -> None:
        """Streams, one after the other, for as long as the client is open."""
        while True:
            while not (self._writes or self._reads or self._under_way):
                self._due.clear()
                await self._due.wait()
            endpoint = self._failover.endpoint
            self._leave = False
            self._resend = deque(self._under_way.values())
            frames = _Frames(self._next_frame)
            self._stream = endpoint.bidirectional(_PIPELINE, frames)
            try:
                await self._listen(self._stream, endpoint.address)
            except asyncio.CancelledError:
                if not self._leave:
                    raise
            except grpc.aio.AioRpcError as status:
                self._failure = partial(_of_status, status, endpoint.address)
                if not isinstance(self._failure("Pipeline", False), _RETRIED):
                    self._give_up(self._failure)
            finally:
                frames.is_over = True
                self._stream.cancel()
                self._due.set()
            for batch in self._under_way.values():
                batch.lost()
            if not self._leader.move():
                self._failover.leave(endpoint)
                self._rounds += 1
                if self._rounds % len(self._failover.addresses) == 0:
                    await asyncio.sleep(
                        pause_s(self._rounds // len(self._failover.addresses), self._failover.chance)
                    )

    async def _next_frame(self, frames: _Frames) -> pipeline_pb2.PipelineRequest:
        while not frames.is_over:
            batch = self._resend.popleft() if self._resend else self._next_batch()
            if batch is not None and batch.tag in self._under_way:
                batch.sent(asyncio.get_running_loop().time())
                return batch.request(self._session.first_unacknowledged)
            if batch is None:
                self._due.clear()
                await self._due.wait()
        raise StopAsyncIteration

    async def _listen(
        self,
        call: grpc.aio.StreamStreamCall[Message, pipeline_pb2.PipelineResponse],
        address: str,
    ) -> None:
        async for response in call:
            self._heard_at_s = asyncio.get_running_loop().time()
            batch = self._under_way.get(response.tag)
            if batch is None:
                pass  # nobody waits any more
            elif response.HasField("error"):
                self._refused(batch, response.error, address)
            else:
                self._rounds = 0
                self._end(batch)
                self._requeue(batch.answered(response, address))
                self._leader.heard(response.header, address)
            if self._leave or self._leader.is_elsewhere:
                return

    def _refused(self, batch: Batch, error: pipeline_pb2.PipelineError, address: str) -> None:
        # A refusal says nothing of an earlier attempt; only an answer to the number does.
        is_open = batch.refused(maybe_applied=error.maybe_applied)
        failure: Failure = partial(_of_batch, error, address)
        is_forgotten = error.reason == "UNKNOWN_CLIENT" and isinstance(batch, WriteBatch)
        if (is_open and not is_forgotten) or isinstance(failure("Pipeline", batch.writes), _RETRIED):
            self._failure = failure
            self._leave = True
            return
        self._end(batch)
        if isinstance(batch, WriteBatch) and is_forgotten:
            self._session.lost(batch.number)
            if is_open:
                self._forgotten(batch)
            else:
                self._requeue(batch.calls)
            return
        guilty = batch.guilty_of(error)
        for call in guilty:
            call.fail(failure(call.name, batch.writes))
        self._requeue([call for call in batch.calls if call not in guilty])

    @staticmethod
    def _forgotten(batch: WriteBatch) -> None:
        for call in batch.calls:
            call.fail(
                OutcomeUnknown(
                    f"{call.name} was sent and its answer lost, and the cluster has forgotten the client. "
                    "It may have been applied: read before writing again.",
                    reason="UNKNOWN_CLIENT",
                )
            )

    def _requeue(self, calls: Sequence[WriteCall | ReadCall]) -> None:
        """These were not answered, and certainly not applied: they are the next ones."""
        for call in reversed(calls):
            if isinstance(call, WriteCall):
                self._writes.appendleft(call)
            else:
                self._reads.appendleft(call)
        if calls:
            self._due.set()

    def _give_up(self, failure: Callable[[str, bool], BaseException]) -> None:
        """What answers is no kvraft node, or one that cannot serve: no use in trying again."""
        for batch in list(self._under_way.values()):
            for call in batch.calls:
                call.fail(_in_doubt(failure(call.name, batch.writes), maybe_applied=batch.maybe_applied))
            self._end(batch)
        for call in self._calls():
            call.fail(failure(call.name, isinstance(call, WriteCall)))
        self._writes.clear()
        self._reads.clear()


def _in_doubt(error: BaseException, *, maybe_applied: bool) -> BaseException:
    """What ends a stream says nothing of the batches under way: "not applied" would be a guess."""
    if maybe_applied and isinstance(error, KvraftError) and error.applied == "no":
        return OutcomeUnknown(
            f"{error} But it was under way then, and may have been applied: read before writing again.",
            reason=error.reason,
        )
    return error


def _of_status(status: grpc.aio.AioRpcError, address: str, name: str, writes: bool) -> KvraftError:
    return error_from_status(status, call=name, writes=writes, endpoint=address)


def _of_batch(error: pipeline_pb2.PipelineError, address: str, name: str, writes: bool) -> KvraftError:
    return error_of_batch(error, call=name, writes=writes, endpoint=address)
