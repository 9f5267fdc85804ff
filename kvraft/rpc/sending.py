"""Writing to a stream whose reader may be slow, or gone."""

from __future__ import annotations

import asyncio

import grpc
from google.protobuf.message import Message

from kvraft import errors


async def send(
    context: grpc.aio.ServicerContext[Message, Message], message: Message, reader_timeout_s: float
) -> None:
    """Waits until the message is taken. Raises RequestError (SLOW_READER) after `reader_timeout_s`;
    CancelledError if there is nobody to answer any more."""
    try:
        async with asyncio.timeout(reader_timeout_s):
            await context.write(message)
    except TimeoutError:
        raise errors.slow_reader(reader_timeout_s) from None
    except grpc.aio.InternalError:
        # The call broke before gRPC could cancel this handler.
        raise asyncio.CancelledError from None
