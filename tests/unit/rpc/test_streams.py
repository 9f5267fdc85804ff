"""A stream to a node that is down: tried again ever more slowly, and told of once and then once a minute."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from itertools import pairwise
from typing import Any

import grpc
import grpc.aio
from structlog.testing import capture_logs

from kvraft.rpc.streams import ACCEPTED, BACKOFF_S_MAX, STEADY_S, SUMMARY_INTERVAL_S, OutboundStream
from kvraft.v1 import raft_pb2
from tests.fakes.skipping_loop import SkippingLoop

MINUTES = 10
Logged = list[MutableMapping[str, Any]]


class Call:
    """A call that is open for so long, if it is accepted at all, and then fails. Like gRPC's, it has headers
    in either case."""

    def __init__(self, open_s: float | None) -> None:
        self._open_s = open_s

    async def initial_metadata(self) -> grpc.aio.Metadata:
        return grpc.aio.Metadata() if self._open_s is None else grpc.aio.Metadata(ACCEPTED)

    async def __aiter__(self) -> AsyncIterator[raft_pb2.ForwardResponse]:
        await asyncio.sleep(self._open_s or 0.0)
        raise grpc.aio.AioRpcError(
            grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "connection refused"
        )
        yield raft_pb2.ForwardResponse()

    def cancel(self) -> None:
        """Nothing is under way."""


def attempts(*open_s: float | None) -> tuple[list[float], Logged]:
    """When a stream whose calls go like this was opened, the last of them again and again, and what was
    logged meanwhile."""
    at_s: list[float] = []

    async def watch() -> None:
        clock = asyncio.get_running_loop().time

        def open_call(_: object) -> Call:
            at_s.append(clock())
            return Call(open_s[min(len(at_s), len(open_s)) - 1])

        stream: OutboundStream[raft_pb2.ForwardRequest, raft_pb2.ForwardResponse] = OutboundStream(
            name="test",
            open_call=open_call,
            first_frame=raft_pb2.ForwardRequest,
            on_response=lambda _: None,
            on_broken=lambda: None,
            on_nonsense=lambda _: None,
            spawn=asyncio.create_task,
        )
        stream.open()
        await asyncio.sleep(MINUTES * SUMMARY_INTERVAL_S)
        stream.close()

    with capture_logs() as logged, asyncio.Runner(loop_factory=SkippingLoop) as runner:
        runner.run(watch())
    return at_s, logged


def pauses(at_s: list[float]) -> list[float]:
    return [after - before for before, after in pairwise(at_s)]


def test_a_node_that_is_down_is_told_of_once_and_then_once_a_minute() -> None:
    _, logged = attempts(None)
    assert [line["event"] for line in logged[:2]] == ["stream closed", "stream is still closed"]
    assert MINUTES - 1 <= len(logged) <= MINUTES + 1
    assert logged[-1]["attempts"] > 60 * (MINUTES - 2)


def test_a_node_that_is_down_is_tried_ever_more_slowly_and_out_of_step() -> None:
    at_s, _ = attempts(None)
    waited_s = pauses(at_s)
    assert max(waited_s[:2]) < BACKOFF_S_MAX / 2
    assert all(BACKOFF_S_MAX / 2 <= pause_s <= BACKOFF_S_MAX for pause_s in waited_s[4:])
    assert len({round(pause_s, 6) for pause_s in waited_s[4:14]}) == 10


def test_a_stream_that_was_open_for_a_while_is_opened_again_soon() -> None:
    at_s, logged = attempts(None, None, None, None, None, 10 * STEADY_S, 10 * STEADY_S)
    assert max(pauses(at_s)[6:]) < 10 * STEADY_S + 0.2
    assert [line["event"] for line in logged[:4]] == ["stream closed", "stream opened"] * 2


def test_a_stream_that_is_accepted_and_breaks_at_once_is_tried_ever_more_slowly() -> None:
    at_s, _ = attempts(0.0)
    assert min(pauses(at_s)[4:]) >= BACKOFF_S_MAX / 2
