"""The members of a cluster as a command line names them, and clusters of child processes on loopback."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class MemberAddresses:
    """Where a member is reached; both are host:port."""

    client_address: str
    peer_address: str


def loopback_members(nodes: int, base_port: int | None = None) -> dict[int, MemberAddresses]:
    """Members on 127.0.0.1: two ports each from `base_port` on, or ports nobody listens on just now."""
    ports = free_ports(2 * nodes) if base_port is None else range(base_port, base_port + 2 * nodes)
    return {
        number + 1: MemberAddresses(f"127.0.0.1:{ports[2 * number]}", f"127.0.0.1:{ports[2 * number + 1]}")
        for number in range(nodes)
    }


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 nobody listens on just now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def serve_command(
    *, node_id: int, cluster_name: str, data_directory: Path, members: Mapping[int, MemberAddresses]
) -> list[str]:
    """The command line of one node as a child process."""
    return [
        sys.executable,
        "-m",
        "kvraft",
        "serve",
        f"--node-id={node_id}",
        f"--cluster-name={cluster_name}",
        f"--data-dir={data_directory}",
        *(f"--member={each}={m.client_address},{m.peer_address}" for each, m in members.items()),
    ]
