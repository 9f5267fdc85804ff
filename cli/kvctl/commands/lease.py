"""kvctl lease"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from kvctl.connection import connect
from kvctl.encoding import to_cell, to_json
from kvctl.groups import CommandGroup
from kvctl.output import header_object, print_json, print_line, print_note, print_table
from kvctl.parameters import POSITIVE, TTL
from kvctl.reading import consistency_from, consistency_options
from kvctl.settings import Command, Settings, pass_settings

if TYPE_CHECKING:
    from kvraft.client import Lease


@click.group(cls=CommandGroup)
def lease() -> None:
    """Grant, keep alive, end and show leases.

    A lease ends when it is not kept alive, and the keys attached to it are deleted with it.

    \b
    kvctl lease grant 30
    kvctl lease keep-alive 1234
    kvctl lease list
    """


@lease.command(cls=Command)
@click.argument("ttl_s", metavar="SECONDS", type=TTL)
@click.option("--id", "lease_id", type=POSITIVE, metavar="ID", help="The id; otherwise one is chosen.")
@pass_settings
def grant(settings: Settings, *, ttl_s: float, lease_id: int | None) -> None:
    """Grant a lease and print its id.

    \b
    id=$(kvctl lease grant 30)
    kvctl put online/alice gateway-3 --lease $id
    kvctl lease keep-alive $id
    """
    with connect(settings) as client:
        granted = client.lease.grant(ttl_s, lease_id=lease_id or 0)
    if settings.as_json:
        print_json({"header": header_object(granted.header), "lease": _object(granted.lease)})
    else:
        print_line(str(granted.lease_id))


@lease.command("keep-alive", cls=Command)
@click.argument("lease_id", metavar="ID", type=POSITIVE)
@click.option("--once", is_flag=True, help="Renew it once, and return.")
@pass_settings
def keep_alive(settings: Settings, *, lease_id: int, once: bool) -> None:
    """Renew a lease every third of its time to live, until Ctrl-C or its end.

    The exit code is 1 if the lease does not exist, or no longer.
    """
    with connect(settings) as client:
        while True:
            kept = client.lease.keep_alive(lease_id)
            if settings.as_json:
                print_json({"header": header_object(kept.header), "ttl_s": kept.ttl_s})
            else:
                print_line(f"lives for {kept.ttl_s:g} s")
            if once:
                return
            sys.stdout.flush()
            time.sleep(kept.ttl_s / 3)


@lease.command(cls=Command)
@click.argument("lease_id", metavar="ID", type=POSITIVE)
@pass_settings
def revoke(settings: Settings, *, lease_id: int) -> None:
    """End a lease and delete its keys."""
    with connect(settings) as client:
        revoked = client.lease.revoke(lease_id)
    if settings.as_json:
        print_json({"header": header_object(revoked.header), "deleted": revoked.deleted})
    else:
        print_line(f"deleted {revoked.deleted}")


@lease.command(cls=Command)
@click.argument("lease_id", metavar="ID", type=POSITIVE)
@click.option("--keys", is_flag=True, help="Also print the keys attached to it, one a line.")
@consistency_options
@pass_settings
def ttl(settings: Settings, *, lease_id: int, keys: bool, consistency: str, min_revision: int | None) -> None:
    """Show how long a lease has to live."""
    with connect(settings) as client:
        found = client.lease.get(lease_id, keys=keys, consistency=consistency_from(consistency, min_revision))
    if settings.as_json:
        answer: dict[str, Any] = {"header": header_object(found.header), "lease": _object(found.lease)}
        if keys:
            answer["keys"] = [to_json("key", key, hexadecimal=settings.hex) for key in found.keys or ()]
            answer["more_keys"] = found.more_keys
        print_json(answer)
        return
    print_line(f"{found.lease.remaining_s:g} s of {found.lease.ttl_s:g} s")
    for key in found.keys or ():
        print_line(to_cell(key, hexadecimal=settings.hex))
    if found.more_keys:
        print_note("it has more keys than these")


@lease.command("list", cls=Command)
@consistency_options
@pass_settings
def list_(settings: Settings, *, consistency: str, min_revision: int | None) -> None:
    """List all leases by id; with -o json one object a line."""
    leases: list[Lease] = []
    with connect(settings) as client:
        token, freshness = "", consistency_from(consistency, min_revision)
        while True:
            page = client.lease.list(page_size=1_000, page_token=token, consistency=freshness)
            leases.extend(page.leases)
            token = page.next_page_token
            if not token:
                break
    if settings.as_json:
        for each in leases:
            print_json(_object(each))
        return
    rows = [
        (str(each.lease_id), f"{each.ttl_s:g}", f"{each.remaining_s:g}", str(each.create_revision))
        for each in leases
    ]
    print_table(("ID", "TTL", "REMAINING", "CREATED"), rows)


def _object(lease: Lease) -> dict[str, Any]:
    return {
        "lease_id": lease.lease_id,
        "ttl_s": lease.ttl_s,
        "remaining_s": lease.remaining_s,
        "create_revision": lease.create_revision,
    }
