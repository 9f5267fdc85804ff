"""Who is blocked gets the answer that everybody gets, and is not heard."""

from __future__ import annotations

from kvraft.client import SendOutcome, SendResult
from kvraft.demo.stage import Stage


def told(result: SendResult) -> str:
    """What a sender is told, but for the moment and the name of the message."""
    devices = (
        "not told"
        if result.device_results is None
        else ", ".join(each.device_id for each in result.device_results) or "none"
    )
    queued = "not told" if result.queued_devices is None else result.queued_devices
    return (
        f"accepted, duplicate: {'yes' if result.duplicate else 'no'}, outcome: {result.outcome}, "
        f"devices: {devices}, queued: {queued}"
    )


async def play(stage: Stage) -> None:
    messages = stage.client.messages
    await stage.client.contacts.block("bob", "eve")
    before = await stage.next_seq(stage.bobs_phone)
    eves = await messages.send("eve", to="bob", text="why don't you answer?", message_id="eve-1")
    after = await stage.next_seq(stage.bobs_phone)
    alices = await messages.send("alice", to="carol", text="dinner?", message_id="alice-dinner")
    stage.carols_phone.accepted.append(alices.message_id)
    stage.screen.say(f"Eve is told:   {told(eves)}")
    stage.screen.say(f"Alice is told: {told(alices)} (her message is for Carol)")
    stage.screen.promise("Eve cannot tell that she is blocked", kept=told(eves) == told(alices))
    stage.screen.promise("nothing was queued for Bob", kept=before == after)
    seen = await messages.send(
        "eve", to="bob", text="why don't you answer?", message_id="eve-1", for_service=True
    )
    stage.screen.promise(
        f"the operator's own service is told the truth: {seen.outcome}",
        kept=seen.outcome is SendOutcome.BLOCKED,
    )
