"""`kvraft dev`: a cluster of child processes on this machine, and a line for whatever happens to them.

The nodes are ordinary `kvraft serve` processes; nothing here is needed for them to work. A node that
dies stays dead, so that one can see the others go on without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from kvraft import exit_codes
from kvraft.client import Client, KvraftError, Role
from kvraft.config import parse_address
from kvraft.members import MemberAddresses, loopback_members, serve_command

STOP_TIMEOUT_S = 15.0
"""After SIGTERM; then SIGKILL."""
POLL_INTERVAL_S = 0.2
"""How often the nodes are asked who leads."""


@dataclass(slots=True)
class _Node:
    """A child process."""

    node_id: int
    client_address: str
    log_path: Path
    process: asyncio.subprocess.Process
    answered: bool = False

    def say(self, event: str) -> None:
        click.echo(f"node{self.node_id}: {event}")


def run(*, nodes: int, data_directory: Path, base_port: int) -> int:
    """Runs the cluster until a signal; the exit code."""
    members = loopback_members(nodes, base_port)
    for node_id, member in members.items():
        for address in (member.client_address, member.peer_address):
            if _is_taken(address):
                click.echo(
                    f"kvraft: {address}, which node{node_id} needs, is taken by another process; "
                    "stop that, or choose other ports with --base-port",
                    err=True,
                )
                return exit_codes.ADDRESS_IN_USE
    data_directory.mkdir(parents=True, exist_ok=True)
    return asyncio.run(_run(members, data_directory))


async def _run(members: Mapping[int, MemberAddresses], data_directory: Path) -> int:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    nodes: list[_Node] = []
    try:
        for node_id, member in members.items():
            log_path = data_directory / f"node{node_id}.log"
            command = serve_command(
                node_id=node_id,
                cluster_name="dev",
                data_directory=data_directory / f"node{node_id}",
                members=members,
            )
            # A session of its own: Ctrl-C in the terminal is for this process, which then stops them.
            with log_path.open("ab") as log:
                process = await asyncio.create_subprocess_exec(
                    *command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
            nodes.append(_Node(node_id, member.client_address, log_path, process))
        endpoints = ",".join(member.client_address for member in members.values())
        click.echo(f"export KVRAFT_ENDPOINTS={endpoints}")
        return await _watch(nodes, endpoints, stopping)
    finally:
        for node in nodes:
            _kill(node)


async def _watch(nodes: list[_Node], endpoints: str, stopping: asyncio.Event) -> int:
    """Tells what happens, until a signal or until no node is left."""
    ends = [asyncio.create_task(_tell_end(node)) for node in nodes]
    all_gone = asyncio.gather(*ends)
    stop = asyncio.create_task(stopping.wait())
    observer = asyncio.create_task(_tell_elections(nodes, endpoints))
    await asyncio.wait((all_gone, stop, observer), return_when=asyncio.FIRST_COMPLETED)
    if observer.done():
        observer.result()
    observer.cancel()
    if not stop.done():
        stop.cancel()
        click.echo("kvraft: no node is left", err=True)
        return exit_codes.UNEXPECTED
    for node in nodes:
        if node.process.returncode is None:
            node.process.terminate()
    await asyncio.wait(ends, timeout=STOP_TIMEOUT_S)
    for node in nodes:
        if _kill(node):
            node.say(f"did not stop within {STOP_TIMEOUT_S:.0f} s, and was killed")
    await all_gone
    return exit_codes.OK


async def _tell_end(node: _Node) -> None:
    code = await node.process.wait()
    if code in (exit_codes.OK, -signal.SIGTERM):  # the latter if it had not yet begun to serve
        node.say("stopped")
    elif code < 0:
        node.say(f"died ({signal.Signals(-code).name}); its log is {node.log_path}")
    else:
        meaning = exit_codes.MEANINGS.get(code, "not one of kvraft's")
        node.say(f"died (exit code {code}, {meaning}); its log is {node.log_path}")


async def _tell_elections(nodes: list[_Node], endpoints: str) -> None:
    """Asks the nodes, again and again, and tells who answers for the first time and who leads anew."""
    led_term = 0
    async with Client(endpoints, timeout_s=2) as client:
        while True:
            for node in nodes:
                if node.process.returncode is not None:
                    continue
                try:
                    status = await client.cluster.status(node.client_address)
                except KvraftError:
                    continue  # not up yet, or about to end; the process itself tells which
                if not node.answered:
                    node.answered = True
                    node.say(f"started, serves clients at {node.client_address}, logs to {node.log_path}")
                if status.role is Role.LEADER and status.header.term > led_term:
                    led_term = status.header.term
                    node.say(f"elected leader in term {led_term}")
            await asyncio.sleep(POLL_INTERVAL_S)


def _is_taken(address: str) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(parse_address(address))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return True
    return False


def _kill(node: _Node) -> bool:
    """Whether there was still something to kill."""
    if node.process.returncode is not None:
        return False
    with contextlib.suppress(ProcessLookupError):
        node.process.kill()
    return True
