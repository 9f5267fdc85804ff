"""What fingers type that know other tools: it works, or the right command is named."""

from __future__ import annotations

import shlex

import click
import pytest

from kvctl.aliases import ALIASES, HINTS, OPTION_HINTS
from kvctl.root import kvctl
from kvraft.version import __version__
from tests.cli.command_tree import commands, groups
from tests.cli.conftest import Run
from tests.cli.served import Served
from tests.fakes.kv_server import FakeNode


def test_an_alias_does_what_its_command_does(run: Run, node: FakeNode) -> None:
    assert run("set", "k", "v").stdout.startswith("revision ")
    assert node.keys[b"k"].value == b"v"
    assert run("list").stdout == "k\tv\n"
    assert run("rm", "k").stdout.startswith("deleted 1 key")
    assert run("version").stdout == f"kvctl {__version__}\n"
    assert run("help", "put").stdout == run("put", "--help").stdout
    assert run("member", "list").stdout == run("status").stdout
    assert run("get", "k", "-w", "json").exit_code == 1


def test_groups_go_by_either_name(served: Served) -> None:
    assert served.run("device", "create", "ann", "phone").stdout == "registered\n"
    assert served.run("device", "ls", "ann").stdout == served.run("device", "list", "ann").stdout
    assert served.run("lease", "ls").exit_code == 0
    assert served.run("help", "device", "ls").stdout == served.run("device", "list", "--help").stdout


def test_etcd_s_order_of_a_prefix_is_understood(run: Run, node: FakeNode) -> None:
    for arguments in (["a/", "--prefix"], ["--prefix", "a/"], ["--prefix", "--yes", "a/"]):
        node.put(b"a/1", b"")
        assert run("del", *arguments).stdout.startswith("deleted 1 keys")


@pytest.mark.parametrize("words", HINTS, ids=" ".join)
def test_a_hint_names_the_command(run: Run, words: tuple[str, ...]) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert f"Use: {HINTS[words]}" in result.stderr


@pytest.mark.parametrize(("command", "option"), OPTION_HINTS)
def test_an_option_of_another_tool_is_told_apart(run: Run, command: str, option: str) -> None:
    result = run(command, option, "k")
    assert result.exit_code == 2
    assert f"Use: {OPTION_HINTS[command, option]}" in result.stderr


def test_the_table_names_commands_that_exist_and_hides_none() -> None:
    every = {path for path, _ in commands()}
    grouped = {path for path, _ in groups()}
    for alias, meant in ALIASES.items():
        assert meant in every
        assert alias not in every
    for text in [*HINTS.values(), *OPTION_HINTS.values()]:
        if not text.startswith("nothing:"):
            words = shlex.split(text.replace(",", " ").replace("(", " ").replace("$", " "))
            assert words[0] == "kvctl"
            assert (words[1],) in every | grouped, text
    assert not {words for words in HINTS if words in every}


def test_what_nobody_knows_is_an_error_of_usage(run: Run) -> None:
    assert "No such command 'frobnicate'" in run("frobnicate").stderr
    assert "No such command 'frobnicate'" in run("help", "frobnicate").stderr
    assert isinstance(kvctl, click.Group)


@pytest.mark.parametrize(
    ("endpoints", "told"), [("http://{}", ""), ("http://{}/", ""), ("https://{}", "speaks no TLS")]
)
def test_endpoints_may_be_urls_of_http(run: Run, node: FakeNode, endpoints: str, told: str) -> None:
    node.put(b"k", b"v")
    at = run("status", "-o", "json").stdout.split('"endpoint": "')[1].split('"')[0]
    result = run("--endpoints", endpoints.format(at), "get", "k")
    assert result.exit_code == (2 if told else 0)
    assert told in result.stderr
