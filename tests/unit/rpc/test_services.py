"""Which services the client port has, and that every stream begins with its headers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor import MethodDescriptor

from kvraft.rpc.gate import Gate
from tests.unit.rpc.whole_port import PATIENCE_S, SERVICES, Port

BIDIRECTIONAL = [
    method
    for service in SERVICES.values()
    for method in service.methods
    if method.client_streaming and method.server_streaming
]


def test_reflection_lists_every_service_of_the_contract(runner: asyncio.Runner, port: Port) -> None:
    assert set(runner.run(port.reflected())) == set(SERVICES)


def test_health_knows_every_service_of_the_contract(runner: asyncio.Runner, port: Port) -> None:
    ours = [name for name in SERVICES if name.startswith("kvraft.")]
    assert "kvraft.v1.MessageService" in ours
    for serving in (True, False):
        runner.run(port.port.set_health(serving=serving))
        for name in ("", *ours):
            assert runner.run(port.health(name)).status == (1 if serving else 2)


@pytest.mark.parametrize("method", BIDIRECTIONAL, ids=lambda method: method.full_name)
def test_a_stream_begins_with_its_headers_before_the_caller_has_sent_anything(
    runner: asyncio.Runner, port: Port, method: MethodDescriptor
) -> None:
    async def nothing() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    async def headers() -> None:
        path = f"/{method.containing_service.full_name}/{method.name}"
        call = port.channel.stream_stream(path)(nothing())
        await call.initial_metadata()
        call.cancel()

    runner.run(asyncio.wait_for(headers(), PATIENCE_S))


async def _write_nothing(_: bytes, __: object) -> None:
    await asyncio.Event().wait()


async def _yield_nothing(_: bytes, __: object) -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


@pytest.mark.parametrize("behavior", [_write_nothing, _yield_nothing])
def test_an_answer_of_many_messages_begins_with_its_headers_before_the_first(
    runner: asyncio.Runner, behavior: Callable[..., object]
) -> None:
    async def headers() -> None:
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        services = Gate(server)
        handler = grpc.unary_stream_rpc_method_handler(behavior)
        services.add_registered_method_handlers("test.Quiet", {"Watch": handler})
        assert services.names == ["test.Quiet"]
        number = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{number}") as channel:
            call = channel.unary_stream("/test.Quiet/Watch")(b"")
            await call.initial_metadata()
            call.cancel()
        await server.stop(None)

    runner.run(asyncio.wait_for(headers(), PATIENCE_S))
