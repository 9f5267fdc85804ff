"""kvctl contact"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from kvctl.connection import connect
from kvctl.encoding import from_typed, to_cell, to_json
from kvctl.groups import CommandGroup
from kvctl.output import header_object, print_json, print_line, print_table
from kvctl.parameters import BYTES, REVISION
from kvctl.reading import consistency_from, consistency_options
from kvctl.settings import Command, Settings, pass_settings

if TYPE_CHECKING:
    from kvraft.client import BlockedUser, Contact

_COLUMNS = ("CONTACT", "NAME", "FAVORITE", "MUTED UNTIL", "DATA", "CHANGED")


def _time(_context: click.Context, _option: click.Parameter, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no time like 2030-01-31T12:00:00Z") from None
    if time.tzinfo is None:
        raise click.BadParameter(f"{text!r} has no time zone; write {text}Z for UTC")
    return time


@click.group(cls=CommandGroup)
def contact() -> None:
    """Keep a user's contacts and block list.

    Contacts are for the user's own devices, which synchronise their copies. The block list decides what is
    queued for the user.

    \b
    kvctl contact set alice bob --name Bob --favorite
    kvctl contact list alice
    kvctl contact sync alice --since 17
    kvctl contact block alice eve
    """


@contact.command("set", cls=Command)
@click.argument("user_id", metavar="USER")
@click.argument("contact_id", metavar="CONTACT")
@click.option("--name", metavar="TEXT", help="What the user calls them.")
@click.option("--favorite/--no-favorite", default=None, help="Whether they are a favorite.")
@click.option("--mute-until", callback=_time, metavar="TIME", help="Such as 2030-01-31T12:00:00Z.")
@click.option("--unmute", is_flag=True, help="Not muted any more.")
@click.option("--data", type=BYTES, metavar="DATA", help="Opaque, for the application.")
@click.option("--etag", default="", metavar="ETAG", help="Only if this is its etag; 0: if there is none.")
@pass_settings
def set_(
    settings: Settings,
    *,
    user_id: str,
    contact_id: str,
    name: str | None,
    favorite: bool | None,
    mute_until: datetime | None,
    unmute: bool,
    data: str | None,
    etag: str,
) -> None:
    """Create or change a contact; what is not given stays.

    The exit code is 1 if the etag is another one, or if the user has no device.
    """
    from kvraft.client import KEEP, ContactUpdate

    if unmute and mute_until is not None:
        raise click.UsageError("--mute-until and --unmute exclude each other")
    if not unmute and all(given is None for given in (name, favorite, mute_until, data)):
        raise click.UsageError("nothing is to be set; give --name, --favorite, --mute-until or --data")
    update = ContactUpdate(
        contact_id=contact_id,
        display_name=KEEP if name is None else name,
        favorite=KEEP if favorite is None else favorite,
        mute_until=mute_until if unmute or mute_until is not None else KEEP,
        data=KEEP if data is None else from_typed(data, hexadecimal=settings.hex),
        etag=etag,
    )
    with connect(settings) as client:
        updated = client.contacts.update(user_id, update)
    if settings.as_json:
        print_json({"header": header_object(updated.header), "contact": _object(updated.contact, settings)})
    else:
        print_line(f"etag {updated.contact.etag}")


@contact.command(cls=Command)
@click.argument("user_id", metavar="USER")
@click.argument("contact_id", metavar="CONTACT")
@consistency_options
@pass_settings
def get(
    settings: Settings, *, user_id: str, contact_id: str, consistency: str, min_revision: int | None
) -> None:
    """Show a contact. The exit code is 1 if there is none."""
    with connect(settings) as client:
        found = client.contacts.get(
            user_id, contact_id, consistency=consistency_from(consistency, min_revision)
        )
    if settings.as_json:
        print_json({"header": header_object(found.header), "contact": _object(found.contact, settings)})
    else:
        print_table(_COLUMNS, [_row(found.contact, settings)])


@contact.command("list", cls=Command)
@click.argument("user_id", metavar="USER")
@consistency_options
@pass_settings
def list_(settings: Settings, *, user_id: str, consistency: str, min_revision: int | None) -> None:
    """List the contacts of a user by id; with -o json one object a line."""
    with connect(settings) as client:
        every = list(client.contacts.all(user_id, consistency=consistency_from(consistency, min_revision)))
    if settings.as_json:
        for each in every:
            print_json(_object(each, settings))
    else:
        print_table(_COLUMNS, [_row(each, settings) for each in every])


@contact.command(cls=Command)
@click.argument("user_id", metavar="USER")
@click.argument("contact_id", metavar="CONTACT")
@click.option("--etag", default="", metavar="ETAG", help="Only if this is its etag.")
@pass_settings
def rm(settings: Settings, *, user_id: str, contact_id: str, etag: str) -> None:
    """Delete a contact, if it exists."""
    with connect(settings) as client:
        removed = client.contacts.delete(user_id, contact_id, etag=etag)
    if settings.as_json:
        print_json({"header": header_object(removed.header), "deleted": removed.deleted})
    else:
        print_line("deleted" if removed.deleted else "there was none")


@contact.command(cls=Command)
@click.argument("user_id", metavar="USER")
@click.option("--since", type=REVISION, default=0, metavar="REVISION", help="Of the last synchronisation.")
@consistency_options
@pass_settings
def sync(settings: Settings, *, user_id: str, since: int, consistency: str, min_revision: int | None) -> None:
    """Show what changed since a revision, and the revision for the next time.

    If the revision is too old (RESYNC_REQUIRED) the exit code is 1: begin again without --since.

    \b
    kvctl contact sync alice -o json | jq .revision
    kvctl contact sync alice --since 17
    """
    with connect(settings) as client:
        changes = client.contacts.sync(
            user_id, since, consistency=consistency_from(consistency, min_revision)
        )
    if settings.as_json:
        print_json(
            {
                "header": header_object(changes.header),
                "changed": [_object(each, settings) for each in changes.changed],
                "deleted": list(changes.deleted),
                "revision": changes.revision,
            }
        )
        return
    rows = [("changed", *_row(each, settings)) for each in changes.changed]
    rows.extend(("deleted", _cell(each), "", "", "", "", "") for each in changes.deleted)
    print_table(("", *_COLUMNS), rows)
    print_line(f"revision {changes.revision}")


@contact.command(cls=Command)
@click.argument("user_id", metavar="USER")
@click.argument("blocked_id", metavar="OTHER")
@click.option("--groups", is_flag=True, help="Also what they send to groups that both are in.")
@pass_settings
def block(settings: Settings, *, user_id: str, blocked_id: str, groups: bool) -> None:
    """Let a user hear nothing more from another, who cannot tell."""
    from kvraft.client import BlockScope

    scope = BlockScope.DIRECT_AND_GROUPS if groups else BlockScope.DIRECT
    with connect(settings) as client:
        blocked = client.contacts.block(user_id, blocked_id, scope=scope)
    if settings.as_json:
        print_json({"header": header_object(blocked.header)})
    else:
        print_line("blocked")


@contact.command(cls=Command)
@click.argument("user_id", metavar="USER")
@click.argument("blocked_id", metavar="OTHER")
@pass_settings
def unblock(settings: Settings, *, user_id: str, blocked_id: str) -> None:
    """End a block, if there is one."""
    with connect(settings) as client:
        ended = client.contacts.unblock(user_id, blocked_id)
    if settings.as_json:
        print_json({"header": header_object(ended.header), "unblocked": ended.unblocked})
    else:
        print_line("unblocked" if ended.unblocked else "there was no block")


@contact.command(cls=Command)
@click.argument("user_id", metavar="USER")
@consistency_options
@pass_settings
def blocked(settings: Settings, *, user_id: str, consistency: str, min_revision: int | None) -> None:
    """List whom a user has blocked, by id; with -o json one object a line."""
    with connect(settings) as client:
        freshness = consistency_from(consistency, min_revision)
        every: list[BlockedUser] = list(client.contacts.all_blocked(user_id, consistency=freshness))
    if settings.as_json:
        for each in every:
            print_json(
                {
                    "user_id": each.user_id,
                    "scope": each.scope.value,
                    "block_time": each.block_time.isoformat(),
                }
            )
        return
    rows = [(_cell(each.user_id), each.scope.value, each.block_time.isoformat()) for each in every]
    print_table(("USER", "SCOPE", "SINCE"), rows)


def _cell(text: str) -> str:
    return to_cell(text.encode(), hexadecimal=False)


def _row(contact: Contact, settings: Settings) -> tuple[str, ...]:
    return (
        _cell(contact.contact_id),
        _cell(contact.display_name),
        "yes" if contact.favorite else "",
        "" if contact.mute_until is None else contact.mute_until.isoformat(),
        to_cell(contact.data, hexadecimal=settings.hex),
        str(contact.mod_revision),
    )


def _object(contact: Contact, settings: Settings) -> dict[str, Any]:
    return {
        "contact_id": contact.contact_id,
        "display_name": contact.display_name,
        "favorite": contact.favorite,
        "mute_until": None if contact.mute_until is None else contact.mute_until.isoformat(),
        **to_json("data", contact.data, hexadecimal=settings.hex),
        "etag": contact.etag,
        "mod_revision": contact.mod_revision,
    }
