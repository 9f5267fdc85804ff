"""kvctl device"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kvctl.connection import connect
from kvctl.encoding import to_cell
from kvctl.groups import CommandGroup
from kvctl.output import header_object, print_json, print_line, print_table
from kvctl.reading import consistency_from, consistency_options
from kvctl.settings import Command, Settings, pass_settings

if TYPE_CHECKING:
    from kvraft.client import Device


@click.group(cls=CommandGroup)
def device() -> None:
    """Register, list and remove the devices of users.

    A user comes into being with the first device. Each device has a message queue of its own, and a session
    while it is connected.

    \b
    kvctl device add alice phone --label "Alice's phone"
    kvctl device list alice
    kvctl device rm alice phone
    """


@device.command(cls=Command)
@click.argument("user_id", metavar="USER")
@click.argument("device_id", metavar="DEVICE")
@click.option("--label", default="", metavar="TEXT", help="What people call it.")
@pass_settings
def add(settings: Settings, *, user_id: str, device_id: str, label: str) -> None:
    """Register a device, or give one that is there another label.

    Prints whether it is new. A seventh device is refused with exit code 5.
    """
    with connect(settings) as client:
        added = client.sessions.register_device(user_id, device_id, label=label)
    if settings.as_json:
        print_json(
            {
                "header": header_object(added.header),
                "device": _object(added.device),
                "created": added.created,
                "device_set_revision": added.device_set_revision,
            }
        )
    else:
        print_line("registered" if added.created else "was there")


@device.command("list", cls=Command)
@click.argument("user_id", metavar="USER")
@consistency_options
@pass_settings
def list_(settings: Settings, *, user_id: str, consistency: str, min_revision: int | None) -> None:
    """List a user's devices, by the order of their registration. The exit code is 1 if there is no such user.

    LOGGED OUT says until when tokens of the device are not accepted any more, because of the device or of
    its user.
    """
    with connect(settings) as client:
        listed = client.sessions.list_devices(
            user_id, consistency=consistency_from(consistency, min_revision)
        )
    everywhere = listed.revoke_time
    if settings.as_json:
        print_json(
            {
                "header": header_object(listed.header),
                "devices": [_object(each) for each in listed.devices],
                "device_set_revision": listed.device_set_revision,
                "revoke_time": None if everywhere is None else everywhere.isoformat(),
            }
        )
        return
    rows = []
    for each in listed.devices:
        revoked = max(filter(None, (each.revoke_time, everywhere)), default=None)
        rows.append(
            (
                _cell(each.device_id),
                _cell(each.label),
                each.create_time.isoformat(timespec="seconds"),
                "" if revoked is None else revoked.isoformat(timespec="seconds"),
            )
        )
    print_table(("DEVICE", "LABEL", "REGISTERED", "LOGGED OUT"), rows)


@device.command(cls=Command)
@click.argument("user_id", metavar="USER")
@click.argument("device_id", metavar="DEVICE")
@pass_settings
def rm(settings: Settings, *, user_id: str, device_id: str) -> None:
    """Remove a device with its session and everything in its queue.

    The exit code is 1 if it does not exist, or is the user's last one.
    """
    with connect(settings) as client:
        removed = client.sessions.remove_device(user_id, device_id)
    if settings.as_json:
        print_json(
            {
                "header": header_object(removed.header),
                "purged_messages": removed.purged_messages,
                "device_set_revision": removed.device_set_revision,
            }
        )
    else:
        print_line(f"purged {removed.purged_messages}")


def _object(device: Device) -> dict[str, Any]:
    return {
        "device_id": device.device_id,
        "label": device.label,
        "create_revision": device.create_revision,
        "create_time": device.create_time.isoformat(),
        "revoke_time": None if device.revoke_time is None else device.revoke_time.isoformat(),
    }


def _cell(text: str) -> str:
    return to_cell(text.encode(), hexadecimal=False)
