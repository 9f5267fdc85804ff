"""A thousand messages wait for somebody who is not there."""

from __future__ import annotations

import time

from kvraft.client import OutgoingMessage
from kvraft.demo.stage import Stage

MESSAGES = 1_000


async def play(stage: Stage) -> None:
    began_s = time.perf_counter()
    results = await stage.send_all(
        [
            OutgoingMessage(
                sender_id="alice", to="bob", text=f"message {number}", message_id=f"alice-{number}"
            )
            for number in range(1, MESSAGES + 1)
        ]
    )
    took_s = time.perf_counter() - began_s
    bobs = (stage.bobs_phone, stage.bobs_laptop)
    for device in bobs:
        device.accepted += [result.message_id for result in results]
    stage.screen.say(
        f"{len(results):,} messages accepted in {took_s:.1f} s, each on the disks of a majority by then"
    )
    queued = [await stage.next_seq(device) - 1 for device in bobs]
    stage.screen.promise(
        f"queued for his phone: {queued[0]:,}, for his laptop: {queued[1]:,}",
        kept=queued == [MESSAGES, MESSAGES],
    )
