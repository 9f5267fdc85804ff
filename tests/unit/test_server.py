"""How a node waits while it serves, and that it can be stopped at any moment."""

from __future__ import annotations

import asyncio

import pytest

from kvraft.server import until_set


def test_a_cancellation_that_comes_with_the_event_is_not_lost() -> None:
    """A role change at the moment of the stop: the node would not end."""

    async def scenario() -> None:
        event = asyncio.Event()
        waiting = asyncio.create_task(until_set(event, 60))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        event.set()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(scenario())


def test_it_waits_no_longer_than_it_is_told() -> None:
    asyncio.run(asyncio.wait_for(until_set(asyncio.Event(), 0.001), 10))
