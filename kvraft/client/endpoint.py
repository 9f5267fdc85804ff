"""One address of the cluster and the channel to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from kvraft.client.binding import PROCESS
from kvraft.client.method import Method, ResponseT, serialize

AnswerT = TypeVar("AnswerT")

_LATE_S = 0.2
"""How much later than gRPC's deadline, which counts by the wall clock, this process's own is."""
_MESSAGE_BYTES_MAX = 4 * 1024 * 1024
# What gRPC counts beside the request that the server's limit is about.
_MESSAGE_MARGIN_BYTES = 64 * 1024

CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    # A proxy named in the environment would be asked even for 127.0.0.1.
    ("grpc.enable_http_proxy", 0),
    # Repeating is decided in `failover`, where it is known what may be repeated.
    ("grpc.enable_retries", 0),
    ("grpc.service_config_disable_resolution", 1),
    # An address that does not answer fails within a second, and a node that returns is found
    # within one; gRPC's defaults are 20 and 120 seconds.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # A name whose address has changed is looked up again within a second; by default within 30.
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
    # A half-open connection is noticed after 15 seconds. Matches what the server permits.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_send_message_length", _MESSAGE_BYTES_MAX + _MESSAGE_MARGIN_BYTES),
    ("grpc.max_receive_message_length", _MESSAGE_BYTES_MAX + _MESSAGE_MARGIN_BYTES),
)


def parse_endpoints(given: str | Sequence[str]) -> tuple[str, ...]:
    """The addresses of "host:port,[::1]:port", or of a list of such; `http://` before one may be there, as
    etcd has it. Raises ValueError."""
    text = given if isinstance(given, str) else ",".join(given)
    if "https://" in text:
        raise ValueError(f"{text!r}: the client port speaks no TLS: write host:port,host:port,...")
    endpoints = tuple(part.strip().removeprefix("http://").removesuffix("/") for part in text.split(","))
    for endpoint in endpoints:
        host, _, port = endpoint.rpartition(":")
        if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f"{endpoint!r} is not an endpoint: write host:port,host:port,...")
        if ":" in host and not (host.startswith("[") and host.endswith("]")):
            raise ValueError(f"{endpoint!r} is not an endpoint: write an IPv6 address as [address]:port")
    return endpoints


class Endpoint:
    """Calls one node. The channel is made with the first call, in the event loop of the caller."""

    __slots__ = ("_channel", "address")

    def __init__(self, address: str) -> None:
        self.address = address
        self._channel: grpc.aio.Channel | None = None

    async def unary(self, method: Method[ResponseT], request: Message, timeout_s: float) -> ResponseT:
        """Raises AioRpcError, within `timeout_s` and a moment."""
        call = self._connected().unary_unary(method.path, serialize, method.parse)
        return await answer(call(request, timeout=timeout_s), timeout_s + _LATE_S)

    def stream(
        self, method: Method[ResponseT], request: Message
    ) -> grpc.aio.UnaryStreamCall[Message, ResponseT]:
        """Without a deadline: the reader sets one for each page."""
        call = self._connected().unary_stream(method.path, serialize, method.parse)
        return call(request)

    def bidirectional(
        self, method: Method[ResponseT], requests: AsyncIterator[Message]
    ) -> grpc.aio.StreamStreamCall[Message, ResponseT]:
        """For as long as both sides like."""
        call = self._connected().stream_stream(method.path, serialize, method.parse)
        return call(requests)

    async def close(self) -> None:
        """Ends the calls under way."""
        if self._channel is not None:
            await self._channel.close()

    def _connected(self) -> grpc.aio.Channel:
        if self._channel is None:
            self._channel = grpc.aio.insecure_channel(self.address, options=CHANNEL_OPTIONS)
            PROCESS.connected(self._channel)
        return self._channel


async def answer(call: Awaitable[AnswerT], timeout_s: float) -> AnswerT:
    """What a call, or a read of a stream, brings. Raises AioRpcError, also for what has nothing to do with
    the node: DEADLINE_EXCEEDED after `timeout_s` by the loop's own clock, UNAVAILABLE when somebody
    cancelled gRPC's own tasks."""
    try:
        async with asyncio.timeout(timeout_s):
            return await call
    except TimeoutError:
        raise _failed(grpc.StatusCode.DEADLINE_EXCEEDED, "nothing came in time") from None
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise _failed(grpc.StatusCode.UNAVAILABLE, "the call was cancelled in this process") from None


def _failed(code: grpc.StatusCode, details: str) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details)
