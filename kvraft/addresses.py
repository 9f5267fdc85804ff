"""Whether a node could listen at an address, found out before anything of it is on the disk."""

from __future__ import annotations

import os
import socket

from kvraft.config import parse_address


class AddressError(Exception):
    """It cannot be listened at; the message says why."""


def check_address(address: str) -> None:
    """Binds a (valid) address and lets go of it. Raises AddressError."""
    host, port = parse_address(address)
    try:
        family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
            probe.listen(1)
    except OSError as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise AddressError(f"{address} cannot be listened at: {reason}") from error
