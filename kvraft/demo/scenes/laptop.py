"""Every device has a queue of its own, and what one has read waits for the other."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

from kvraft.demo.nodes import PATIENCE_S
from kvraft.demo.stage import Stage


async def play(stage: Stage) -> None:
    laptop = stage.bobs_laptop
    stage.screen.say(f"node {stage.killed_node} is still dead")
    began_s = time.perf_counter()
    receiver = stage.client.messages.receive("bob", "laptop", until_empty=True)
    with stage.screen.progress(laptop.name, laptop.awaited) as advance:
        async with asyncio.timeout(PATIENCE_S), aclosing(aiter(receiver)) as messages:
            async for message in messages:
                laptop.take(message)
                advance()
                message.ack_soon()
    took_s = time.perf_counter() - began_s
    stage.screen.promise(
        f"it gets its own {len(laptop.delivered):,}, in order, once, in {took_s:.1f} s",
        kept=laptop.tally().is_exact,
    )
