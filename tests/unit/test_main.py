"""The `kvraft` command before anything is started: usage, refusals, the environment it needs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kvraft import exit_codes
from kvraft.commands import main
from kvraft.config import KEYS, flag
from kvraft.members import free_ports
from kvraft.storage.interfaces import Identity
from kvraft.storage.log import SegmentedLog
from kvraft.version import __version__

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


def invoke(*words: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, words, env=env)


def test_version() -> None:
    assert invoke("version").output == f"{__version__}\n"


def test_help_names_every_key_and_exit_code() -> None:
    text = invoke("serve", "--help").output
    assert all(flag(key) in text for key in KEYS)
    assert all(f"{code}  {meaning}" in text for code, meaning in exit_codes.MEANINGS.items())


def test_the_documentation_names_every_exit_code() -> None:
    table = OPERATIONS.read_text()
    assert all(f"| {code} | {meaning} |" in table for code, meaning in exit_codes.MEANINGS.items())


def test_the_example_of_the_help_is_right(tmp_path: Path) -> None:
    """The file of the help is taken as far as the key that the example gives as a flag."""
    text = invoke("serve", "--help").output
    lines = text.split("with this cluster.toml:\n")[1].split("\n\n")[0]
    file = tmp_path / "cluster.toml"
    file.write_text(lines)
    result = invoke("serve", "--config", str(file), "--node-id", "4", "--data-dir", str(tmp_path))
    assert result.stderr == "kvraft: --node-id is 4, which is not a member; the members are 1, 2, 3\n"


@pytest.mark.parametrize(
    ("words", "env", "problem"),
    [
        ([], {}, "kvraft: node_id is not set"),
        (["--node-id", "x"], {}, "kvraft: --node-id is 'x'"),
        ([], {"KVRAFT_NODE_ID": "x"}, "kvraft: environment variable KVRAFT_NODE_ID is 'x'"),
        (["--member", "1", "--member", "2"], {}, "kvraft: --member is '1 2'"),
        (["--config", "/no/such/file"], {}, "kvraft: /no/such/file: cannot be read"),
        ([], {"KVRAFT_CONFIG": "/no/such/file"}, "kvraft: /no/such/file: cannot be read"),
        (["--no-such-flag"], {}, "Usage:"),
    ],
)
def test_a_wrong_configuration_is_refused(words: list[str], env: dict[str, str], problem: str) -> None:
    result = invoke("serve", *words, env=env)
    assert result.exit_code == exit_codes.USAGE
    assert result.stderr.startswith(problem)


def test_the_demonstration_wants_an_empty_directory(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    result = invoke("demo", "--data-dir", str(tmp_path))
    assert (result.exit_code, result.stdout) == (exit_codes.USAGE, "")
    assert "is not empty" in result.stderr


def test_dev_names_the_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = invoke("dev", "--data-dir", str(tmp_path / "data"), "--base-port", str(port - 1))
    assert result.exit_code == exit_codes.ADDRESS_IN_USE
    assert f"127.0.0.1:{port} cannot be listened at: Address already in use. node1 needs it" in result.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", ["serve", "dev", "demo"])
@pytest.mark.parametrize(
    "where",
    ["~nosuchuser/data", "{file}", "{file}/data", "/proc/data", "{file}" + "a" * 300, ""],
)
def test_a_data_directory_that_cannot_be_one_is_refused_in_a_sentence(
    command: str, where: str, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    flags = [f"--data-dir={where.format(file=file)}"]
    if command == "serve":
        client, peer = free_ports(2)
        flags += ["--node-id=1", "--cluster-name=c", f"--member=1=127.0.0.1:{client},127.0.0.1:{peer}"]
    ran = subprocess.run(
        [sys.executable, "-m", "kvraft", command, *flags], capture_output=True, text=True, check=False
    )
    assert ran.returncode in (exit_codes.USAGE, exit_codes.DATA_DIRECTORY_REFUSED), ran.stderr
    assert "Traceback" not in ran.stderr
    assert where.format(file=file).removesuffix("/data") in ran.stderr


def test_dev_refuses_a_directory_in_which_it_cannot_log(tmp_path: Path) -> None:
    (tmp_path / "node1.log").mkdir()
    (base_port, *_) = free_ports(1)
    result = invoke("dev", "--nodes=1", "--data-dir", str(tmp_path), "--base-port", str(base_port))
    assert result.exit_code == exit_codes.DATA_DIRECTORY_REFUSED
    assert f"the data directory {tmp_path} cannot be used" in result.stderr


def test_a_port_that_is_taken_leaves_no_data_directory(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        (free,) = free_ports(1)
        flags = ["--node-id=1", "--cluster-name=c", f"--member=1=127.0.0.1:{free},{taken}"]
        ran = subprocess.run(
            [sys.executable, "-m", "kvraft", "serve", f"--data-dir={tmp_path / 'data'}", *flags],
            capture_output=True,
            text=True,
            check=False,
        )
    assert ran.returncode == exit_codes.ADDRESS_IN_USE
    assert f"{taken} cannot be listened at: Address already in use" in ran.stderr
    assert not (tmp_path / "data").exists()


def test_dev_refuses_the_data_of_another_number_of_nodes(tmp_path: Path) -> None:
    identity = Identity(cluster_id=1, cluster_name="dev", node_id=1, initial_voters=(1, 2, 3))
    (tmp_path / "node1" / "log").mkdir(parents=True)
    SegmentedLog.create(tmp_path / "node1" / "log", identity, segment_bytes=65_536).close()
    (base_port, *_) = free_ports(1)
    result = invoke("dev", "--nodes", "5", "--data-dir", str(tmp_path), "--base-port", str(base_port))
    assert result.exit_code == exit_codes.DATA_DIRECTORY_REFUSED
    assert "holds a cluster of 3 nodes, and 5 were asked for" in result.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["node1"]


def run_python(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words, "-m", "kvraft", "serve"],
        capture_output=True,
        text=True,
        env=os.environ | env,
        check=False,
    )


def test_a_python_without_assertions_is_refused() -> None:
    result = run_python("-O")
    assert result.returncode == exit_codes.USAGE
    assert "Python runs with -O" in result.stderr


def test_a_slow_protobuf_is_refused() -> None:
    result = run_python(PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION="python")
    assert result.returncode == exit_codes.USAGE
    assert "protobuf uses its slow python implementation" in result.stderr
