"""kvctl lease, lock and elect, against the real services."""

from __future__ import annotations

import json
import signal
import sys

import pytest

from tests.cli.served import PATIENCE_S, Served


def test_a_lease_from_its_grant_to_its_end(served: Served) -> None:
    lease_id = served.run("lease", "grant", "5").stdout.strip()
    assert served.run("put", "b", "1", "--lease", lease_id).exit_code == 0
    assert served.run("put", "a", "1", "--lease", lease_id).exit_code == 0
    served.node.node.wall_ms += 1_500

    assert served.run("lease", "ttl", lease_id, "--keys").stdout == "3.5 s of 5 s\na\nb\n"
    assert served.run("lease", "keep-alive", lease_id, "--once").stdout == "lives for 5 s\n"
    assert served.run("lease", "list").stdout.splitlines()[1].split() == [lease_id, "5", "5", "1"]
    assert served.run("lease", "revoke", lease_id).stdout == "deleted 2\n"
    assert served.run("get", "a").exit_code == 1


def test_leases_as_json(served: Served) -> None:
    granted = json.loads(served.run("lease", "grant", "5", "--id", "7", "-o", "json").stdout)
    lease = {"lease_id": 7, "ttl_s": 5.0, "remaining_s": 5.0, "create_revision": 1}
    assert granted["lease"] == lease
    assert granted["header"]["revision"] == 1
    served.run("put", "k", "1", "--lease", "7")

    assert json.loads(served.run("get", "k", "-o", "json").stdout)["kv"]["lease_id"] == 7
    shown = json.loads(served.run("lease", "ttl", "7", "--keys", "-o", "json").stdout)
    assert (shown["lease"], shown["keys"], shown["more_keys"]) == (
        lease,
        [{"key": "k", "key_b64": "aw=="}],
        False,
    )
    assert json.loads(served.run("lease", "list", "-o", "json").stdout) == lease
    assert json.loads(served.run("lease", "keep-alive", "7", "--once", "-o", "json").stdout)["ttl_s"] == 5.0
    assert json.loads(served.run("lease", "revoke", "7", "-o", "json").stdout)["deleted"] == 1


def test_what_fails_has_its_exit_code(served: Served) -> None:
    served.run("lease", "grant", "5", "--id", "7")

    for arguments, code, reason in (
        (("lease", "revoke", "8"), 1, "LEASE_NOT_FOUND"),
        (("lease", "ttl", "8"), 1, "LEASE_NOT_FOUND"),
        (("lease", "keep-alive", "8"), 1, "LEASE_NOT_FOUND"),
        (("put", "k", "v", "--lease", "8"), 1, "LEASE_NOT_FOUND"),
        (("lease", "grant", "5", "--id", "7"), 1, "LEASE_EXISTS"),
        (("lease", "grant", "0.5"), 2, "INVALID_ARGUMENT"),
    ):
        result = served.run(*arguments, "-o", "json")
        error = json.loads(result.stderr)["error"]
        assert (result.exit_code, error["reason"], error["applied"]) == (code, reason, "no")


def test_keep_alive_goes_on_until_the_lease_ends(served: Served) -> None:
    served.run("lease", "grant", "1", "--id", "7")
    with served.process("lease", "keep-alive", "7") as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["lives for 1 s\n"] * 2
        served.expire(7)
        assert process.wait(PATIENCE_S) == 1


# --- locks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 42])
def test_a_command_runs_under_the_lock_and_its_exit_code_is_passed_on(served: Served, code: int) -> None:
    script = f"import os, sys; print(os.environ['KVRAFT_FENCING_TOKEN']); sys.exit({code})"
    with served.process("lock", "name", "--", sys.executable, "-c", script) as process:
        stdout, stderr = process.communicate(timeout=PATIENCE_S)

    assert (process.returncode, int(stdout) > 0, stderr) == (code, True, "")
    with served.client() as client:
        assert client.lease.list().leases == ()


def test_a_command_that_a_signal_ended(served: Served) -> None:
    with served.process("lock", "name", "sh", "-c", "kill -9 $$") as process:
        assert process.wait(PATIENCE_S) == 128 + signal.SIGKILL


def test_a_command_that_does_not_exist(served: Served) -> None:
    with served.process("lock", "name", "/no/such/command") as process:
        _, stderr = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert "/no/such/command" in stderr


def test_the_command_is_killed_when_the_lock_is_lost(served: Served) -> None:
    with served.process("lock", "--ttl", "1", "name", "sh", "-c", "echo begun; exec sleep 60") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        with served.client() as client:
            (lease,) = client.lease.list().leases
        served.expire(lease.lease_id)

        _, stderr = process.communicate(timeout=PATIENCE_S)  # both ends of the pipe: sleep is gone
    assert process.returncode == 8
    assert "LEASE_LOST" in stderr or "was not renewed in time" in stderr


def test_the_command_is_ended_with_kvctl(served: Served) -> None:
    script = "trap 'echo ended; exit 3' TERM; echo begun; while :; do sleep 0.05; done"
    with served.process("lock", "name", "sh", "-c", script) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.terminate()
        stdout, _ = process.communicate(timeout=PATIENCE_S)

    assert (process.returncode, stdout) == (3, "ended\n")
    with served.client() as client:
        assert client.lease.list().leases == ()


# --- elections ------------------------------------------------------------------------------------


def test_a_leader_leads_until_it_is_interrupted(served: Served) -> None:
    with served.process("elect", "name", "host-3") as leading:
        assert leading.stdout is not None
        value, token = leading.stdout.readline().split()
        assert (value, int(token) > 0) == ("host-3", True)
        with served.process("elect", "name", "--listen") as listening:
            assert listening.stdout is not None
            assert listening.stdout.readline().split() == [value, token]
            leading.send_signal(signal.SIGINT)
            assert leading.wait(PATIENCE_S) == 130
            assert listening.stdout.readline() == "nobody leads\n"


def test_an_election_needs_a_value_or_a_listener(served: Served) -> None:
    assert served.run("elect", "name").exit_code == 2
    assert served.run("elect", "name", "value", "--listen").exit_code == 2
