"""`kvraft dev`: a cluster of child processes on this machine, and a line for whatever happens to them.

The nodes are ordinary `kvraft serve` processes; nothing here is needed for them to work. A node that
dies stays dead, so that one can see the others go on without it.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from kvraft import exit_codes, signals
from kvraft.addresses import AddressError, check_address
from kvraft.child_nodes import log_path, start_node
from kvraft.client import Client, KvraftError, Role
from kvraft.copyable import Copyable
from kvraft.members import MemberAddresses, loopback_members
from kvraft.storage.log import read_identity

STOP_TIMEOUT_S = 15.0
"""After SIGTERM; then SIGKILL."""
POLL_INTERVAL_S = 0.2
"""How often the nodes are looked at, and asked who leads."""


@dataclass(slots=True)
class _Node:
    """A child process."""

    node_id: int
    client_address: str
    log_path: Path
    process: subprocess.Popen[bytes]
    answered: bool = False

    def say(self, event: str) -> None:
        click.echo(f"node{self.node_id}: {event}")


def run(*, nodes: int, data_directory: Path, base_port: int) -> int:
    """Runs the cluster until a signal; the exit code."""
    members = loopback_members(nodes, base_port)
    try:
        _check_addresses(members)
        _check_data(data_directory, members)
        data_directory.mkdir(parents=True, exist_ok=True)
        for node_id in members:
            log_path(data_directory, node_id).open("ab").close()
    except _Refused as refusal:
        click.echo(f"kvraft: {refusal}", err=True)
        return refusal.exit_code
    except OSError as error:
        click.echo(f"kvraft: the data directory {data_directory} cannot be used: {error}", err=True)
        return exit_codes.DATA_DIRECTORY_REFUSED
    return asyncio.run(_run(members, data_directory))


class _Refused(Copyable):
    """The cluster is not started; the message says why."""

    def __init__(self, problem: str, exit_code: int) -> None:
        super().__init__(problem)
        self.exit_code = exit_code


def _check_addresses(members: Mapping[int, MemberAddresses]) -> None:
    for node_id, member in members.items():
        for address in (member.client_address, member.peer_address):
            try:
                check_address(address)
            except AddressError as error:
                raise _Refused(
                    f"{error}. node{node_id} needs it: stop what has it, or choose others with --base-port",
                    exit_codes.ADDRESS_IN_USE,
                ) from None


def _check_data(data_directory: Path, members: Mapping[int, MemberAddresses]) -> None:
    """Nodes of another cluster must not come up beside those that begin a new one."""
    if not data_directory.exists():
        return
    # (`Path.glob` finds nothing in a directory that it may not read.)
    for node in sorted(data_directory.iterdir()):
        log = node / "log"
        identity = read_identity(log) if node.name.startswith("node") and log.is_dir() else None
        if identity is not None and identity.initial_voters != tuple(members):
            count = len(identity.initial_voters)
            raise _Refused(
                f"{data_directory} holds a cluster of {count} nodes, and {len(members)} were asked for: "
                f"start it with --nodes {count}, or give the new cluster another --data-dir",
                exit_codes.DATA_DIRECTORY_REFUSED,
            )


async def _run(members: Mapping[int, MemberAddresses], data_directory: Path) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals.on_stop(lambda: loop.call_soon_threadsafe(stopping.set))
    nodes: list[_Node] = []
    try:
        for node_id, member in members.items():
            process = start_node(
                node_id=node_id, cluster_name="dev", directory=data_directory, members=members
            )
            nodes.append(_Node(node_id, member.client_address, log_path(data_directory, node_id), process))
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
        codes = {node.process.returncode for node in nodes}
        code = codes.pop()
        return exit_codes.UNEXPECTED if codes or code not in exit_codes.MEANINGS else code
    for node in nodes:
        if node.process.poll() is None:
            node.process.terminate()
    await asyncio.wait(ends, timeout=STOP_TIMEOUT_S)
    for node in nodes:
        if _kill(node):
            node.say(f"did not stop within {STOP_TIMEOUT_S:.0f} s, and was killed")
    await all_gone
    return exit_codes.OK


async def _tell_end(node: _Node) -> None:
    code = await _end_of(node.process)
    if code == exit_codes.OK:
        node.say("stopped")
    elif code < 0:
        node.say(f"died ({signal.Signals(-code).name}); its log is {node.log_path}")
    else:
        meaning = exit_codes.MEANINGS.get(code, "not one of kvraft's")
        node.say(f"died (exit code {code}, {meaning}); its log is {node.log_path}")


async def _end_of(process: subprocess.Popen[bytes]) -> int:
    while True:
        code = process.poll()
        if code is not None:
            return code
        await asyncio.sleep(POLL_INTERVAL_S)


async def _tell_elections(nodes: list[_Node], endpoints: str) -> None:
    """Asks the nodes, again and again, and tells who answers for the first time and who leads anew."""
    led_term = 0
    async with Client(endpoints, timeout_s=2) as client:
        while True:
            for node in nodes:
                if node.process.poll() is not None:
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


def _kill(node: _Node) -> bool:
    """Whether there was still something to kill."""
    if node.process.poll() is not None:
        return False
    node.process.kill()
    return True
