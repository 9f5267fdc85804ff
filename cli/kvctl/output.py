"""Answers as text for people and as JSON for scripts. Both go to stdout through its buffer, so that
large listings are fast."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from kvctl.encoding import printable, printable_json, to_json

if TYPE_CHECKING:
    from kvraft.client import Header, KeyValue


def print_line(text: str) -> None:
    """Of whatever it is made, it does not control the terminal."""
    sys.stdout.write(printable(text))
    sys.stdout.write("\n")


def print_value(text: str) -> None:
    """As it is."""
    sys.stdout.write(text)
    sys.stdout.write("\n")


def print_note(text: str) -> None:
    """Beside the answer: to stderr."""
    sys.stderr.write(f"{printable(text)}\n")


def print_json(answer: Any) -> None:
    """On one line."""
    print_value(to_document(answer))


def to_document(answer: Any) -> str:
    """JSON of one line, readable and without anything that controls a terminal."""
    return printable_json(json.dumps(answer, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Never cut, however narrow the terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console(file=sys.stdout, width=10_000).print(table)


def header_object(header: Header) -> dict[str, Any]:
    return {
        # As text: many JSON readers know only 53 bits of a number.
        "cluster_id": f"{header.cluster_id:016x}",
        "member_id": header.member_id,
        "leader_id": header.leader_id,
        "term": header.term,
        "revision": header.revision,
    }


def kv_object(kv: KeyValue | None, *, hexadecimal: bool, keys_only: bool = False) -> dict[str, Any] | None:
    if kv is None:
        return None
    value = {} if keys_only else to_json("value", kv.value, hexadecimal=hexadecimal)
    return {
        **to_json("key", kv.key, hexadecimal=hexadecimal),
        **value,
        "create_revision": kv.create_revision,
        "mod_revision": kv.mod_revision,
        "version": kv.version,
        "lease_id": kv.lease_id,
    }
