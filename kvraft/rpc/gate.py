"""The door of the client port: every call of every service enters here, before a byte of its request is read.

The generated code registers services with the gate as with a server, and what is served is told by what was
added. The gate counts each call against its connection's share, decodes its request, and accounts for its
answer; what it refuses has a status with a reason, as all of this node's errors have. What a handler raises
is `kvraft.rpc.status`'s.

To gRPC every method is one whose requests are a stream: then a handler begins with the headers, and not with
the first message, so that who is refused need not send it.

Every call whose answers are a stream begins with its headers. By itself gRPC sends them with the first
answer, and a caller that opens a stream before it has something to send, or a watch on which nothing happens,
would not know whether it was accepted; clients of some languages wait for that before they go on.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NoReturn

import grpc
import grpc.aio
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.message import DecodeError

from kvraft import errors
from kvraft.errors import Reason, RequestError
from kvraft.rpc.calls import SMALL_ANSWER_BYTES, Call, Calls
from kvraft.rpc.status import to_status

Context = grpc.aio.ServicerContext[Any, Any]
Decode = Callable[[bytes], Any]
Encode = Callable[[Any], bytes]
Behavior = Callable[[Any, Context], Any]

_OF_THE_NODE = ("kvraft.v1.ClusterService.", "grpc.")
"""Methods that tell of the node itself, and not of the data."""


class Gate(grpc.GenericRpcHandler):
    """Stands for a server in `add_...Servicer_to_server`, and is that server's one handler: gRPC waits for
    the next call of every registered method apart, which costs each call as much as there are methods."""

    def __init__(
        self, server: grpc.aio.Server, refusal: Callable[[], RequestError | None] = lambda: None
    ) -> None:
        """`refusal`: what every call is answered just now, but for those that tell of the node itself."""
        self.calls = Calls()
        self._refusal = refusal
        self.names: list[str] = []
        """Full names of the services, in the order in which they were added."""
        self._handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        unknown: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(
            _letting_go(_refuse_unknown)
        )
        self._unknown = unknown
        server.add_generic_rpc_handlers((self,))

    def add_generic_rpc_handlers(self, _: object) -> None:
        """Does nothing: the generated code names each method in its other call."""

    def add_registered_method_handlers(
        self, service: str, handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> None:
        """Adds a service. Called by the generated code."""
        self.names.append(service)
        for method, handler in handlers.items():
            self._handlers[f"/{service}/{method}"] = self._guarded(f"{service}.{method}", handler)

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        """The handler of a call. Called by gRPC."""
        return self._handlers.get(details.method, self._unknown)

    def _guarded(self, name: str, handler: Any) -> grpc.RpcMethodHandler[Any, Any]:
        decode, encode = _decoder(name, handler.request_deserializer), handler.response_serializer
        if not handler.response_streaming:
            serve = self._unary(name, handler.unary_unary, decode, encode)
            return grpc.stream_unary_rpc_method_handler(serve)
        if handler.request_streaming:
            serve, request_deserializer = self._stream(name, handler.stream_stream), decode
        else:
            serve, request_deserializer = self._stream(name, _of_one(handler.unary_stream, decode)), None
        return grpc.stream_stream_rpc_method_handler(serve, request_deserializer, _bytes_or(encode))

    def _enter(self, name: str) -> Callable[[Context], Call]:
        """How calls of this method enter."""
        enter, refusal = self.calls.enter, self._refusal
        if name.startswith(_OF_THE_NODE):
            return enter

        def enter_unless_refused(context: Context) -> Call:
            refused = refusal()
            if refused is not None:
                raise refused
            return enter(context)

        return enter_unless_refused

    def _unary(self, name: str, behavior: Behavior, decode: Decode, encode: Encode) -> Behavior:
        enter, reads_only = self._enter(name), _reads_only(name)

        async def serve(_: object, context: Context) -> bytes:
            try:
                call = enter(context)
                request = decode(await _read_one(context))
            except RequestError as error:
                await _abort(context, error)
            answer = encode(await behavior(request, context))
            if len(answer) > SMALL_ANSWER_BYTES and not call.hold(len(answer)):
                await _abort(context, _not_kept(call, reads_only=reads_only))
            return answer

        return _letting_go(serve)

    def _stream(self, name: str, behavior: Behavior) -> Behavior:
        enter = self._enter(name)
        generates = inspect.isasyncgenfunction(behavior)

        async def serve(requests: Any, context: Context) -> None:
            try:
                enter(context)
                await _send_headers(context)
                if generates:
                    async for response in behavior(requests, context):
                        await context.write(response)
                else:
                    await behavior(requests, context)
            except RequestError as error:
                await _abort(context, error)

        return _letting_go(serve)


def _letting_go(serve: Behavior) -> Behavior:
    """Of a handler, one whose frames go when it ends its call. gRPC keeps the exception of an abort with the
    call, until a collection, which is rare (`kvraft.server`); its traceback would keep the frames, and these
    the request and the answer."""

    async def letting_go(requests: Any, context: Context) -> Any:
        try:
            return await serve(requests, context)
        except grpc.aio.AbortError as aborted:
            del requests, context
            aborted.__context__ = None
            raise aborted.with_traceback(None)  # noqa: B904 - what came before it is what is let go of

    return letting_go


async def _refuse_unknown(_: object, context: Context) -> None:
    what = "this port has no such method; nothing was applied; is it a client port, of this version or newer?"
    await _abort(context, RequestError(Reason.UNIMPLEMENTED, what))


async def _send_headers(context: Context) -> None:
    try:
        await context.send_initial_metadata(())
    except grpc.aio.InternalError:
        # The call broke before gRPC could cancel this handler.
        raise asyncio.CancelledError from None


def _of_one(behavior: Behavior, decode: Decode) -> Behavior:
    """Of a handler of one request, one of a stream of them."""
    if inspect.isasyncgenfunction(behavior):

        async def generate(_: object, context: Context) -> AsyncIterator[Any]:
            async for response in behavior(decode(await _read_one(context)), context):
                yield response

        return generate

    async def serve(_: object, context: Context) -> None:
        await behavior(decode(await _read_one(context)), context)

    return serve


def _reads_only(name: str) -> bool:
    """Whether a method changes nothing, as the contract says."""
    options = descriptor_pool.Default().FindMethodByName(name).GetOptions()
    return bool(options.idempotency_level == descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS)


async def _read_one(context: Context) -> bytes:
    raw = await context.read()
    if not isinstance(raw, bytes):
        raise RequestError(Reason.INVALID_ARGUMENT, "the call has no message; nothing was applied")
    return raw


async def _abort(context: Context, error: RequestError) -> NoReturn:
    status = to_status(error)
    await context.abort(status.code, status.details, status.trailing_metadata)


def _decoder(name: str, decode: Decode | None) -> Decode:
    """Of a message that a method is sent; `name` is the method's."""
    if decode is None:
        return lambda raw: raw

    def decoded(raw: bytes) -> Any:
        try:
            return decode(raw)
        except DecodeError:
            what = f"{len(raw):,} bytes were sent that are no request of {name}; nothing of it was applied"
            raise RequestError(Reason.INVALID_ARGUMENT, what) from None

    return decoded


def _bytes_or(encode: Encode | None) -> Encode:
    """What is encoded already stays as it is (`kvraft.rpc.sending`)."""
    if encode is None:
        return lambda response: response
    return lambda response: response if isinstance(response, bytes) else encode(response)


def _not_kept(call: Call, *, reads_only: bool) -> RequestError:
    return errors.overloaded(call.refusal()) if reads_only else errors.answer_not_kept(call.refusal())
