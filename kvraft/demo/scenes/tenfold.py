"""A sender that does not know whether its message arrived sends it again: it is one message all the same."""

from __future__ import annotations

import asyncio

from kvraft.demo.stage import Stage

TIMES = 10


async def play(stage: Stage) -> None:
    leader = (await stage.nodes.leader()).header.member_id
    one, other = (each for each in stage.nodes.node_ids if each != leader)
    before = await stage.next_seq(stage.carols_phone)
    async with stage.nodes.client(one) as here, stage.nodes.client(other) as there:
        answers = await asyncio.gather(
            *(
                client.messages.send("alice", to="carol", text="at eight?", message_id="alice-eight")
                for client in (here, there) * (TIMES // 2)
            )
        )
    stage.carols_phone.accepted.append("alice-eight")
    first = sum(not answer.duplicate for answer in answers)
    revisions = {answer.header.revision for answer in answers}
    stage.screen.say(
        f"through nodes {one} and {other}: {len(answers)} answers, {first} first, "
        f"{len(answers) - first} that say duplicate"
    )
    queued = await stage.next_seq(stage.carols_phone) - before
    stage.screen.promise(
        f"queued for Carol: {queued}, and every answer names the same revision",
        kept=(first, queued, len(revisions)) == (1, 1, 1),
    )
