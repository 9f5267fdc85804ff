"""Writing to a stream whose reader may be slow, or gone."""

from __future__ import annotations

import asyncio

import grpc
from google.protobuf.message import Message

from kvraft import errors
from kvraft.rpc.calls import CALL


async def send(
    context: grpc.aio.ServicerContext[Message, Message], message: Message, reader_timeout_s: float
) -> None:
    """Waits until the message is taken. Raises RequestError: SLOW_READER after `reader_timeout_s`, OVERLOADED
    if there is no room to keep it until then; CancelledError if there is nobody to answer any more."""
    answer = message.SerializeToString()
    call = CALL.get()
    if not call.hold(len(answer)):
        raise errors.overloaded(call.refusal())
    await send_held(context, answer, reader_timeout_s)


async def send_held(
    context: grpc.aio.ServicerContext[Message, Message], answer: bytes, reader_timeout_s: float
) -> None:
    """Sends what the call holds already, as `send` does."""
    try:
        async with asyncio.timeout(reader_timeout_s):
            await context.write(answer)  # type: ignore[arg-type]
    except TimeoutError:
        # gRPC has it until the call ends, and so it counts.
        raise errors.slow_reader(reader_timeout_s) from None
    except grpc.aio.InternalError:
        # The call broke before gRPC could cancel this handler.
        raise asyncio.CancelledError from None
    CALL.get().release(len(answer))
