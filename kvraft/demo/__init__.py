"""`kvraft demo`: an evening of a messaging back end, before your eyes, on three nodes of this machine.

Bob is offline while a thousand messages come for him; he has blocked somebody; a message is sent ten times
over; the leader is killed with SIGKILL while his phone reads; his laptop comes later; four people chat in a
group; the dead node comes back. At the end everything is counted: what was accepted from the senders against
what each device was given.

    nodes       the three child processes
    stage       what the scenes share: nodes, a client, the devices, the screen
    scenes      one module each, in the order in which they are told
    tally       what a device was given, compared with what was accepted for it
    screen      scenes and promises on the terminal

The exit code is 0 only if every promise held.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from kvraft import signals
from kvraft.client import Client, KvraftError
from kvraft.demo.nodes import PATIENCE_S, Nodes, NodesError
from kvraft.demo.scenes import SCENES
from kvraft.demo.screen import Screen
from kvraft.demo.stage import Stage


def main(data_directory: Path) -> int:
    """Runs the demo; the exit code."""
    screen = Screen()
    nodes = Nodes(data_directory)
    try:
        asyncio.run(_play(screen, nodes))
    except* (KvraftError, NodesError, TimeoutError, asyncio.CancelledError) as broken:
        screen.promise("the story comes to its end", kept=False)
        for error in broken.exceptions:
            screen.say(str(error) or type(error).__name__)
        screen.say("`kvraft demo --data-dir DIRECTORY` keeps what the nodes logged.")
    finally:
        nodes.stop()
    screen.verdict()
    return 0 if screen.broken == 0 else 1


async def _play(screen: Screen, nodes: Nodes) -> None:
    story = asyncio.current_task()
    assert story is not None
    loop = asyncio.get_running_loop()
    signals.on_stop(lambda: loop.call_soon_threadsafe(story.cancel))
    async with Client(nodes.endpoints, timeout_s=PATIENCE_S) as client:
        stage = Stage(screen, nodes, client)
        for title, scene in SCENES:
            screen.scene(title)
            await scene(stage)
