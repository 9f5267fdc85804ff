"""The leader dies while a phone reads its thousand messages."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from itertools import pairwise

from kvraft.demo.nodes import PATIENCE_S
from kvraft.demo.stage import Stage

KILL_AT = 430
SURE_EVERY = 50
"""So often the phone waits until its acknowledgement is confirmed."""


async def play(stage: Stage) -> None:
    phone, screen = stage.bobs_phone, stage.screen
    total, confirmed = phone.awaited, 0
    times_s: list[float] = []
    leader = (await stage.nodes.leader()).header.member_id
    receiver = stage.client.messages.receive("bob", "phone", until_empty=True)
    with screen.progress(phone.name, total) as advance:
        async with asyncio.timeout(2 * PATIENCE_S), aclosing(aiter(receiver)) as messages:
            async for message in messages:
                times_s.append(time.perf_counter())
                phone.take(message)
                advance()
                if len(phone.delivered) % SURE_EVERY == 0:
                    await message.ack()
                    confirmed = len(phone.delivered)
                else:
                    message.ack_soon()
                if len(phone.delivered) == KILL_AT:
                    stage.nodes.kill(leader)
                    stage.killed_node = leader
                    screen.say(
                        f"node {leader}, the leader, was killed: {KILL_AT} messages read, "
                        f"{confirmed} of them acknowledged for certain"
                    )
    longest_gap_s = max(after - before for before, after in pairwise(times_s))
    successor = (await stage.nodes.leader()).header
    screen.say(f"node {successor.member_id} leads in term {successor.term}")
    screen.say(
        f"{len(phone.delivered) - KILL_AT} messages after that; "
        f"the longest time without a message was {longest_gap_s * 1000:,.0f} ms"
    )
    screen.promise(
        f"all {total:,} came, in order, once",
        kept=phone.tally().is_exact and bool(stage.killed_node),
    )
