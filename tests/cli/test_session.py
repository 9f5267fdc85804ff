"""kvctl device, session and presence, against the real services."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.served import Served

NOW_MS = 1_700_000_000_000
NOW = "2023-11-14T22:13:20+00:00"
"""The same."""
TODAY = "2023-11-14"


@pytest.fixture(autouse=True)
def at_a_time(served: Served) -> None:
    served.node.node.wall_ms = NOW_MS


def as_json(served: Served, *arguments: str) -> Any:
    return json.loads(served.run(*arguments, "-o", "json").stdout)


def lease(served: Served) -> str:
    return served.run("lease", "grant", "30").stdout.strip()


def lines(served: Served, *arguments: str) -> list[list[str]]:
    """Of a table without its head."""
    return [line.split() for line in served.run(*arguments).stdout.splitlines()[1:]]


def test_devices(served: Served) -> None:
    assert served.run("device", "add", "alice", "phone", "--label", "Phone").stdout == "registered\n"
    assert served.run("device", "add", "alice", "phone", "--label", "Phone").stdout == "was there\n"
    served.run("device", "add", "alice", "laptop")
    assert lines(served, "device", "list", "alice") == [["phone", "Phone", NOW], ["laptop", NOW]]
    served.run("session", "revoke", "alice", "laptop")
    assert lines(served, "device", "list", "alice")[1] == ["laptop", NOW, NOW]

    listed = as_json(served, "device", "list", "alice")
    phone, laptop = listed["devices"]
    assert listed["revoke_time"] is None
    assert listed["device_set_revision"] == laptop["create_revision"]
    assert phone == {
        "device_id": "phone",
        "label": "Phone",
        "create_revision": phone["create_revision"],
        "create_time": NOW,
        "revoke_time": None,
    }
    assert served.run("device", "rm", "alice", "phone").stdout == "purged 0\n"
    last = served.run("device", "rm", "alice", "laptop")
    assert (last.exit_code, "LAST_DEVICE" in last.stderr) == (1, True)
    assert served.run("device", "list", "bob").exit_code == 1


def test_a_session_from_its_opening_to_its_end(served: Served) -> None:
    served.run("device", "add", "alice", "phone")
    lease_id = lease(served)
    opening = ("session", "open", "alice", "phone", "--lease", lease_id, "--gateway", "10.0.0.7:443")
    epoch = served.run(*opening).stdout.strip()
    assert int(epoch) > int(lease_id)
    expected = ["alice", "phone", epoch, lease_id, "10.0.0.7:443", NOW]
    assert lines(served, "session", "get", "alice", "phone") == [expected]
    assert lines(served, "session", "list", "alice") == [expected]
    assert lines(served, "session", "list", "--lease", lease_id) == [expected]
    refused = served.run(*opening, "--fail-if-open")
    assert (refused.exit_code, "SESSION_OPEN" in refused.stderr) == (1, True)

    assert served.run("session", "close", "alice", "phone", "1").stdout == "not open any more\n"
    assert served.run("session", "close", "alice", "phone", epoch).stdout == "closed\n"
    assert served.run("session", "get", "alice", "phone").exit_code == 1
    served.run(*opening)
    assert served.run("session", "revoke", "alice").stdout == f"closed 1; tokens until {NOW}\n"


def test_sessions_as_json(served: Served) -> None:
    served.run("device", "add", "alice", "phone")
    lease_id = lease(served)
    opened = as_json(served, "session", "open", "alice", "phone", "--lease", lease_id, "--info", "x")
    session = {
        "user_id": "alice",
        "device_id": "phone",
        "epoch": opened["header"]["revision"],
        "lease_id": int(lease_id),
        "gateway_address": "",
        "info": "x",
        "info_b64": "eA==",
        "open_time": NOW,
    }
    assert (opened["session"], opened["replaced_epoch"]) == (session, 0)
    assert as_json(served, "session", "get", "alice", "phone")["session"] == session
    assert as_json(served, "session", "list", "alice") == session
    epoch = str(session["epoch"])
    assert as_json(served, "session", "close", "alice", "phone", epoch)["closed"] is True
    revoked = as_json(served, "session", "revoke", "alice")
    assert (revoked["closed_sessions"], revoked["revoke_time"]) == (0, NOW)


def test_presence(served: Served) -> None:
    for user_id in ("alice", "bob"):
        served.run("device", "add", user_id, "phone")
        served.run("session", "open", user_id, "phone", "--lease", lease(served))
    served.run("session", "revoke", "bob")

    asked = ("presence", "alice", "bob", "nobody", "--viewer", "carol")
    assert lines(served, *asked) == [["alice", "online"], ["bob", "offline", TODAY], ["nobody", "offline"]]
    assert as_json(served, *asked)["presences"][1] == {
        "user_id": "bob",
        "online": False,
        "last_seen_day": TODAY,
    }
    assert served.run("presence", "alice").exit_code == 2


def test_a_watch_prints_what_happens(served: Served) -> None:
    served.run("device", "add", "alice", "phone")
    lease_id = lease(served)
    opening = ("session", "open", "alice", "phone", "--lease", lease_id, "--gateway", "here")
    epoch = served.run(*opening).stdout.strip()
    with served.process("session", "watch", "alice", "--from-revision", epoch) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{epoch}\tOPENED\talice\tphone\t{epoch}\there\n"
        ended = as_json(served, "lease", "revoke", lease_id)["header"]["revision"]
        assert process.stdout.readline() == f"{ended}\tEXPIRED\talice\tphone\t{epoch}\there\n"
    with served.process(
        "session", "watch", "--lease", lease_id, "--from-revision", epoch, "-o", "json"
    ) as process:
        assert process.stdout is not None
        event = json.loads(process.stdout.readline())
        assert (event["kind"], event["session"]["epoch"]) == ("OPENED", int(epoch))


@pytest.mark.parametrize(
    "arguments",
    [
        ("session", "list"),
        ("session", "list", "alice", "--lease", "1"),
        ("session", "watch"),
        ("session", "watch", "alice", "--lease", "1"),
        ("session", "open", "alice", "phone"),
        ("session", "close", "alice", "phone", "0"),
    ],
)
def test_command_lines_that_say_too_much_or_too_little(served: Served, arguments: tuple[str, ...]) -> None:
    assert served.run(*arguments).exit_code == 2
