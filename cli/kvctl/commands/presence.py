"""kvctl presence"""

from __future__ import annotations

import click

from kvctl.connection import connect
from kvctl.encoding import to_cell
from kvctl.output import header_object, print_json, print_table
from kvctl.reading import consistency_from, consistency_options
from kvctl.settings import Command, Settings, pass_settings


@click.command(cls=Command)
@click.argument("user_ids", metavar="USER...", nargs=-1, required=True)
@click.option("--viewer", "viewer_id", required=True, metavar="USER", help="Who asks.")
@consistency_options
@pass_settings
def presence(
    settings: Settings,
    *,
    user_ids: tuple[str, ...],
    viewer_id: str,
    consistency: str,
    min_revision: int | None,
) -> None:
    """Tell of up to 100 users who is online, as the viewer may know.

    For a viewer whom a user has blocked the user is offline and was never seen.

    \b
    kvctl presence alice bob --viewer carol
    """
    with connect(settings) as client:
        found = client.sessions.presence(
            viewer_id, user_ids, consistency=consistency_from(consistency, min_revision)
        )
    if settings.as_json:
        shown = [
            {
                "user_id": each.user_id,
                "online": each.online,
                "last_seen_day": None if each.last_seen_day is None else each.last_seen_day.isoformat(),
            }
            for each in found.presences
        ]
        print_json({"header": header_object(found.header), "presences": shown})
        return
    rows = [
        (
            to_cell(each.user_id.encode(), hexadecimal=False),
            "online" if each.online else "offline",
            "" if each.last_seen_day is None else each.last_seen_day.isoformat(),
        )
        for each in found.presences
    ]
    print_table(("USER", "PRESENCE", "LAST SEEN"), rows)
