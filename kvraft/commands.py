"""The commands of `kvraft`: run a node, a cluster on this machine, or the demonstration."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from google.protobuf.internal import api_implementation

from kvraft import exit_codes, log_output, signals
from kvraft.config import KEYS, ConfigError, ServerConfig, flag, load_config, read_directory
from kvraft.descriptors import TooFewDescriptorsError
from kvraft.logs import configure_logs
from kvraft.version import __version__

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

SERVE_HELP = """Runs one node until SIGTERM or Ctrl-C.

A node needs an id, the name of its cluster, a data directory of its own, and the list of all
members: at which address each serves clients, and at which the other members.

\b
Three nodes on this machine, each in a terminal of its own:
  kvraft serve --node-id 1 --data-dir data/1 --config cluster.toml
  kvraft serve --node-id 2 --data-dir data/2 --config cluster.toml
  kvraft serve --node-id 3 --data-dir data/3 --config cluster.toml

\b
with this cluster.toml:
  cluster_name = "chat"
  members = [
    { id = 1, client_address = "127.0.0.1:7001", peer_address = "127.0.0.1:7002" },
    { id = 2, client_address = "127.0.0.1:7003", peer_address = "127.0.0.1:7004" },
    { id = 3, client_address = "127.0.0.1:7005", peer_address = "127.0.0.1:7006" },
  ]

\b
or without a file, the same --member flags for every node:
  kvraft serve --node-id 1 --cluster-name chat --data-dir data/1 \\
    --member 1=127.0.0.1:7001,127.0.0.1:7002 \\
    --member 2=127.0.0.1:7003,127.0.0.1:7004 \\
    --member 3=127.0.0.1:7005,127.0.0.1:7006

Every flag can be a key of the file (--node-id is node_id) or a variable (KVRAFT_NODE_ID). Flags
win over variables, variables over the file.

\b
Exit codes:
"""
SERVE_HELP += "".join(f"  {code}  {meaning}\n" for code, meaning in exit_codes.MEANINGS.items())

_FLAG_HELP = {
    "node_id": "Which member this node is.",
    "cluster_name": "The name of the cluster, the same on every node.",
    "data_dir": "Where this node keeps its log and state.",
    "client_address": "Listen here for clients; default: the address in the list of members.",
    "peer_address": "Listen here for the other members; default: the address in the list of members.",
    "election_timeout_ms": "A new leader is sought after this long without one.",
    "heartbeat_interval_ms": "How often a leader is heard of.",
    "flush_interval_ms": "How often the state is written to its files.",
    "segment_bytes": "Size of a file of the log.",
    "erasure_delay_ms": "How long after a user is erased the files are made anew.",
    "log_retained_bytes": "Log kept for members that were away.",
    "client_connections_max": "Connections that clients may have at a time.",
    "disk_reserve_bytes": "With less free disk, writes that grow the state are refused.",
    "memory_bytes_max": "Applied writes held in memory until they are flushed.",
    "history_revisions_max": "Revisions whose changes are kept for watches.",
    "history_bytes_max": "Disk that these changes may take.",
    "history_age_ms_max": "How long these changes are kept.",
    "log_level": "How much is logged to stderr.",
    "log_format": "For people or for machines.",
}


def _config_flags(command: CommandT) -> CommandT:
    """A flag for each key, as text: `kvraft.config` reads and checks them all."""
    defaults = {field.name: field.default for field in fields(ServerConfig) if field.default is not MISSING}
    for key, text in reversed(_FLAG_HELP.items()):
        default = defaults.get(key)
        command = click.option(
            flag(key),
            key,
            metavar=KEYS[key].metavar,
            help=text if default is None else f"{text} [default: {default}]",
        )(command)
    command = click.option("--insecure", is_flag=True, help="Allow plaintext beyond this machine.")(command)
    return click.option(
        flag("members"),
        "members",
        multiple=True,
        metavar="ID=CLIENT,PEER",
        help="A member and its two addresses; once for each member.",
    )(command)


class _Directory(click.ParamType[Path]):
    """The path of a directory that may be missing, as `kvraft serve` takes it."""

    name = "directory"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        try:
            path = read_directory(value)
        except ValueError as error:
            self.fail(str(error) or "it is empty", param, ctx)
        try:
            is_other = path.exists() and not path.is_dir()
        except OSError as error:
            self.fail(f"{path} cannot be used: {error.strerror}", param, ctx)
        if is_other:
            self.fail(f"{path} is not a directory", param, ctx)
        return path


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """kvraft: a replicated store for messaging back ends."""


@main.command(help=SERVE_HELP)
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    envvar="KVRAFT_CONFIG",
    help="TOML file with any of the keys below (KVRAFT_CONFIG).",
)
@click.option(
    "--stop-at-eof",
    is_flag=True,
    help="Stop when stdin ends: the node does not outlive the process that holds the other end of the pipe.",
)
@_config_flags
def serve(
    file: Path | None, members: tuple[str, ...], insecure: bool, stop_at_eof: bool, **flags: str | None
) -> None:
    _check_python()
    if stop_at_eof:
        signals.stop_at_eof()
    texts = {key: text for key, text in flags.items() if text is not None}
    if members:
        texts["members"] = " ".join(members)
    if insecure:
        texts["insecure"] = "true"
    try:
        config = load_config(file=file, environment=os.environ, flags=texts)
    except ConfigError as error:
        _refuse(str(error))
    configure_logs(
        level=config.log_level, log_format=config.log_format, node=config.node_id, cluster=config.cluster_name
    )
    # gRPC's core writes lines of its own to stderr, between ours, and waits until they are taken; what they
    # say comes as exceptions too.
    os.environ["GRPC_VERBOSITY"] = "NONE"
    os.environ.pop("GRPC_TRACE", None)
    import uvloop

    from kvraft import server

    try:
        code = uvloop.run(server.run(config))
    except TooFewDescriptorsError as error:
        _refuse(str(error))
    sys.exit(code)


@main.command()
@click.option("--nodes", type=click.IntRange(1, 9), default=3, show_default=True, help="How many nodes.")
@click.option(
    "--data-dir",
    type=_Directory(),
    required=True,
    help="Where the nodes keep their data; kept when they stop.",
)
@click.option(
    "--base-port",
    type=click.IntRange(1, 65_000),
    default=7001,
    show_default=True,
    help="The first of two ports for each node: clients, then peers.",
)
def dev(nodes: int, data_dir: Path, base_port: int) -> None:
    """Runs a cluster on this machine until Ctrl-C, and keeps its data for the next time.

    Each node is a process of its own. Kill one and see what happens; start again to have it back.
    """
    _check_python()
    from kvraft import dev as cluster

    log_output.take_over("stdout")
    sys.exit(cluster.run(nodes=nodes, data_directory=data_dir, base_port=base_port))


@main.command()
@click.option(
    "--data-dir",
    type=_Directory(),
    help="An empty directory for the data of the three nodes; default: a temporary one.",
)
def demo(data_dir: Path | None) -> None:
    """Messages for people who are offline, blocked or in a group, a killed leader, and a count.

    Ends with exit code 0 only if nothing was lost, duplicated or out of order.
    """
    _check_python()
    from kvraft import demo as demonstration
    from kvraft.child_nodes import TemporaryDirectory

    log_output.take_over("stdout")
    if data_dir is None:
        with TemporaryDirectory("kvraft-demo-") as temporary:
            sys.exit(demonstration.main(temporary))
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        is_empty = not any(data_dir.iterdir())
    except OSError as error:
        _refuse(f"the directory {data_dir} cannot be used: {error}")
    if not is_empty:
        _refuse(f"--data-dir {data_dir} is not empty; the demonstration wants an empty directory")
    sys.exit(demonstration.main(data_dir))


@main.command()
def version() -> None:
    """Prints the version."""
    click.echo(__version__)


def run() -> int:
    """Runs the command line of this process; its exit code. Whatever went wrong is said in a sentence; what
    nobody expected, with its traceback."""
    log_output.take_over("stderr")
    try:
        main(prog_name="kvraft")
        code = exit_codes.OK
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else exit_codes.UNEXPECTED
    except OSError as error:
        click.echo(f"kvraft: {error}", err=True)
        code = exit_codes.UNEXPECTED
    except BaseException:  # noqa: BLE001 - the end of the process
        traceback.print_exc()
        click.echo("kvraft: an unexpected error, which is a bug: please report what is above", err=True)
        code = exit_codes.UNEXPECTED
    log_output.finish()
    return code


def _check_python() -> None:
    """Refuses an interpreter in which a node is not safe or not fast."""
    if not __debug__:
        _refuse(
            "Python runs with -O (or PYTHONOPTIMIZE), which removes the assertions that keep a node from "
            "acting on a broken state; start it without"
        )
    if api_implementation.Type() != "upb":
        _refuse(
            f"protobuf uses its slow {api_implementation.Type()} implementation; unset "
            "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION and install a binary wheel of protobuf"
        )


def _refuse(problem: str) -> NoReturn:
    click.echo(f"kvraft: {problem}", err=True)
    sys.exit(exit_codes.USAGE)
