"""Whatever is typed, kvctl answers with a documented exit code, and never with a traceback."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from kvctl.exit_codes import ExitCode
from kvctl.parameters import Seconds
from kvctl.root import kvctl
from kvctl.settings import global_options
from tests.cli.command_tree import Words, commands, named
from tests.fakes.kv_server import dead_endpoint

HOSTILE_TEXT = ["", "bj\udcf6rn", "e\x9b31mve\u202e", "\u200b", "x" * 100_000, "-"]
HOSTILE_NUMBERS = [
    "-1",
    "0",
    "99999999999999999999",
    "1" * 5000,
    "nan",
    "inf",
    "1e18",
    "0x10",
    "",
    "\udcf6",
    "\u0661",
]
HOSTILE_SECONDS = [*HOSTILE_NUMBERS, "-inf", "1e308", "1e-320", "1e999"]
ENDS = {"completion": "bash"}
"""What arguments of commands are, where a word would not do."""


def hostile(parameter: click.Parameter) -> list[str]:
    if isinstance(parameter.type, Seconds):
        return HOSTILE_SECONDS
    if isinstance(parameter.type, click.types.IntRange):
        return HOSTILE_NUMBERS
    return HOSTILE_TEXT


def harmless(parameter: click.Parameter, path: Words) -> list[str]:
    """A value that may be given."""
    if isinstance(parameter.type, click.types.IntRange | Seconds):
        value = "5"
    elif isinstance(parameter.type, click.Choice):
        value = str(parameter.type.choices[0])
    else:
        value = ENDS.get(path[0], "true")
    return [value] * max(1, parameter.nargs)


def is_flag(parameter: click.Parameter) -> bool:
    return isinstance(parameter, click.Option) and (parameter.is_flag or parameter.count)


def lines(path: Words, command: click.Command) -> Iterator[list[str]]:
    """Command lines in which one thing is hostile."""
    shared = {parameter.name for parameter in global_options(of_command=True)}
    own = [each for each in command.params if each.name not in shared]
    for odd in own:
        if is_flag(odd):
            continue
        for value in hostile(odd):
            options: list[str] = []
            arguments: list[str] = []
            for each in own:
                values = [value] * max(1, each.nargs) if each is odd else harmless(each, path)
                if isinstance(each, click.Argument):
                    arguments += values
                elif each is odd or each.required:
                    options += [each.opts[0], *values]
            yield [*path, *options, "--", *arguments]


def run(*arguments: str) -> Result:
    """Where nobody listens: everything is checked, and nothing waits."""
    environment = {"KVRAFT_ENDPOINTS": dead_endpoint()}
    return CliRunner().invoke(
        kvctl, ["--timeout", "0.001", *arguments], input=b"", env=environment, prog_name="kvctl"
    )


def check(result: Result, arguments: list[str]) -> None:
    shown = [argument[:50] for argument in arguments]
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise AssertionError(shown) from result.exception
    assert result.exit_code in set(ExitCode) - {ExitCode.INTERNAL}, (shown, result.stderr)
    assert "Traceback" not in result.stderr, shown
    assert all(char.isprintable() or char in "\n\t" for char in result.stdout + result.stderr), shown


@pytest.mark.slow
@pytest.mark.parametrize(("path", "command"), list(commands()), ids=[named(path) for path, _ in commands()])
def test_every_command(
    path: Words, command: click.Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in lines(path, command):
        check(run(*arguments), arguments)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *itertools.product(["--timeout", "--command-timeout"], HOSTILE_SECONDS),
        *itertools.product(
            ["--endpoints", "-o", "-w"],
            [*HOSTILE_TEXT, "[::1", "a:0", "a:99999", ",", "http://", "http://a:1/x"],
        ),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_global_options(option: str, value: str) -> None:
    for arguments in (
        [option, value, "get", "k"],
        ["get", "k", option, value],
        ["-o", "json", option, value, "get", "k"],
    ):
        check(run(*arguments), arguments)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["lease", "grant", "inf"], "'inf' is not a number of seconds"),
        (["lease", "grant", "1e300"], "not in range"),
        (["msg", "send", "ann", "bob", "x", "--ttl", "nan"], "'nan' is not a number of seconds"),
        (["msg", "send", "ann", "bob", "x", "--delay", "1e18"], "not in range"),
        (["--timeout", "inf", "get", "k"], "'inf' is not a number of seconds"),
        (["device", "add", "bj\udcf6rn", "phone"], "is not UTF-8 text"),
        (["msg", "pull", "bob", "phone", "--after", "99999999999999999999"], "is not in the range"),
    ],
)
def test_what_is_wrong_is_told_of_the_option(arguments: list[str], told: str) -> None:
    result = run(*arguments)
    assert result.exit_code == ExitCode.USAGE
    assert told in result.stderr
