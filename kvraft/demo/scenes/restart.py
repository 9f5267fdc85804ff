"""The node that was killed is started again, on the disk as it was left."""

from __future__ import annotations

import time

from kvraft.demo.stage import Stage


async def play(stage: Stage) -> None:
    began_s = time.perf_counter()
    stage.nodes.start(stage.killed_node)
    digests = await stage.nodes.digests()
    took_s = time.perf_counter() - began_s
    stage.screen.say(
        f"node {stage.killed_node} has started, recovered its disk and caught up after {took_s:.1f} s"
    )
    stage.killed_node = 0
    stage.screen.promise(
        "the digest of the state is the same on every node: "
        + ", ".join(sorted({f"{digest:016x}" for digest in digests.values()})),
        kept=len(set(digests.values())) == 1,
    )
