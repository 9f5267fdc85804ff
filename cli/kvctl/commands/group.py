"""kvctl group"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kvctl.connection import connect
from kvctl.encoding import from_typed, to_cell, to_json
from kvctl.groups import CommandGroup
from kvctl.output import header_object, print_json, print_line, print_table
from kvctl.parameters import BYTES
from kvctl.reading import consistency_from, consistency_options
from kvctl.settings import Command, Settings, pass_settings

if TYPE_CHECKING:
    from kvraft.client import Group

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def _actor_option(command: CommandT) -> CommandT:
    option = click.option(
        "--as",
        "actor_id",
        default="",
        metavar="ACTOR",
        help="The member who asks, with the rights of their role. Otherwise it is the application, which "
        "may do everything.",
    )
    return option(command)


@click.group(cls=CommandGroup)
def group() -> None:
    """Keep groups: a message to one goes to all its members.

    \b
    kvctl group create family ada bob cyd --title "The family"
    kvctl group role family bob admin --as ada
    kvctl group show family
    """


@group.command(cls=Command)
@click.argument("group_id", metavar="GROUP")
@click.argument("owner_id", metavar="OWNER")
@click.argument("member_ids", metavar="[MEMBER]...", nargs=-1)
@click.option("--title", default="", metavar="TEXT", help="What people call it.")
@click.option("--data", type=BYTES, default="", metavar="DATA", help="Opaque, for the application.")
@pass_settings
def create(
    settings: Settings, *, group_id: str, owner_id: str, member_ids: tuple[str, ...], title: str, data: str
) -> None:
    """Create a group. The exit code is 1 if the id is in use, or a user has no device."""
    with connect(settings) as client:
        created = client.groups.create(
            group_id,
            owner_id,
            member_ids=member_ids,
            title=title,
            data=from_typed(data, hexadecimal=settings.hex),
        )
    if settings.as_json:
        print_json({"header": header_object(created.header), "group": _object(created.group, settings)})
    else:
        print_line(f"{created.group.member_count} members")


@group.command("set", cls=Command)
@click.argument("group_id", metavar="GROUP")
@click.option("--title", metavar="TEXT", help="What people call it.")
@click.option("--data", type=BYTES, metavar="DATA", help="Opaque, for the application.")
@click.option("--etag", default="", metavar="ETAG", help="Only if this is its etag.")
@_actor_option
@pass_settings
def set_(
    settings: Settings, *, group_id: str, title: str | None, data: str | None, etag: str, actor_id: str
) -> None:
    """Change the title or the data of a group; what is not given stays. An admin's right."""
    from kvraft.client import KEEP

    if title is None and data is None:
        raise click.UsageError("nothing is to be set; give --title or --data")
    with connect(settings) as client:
        updated = client.groups.update(
            group_id,
            title=KEEP if title is None else title,
            data=KEEP if data is None else from_typed(data, hexadecimal=settings.hex),
            etag=etag,
            actor_id=actor_id,
        )
    if settings.as_json:
        print_json({"header": header_object(updated.header), "group": _object(updated.group, settings)})
    else:
        print_line(f"etag {updated.group.etag}")


@group.command(cls=Command)
@click.argument("group_id", metavar="GROUP")
@consistency_options
@pass_settings
def show(settings: Settings, *, group_id: str, consistency: str, min_revision: int | None) -> None:
    """Show a group and its members by id. The exit code is 1 if there is none."""
    freshness = consistency_from(consistency, min_revision)
    with connect(settings) as client:
        found = client.groups.get(group_id, consistency=freshness)
        members = list(client.groups.all_members(group_id, consistency=freshness))
    if settings.as_json:
        print_json(
            {
                "header": header_object(found.header),
                "group": _object(found.group, settings),
                "members": [
                    {
                        "user_id": each.user_id,
                        "role": each.role.value,
                        "join_revision": each.join_revision,
                    }
                    for each in members
                ],
            }
        )
        return
    print_line(f"title    {_cell(found.group.title)}")
    print_line(f"data     {to_cell(found.group.data, hexadecimal=settings.hex)}")
    print_line(f"created  {found.group.create_time.isoformat()}")
    print_line(f"etag     {found.group.etag}")
    rows = [(_cell(each.user_id), each.role.value, str(each.join_revision)) for each in members]
    print_table(("MEMBER", "ROLE", "JOINED"), rows)


@group.command(cls=Command)
@click.argument("group_id", metavar="GROUP")
@click.argument("user_ids", metavar="USER...", nargs=-1, required=True)
@_actor_option
@pass_settings
def add(settings: Settings, *, group_id: str, user_ids: tuple[str, ...], actor_id: str) -> None:
    """Add members, all of them or none. An admin's right.

    The exit code is 9 if the actor may not do it.
    """
    with connect(settings) as client:
        result = client.groups.add(group_id, user_ids, actor_id=actor_id)
    if settings.as_json:
        print_json(
            {
                "header": header_object(result.header),
                "added": result.added,
                "group": _object(result.group, settings),
            }
        )
    else:
        print_line(f"added {result.added}")


@group.command(cls=Command)
@click.argument("group_id", metavar="GROUP")
@click.argument("user_ids", metavar="USER...", nargs=-1, required=True)
@_actor_option
@pass_settings
def rm(settings: Settings, *, group_id: str, user_ids: tuple[str, ...], actor_id: str) -> None:
    """Remove members, all of them or none; a group without members is deleted.

    An admin's right over members, an owner's over admins and owners, and everybody's over themselves. The
    exit code is 1 if others would be left without an owner, and 9 if the actor may not do it.
    """
    with connect(settings) as client:
        result = client.groups.remove(group_id, user_ids, actor_id=actor_id)
    if settings.as_json:
        print_json({"header": header_object(result.header), "removed": result.removed})
    else:
        print_line(f"removed {result.removed}")


@group.command(cls=Command)
@click.argument("group_id", metavar="GROUP")
@click.argument("user_id", metavar="USER")
@click.argument("role", type=click.Choice(["member", "admin", "owner"]))
@_actor_option
@pass_settings
def role(settings: Settings, *, group_id: str, user_id: str, role: str, actor_id: str) -> None:
    """Give a member another role. An owner's right."""
    from kvraft.client import GroupRole

    with connect(settings) as client:
        result = client.groups.set_role(group_id, user_id, GroupRole(role), actor_id=actor_id)
    if settings.as_json:
        print_json({"header": header_object(result.header)})
    else:
        print_line(role)


@group.command("list", cls=Command)
@click.argument("user_id", metavar="USER")
@consistency_options
@pass_settings
def list_(settings: Settings, *, user_id: str, consistency: str, min_revision: int | None) -> None:
    """List the groups of a user by id; with -o json one object a line."""
    with connect(settings) as client:
        freshness = consistency_from(consistency, min_revision)
        every = list(client.groups.all_of_user(user_id, consistency=freshness))
    if settings.as_json:
        for each in every:
            print_json(
                {"group_id": each.group_id, "role": each.role.value, "join_revision": each.join_revision}
            )
        return
    rows = [(_cell(each.group_id), each.role.value, str(each.join_revision)) for each in every]
    print_table(("GROUP", "ROLE", "JOINED"), rows)


@group.command(cls=Command)
@click.argument("group_id", metavar="GROUP")
@click.option("--etag", default="", metavar="ETAG", help="Only if this is its etag.")
@_actor_option
@pass_settings
def delete(settings: Settings, *, group_id: str, etag: str, actor_id: str) -> None:
    """Delete a group, if it exists. An owner's right; what is queued for its members stays."""
    with connect(settings) as client:
        result = client.groups.delete(group_id, etag=etag, actor_id=actor_id)
    if settings.as_json:
        print_json({"header": header_object(result.header), "deleted": result.deleted})
    else:
        print_line("deleted" if result.deleted else "there was none")


def _cell(text: str) -> str:
    return to_cell(text.encode(), hexadecimal=False)


def _object(group: Group, settings: Settings) -> dict[str, Any]:
    return {
        "group_id": group.group_id,
        "title": group.title,
        **to_json("data", group.data, hexadecimal=settings.hex),
        "member_count": group.member_count,
        "create_time": group.create_time.isoformat(),
        "etag": group.etag,
        "mod_revision": group.mod_revision,
    }
