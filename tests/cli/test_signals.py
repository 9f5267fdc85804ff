"""SIGTERM and SIGHUP end kvctl as Ctrl-C does: nothing that is held outlives it."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from kvctl import signals
from kvraft.client import SyncClient
from tests.cli.served import Served

ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
CHILD = """
import signal, sys
def told(signum, frame):
    sys.exit(40 + signum)
for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(signum, told)
print("ready", flush=True)
signal.pause()
"""


def test_handlers_are_as_they_were_afterwards() -> None:
    before = [signal.getsignal(signum) for signum in ENDING]
    with signals.raised():
        assert [signal.getsignal(signum) for signum in ENDING] != before
        signals.run(asyncio.sleep(0))
    assert [signal.getsignal(signum) for signum in ENDING] == before
    signals.run(asyncio.sleep(0))
    assert [signal.getsignal(signum) for signum in ENDING] == before


def leases(client: SyncClient) -> int:
    return len(client.lease.list().leases)


@pytest.mark.parametrize("signum", ENDING)
def test_a_leader_resigns(served: Served, signum: int) -> None:
    with served.client() as client, served.process("elect", "night", "host-1", "--ttl", "600") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("host-1\t")
        process.send_signal(signum)
        assert process.communicate(timeout=30) == ("", "")
        assert process.returncode == 128 + signum
        assert leases(client) == 0


@pytest.mark.parametrize("signum", ENDING)
def test_whoever_waits_leaves_the_queue(served: Served, signum: int) -> None:
    with served.client() as client:
        other = client.lease.grant(600).lease_id
        client.kv.put(b"kvraft/lock/night\0%016x" % other, b"", lease_id=other)
        before = leases(client)
        with served.process("lock", "--ttl", "600", "night", "--", "true") as process:
            while leases(client) == before and process.poll() is None:
                pass
            process.send_signal(signum)
            assert process.communicate(timeout=30) == ("", "")
            assert process.returncode == 128 + signum
        assert leases(client) == before


@pytest.mark.parametrize("signum", ENDING)
def test_a_command_under_a_lock_gets_the_signal(served: Served, signum: int) -> None:
    with (
        served.client() as client,
        served.process("lock", "--ttl", "600", "night", "--", sys.executable, "-c", CHILD) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signum)
        assert process.wait(30) == 40 + signum
        assert leases(client) == 0


@pytest.mark.parametrize("signum", ENDING)
def test_a_command_of_a_watch_gets_the_signal(served: Served, signum: int, tmp_path: Path) -> None:
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    with served.client() as client:
        written = client.kv.put(b"k", b"v").header.revision
        arguments = ["watch", "k", "--start-revision", str(written), "--exec", f"{sys.executable} {script}"]
        with served.process(*arguments) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signum)
            assert process.communicate(timeout=30) == ("", "")
            assert process.returncode == 40 + signum


@pytest.mark.parametrize("signum", ENDING)
@pytest.mark.parametrize("kind", ["watch", "session watch"])
def test_a_watch_ends_quietly(served: Served, kind: str, signum: int) -> None:
    with served.client() as client:
        client.sessions.register_device("ann", "phone")
        lease_id = client.lease.grant(600).lease_id
        seen = client.sessions.open("ann", "phone", lease_id).header.revision
        written = client.kv.put(b"k", b"v").header.revision
        arguments = {
            "watch": ["watch", "k", "--start-revision", str(written)],
            "session watch": ["session", "watch", "ann", "--from-revision", str(seen)],
        }
        with served.process(*arguments[kind]) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.send_signal(signum)
            assert process.communicate(timeout=30) == ("", "")
            assert process.returncode == 128 + signum
