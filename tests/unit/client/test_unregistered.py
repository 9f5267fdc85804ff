"""A client that does not register: its writes have no number, and are sent again only if that is safe."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from kvraft.client import Client, OutcomeUnknown
from tests.fakes.kv_server import Failure, FakeNode, FakeServer

Code = grpc.StatusCode


def test_nothing_is_registered(server: FakeServer, node: FakeNode) -> None:
    async def run() -> None:
        async with Client(server.endpoint, register=False) as client:
            await client.kv.put(b"k", b"v")
            await client.kv.delete(b"k")
        assert not node.clients
        assert "RegisterClient" not in [str(call) for call in node.calls]

    asyncio.run(run())


def test_what_was_not_applied_is_sent_again(server: FakeServer, node: FakeNode) -> None:
    async def run() -> None:
        node.fail("Put", Failure(code=Code.UNAVAILABLE, reason="NO_LEADER"), times=2)
        async with Client(server.endpoint, register=False) as client:
            await client.kv.put(b"k", b"v")
        assert node.keys[b"k"].version == 1

    asyncio.run(run())


def test_what_may_have_been_applied_is_of_unknown_outcome(server: FakeServer, node: FakeNode) -> None:
    async def run() -> None:
        node.fail("Put", Failure(code=Code.UNAVAILABLE, reason="OUTCOME_UNKNOWN", applied="unknown"))
        async with Client(server.endpoint, register=False, timeout_s=20) as client:
            with pytest.raises(OutcomeUnknown):
                await client.kv.put(b"k", b"v")
            await client.kv.put(b"k", b"w")
        assert node.keys[b"k"].value == b"w"

    asyncio.run(run())
