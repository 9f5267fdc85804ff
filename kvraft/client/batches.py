"""What waits for an answer: calls, and the batches in which they travel."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from kvraft.client.status import error_of_batch
from kvraft.v1 import common_pb2, pipeline_pb2

ResultT = TypeVar("ResultT")
_Header = common_pb2.ResponseHeader


class Call(Generic[ResultT]):
    """Somebody waits."""

    __slots__ = ("batch", "done", "ends_at_s", "name", "timeout_s")

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop, now_s: float, timeout_s: float) -> None:
        self.name = name
        """Of the RPC it would be by itself."""
        self.timeout_s = timeout_s
        self.ends_at_s = now_s + timeout_s
        self.batch: Batch | None = None
        """In which it is under way."""
        self.done: asyncio.Future[tuple[_Header, ResultT]] = loop.create_future()

    def answer(self, header: _Header, result: ResultT) -> None:
        self.batch = None
        if not self.done.done():
            self.done.set_result((header, result))

    def fail(self, error: BaseException) -> None:
        self.batch = None
        if not self.done.done():
            self.done.set_exception(error)


class WriteCall(Call[pipeline_pb2.WriteResult]):
    """A command."""

    __slots__ = ("command", "size_bytes")

    def __init__(
        self,
        command: pipeline_pb2.WriteCommand,
        name: str,
        loop: asyncio.AbstractEventLoop,
        now_s: float,
        timeout_s: float,
    ) -> None:
        super().__init__(name, loop, now_s, timeout_s)
        self.command = command
        self.size_bytes = command.ByteSize()


class ReadCall(Call[pipeline_pb2.ReadResult]):
    """A look at one key."""

    __slots__ = ("consistency", "key")

    def __init__(
        self,
        key: bytes,
        consistency: common_pb2.Consistency,
        loop: asyncio.AbstractEventLoop,
        now_s: float,
        timeout_s: float,
    ) -> None:
        super().__init__("Get", loop, now_s, timeout_s)
        self.key = key
        self.consistency = consistency


class Batch(ABC):
    """Calls under way together."""

    writes: bool
    calls: Sequence[Any]

    def __init__(self, tag: int) -> None:
        self.tag = tag
        self.maybe_applied = False
        """Whether some attempt may have been applied, or may still be."""

    def sent(self) -> None:
        """It leaves now."""
        self.maybe_applied = self.writes

    @property
    def ends_in_doubt(self) -> bool:
        """Whether it may have been applied and cannot be sent again."""
        return False

    @abstractmethod
    def lost(self) -> None:
        """The stream broke before an answer came."""

    @abstractmethod
    def refused(self, *, maybe_applied: bool) -> bool:
        """The latest attempt failed. Whether an earlier one may have been applied."""

    @abstractmethod
    def request(self, first_unacknowledged: int) -> pipeline_pb2.PipelineRequest:
        """What is sent."""

    @abstractmethod
    def answered(self, response: pipeline_pb2.PipelineResponse, endpoint: str) -> Sequence[Any]:
        """Gives every call its part; the calls that are to be sent once more."""

    @abstractmethod
    def guilty_of(self, error: pipeline_pb2.PipelineError) -> Sequence[Any]:
        """The calls because of which the whole batch was refused."""


class WriteBatch(Batch):
    """Commands under one number, or without one: then they are sent again only if they were certainly not
    applied."""

    writes = True

    def __init__(self, tag: int, calls: Sequence[WriteCall], number: tuple[int, int] | None) -> None:
        super().__init__(tag)
        self.calls = calls
        self.number = number
        """Client id and sequence."""
        self._earlier_maybe_applied = False
        self._request = pipeline_pb2.PipelineRequest(tag=tag)
        if number is not None:
            self._request.writes.request_id.client_id, self._request.writes.request_id.sequence = number
        self._request.writes.commands.extend([call.command for call in calls])

    @property
    def ends_in_doubt(self) -> bool:
        return self.number is None and self.maybe_applied

    def lost(self) -> None:
        self._earlier_maybe_applied = self.maybe_applied

    def refused(self, *, maybe_applied: bool) -> bool:
        is_open = self._earlier_maybe_applied
        self.maybe_applied = self._earlier_maybe_applied = is_open or maybe_applied
        return is_open

    def request(self, first_unacknowledged: int) -> pipeline_pb2.PipelineRequest:
        if self.number is not None:
            self._request.writes.request_id.first_unacknowledged = first_unacknowledged
        return self._request

    def answered(self, response: pipeline_pb2.PipelineResponse, endpoint: str) -> Sequence[Any]:
        left: list[WriteCall] = []
        for call, result in zip(self.calls, response.results, strict=True):
            if result.HasField("error"):
                if result.error.reason == "TOO_MUCH_WORK":
                    left.append(call)
                    continue
                call.fail(error_of_batch(result.error, call=call.name, writes=True, endpoint=endpoint))
            else:
                call.answer(response.header, result)
        return left

    def guilty_of(self, error: pipeline_pb2.PipelineError) -> Sequence[WriteCall]:
        if error.refused_positions:
            # A node that names others than there are must not stop this client.
            return [
                self.calls[position] for position in error.refused_positions if position < len(self.calls)
            ]
        position = _position(error.field, "writes.commands[")
        return self.calls if position is None else self.calls[position : position + 1]


class ReadBatch(Batch):
    """Keys that are looked at together."""

    writes = False

    def __init__(self, tag: int, calls: Sequence[ReadCall]) -> None:
        super().__init__(tag)
        self.calls = calls
        self._request = pipeline_pb2.PipelineRequest(tag=tag)
        self._request.reads.consistency = calls[0].consistency
        self._request.reads.keys.extend([call.key for call in calls])

    def lost(self) -> None:
        """A read can always be repeated."""

    def refused(self, *, maybe_applied: bool) -> bool:  # noqa: ARG002
        return False

    def request(self, first_unacknowledged: int) -> pipeline_pb2.PipelineRequest:  # noqa: ARG002
        return self._request

    def answered(self, response: pipeline_pb2.PipelineResponse, endpoint: str) -> Sequence[Any]:  # noqa: ARG002
        omitted: list[ReadCall] = []
        for call, result in zip(self.calls, response.values, strict=True):
            if result.omitted:
                omitted.append(call)
            else:
                call.answer(response.header, result)
        return omitted

    def guilty_of(self, error: pipeline_pb2.PipelineError) -> Sequence[ReadCall]:
        position = _position(error.field, "reads.keys[")
        return self.calls if position is None else self.calls[position : position + 1]


def _position(field: str, prefix: str) -> int | None:
    """The 3 of "writes.commands[3].put.key"."""
    if not field.startswith(prefix):
        return None
    number, _, _ = field.removeprefix(prefix).partition("]")
    return int(number) if number.isdecimal() else None
