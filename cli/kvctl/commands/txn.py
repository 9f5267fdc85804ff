"""kvctl txn"""

from __future__ import annotations

import os
import sys

import click

from kvctl.connection import connect
from kvctl.exit_codes import ExitCode
from kvctl.output import header_object, print_json, print_line, print_note, print_table
from kvctl.settings import Command, Settings, pass_settings


@click.command(cls=Command)
@click.option("--json", "as_document", is_flag=True, help="Stdin is a JSON document.")
@pass_settings
def txn(settings: Settings, *, as_document: bool) -> None:
    """Do several things at once, if comparisons hold.

    Reads a transaction from stdin: comparisons, an empty line, requests if all of them hold, an empty
    line, requests if one does not. It is done as a whole, as one revision, or not at all. If the
    comparisons do not hold, the exit code is 1.

    \b
    comparisons   version, create, mod, lease ("key") =, !=, <, > "number"
                  value("key") =, !=, <, > "value"     exists("key")   missing("key")
    requests      put KEY VALUE [--lease ID] [--print-previous]
                  get KEY    get PREFIX --prefix [--limit N]
                  del KEY [--print-previous]    del PREFIX --prefix [--limit N]

    \b
    printf 'missing("lock")\\n\\nput lock "me, myself"\\n\\nget lock\\n' | kvctl txn
    """
    # These import the library, which takes its time.
    from kvctl.txn_answer import answer_object, answer_rows
    from kvctl.txn_json import parse_json
    from kvctl.txn_text import parse_text

    if sys.stdin.isatty():
        print_note("kvctl: a transaction is read from stdin, until Ctrl-D")
    text = os.fsdecode(sys.stdin.buffer.read())
    asked = parse_json(text) if as_document else parse_text(text, hexadecimal=settings.hex)
    if not (asked.compare or asked.success or asked.failure):
        raise click.UsageError("stdin holds no transaction")
    with connect(settings) as client:
        result = client.kv.txn(compare=asked.compare, success=asked.success, failure=asked.failure)

    if settings.as_json:
        answer = answer_object(asked, result, hexadecimal=settings.hex)
        print_json({"header": header_object(result.header), **answer})
    else:
        outcome = "succeeded" if result.succeeded else "the comparisons did not hold"
        print_line(f"{outcome}, revision {result.header.revision}")
        if rows := list(answer_rows(asked, result, hexadecimal=settings.hex)):
            print_table(["#", "REQUEST", "KEY", "ANSWER"], rows)
    if not result.succeeded:
        click.get_current_context().exit(ExitCode.NOT_FOUND)
