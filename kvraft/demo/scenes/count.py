"""Everything is counted: at the devices, in the queues, and in the state itself."""

from __future__ import annotations

from collections import Counter

from kvraft.demo.stage import Stage

COLUMNS = ("", "accepted", "delivered", "acknowledged", "lost", "duplicated", "out of\norder", "left")


async def play(stage: Stage) -> None:
    screen = stage.screen
    tallies = [device.tally() for device in stage.devices]
    rows: list[tuple[int, ...]] = []
    law_holds = True
    for device, tally in zip(stage.devices, tallies, strict=True):
        queue = (await stage.client.messages.queue(device.user_id, device.device_id)).queue
        left = queue.live + queue.scheduled + queue.dead_letters
        law_holds = law_holds and queue.acked == queue.next_seq - 1 == tally.accepted
        rows.append(
            (
                tally.accepted,
                tally.delivered,
                queue.acked,
                tally.lost,
                tally.duplicated,
                tally.out_of_order,
                left,
            )
        )
    rows.append(tuple(map(sum, zip(*rows, strict=True))))
    names = [*(device.name for device in stage.devices), "all"]
    screen.table(
        COLUMNS, [(name, *(f"{each:,}" for each in row)) for name, row in zip(names, rows, strict=True)]
    )
    screen.promise(
        "nothing is lost, duplicated or out of order, and nobody got what was not theirs",
        kept=all(tally.is_exact for tally in tallies),
    )
    screen.promise(
        "each queue ever held what was accepted for it, and all of that is acknowledged", kept=law_holds
    )
    await check_state(stage, left=rows[-1][-1])


async def check_state(stage: Stage, left: int) -> None:
    findings: Counter[str] = Counter()
    checked_rows = 0
    async for step in stage.client.admin.check():
        findings.update(finding.law for finding in step.findings)
        checked_rows = step.checked_rows
    # No queue holds anything any more, so a body that is there is one that nothing refers to.
    bodies = findings["ORPHANED_BODY"]
    stage.screen.promise(
        f"messages left in queues: {left}, shared bodies left: {bodies}", kept=left == 0 and bodies == 0
    )
    stage.screen.promise(
        f"`kvctl check` has looked at {checked_rows:,} rows and found {findings.total()} that break a law",
        kept=findings.total() == 0 and checked_rows > 0,
    )
