"""The nodes are started and elect a leader; everybody registers their devices."""

from __future__ import annotations

import asyncio

from kvraft.demo.stage import Stage


async def play(stage: Stage) -> None:
    for node_id in stage.nodes.node_ids:
        stage.nodes.start(node_id)
    stage.screen.say(f"each a process with a disk of its own: {stage.nodes.endpoints}")
    leader = await stage.nodes.leader()
    stage.screen.say(f"node {leader.header.member_id} was elected leader in term {leader.header.term}")
    register = stage.client.sessions.register_device
    await asyncio.gather(*(register(each.user_id, each.device_id) for each in stage.devices))
    stage.screen.say("devices: " + ", ".join(device.name for device in stage.devices))
