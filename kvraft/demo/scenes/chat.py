"""A group in which everybody writes at the same time, and everybody reads the same conversation."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, aclosing

from kvraft.client import Client, SendResult
from kvraft.demo.nodes import PATIENCE_S
from kvraft.demo.stage import Device, Stage

EACH = 25
"""How many messages each member writes."""


async def write(client: Client, device: Device) -> list[SendResult]:
    """One message after the other."""
    return [
        await client.messages.send(
            device.user_id,
            group="friends",
            text=f"{device.user_id} says {number}",
            message_id=f"friends-{device.user_id}-{number}",
            sender_device_id=device.device_id,
        )
        for number in range(1, EACH + 1)
    ]


async def read(client: Client, device: Device, count: int) -> None:
    receiver = client.messages.receive(device.user_id, device.device_id)
    async with aclosing(aiter(receiver)) as messages:
        async for message in messages:
            device.take(message)
            message.ack_soon()
            count -= 1
            if count == 0:
                return


async def play(stage: Stage) -> None:
    writers = (stage.alices_phone, stage.bobs_phone, stage.carols_phone, stage.daves_phone)
    await stage.client.groups.create(
        "friends", "alice", member_ids=[device.user_id for device in writers[1:]], title="Friends"
    )
    async with AsyncExitStack() as stack, asyncio.timeout(2 * PATIENCE_S), asyncio.TaskGroup() as group:
        clients = [await stack.enter_async_context(stage.nodes.client(each)) for each in stage.running_nodes]
        for device in stage.devices:
            # The device that writes a message gets no copy of it.
            from_others = EACH * (len(writers) - (device in writers))
            group.create_task(read(stage.client, device, device.awaited + from_others))
        writing = [
            group.create_task(write(clients[number % len(clients)], device))
            for number, device in enumerate(writers)
        ]
    results = [
        (device, result) for device, task in zip(writers, writing, strict=True) for result in task.result()
    ]
    results.sort(key=lambda each: each[1].header.revision)
    for device in stage.devices:
        device.accepted += [result.message_id for writer, result in results if writer is not device]
    stage.screen.say(
        f"{len(writers)} members with {len(stage.devices)} devices write and read {len(results)} messages "
        f"at the same time, through nodes {' and '.join(map(str, stage.running_nodes))}"
    )
    stage.screen.promise(
        "every device got them in the same order: that in which they were accepted",
        kept=all(device.tally().is_exact for device in stage.devices),
    )
