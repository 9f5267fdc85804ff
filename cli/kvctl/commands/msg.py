"""kvctl msg"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from kvctl.commands.msg_dead import dead
from kvctl.commands.msg_export import export
from kvctl.commands.msg_import import import_
from kvctl.connection import connect
from kvctl.encoding import from_typed
from kvctl.groups import CommandGroup
from kvctl.messages import delivery_object, line, queue_object
from kvctl.output import header_object, print_json, print_line, print_note, print_table
from kvctl.parameters import BYTES, POSITIVE, REVISION, TTL, Seconds
from kvctl.reading import consistency_from, consistency_options
from kvctl.settings import Command, Settings, pass_settings

if TYPE_CHECKING:
    from kvraft.client import Delivery

TYPES = ("text", "voice", "video", "image", "location", "opaque")


@click.group(cls=CommandGroup)
def msg() -> None:
    """Send messages, receive them, and look after queues.

    Each device of a user has a queue of its own. A message stays in it until the device acknowledges it.

    \b
    kvctl device add bob phone
    kvctl msg send alice bob "hello"
    kvctl msg receive bob phone --follow
    """


@msg.command(cls=Command)
@click.argument("sender_id", metavar="SENDER")
@click.argument("destination", metavar="TO")
@click.argument("text", type=BYTES, required=False)
@click.option("--group", is_flag=True, help="TO is a group, not a user.")
@click.option("--id", "message_id", default="", metavar="ID", help="To be able to send the same again.")
@click.option("--type", "kind", type=click.Choice(TYPES), default="text", show_default=True)
@click.option("--media", metavar="URI", help="Where the file is, of a voice note, video or image.")
@click.option("--conversation", default="", metavar="ID", help="The application's name for it.")
@click.option("--ttl", "ttl_s", type=TTL, metavar="SECONDS", help="When it becomes worthless.")
@click.option("--delay", "delay_s", type=Seconds(), metavar="SECONDS", help="Queue it only then.")
@click.option("--collapse-key", default="", metavar="KEY", help="Take the place of an older one with it.")
@click.option("--ephemeral", is_flag=True, help="Only for devices that are connected now.")
@click.option("--receipt", is_flag=True, help="Tell the sender's devices when it is acknowledged.")
@pass_settings
def send(
    settings: Settings,
    *,
    sender_id: str,
    destination: str,
    text: str | None,
    group: bool,
    message_id: str,
    kind: str,
    media: str | None,
    conversation: str,
    ttl_s: float | None,
    delay_s: float | None,
    collapse_key: str,
    ephemeral: bool,
    receipt: bool,
) -> None:
    """Send a message, and print what became of it. Without TEXT it is read from stdin.

    You see what a service sees: also that the recipient has blocked the sender. The exit code is 1 if there
    is no such user or group.

    \b
    kvctl msg send alice bob "hello"
    kvctl msg send alice family "dinner?" --group --receipt
    kvctl msg send alice bob "is typing" --ephemeral
    """
    if not destination:
        raise click.UsageError("TO is empty: give a user, or a group with --group")
    payload = sys.stdin.buffer.read() if text is None else from_typed(text, hexadecimal=settings.hex)
    with connect(settings) as client:
        from kvraft.client import ContentType, Media

        sent = client.messages.send(
            sender_id,
            to="" if group else destination,
            group=destination if group else "",
            payload=payload,
            content_type=ContentType(kind),
            media=None if media is None else Media(uri=media),
            message_id=message_id,
            conversation_id=conversation,
            ttl_s=ttl_s,
            deliver_time=None if delay_s is None else datetime.now(UTC) + timedelta(seconds=delay_s),
            collapse_key=collapse_key,
            ephemeral=ephemeral,
            request_receipt=receipt,
            for_service=True,
        )
    if settings.as_json:
        print_json(
            {
                "header": header_object(sent.header),
                "message_id": sent.message_id,
                "accept_time": sent.accept_time.isoformat(),
                "duplicate": sent.duplicate,
                "outcome": sent.outcome.value,
                "queued_devices": sent.queued_devices,
                "device_results": [
                    {
                        "user_id": each.user_id,
                        "device_id": each.device_id,
                        "seq": each.seq,
                        "queue_full": each.queue_full,
                    }
                    for each in sent.device_results or ()
                ],
            }
        )
        return
    again = " (sent before)" if sent.duplicate else ""
    devices = f" for {sent.queued_devices} devices" if sent.queued_devices else ""
    print_line(f"{sent.message_id}  {sent.outcome.value}{devices}{again}")
    for each in sent.device_results or ():
        if each.queue_full:
            print_note(f"the queue of {each.user_id}/{each.device_id} is full")


@msg.command(cls=Command)
@click.argument("user_id", metavar="USER")
@click.argument("device_id", metavar="DEVICE")
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--window", type=click.IntRange(1, 256), default=100, show_default=True, metavar="MESSAGES")
@pass_settings
def receive(settings: Settings, *, user_id: str, device_id: str, follow: bool, window: int) -> None:
    """Print the messages of a device and acknowledge them: they are deleted from its queue.

    Ends when everything that was queued is acknowledged. Opens the device's session for that, in the place of
    another one; if the device connects elsewhere meanwhile, the exit code is 1.

    \b
    kvctl msg receive bob phone
    kvctl msg receive bob phone --follow
    kvctl msg receive bob phone -o json | jq -r .payload
    """
    with connect(settings, register=True) as client:
        try:
            receiver = client.messages.receive(
                user_id, device_id, window_messages=window, until_empty=not follow
            )
        except ValueError as error:
            raise click.UsageError(f"{error}.") from None
        for message in receiver:
            _print(settings, message.delivery)
            sys.stdout.flush()
            message.ack_soon()


@msg.command(cls=Command)
@click.argument("user_id", metavar="USER")
@click.argument("device_id", metavar="DEVICE")
@click.option("--max", "max_messages", type=click.IntRange(1, 256), default=50, show_default=True)
@click.option("--wait", "wait_s", type=Seconds(), default=0.0, metavar="SECONDS")
@click.option("--after", "after_seq", type=REVISION, default=0, metavar="NUMBER")
@pass_settings
def pull(
    settings: Settings, *, user_id: str, device_id: str, max_messages: int, wait_s: float, after_seq: int
) -> None:
    """Print the oldest messages of a queue, with their numbers, and leave them there.

    \b
    kvctl msg pull bob phone --wait 30
    kvctl msg ack bob phone --through 3
    """
    with connect(settings) as client:
        pulled = client.messages.pull(
            user_id, device_id, max_messages=max_messages, wait_s=wait_s, after_seq=after_seq
        )
    for delivery in pulled.deliveries:
        _print(settings, delivery, numbered=True)
    if pulled.more and not settings.as_json:
        print_note(f"there are more; go on with --after {pulled.deliveries[-1].seq}")


@msg.command(cls=Command)
@click.argument("user_id", metavar="USER")
@click.argument("device_id", metavar="DEVICE")
@click.argument("seqs", metavar="[NUMBER]...", nargs=-1, type=POSITIVE)
@click.option("--through", "through_seq", type=REVISION, default=0, metavar="NUMBER")
@click.option("--epoch", type=REVISION, default=0, help="Of the device's session, if it has one.")
@pass_settings
def ack(
    settings: Settings,
    *,
    user_id: str,
    device_id: str,
    seqs: tuple[int, ...],
    through_seq: int,
    epoch: int,
) -> None:
    """Acknowledge messages by their numbers: they are deleted."""
    if not seqs and not through_seq:
        raise click.UsageError("give numbers, or --through")
    with connect(settings) as client:
        done = client.messages.acknowledge(
            user_id, device_id, through_seq=through_seq, seqs=seqs, epoch=epoch
        )
    if settings.as_json:
        print_json(
            {
                "header": header_object(done.header),
                "acknowledged": done.acknowledged,
                "ack_floor": done.ack_floor,
            }
        )
    else:
        print_line(f"acknowledged {done.acknowledged}; everything through {done.ack_floor} is gone")


@msg.command(cls=Command)
@click.argument("user_id", metavar="USER")
@click.argument("device_id", metavar="DEVICE")
@click.argument("seqs", metavar="NUMBER...", nargs=-1, required=True, type=POSITIVE)
@click.option("--reason", default="", metavar="TEXT", help="Kept with the dead letter.")
@click.option("--epoch", type=REVISION, default=0, help="Of the device's session, if it has one.")
@pass_settings
def nack(
    settings: Settings, *, user_id: str, device_id: str, seqs: tuple[int, ...], reason: str, epoch: int
) -> None:
    """Say that messages could not be handled.

    They stay. The 20th failure of the oldest message of a queue makes it a dead letter.

    \b
    kvctl msg nack bob phone 3 --reason "cannot be decrypted"
    kvctl msg dead list bob phone
    """
    with connect(settings) as client:
        done = client.messages.acknowledge(
            user_id, device_id, nacks=[(seq, reason) for seq in seqs], epoch=epoch
        )
    if settings.as_json:
        header = header_object(done.header)
        print_json({"header": header, "dead": done.dead, "ack_floor": done.ack_floor})
    else:
        print_line(f"told of {len(seqs)}; {done.dead} became dead letters")


@msg.command(cls=Command)
@click.argument("user_id", metavar="USER")
@click.argument("device_id", metavar="DEVICE")
@consistency_options
@pass_settings
def queue(
    settings: Settings, *, user_id: str, device_id: str, consistency: str, min_revision: int | None
) -> None:
    """Show how the queue of a device stands.

    next_seq - 1 = live + acked + expired + collapsed + dead + purged
    """
    with connect(settings) as client:
        found = client.messages.queue(
            user_id, device_id, consistency=consistency_from(consistency, min_revision)
        )
    if settings.as_json:
        print_json({"header": header_object(found.header), "queue": queue_object(found.queue)})
        return
    for name, value in queue_object(found.queue).items():
        print_line(f"{name:<14}{value}")


@msg.command(cls=Command)
@click.argument("user_id", metavar="[USER]", default="")
@click.option("--nonempty", is_flag=True, help="Only those that hold something.")
@consistency_options
@pass_settings
def queues(
    settings: Settings, *, user_id: str, nonempty: bool, consistency: str, min_revision: int | None
) -> None:
    """List the queues of a user, or of all users; with -o json one object a line."""
    with connect(settings) as client:
        found = list(
            client.messages.all_queues(
                user_id, only_nonempty=nonempty, consistency=consistency_from(consistency, min_revision)
            )
        )
    if settings.as_json:
        for each in found:
            print_json(queue_object(each))
        return
    rows = [
        (
            each.user_id,
            each.device_id,
            str(each.live),
            str(each.live_bytes),
            str(each.scheduled),
            str(each.dead_letters),
            str(each.next_seq),
        )
        for each in found
    ]
    print_table(("USER", "DEVICE", "LIVE", "BYTES", "SCHEDULED", "DEAD", "NEXT"), rows)


@msg.command(cls=Command)
@click.argument("user_id", metavar="USER")
@click.argument("device_id", metavar="DEVICE")
@pass_settings
def purge(settings: Settings, *, user_id: str, device_id: str) -> None:
    """Delete all messages of a queue, also those that are scheduled."""
    with connect(settings) as client:
        purged = client.messages.purge(user_id, device_id)
    if settings.as_json:
        print_json(
            {
                "header": header_object(purged.header),
                "purged": purged.purged,
                "unscheduled": purged.unscheduled,
            }
        )
    else:
        print_line(f"deleted {purged.purged + purged.unscheduled}")


msg.add_command(dead)
msg.add_command(import_)
msg.add_command(export)


def _print(settings: Settings, delivery: Delivery, *, numbered: bool = False) -> None:
    if settings.as_json:
        print_json(delivery_object(delivery, hexadecimal=settings.hex))
        return
    text = line(delivery.accept_time, delivery.message, hexadecimal=settings.hex)
    print_line(f"{delivery.seq:>6}  {text}" if numbered else text)
