"""The services of a server, as the generated code registers them: what is served is told by what was added.

Every call whose answers are a stream begins with its headers. By itself gRPC sends them with the first
answer, and a caller that opens a stream before it has something to send, or a watch on which nothing happens,
would not know whether it was accepted; clients of some languages wait for that before they go on.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc
import grpc.aio

Context = grpc.aio.ServicerContext[Any, Any]


class Services:
    """Stands for a server in `add_...Servicer_to_server`, and remembers what was added."""

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server
        self.names: list[str] = []
        """Full names, in the order in which they were added."""

    def add_generic_rpc_handlers(self, _: object) -> None:
        """Does nothing: the generated code names each method in its other call."""

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> None:
        """Adds a service to the server. Called by the generated code."""
        self.names.append(service_name)
        handlers = {name: _headers_first(handler) for name, handler in method_handlers.items()}
        self._server.add_registered_method_handlers(service_name, handlers)


def _headers_first(handler: grpc.RpcMethodHandler[Any, Any]) -> grpc.RpcMethodHandler[Any, Any]:
    if not handler.response_streaming:
        return handler
    behavior: Any = handler.stream_stream if handler.request_streaming else handler.unary_stream
    make = (
        grpc.stream_stream_rpc_method_handler
        if handler.request_streaming
        else grpc.unary_stream_rpc_method_handler
    )
    return make(
        _generating(behavior) if inspect.isasyncgenfunction(behavior) else _writing(behavior),
        handler.request_deserializer,
        handler.response_serializer,
    )


def _writing(behavior: Any) -> Any:
    """Of a handler that writes its answers to the context."""

    @functools.wraps(behavior)
    async def handle(request: Any, context: Context) -> None:
        await _send_headers(context)
        await behavior(request, context)

    return handle


def _generating(behavior: Any) -> Any:
    """Of a handler that yields its answers."""

    @functools.wraps(behavior)
    async def handle(request: Any, context: Context) -> AsyncIterator[Any]:
        await _send_headers(context)
        async for answer in behavior(request, context):
            yield answer

    return handle


async def _send_headers(context: Context) -> None:
    try:
        await context.send_initial_metadata(())
    except grpc.aio.InternalError:
        # The call broke before gRPC could cancel this handler.
        raise asyncio.CancelledError from None
