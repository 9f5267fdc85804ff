"""kvctl as a shell runs it."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys

import pytest

from kvraft.version import __version__
from tests.fakes.kv_server import FakeNode, FakeServer, dead_endpoint

KVCTL = [sys.executable, "-m", "kvctl"]


def kvctl(server: FakeServer | None, *arguments: str, **options) -> subprocess.CompletedProcess[bytes]:
    endpoint = server.endpoint if server else dead_endpoint()
    return subprocess.run(
        [*KVCTL, *arguments],
        # As where the locale is not UTF-8.
        env={**os.environ, "KVRAFT_ENDPOINTS": endpoint, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        timeout=30,
        check=False,
        **options,
    )


def test_values_are_utf_8_whatever_the_locale(server: FakeServer) -> None:
    assert kvctl(server, "put", "k", input=b"\xc3\xbc").returncode == 0
    got = kvctl(server, "get", "k")
    assert (got.returncode, got.stdout, got.stderr) == (0, b"\xc3\xbc\n", b"")


def test_exit_code_and_a_silent_grpc() -> None:
    result = kvctl(None, "get", "k", "--timeout", "0.1")
    assert (result.returncode, result.stdout) == (3, b"")
    assert result.stderr.startswith(b"kvctl: Get at ")
    assert result.stderr.endswith(b"\nTried again for 0.1 s.\n")


def test_version() -> None:
    assert kvctl(None, "--version").stdout == f"kvctl {__version__}\n".encode()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script(shell: str) -> None:
    result = kvctl(None, "completion", shell)
    assert result.returncode == 0
    assert b"_KVCTL_COMPLETE" in result.stdout


def test_completion_completes() -> None:
    asked = {"_KVCTL_COMPLETE": "bash_complete", "COMP_WORDS": "kvctl st", "COMP_CWORD": "1"}
    result = subprocess.run(KVCTL, env={**os.environ, **asked}, capture_output=True, timeout=30, check=True)
    assert result.stdout == b"plain,status\n"


def test_help_does_not_wait_for_grpc_or_rich() -> None:
    look = "import sys, kvctl.__main__; print(sorted({'grpc', 'rich', 'google.protobuf'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", look], capture_output=True, timeout=30, check=True)
    assert result.stdout == b"[]\n"


def test_a_reader_that_leaves_is_met_quietly(server: FakeServer, node: FakeNode) -> None:
    for number in range(3000):
        node.put(b"%04d" % number, bytes(100))
    process = subprocess.Popen(
        [*KVCTL, "--endpoints", server.endpoint, "ls"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(30) == 141


def test_interrupted_it_leaves_quietly(server: FakeServer, node: FakeNode) -> None:
    node.hanging.add("Put")
    process = subprocess.Popen(
        [*KVCTL, "--endpoints", server.endpoint, "put", "k", "v"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert node.arrived.wait(30)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == (b"", b"")
    assert process.returncode == 130


CONTROL_STDIN = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
# Takes the terminal as its own, so that ^C typed there interrupts it, and becomes the command. In a
# process of its own, not between fork and exec: this one has gRPC's threads.


@pytest.mark.parametrize(("answer", "exit_code", "left"), [(b"y\n", 0, 0), (b"n\n", 2, 2), (b"\x03", 130, 2)])
def test_on_a_terminal_a_range_is_deleted_only_after_a_yes(
    server: FakeServer, node: FakeNode, answer: bytes, exit_code: int, left: int
) -> None:
    node.put(b"a/1", b"")
    node.put(b"a/2", b"")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            CONTROL_STDIN,
            *KVCTL,
            "--endpoints",
            server.endpoint,
            "del",
            "--prefix",
            "a/",
        ],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        assert process.stderr is not None
        assert process.stderr.read(len(b"Delete 2 keys? [y/N]: ")) == b"Delete 2 keys? [y/N]: "
        for _ in range(30):
            # Typed again if need be: a ^C just between the prompt and the read interrupts neither.
            os.write(ours, answer)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=1)
                break
        else:
            process.kill()
    os.close(ours)
    assert process.returncode == exit_code
    assert len(node.keys) == left
