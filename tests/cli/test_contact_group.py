"""kvctl contact and group, against the real services."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result

from kvctl.root import kvctl
from tests.fakes.one_node import one_node
from tests.unit.client.test_contacts import register

PATIENCE_S = 20
Run = Callable[..., Result]
USERS = ("ada", "bob", "cyd")


@pytest.fixture
def run() -> Iterator[Run]:
    """Runs a command line against a node in a thread of its own, on which some users have devices."""
    ready, leave = threading.Event(), asyncio.Event()
    found: list[tuple[str, asyncio.AbstractEventLoop]] = []

    async def serve() -> None:
        async with one_node() as node:
            node.node.wall_ms = 1_900_000_000_000
            await register(node, *USERS)
            found.append((node.endpoints, asyncio.get_running_loop()))
            ready.set()
            await leave.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(PATIENCE_S)
    endpoints, loop = found[0]

    def run(*arguments: str) -> Result:
        environment = {"KVRAFT_ENDPOINTS": endpoints}
        result = CliRunner().invoke(kvctl, arguments, env=environment, prog_name="kvctl")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    yield run
    loop.call_soon_threadsafe(leave.set)
    thread.join()


def cells(result: Result) -> list[list[str]]:
    """The rows of a table, without its head."""
    assert result.exit_code == 0, result.stderr
    return [line.split() for line in result.stdout.splitlines()[1:]]


def etag(result: Result) -> str:
    """What a change prints: the revision of the change."""
    word, etag = result.stdout.split()
    assert (word, int(etag) > 0) == ("etag", True)
    return etag


def test_a_contact_from_its_creation_to_its_end(run: Run) -> None:
    run("contact", "set", "ada", "bob", "--name", "Bob", "--favorite")
    until = "2030-01-31T12:00:00Z"
    muted = etag(run("contact", "set", "ada", "bob", "--mute-until", until, "--data", "x"))

    row = ["bob", "Bob", "yes", "2030-01-31T12:00:00+00:00", "x", muted]
    assert cells(run("contact", "get", "ada", "bob")) == [row]
    changed = etag(run("contact", "set", "ada", "bob", "--unmute", "--no-favorite", "--etag", muted))
    assert cells(run("contact", "list", "ada")) == [["bob", "Bob", "x", changed]]
    assert run("contact", "rm", "ada", "bob").stdout == "deleted\n"
    assert run("contact", "rm", "ada", "bob").stdout == "there was none\n"
    assert run("contact", "get", "ada", "bob").exit_code == 1


def test_contacts_as_json(run: Run) -> None:
    until = "2030-01-31T13:00:00+01:00"
    arguments = ("--name", "Bob", "--data", "x", "--mute-until", until, "-o", "json")
    created = json.loads(run("contact", "set", "ada", "bob", *arguments).stdout)
    revision = created["header"]["revision"]
    contact = {
        "contact_id": "bob",
        "display_name": "Bob",
        "favorite": False,
        "mute_until": "2030-01-31T12:00:00+00:00",
        "data": "x",
        "data_b64": "eA==",
        "etag": str(revision),
        "mod_revision": revision,
    }
    assert created["contact"] == contact
    assert json.loads(run("contact", "get", "ada", "bob", "-o", "json").stdout)["contact"] == contact
    assert json.loads(run("contact", "list", "ada", "-o", "json").stdout) == contact
    assert json.loads(run("contact", "rm", "ada", "bob", "-o", "json").stdout)["deleted"]


def test_a_copy_is_brought_up_to_date(run: Run) -> None:
    first = etag(run("contact", "set", "ada", "bob", "--name", "Bob"))
    second = etag(run("contact", "set", "ada", "cyd", "--name", "Cyd"))
    run("contact", "rm", "ada", "bob")

    since = json.loads(run("contact", "sync", "ada", "-o", "json").stdout)
    assert (since["deleted"], since["revision"]) == (["bob"], since["header"]["revision"])
    assert [each["contact_id"] for each in since["changed"]] == ["cyd"]
    changes = run("contact", "sync", "ada", "--since", first).stdout.splitlines()
    assert [line.split() for line in changes[1:]] == [
        ["changed", "cyd", "Cyd", second],
        ["deleted", "bob"],
        ["revision", str(since["revision"])],
    ]


def test_blocks(run: Run) -> None:
    assert run("contact", "block", "ada", "eve").stdout == "blocked\n"
    assert json.loads(run("contact", "block", "ada", "mal", "--groups", "-o", "json").stdout).keys() == {
        "header"
    }

    time = "2030-03-17T17:46:40+00:00"
    assert cells(run("contact", "blocked", "ada")) == [
        ["eve", "direct", time],
        ["mal", "direct-and-groups", time],
    ]
    assert run("contact", "unblock", "ada", "mal").stdout == "unblocked\n"
    assert run("contact", "unblock", "ada", "mal").stdout == "there was no block\n"
    assert not json.loads(run("contact", "unblock", "ada", "mal", "-o", "json").stdout)["unblocked"]
    assert json.loads(run("contact", "blocked", "ada", "-o", "json").stdout) == {
        "user_id": "eve",
        "scope": "direct",
        "block_time": time,
    }


def test_a_group_from_its_creation_to_its_end(run: Run) -> None:
    assert run("group", "create", "g", "ada", "bob", "--title", "Title").stdout == "2 members\n"
    changed = etag(run("group", "set", "g", "--title", "New", "--as", "ada"))
    assert run("group", "add", "g", "bob", "cyd").stdout == "added 1\n"
    assert run("group", "role", "g", "bob", "admin", "--as", "ada").stdout == "admin\n"

    shown = run("group", "show", "g").stdout.splitlines()
    assert shown[0].split() == ["title", "New"]
    members = [line.split() for line in shown[5:]]
    assert [member[:2] for member in members] == [["ada", "owner"], ["bob", "admin"], ["cyd", "member"]]
    created, added = int(members[0][2]), int(members[2][2])
    assert int(members[1][2]) == created < int(changed) < added
    assert cells(run("group", "list", "cyd")) == [["g", "member", str(added)]]
    assert run("group", "rm", "g", "cyd", "--as", "bob").stdout == "removed 1\n"
    assert run("group", "delete", "g", "--as", "ada").stdout == "deleted\n"
    assert run("group", "delete", "g").stdout == "there was none\n"


def test_groups_as_json(run: Run) -> None:
    created = json.loads(run("group", "create", "g", "ada", "--data", "x", "-o", "json").stdout)
    revision = created["header"]["revision"]
    group = {
        "group_id": "g",
        "title": "",
        "data": "x",
        "data_b64": "eA==",
        "member_count": 1,
        "create_time": "2030-03-17T17:46:40+00:00",
        "etag": str(revision),
        "mod_revision": revision,
    }
    assert created["group"] == group
    shown = json.loads(run("group", "show", "g", "-o", "json").stdout)
    assert shown["group"] == group
    assert shown["members"] == [{"user_id": "ada", "role": "owner", "join_revision": revision}]
    assert json.loads(run("group", "list", "ada", "-o", "json").stdout) == {
        "group_id": "g",
        "role": "owner",
        "join_revision": revision,
    }
    assert json.loads(run("group", "add", "g", "bob", "-o", "json").stdout)["added"] == 1
    assert json.loads(run("group", "set", "g", "--data", "y", "-o", "json").stdout)["group"]["data"] == "y"
    assert json.loads(run("group", "role", "g", "bob", "owner", "-o", "json").stdout).keys() == {"header"}
    assert json.loads(run("group", "rm", "g", "bob", "-o", "json").stdout)["removed"] == 1
    assert json.loads(run("group", "delete", "g", "-o", "json").stdout)["deleted"]


def test_what_fails_has_its_exit_code(run: Run) -> None:
    run("group", "create", "g", "ada", "bob")

    for arguments, code, reason in (
        (("contact", "list", "eve"), 1, "USER_NOT_FOUND"),
        (("contact", "set", "ada", "bob", "--name", "x", "--etag", "9"), 1, "ETAG_MISMATCH"),
        (("contact", "set", "ada", "bob"), 2, "nothing is to be set"),
        (("contact", "set", "ada", "bob", "--mute-until", "tomorrow"), 2, "is no time"),
        (("contact", "set", "ada", "bob", "--mute-until", "2030-01-31T12:00:00"), 2, "has no time zone"),
        (
            ("contact", "set", "ada", "bob", "--mute-until", "2030-01-31T12:00:00Z", "--unmute"),
            2,
            "exclude each other",
        ),
        (("contact", "block", "ada", "ada"), 2, "INVALID_ARGUMENT"),
        (("contact", "sync", "ada", "--since", "99"), 1, "RESYNC_REQUIRED"),
        (("group", "create", "g", "ada"), 1, "GROUP_EXISTS"),
        (("group", "show", "h"), 1, "GROUP_NOT_FOUND"),
        (("group", "set", "g"), 2, "nothing is to be set"),
        (("group", "rm", "g", "ada"), 1, "LAST_OWNER"),
        (("group", "delete", "g", "--as", "bob"), 9, "NOT_ADMIN"),
        (("group", "add", "g", "cyd", "--as", "cyd"), 9, "NOT_MEMBER"),
    ):
        result = run(*arguments)
        assert (result.exit_code, reason in result.stderr) == (code, True), arguments
