"""gRPC passes over options it does not know: a misspelt one is no error, it has no effect."""

from __future__ import annotations

from pathlib import Path

import pytest
from grpc._cython import cygrpc

from kvraft.client.endpoint import CHANNEL_OPTIONS
from kvraft.rpc.channels import PEER_OPTIONS, server_options


@pytest.fixture(scope="module")
def library() -> bytes:
    return Path(cygrpc.__file__).read_bytes()


SERVER_OPTIONS = server_options(message_bytes_max=1, connections_max=1)


@pytest.mark.parametrize(
    "name", sorted({name for name, _ in (*PEER_OPTIONS, *SERVER_OPTIONS, *CHANNEL_OPTIONS)})
)
def test_an_option_is_one_that_grpc_knows(library: bytes, name: str) -> None:
    assert name.encode() + b"\0" in library
