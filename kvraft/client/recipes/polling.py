"""Waiting for a change by asking again and again."""

from __future__ import annotations

import asyncio
import random

POLL_S = 0.1
_CHANCE = random.Random()


async def until_next_poll() -> None:
    """About `POLL_S`, never in step with others."""
    await asyncio.sleep(POLL_S * _CHANCE.uniform(0.5, 1.5))
