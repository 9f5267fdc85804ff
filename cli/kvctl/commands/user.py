"""kvctl user"""

from __future__ import annotations

import hashlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from kvctl.connection import connect
from kvctl.exit_codes import ExitCode
from kvctl.failure import Failure
from kvctl.groups import CommandGroup
from kvctl.output import header_object, print_json, print_line, print_note, print_table, to_document
from kvctl.parameters import FILE, POSITIVE
from kvctl.settings import Command, Settings, pass_settings

if TYPE_CHECKING:
    from kvraft.client import AuditEntry, EraseUserResult, Erasure, KvraftError, SyncClient

POLL_S = 1.0
_NOTE = click.option("--note", default="", metavar="TEXT", help="For the audit entry: who asks, and why.")


@click.group(cls=CommandGroup)
def user() -> None:
    """Export and erase users as a whole.

    \b
    kvctl user export alice -f alice.jsonl --note "request 17"
    kvctl user erase alice --wait --note "request 18"
    kvctl user audit
    """


@user.command(cls=Command)
@click.argument("user_id", metavar="USER")
@click.option("-f", "--file", metavar="FILE", type=FILE, help="Write there, privately.")
@_NOTE
@pass_settings
def export(settings: Settings, *, user_id: str, file: Path | None, note: str) -> None:
    """Write everything that is stored of a user, one JSON object a line.

    It is of one revision. The last line is of kind "end" and counts the others: without it the export is
    not whole. The exit code is 1 if there is no such user.
    """
    with connect(settings) as client:
        if file is None:
            _write_export(client, user_id, note, sys.stdout)
            return
        unfinished = file.with_name(f"{file.name}.part")
        unfinished.touch(mode=0o600)
        try:
            with unfinished.open("w", encoding="utf-8") as opened:
                lines = _write_export(client, user_id, note, opened)
            unfinished.rename(file)
        finally:
            unfinished.unlink(missing_ok=True)
    print_note(f"{lines} lines")


@user.command(cls=Command)
@click.argument("user_id", metavar="USER")
@click.option("--wait", is_flag=True, help="Wait until no file of any node holds anything of the user.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_NOTE
@pass_settings
def erase(settings: Settings, *, user_id: str, wait: bool, yes: bool, note: str) -> None:
    """Remove everything of a user, at once for every reader.

    The files of the nodes are made anew some time later (erasure_delay_ms of each node; half an hour unless
    it was set). --wait follows that on all nodes of --endpoints, which should be the whole cluster; a node
    that is down does it when it is back. Backups of your own are for you to delete.
    """
    if not yes and not click.confirm(
        f"Erase user {user_id!r} with all devices, contacts and messages?", err=True
    ):
        raise Failure("nothing was erased", exit_code=ExitCode.USAGE, reason="NOT_CONFIRMED")
    with connect(settings) as client:
        erased = client.admin.erase_user(user_id, note=note)
        if settings.as_json:
            print_json(_erased_object(erased))
        elif erased.existed:
            print_line(f"erased {erased.removed_rows} rows; erasure {erased.erasure_id}")
        else:
            print_line("there is no such user; nothing was changed")
        sys.stdout.flush()
        if wait and erased.erasure_id:
            _wait(client, erased.erasure_id, settings)


@user.command(cls=Command)
@click.argument("erasure_id", metavar="ID", type=POSITIVE)
@pass_settings
def erasure(settings: Settings, *, erasure_id: int) -> None:
    """Show how far each node has come with an erasure.

    The exit code is 1 while a node of --endpoints is not clean, or does not answer.
    """
    with connect(settings) as client:
        answers = client.admin.erasure(erasure_id)
    if settings.as_json:
        print_json([_progress_object(endpoint, answer) for endpoint, answer in answers.items()])
    else:
        rows = [_progress_row(endpoint, answer) for endpoint, answer in answers.items()]
        print_table(("ENDPOINT", "APPLIED", "LOG", "STATE", "CLEAN SINCE"), rows)
    if not all(map(_is_clean, answers.values())):
        raise Failure("not every node is clean", exit_code=ExitCode.NOT_FOUND, reason="NOT_CLEAN")


@user.command(cls=Command)
@click.option("--user", "user_id", metavar="USER", help="Only entries of this user.")
@click.option("--limit", type=POSITIVE, default=100, show_default=True, metavar="N", help="Entries.")
@pass_settings
def audit(settings: Settings, *, user_id: str | None, limit: int) -> None:
    """List who was exported and erased when, newest first.

    Entries keep no user id but its SHA-256, with which --user compares.
    """
    wanted = None if user_id is None else hashlib.sha256(user_id.encode()).digest()
    entries: list[AuditEntry] = []
    with connect(settings) as client:
        for entry in client.admin.all_audit_entries():
            if wanted in (None, entry.user_id_sha256):
                entries.append(entry)
            if len(entries) == limit:
                break
    if settings.as_json:
        for entry in entries:
            print_json(
                {
                    "revision": entry.revision,
                    "time": entry.time.isoformat(),
                    "action": entry.action,
                    "user_id_sha256": entry.user_id_sha256.hex(),
                    "note": entry.note,
                }
            )
        return
    rows = [
        (
            str(each.revision),
            each.time.isoformat(timespec="seconds"),
            each.action,
            each.user_id_sha256.hex()[:16],
            each.note,
        )
        for each in entries
    ]
    print_table(("REVISION", "TIME", "ACTION", "USER SHA-256", "NOTE"), rows)


def _write_export(client: SyncClient, user_id: str, note: str, file: TextIO) -> int:
    count, is_whole = 0, False
    for line in client.admin.export_user(user_id, note=note):
        file.write(to_document(line) + "\n")
        count += 1
        is_whole = line["kind"] == "end"
    if not is_whole:
        raise Failure("the export ended early; ask again", exit_code=ExitCode.INTERNAL, reason="INCOMPLETE")
    return count


def _wait(client: SyncClient, erasure_id: int, settings: Settings) -> None:
    """Until all nodes are clean; says to stderr when that of one has changed."""
    said = ""
    while True:
        answers = client.admin.erasure(erasure_id)
        clean = sum(map(_is_clean, answers.values()))
        waiting = ", ".join(endpoint for endpoint, answer in answers.items() if not _is_clean(answer))
        text = f"{clean} of {len(answers)} nodes are clean"
        text += f"; waiting for {waiting}" if waiting else ""
        if text != said and not settings.as_json:
            print_note(text)
        said = text
        if not waiting:
            if settings.as_json:
                print_json([_progress_object(endpoint, answer) for endpoint, answer in answers.items()])
            return
        time.sleep(POLL_S)


def _is_clean(answer: Erasure | KvraftError) -> bool:
    from kvraft.client import Erasure

    return isinstance(answer, Erasure) and answer.is_clean


def _erased_object(erased: EraseUserResult) -> dict[str, Any]:
    return {
        "header": header_object(erased.header),
        "existed": erased.existed,
        "erasure_id": erased.erasure_id,
        "removed_rows": erased.removed_rows,
    }


def _progress_object(endpoint: str, answer: Erasure | KvraftError) -> dict[str, Any]:
    from kvraft.client import Erasure

    if not isinstance(answer, Erasure):
        return {"endpoint": endpoint, "reachable": False, "reason": answer.reason, "message": str(answer)}
    return {
        "endpoint": endpoint,
        "reachable": True,
        "applied": answer.applied,
        "log_clean": answer.log_clean,
        "state_clean": answer.state_clean,
        "clean_time": None if answer.clean_time is None else answer.clean_time.isoformat(),
    }


def _progress_row(endpoint: str, answer: Erasure | KvraftError) -> list[str]:
    from kvraft.client import Erasure

    if not isinstance(answer, Erasure):
        return [endpoint, f"unreachable ({answer.reason})"]
    return [
        endpoint,
        "yes" if answer.applied else "no",
        "clean" if answer.log_clean else "not yet",
        "clean" if answer.state_clean else "not yet",
        "-" if answer.clean_time is None else answer.clean_time.isoformat(timespec="seconds"),
    ]
