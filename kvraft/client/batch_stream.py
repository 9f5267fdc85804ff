"""The queues, the batches under way, and the stream of one client."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence, Sized
from functools import partial

import grpc.aio
from google.protobuf.message import Message

from kvraft.client.background import BackgroundTask, broken
from kvraft.client.batches import Batch, ReadBatch, ReadCall, WriteBatch, WriteCall
from kvraft.client.deadlines import Deadlines
from kvraft.client.endpoint import Endpoint
from kvraft.client.errors import (
    DeadlineExceeded,
    KvraftError,
    OutcomeUnknown,
    Unavailable,
)
from kvraft.client.failover import Failover
from kvraft.client.leader import LeaderFinder
from kvraft.client.method import Method
from kvraft.client.pacing import pause_s
from kvraft.client.session import Session
from kvraft.client.status import NOT_SENT, UNIMPLEMENTED, error_from_status, error_of_batch
from kvraft.v1 import pipeline_pb2

_PIPELINE = Method("/kvraft.v1.PipelineService/Pipeline", pipeline_pb2.PipelineResponse.FromString)
BATCHES_MAX = 2
"""Of a kind, under way: one on the disks while the next one travels. More would only be smaller."""
BATCH_CALLS_MAX = 1_000
SHARED_CALLS_MIN = 256
"""Up to so many calls travel in one batch if they can; of more, each batch has its even share. Otherwise one
batch would have nearly all of a crowd for ever, since those who are answered together call again together,
and the client would rest while the nodes work, and they while it does."""
BATCH_BYTES_MAX = 1 << 20
"""A single larger call still goes, alone."""

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


class BatchStream:
    """What the calls of a client share: see `pipeline`. Nobody waits for its tasks, but each call for its
    own end; whatever becomes of a task, the next call or look begins it anew."""

    def __init__(self, failover: Failover, *, registers: bool) -> None:
        self._failover = failover
        self._registers = registers
        self._session = Session(failover, self._registered)
        self._leader = LeaderFinder(failover)
        self.writes: deque[WriteCall] = deque()
        self.reads: deque[ReadCall] = deque()
        """In which calls wait."""
        self._under_way: dict[int, Batch] = {}
        self._next_tag = 1
        self._due = asyncio.Event()
        """Set when a batch may be made, or the stream be left."""
        self._leave = False
        self._rounds = 0
        """Failures in a row."""
        self._failure: Failure | None = None
        """The last one."""
        self._strangers: set[str] = set()
        """Endpoints that do not serve clients, as far as they last said."""
        self._resend: deque[Batch] = deque()
        """Under way already when the stream was opened, and not yet sent over it."""
        self._silent_since_s: float | None = None
        """Since when something is under way over this stream and nothing comes."""
        self._stream: grpc.aio.StreamStreamCall[Message, pipeline_pb2.PipelineResponse] | None = None
        self._runner = BackgroundTask("kvraft-pipeline", self._run, self._ran)
        self._deadlines = Deadlines[WriteCall | ReadCall](self._expire, self._look_after)
        self.waiting = self._deadlines.waiting
        """All calls whose callers wait."""

    def added(self, call: WriteCall | ReadCall, now_s: float) -> None:
        """A call is in one of the queues, and somebody waits for it from now on."""
        self._deadlines.add(call, now_s)
        self._due.set()
        self._runner.want()

    async def close(self) -> None:
        """Ends what is under way, and gives the client's number back."""
        self._deadlines.close()
        await self._runner.stop()
        for call in self.waiting:
            call.fail(_closed(call))
        self._leader.close()
        await self._session.close()

    # --- calls --------------------------------------------------------------------------------

    def _look_after(self, now_s: float) -> bool:
        """Forgets what nobody waits for, notices a node that does not answer, and sees to it that somebody
        works. Whether there is still something."""
        for batch in list(self._under_way.values()):
            if all(call.done.done() for call in batch.calls):
                self._end(batch)
        for queue in (self.writes, self.reads):
            while queue and queue[0].done.done():
                queue.popleft()
        if (
            self._silent_since_s is not None
            and now_s - self._silent_since_s > self._failover.timeout_s / 2
            and len(self._failover.addresses) > 1
            and not self._holds_doubtful()
        ):
            self._leave = True
            if self._stream is not None:
                self._stream.cancel()
        is_wanted = bool(self.writes or self.reads or self._under_way)
        if is_wanted:
            self._runner.want()
        return is_wanted

    def _expire(self, call: WriteCall | ReadCall) -> None:
        """Its time is up."""
        call.fail(self._too_late(call, maybe_applied=call.batch is not None and call.batch.maybe_applied))

    def _too_late(self, call: WriteCall | ReadCall, *, maybe_applied: bool) -> KvraftError:
        writes = isinstance(call, WriteCall)
        failure = None if self._failure is None else self._failure(call.name, writes)
        waited = f"{call.name} was not answered within {call.timeout_s:g} s."
        if maybe_applied:
            if isinstance(failure, OutcomeUnknown):
                return failure
            if failure is not None and not self._registers:
                return _in_doubt(failure, maybe_applied=True)
            return OutcomeUnknown(
                f"{waited} It may have been applied: read before writing again.", reason="DEADLINE_EXCEEDED"
            )
        if failure is not None and failure.applied == "no":
            failure.add_note(f"Tried again for {call.timeout_s:g} s.")
            return failure
        outcome = " It was not applied." if writes else ""
        return DeadlineExceeded(f"{waited}{outcome}", reason="DEADLINE_EXCEEDED")

    # --- batches ------------------------------------------------------------------------------

    def _next_batch(self) -> Batch | None:
        kinds = [type(batch) for batch in self._under_way.values()]
        if self.reads and kinds.count(ReadBatch) < BATCHES_MAX and (reads := self._take_reads()):
            return self._begin(ReadBatch(self._next_tag, reads))
        if self.writes and kinds.count(WriteBatch) < BATCHES_MAX:
            if not self._registers:
                if writes := self._take_writes():
                    return self._begin(WriteBatch(self._next_tag, writes, None))
            elif self._session.client_id is None:
                self._session.register()
            elif writes := self._take_writes():
                return self._begin(WriteBatch(self._next_tag, writes, self._session.number()))
        return None

    def _begin(self, batch: Batch) -> Batch:
        self._next_tag += 1
        self._under_way[batch.tag] = batch
        for call in batch.calls:
            call.batch = batch
        return batch

    def _end(self, batch: Batch) -> None:
        self._under_way.pop(batch.tag, None)
        if isinstance(batch, WriteBatch) and batch.number is not None:
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
        calls_max = self._share(self.writes, WriteBatch)
        while self.writes and len(taken) < calls_max:
            call = self.writes[0]
            size_bytes += call.size_bytes
            if taken and size_bytes > BATCH_BYTES_MAX:
                break
            self.writes.popleft()
            if not call.done.done():
                taken.append(call)
        return taken

    def _take_reads(self) -> list[ReadCall]:
        """Reads of one consistency."""
        taken: list[ReadCall] = []
        size_bytes = 0
        calls_max = self._share(self.reads, ReadBatch)
        while self.reads and len(taken) < calls_max:
            call = self.reads[0]
            size_bytes += len(call.key)
            if taken and (call.consistency != taken[0].consistency or size_bytes > BATCH_BYTES_MAX):
                break
            self.reads.popleft()
            if not call.done.done():
                taken.append(call)
        return taken

    def _registered(self, failure: KvraftError | None) -> None:
        if failure is not None and isinstance(failure, _RETRIED) and failure.reason != UNIMPLEMENTED:
            self._failure = lambda name, _: Unavailable(
                f"{name} was not applied: the client has no number yet. {failure}", reason=failure.reason
            )
        elif failure is not None:
            while self.writes:
                self.writes.popleft().fail(failure)
        self._due.set()

    def _ran(self, failure: BaseException | None) -> None:
        """Streams never end by themselves. What was cancelled begins anew; what ended them otherwise is a
        bug, of which callers must hear."""
        if not isinstance(failure, asyncio.CancelledError):
            self._give_up(lambda name, writes: broken(name, failure, writes=writes))

    # --- the stream ---------------------------------------------------------------------------

    async def _run(self) -> None:
        """Streams, one after the other, for as long as the client is open."""
        while True:
            while not (self.writes or self.reads or self._under_way):
                self._due.clear()
                await self._due.wait()
            endpoint = self._failover.endpoint
            await self._use(endpoint)
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                # gRPC took the cancellation for the end of its call.
                raise asyncio.CancelledError
            if len(self._strangers) == len(set(self._failover.addresses)) and self._failure is not None:
                self._strangers.clear()
                self._give_up(self._failure)
            if not self._leader.move():
                self._failover.leave(endpoint)
                self._rounds += 1
                if self._rounds % len(self._failover.addresses) == 0:
                    await asyncio.sleep(
                        pause_s(self._rounds // len(self._failover.addresses), self._failover.chance)
                    )

    async def _use(self, endpoint: Endpoint) -> None:
        """One stream, until it is left or breaks."""
        self._leave = False
        self._silent_since_s = None
        self._resend = deque(self._under_way.values())
        frames = _Frames(self._next_frame)
        self._stream = endpoint.bidirectional(_PIPELINE, frames)
        never_arrived = False
        try:
            await self._listen(self._stream, endpoint.address)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Left, or cancelled by somebody who cancelled gRPC's own tasks.
        except grpc.aio.AioRpcError as status:
            self._failure = partial(_of_status, status, endpoint.address)
            failure = self._failure("Pipeline", True)
            never_arrived = failure.reason in NOT_SENT
            if failure.reason == UNIMPLEMENTED:
                self._strangers.add(endpoint.address)
            elif not isinstance(self._failure("Pipeline", False), _RETRIED):
                self._give_up(self._failure)
        finally:
            frames.is_over = True
            self._silent_since_s = None
            self._stream.cancel()
            self._due.set()
            for batch in self._under_way.values():
                if never_arrived:
                    batch.refused(maybe_applied=False)
                else:
                    batch.lost()
            self._end_those_in_doubt()

    def _end_those_in_doubt(self) -> None:
        """What has no number cannot be sent again once it may have been applied."""
        for batch in list(self._under_way.values()):
            if batch.ends_in_doubt:
                for call in batch.calls:
                    call.fail(self._too_late(call, maybe_applied=True))
                self._end(batch)

    async def _next_frame(self, frames: _Frames) -> pipeline_pb2.PipelineRequest:
        while not frames.is_over:
            batch = self._resend.popleft() if self._resend else self._next_batch()
            if batch is not None and batch.tag in self._under_way:
                if self._silent_since_s is None:
                    self._silent_since_s = asyncio.get_running_loop().time()
                batch.sent()
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
            batch = self._under_way.get(response.tag)
            if batch is None:
                pass  # nobody waits any more
            elif response.HasField("error"):
                self._refused(batch, response.error, address)
            else:
                self._rounds = 0
                self._strangers.clear()
                self._end(batch)
                self._requeue(batch.answered(response, address))
                self._leader.heard(response.header, address)
            self._silent_since_s = asyncio.get_running_loop().time() if self._under_way else None
            if self._leave or (self._leader.is_elsewhere and not self._holds_doubtful()):
                return

    def _holds_doubtful(self) -> bool:
        """Whether something would be of unknown outcome if the stream was left."""
        return any(batch.ends_in_doubt for batch in self._under_way.values())

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
        if isinstance(batch, WriteBatch) and batch.number is not None and is_forgotten:
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
            call.batch = None
            if isinstance(call, WriteCall):
                self.writes.appendleft(call)
            else:
                self.reads.appendleft(call)
        if calls:
            self._due.set()

    def _give_up(self, failure: Failure) -> None:
        """What answers is no kvraft node, or one that cannot serve: no use in trying again."""
        for batch in list(self._under_way.values()):
            for call in batch.calls:
                call.fail(_in_doubt(failure(call.name, batch.writes), maybe_applied=batch.maybe_applied))
            self._end(batch)
        for call in self.waiting:
            call.fail(failure(call.name, isinstance(call, WriteCall)))
        self.writes.clear()
        self.reads.clear()


def _in_doubt(error: KvraftError, *, maybe_applied: bool) -> KvraftError:
    """What ends a stream says nothing of the batches under way: "not applied" would be a guess."""
    if maybe_applied and error.applied == "no":
        return OutcomeUnknown(
            f"{error} But it was under way then, and may have been applied: read before writing again.",
            reason=error.reason,
        )
    return error


def _closed(call: WriteCall | ReadCall) -> KvraftError:
    if isinstance(call, WriteCall) and call.batch is not None and call.batch.maybe_applied:
        return OutcomeUnknown(
            f"{call.name} was under way when the client was closed. It may have been applied.",
            reason="CANCELLED",
        )
    return Unavailable(f"{call.name} was not sent before the client was closed.", reason="CANCELLED")


def _of_status(status: grpc.aio.AioRpcError, address: str, name: str, writes: bool) -> KvraftError:
    return error_from_status(status, call=name, writes=writes, endpoint=address)


def _of_batch(error: pipeline_pb2.PipelineError, address: str, name: str, writes: bool) -> KvraftError:
    return error_of_batch(error, call=name, writes=writes, endpoint=address)
