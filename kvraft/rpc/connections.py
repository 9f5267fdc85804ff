"""Ending one connection of a server. gRPC for Python has no way to do it; the sockets are this process's
own."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
from urllib.parse import unquote

Address = tuple[str, int]


def end(peer: str) -> bool:
    """Shuts down the TCP connection whose other end gRPC calls `peer` ("ipv4:127.0.0.1:4711",
    "ipv6:%5B::1%5D:4711"); gRPC then cancels its calls. Returns whether there was one."""
    address = _address_of(peer)
    if address is None:
        return False
    for name in os.listdir("/proc/self/fd"):
        # A duplicate: whoever owns the descriptor may close it meanwhile and the number be another file's.
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(name))) as connection:
            if connection.type == socket.SOCK_STREAM and _other_end(connection) == address:
                connection.shutdown(socket.SHUT_RDWR)
                return True
    return False


def _address_of(peer: str) -> Address | None:
    scheme, _, rest = peer.partition(":")
    host, _, port = unquote(rest).rpartition(":")
    if scheme not in {"ipv4", "ipv6"} or not port.isdigit():
        return None
    return _plain(host.strip("[]")), int(port)


def _other_end(connection: socket.socket) -> Address | None:
    if connection.family not in {socket.AF_INET, socket.AF_INET6}:
        return None
    host, port, *_ = connection.getpeername()
    return _plain(host), port


def _plain(host: str) -> str:
    """One spelling for each address; IPv4 as IPv4, whatever socket it came in by."""
    address = ipaddress.ip_address(host)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
