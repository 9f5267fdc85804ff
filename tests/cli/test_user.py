"""kvctl user and check, against the real services."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from kvctl.root import kvctl
from kvraft.machine.users import keys
from kvraft.node.erasures import ErasureProgress
from tests.cli.served import Served, serving

CLEAN = ErasureProgress(applied=True, log_clean=True, state_clean=True, clean_ms=1_900_000_000_000)
DIRTY = ErasureProgress(applied=True, log_clean=True, state_clean=False, clean_ms=None)


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as served:
        served.node.node.wall_ms = 1_900_000_000_000
        with served.client() as client:
            client.sessions.register_device("alice", "phone")
        yield served


def test_an_export_to_the_screen_and_to_a_private_file(served: Served, tmp_path: Path) -> None:
    shown = served.run("user", "export", "alice").stdout.splitlines()
    assert [json.loads(line)["kind"] for line in shown] == ["user", "device", "end"]

    file = tmp_path / "alice.jsonl"
    result = served.run("user", "export", "alice", "-f", str(file), "--note", "request 17")
    assert (result.exit_code, result.stderr) == (0, "3 lines\n")
    assert file.read_text().splitlines()[:2] == shown[:2]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]
    assert served.run("user", "export", "nobody", "-f", str(tmp_path / "nobody")).exit_code == 1
    assert list(tmp_path.iterdir()) == [file]


def test_an_erasure_asks_before(served: Served) -> None:
    result = CliRunner().invoke(kvctl, ("user", "erase", "alice"), input="n\n", env=served.environment)
    assert result.exit_code == 2
    assert served.run("device", "list", "alice").exit_code == 0
    result = served.run("user", "erase", "alice", "--yes")
    assert result.exit_code == 0
    assert re.fullmatch(r"erased 1 rows; erasure [1-9][0-9]*\n", result.stdout)
    again = served.run("user", "erase", "alice", "--yes", "--wait")
    assert (again.exit_code, again.stdout) == (0, "there is no such user; nothing was changed\n")


def test_an_erasure_is_followed_until_all_nodes_are_clean(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = served.node.node
    progress = iter([DIRTY, CLEAN])
    monkeypatch.setattr("kvctl.commands.user.POLL_S", 0.01)
    node.replica.upkeep.erasure = lambda _: next(progress)
    result = served.run("user", "erase", "alice", "--yes", "--wait")
    assert result.exit_code == 0
    endpoint = served.node.endpoints
    assert result.stderr.splitlines() == [
        f"0 of 1 nodes are clean; waiting for {endpoint}",
        "1 of 1 nodes are clean",
    ]


def test_how_far_an_erasure_is(served: Served) -> None:
    served.node.node.erasures = {5: DIRTY}
    result = served.run("user", "erasure", "5")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[1].split() == [served.node.endpoints, "yes", "clean", "not", "yet", "-"]
    served.node.node.erasures[5] = CLEAN
    (shown,) = json.loads(served.run("user", "erasure", "5", "-o", "json").stdout)
    assert shown["clean_time"] == "2030-03-17T17:46:40+00:00"


def test_what_was_done_is_listed(served: Served) -> None:
    served.run("user", "export", "alice", "--note", "request 17")
    served.run("user", "erase", "alice", "--yes", "--note", "request 18")
    lines = served.run("user", "audit").stdout.splitlines()
    assert [line.split()[2] for line in lines[1:]] == ["erase-user", "export-user"]
    assert lines[1].endswith("request 18")
    (entry,) = map(json.loads, served.run("user", "audit", "--limit", "1", "-o", "json").stdout.splitlines())
    assert entry["note"] == "request 18"
    assert len(served.run("user", "audit", "--user", "alice").stdout.splitlines()) == 3
    assert len(served.run("user", "audit", "--user", "bob").stdout.splitlines()) == 1


def test_a_check_says_what_is_wrong_and_fails(served: Served) -> None:
    sound = served.run("check")
    assert sound.exit_code == 0
    assert sound.stdout.endswith("nothing wrong\n")
    served.node.node.state.rows[keys.due_key(1, "nobody", "phone")] = b""
    broken = served.run("check")
    assert broken.exit_code == 1
    assert broken.stdout.startswith("MISPLACED_INDEX  user nobody, device phone: ")
    assert json.loads(served.run("check", "-o", "json").stdout)["law"] == "MISPLACED_INDEX"
