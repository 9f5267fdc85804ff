"""A file of messages, imported while its recipients read. `make mail-import FILE=...` runs it on any file."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path

import pytest

from tests.cluster.mail_import import KILLS, TAKEN_OVER, run

PEOPLE = 40
MESSAGES = 4_000


@pytest.mark.slow
def test_every_recipient_gets_exactly_its_messages_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "messages.jsonl"
    chance = random.Random(1)
    with file.open("w") as lines:
        for number in range(MESSAGES):
            # A few write and are written to much more than the others.
            sender, recipient = (int(PEOPLE * chance.random() ** 2) for _ in range(2))
            message = {
                "id": f"m{number}",
                "time": number,
                "from": f"user{sender}",
                "to": f"user{recipient}",
                "type": "TEXT",
                "text": "x" * chance.randrange(160),
            }
            lines.write(json.dumps(message) + "\n")

    report = asyncio.run(run(file, tmp_path))

    # What was on its way when a leader was killed is sent again, and found to be sent.
    assert report.imported["sent"] + report.imported["duplicates"] == MESSAGES
    assert report.imported["skipped"] == 0
    assert report.again["duplicates"] == MESSAGES
    assert (report.kills, report.taken_over) == (KILLS, TAKEN_OVER)
