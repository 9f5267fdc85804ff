"""kvctl msg dead"""

from __future__ import annotations

import click

from kvctl.connection import connect
from kvctl.groups import CommandGroup
from kvctl.messages import content, message_object
from kvctl.output import header_object, print_json, print_line, print_table
from kvctl.parameters import POSITIVE
from kvctl.reading import consistency_from, consistency_options
from kvctl.settings import Command, Settings, pass_settings


@click.group(cls=CommandGroup)
def dead() -> None:
    """Look after messages that could not be delivered.

    The 20th failure of the oldest message of a queue makes it a dead letter, so that the others go on.
    """


@dead.command("list", cls=Command)
@click.argument("user_id", metavar="USER")
@click.argument("device_id", metavar="DEVICE")
@consistency_options
@pass_settings
def list_(
    settings: Settings, *, user_id: str, device_id: str, consistency: str, min_revision: int | None
) -> None:
    """List the dead letters of a device, oldest first; with -o json one object a line."""
    with connect(settings) as client:
        letters = list(
            client.messages.all_dead_letters(
                user_id, device_id, consistency=consistency_from(consistency, min_revision)
            )
        )
    if settings.as_json:
        for letter in letters:
            print_json(
                {
                    "seq": letter.seq,
                    **message_object(letter.message, hexadecimal=settings.hex),
                    "reason": letter.reason,
                    "attempts": letter.attempts,
                    "dead_time": letter.dead_time.isoformat(),
                }
            )
        return
    rows = [
        (
            str(letter.seq),
            letter.message.sender_id,
            str(letter.attempts),
            letter.reason,
            content(letter.message, hexadecimal=settings.hex),
        )
        for letter in letters
    ]
    print_table(("NUMBER", "SENDER", "ATTEMPTS", "REASON", "MESSAGE"), rows)


@dead.command(cls=Command)
@click.argument("user_id", metavar="USER")
@click.argument("device_id", metavar="DEVICE")
@click.argument("seqs", metavar="[NUMBER]...", nargs=-1, type=POSITIVE)
@pass_settings
def redrive(settings: Settings, *, user_id: str, device_id: str, seqs: tuple[int, ...]) -> None:
    """Put dead letters back at the end of the queue; without numbers all of them."""
    with connect(settings) as client:
        done = client.messages.redrive(user_id, device_id, seqs)
    if settings.as_json:
        print_json({"header": header_object(done.header), "redriven": done.redriven, "left": done.left})
    else:
        print_line(
            f"redriven {done.redriven}" + (f"; {done.left} stay, the queue is full" if done.left else "")
        )


@dead.command(cls=Command)
@click.argument("user_id", metavar="USER")
@click.argument("device_id", metavar="DEVICE")
@click.argument("seqs", metavar="[NUMBER]...", nargs=-1, type=POSITIVE)
@pass_settings
def delete(settings: Settings, *, user_id: str, device_id: str, seqs: tuple[int, ...]) -> None:
    """Delete dead letters; without numbers all of them."""
    with connect(settings) as client:
        done = client.messages.delete_dead_letters(user_id, device_id, seqs)
    if settings.as_json:
        print_json({"header": header_object(done.header), "deleted": done.deleted})
    else:
        print_line(f"deleted {done.deleted}")
