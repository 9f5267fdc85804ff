"""kvctl session"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from kvctl.connection import connect
from kvctl.encoding import from_typed, to_cell, to_json
from kvctl.exit_codes import ExitCode
from kvctl.failure import Failure
from kvctl.groups import CommandGroup
from kvctl.output import header_object, print_json, print_line, print_table
from kvctl.parameters import BYTES, POSITIVE
from kvctl.reading import consistency_from, consistency_options
from kvctl.settings import Command, Settings, pass_settings

if TYPE_CHECKING:
    from kvraft.client import Session, SessionEvent

_COLUMNS = ("USER", "DEVICE", "POSITIVE", "LEASE", "GATEWAY", "OPENED")


@click.group(cls=CommandGroup)
def session() -> None:
    """Open, close, find and watch sessions: where devices are connected.

    A session belongs to a lease and ends with it, so that a gateway that keeps one lease alive keeps all its
    sessions. A device has one at most; the newest wins.

    \b
    lease=$(kvctl lease grant 30)
    kvctl session open alice phone --lease $lease --gateway 10.0.0.7:443
    kvctl session list alice
    kvctl session watch alice bob
    kvctl session revoke alice
    """


@session.command("open", cls=Command)
@click.argument("user_id", metavar="USER")
@click.argument("device_id", metavar="DEVICE")
@click.option("--lease", "lease_id", type=POSITIVE, required=True, metavar="ID", help="It ends with this.")
@click.option("--gateway", "gateway_address", default="", metavar="ADDRESS", help="Who is connected to it.")
@click.option("--info", type=BYTES, default="", metavar="DATA", help="Opaque, for the application.")
@click.option("--fail-if-open", is_flag=True, help="Take no other session's place: exit with 1 instead.")
@pass_settings
def open_(
    settings: Settings,
    *,
    user_id: str,
    device_id: str,
    lease_id: int,
    gateway_address: str,
    info: str,
    fail_if_open: bool,
) -> None:
    """Open the session of a device and print its epoch.

    The exit code is 1 if the device is not registered, or the lease does not exist.
    """
    from kvraft.client import OpenMode

    with connect(settings) as client:
        opened = client.sessions.open(
            user_id,
            device_id,
            lease_id,
            gateway_address=gateway_address,
            mode=OpenMode.FAIL_IF_OPEN if fail_if_open else OpenMode.TAKE_OVER,
            info=from_typed(info, hexadecimal=settings.hex),
        )
    if settings.as_json:
        print_json(
            {
                "header": header_object(opened.header),
                "session": _object(opened.session, settings),
                "replaced_epoch": opened.replaced_epoch,
            }
        )
    else:
        print_line(str(opened.session.epoch))


@session.command(cls=Command)
@click.argument("user_id", metavar="USER")
@click.argument("device_id", metavar="DEVICE")
@click.argument("epoch", type=POSITIVE)
@pass_settings
def close(settings: Settings, *, user_id: str, device_id: str, epoch: int) -> None:
    """Close the session of this epoch.

    One that has ended, or whose place another has taken, is not touched; that is no failure.
    """
    with connect(settings) as client:
        closed = client.sessions.close(user_id, device_id, epoch)
    if settings.as_json:
        print_json({"header": header_object(closed.header), "closed": closed.closed})
    else:
        print_line("closed" if closed.closed else "not open any more")


@session.command(cls=Command)
@click.argument("user_id", metavar="USER")
@click.argument("device_id", metavar="[DEVICE]", default="")
@pass_settings
def revoke(settings: Settings, *, user_id: str, device_id: str) -> None:
    """Log a user out everywhere, or one device.

    Closes the sessions, and prints the time up to which tokens are not accepted any more. Queues are kept.
    """
    with connect(settings) as client:
        revoked = client.sessions.revoke(user_id, device_id)
    if settings.as_json:
        print_json(
            {
                "header": header_object(revoked.header),
                "closed_sessions": revoked.closed_sessions,
                "revoke_time": revoked.revoke_time.isoformat(),
            }
        )
    else:
        print_line(f"closed {revoked.closed_sessions}; tokens until {revoked.revoke_time.isoformat()}")


@session.command(cls=Command)
@click.argument("user_id", metavar="USER")
@click.argument("device_id", metavar="DEVICE")
@consistency_options
@pass_settings
def get(
    settings: Settings, *, user_id: str, device_id: str, consistency: str, min_revision: int | None
) -> None:
    """Show where a device is connected. The exit code is 1 if it is not."""
    with connect(settings) as client:
        found = client.sessions.get(
            user_id, device_id, consistency=consistency_from(consistency, min_revision)
        )
    if settings.as_json:
        print_json({"header": header_object(found.header), "session": _object(found.session, settings)})
    else:
        print_table(_COLUMNS, [_row(found.session)])


@session.command("list", cls=Command)
@click.argument("user_id", metavar="[USER]", default="")
@click.option("--lease", "lease_id", type=POSITIVE, metavar="ID", help="The sessions of a lease instead.")
@consistency_options
@pass_settings
def list_(
    settings: Settings, *, user_id: str, lease_id: int | None, consistency: str, min_revision: int | None
) -> None:
    """List the sessions of a user or of a lease; with -o json one object a line."""
    if bool(user_id) == (lease_id is not None):
        raise click.UsageError("give a USER or --lease ID")
    freshness = consistency_from(consistency, min_revision)
    with connect(settings) as client:
        if lease_id is None:
            sessions = list(client.sessions.list(user_id=user_id, consistency=freshness).sessions)
        else:
            sessions = list(client.sessions.all(lease_id, consistency=freshness))
    if settings.as_json:
        for each in sessions:
            print_json(_object(each, settings))
    else:
        print_table(_COLUMNS, map(_row, sessions))


@session.command(cls=Command)
@click.argument("user_ids", metavar="[USER]...", nargs=-1)
@click.option("--lease", "lease_id", type=POSITIVE, metavar="ID", help="The sessions of a lease instead.")
@click.option(
    "--from-revision",
    type=POSITIVE,
    metavar="REVISION",
    help="Begin with what happened at this revision, not with what happens from now on.",
)
@pass_settings
def watch(
    settings: Settings, *, user_ids: tuple[str, ...], lease_id: int | None, from_revision: int | None
) -> None:
    """Print what happens to the sessions of users, or of a lease.

    Prints a line for each event: revision, what happened, user, device, epoch, gateway. OPENED, REPLACED,
    CLOSED, REVOKED and EXPIRED are told apart. Goes on until Ctrl-C; when a node fails it goes on at another
    one, without missing or repeating anything.
    """
    if bool(user_ids) == (lease_id is not None):
        raise click.UsageError("give USER... or --lease ID")
    with connect(settings) as client:
        from kvraft.client import Compacted

        events = client.sessions.watch(
            user_ids=user_ids, lease_id=lease_id or 0, from_revision=from_revision or 0
        )
        try:
            for event in events:
                if settings.as_json:
                    print_json(_event_object(event, settings))
                else:
                    print_line(_line(event))
                sys.stdout.flush()
        except Compacted as error:
            raise Failure(
                str(error),
                exit_code=ExitCode.REFUSED,
                reason=error.reason,
                oldest_revision=error.oldest_revision,
            ) from error


def _object(session: Session, settings: Settings) -> dict[str, Any]:
    return {
        "user_id": session.user_id,
        "device_id": session.device_id,
        "epoch": session.epoch,
        "lease_id": session.lease_id,
        "gateway_address": session.gateway_address,
        **to_json("info", session.info, hexadecimal=settings.hex),
        "open_time": session.open_time.isoformat(),
    }


def _event_object(event: SessionEvent, settings: Settings) -> dict[str, Any]:
    return {
        "revision": event.revision,
        "kind": event.kind,
        "session": _object(event.session, settings),
        "replaced_epoch": event.replaced_epoch,
    }


def _row(session: Session) -> tuple[str, ...]:
    return (
        _cell(session.user_id),
        _cell(session.device_id),
        str(session.epoch),
        str(session.lease_id),
        _cell(session.gateway_address),
        session.open_time.isoformat(timespec="seconds"),
    )


def _line(event: SessionEvent) -> str:
    session = event.session
    texts = (session.user_id, session.device_id, str(session.epoch), session.gateway_address)
    return "\t".join([str(event.revision), event.kind, *map(_cell, texts)])


def _cell(text: str) -> str:
    return to_cell(text.encode(), hexadecimal=False)
