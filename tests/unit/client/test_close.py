"""A client can be closed at any moment of a connection that fails."""

from __future__ import annotations

import contextlib

from kvraft.client import KvraftError, SyncClient
from tests.fakes.kv_server import dead_endpoint


def test_a_client_is_closed_while_its_stream_breaks() -> None:
    endpoint = dead_endpoint()
    for number in range(200):
        # So short that closing meets the stream at ever another moment: gRPC takes some cancellations for the
        # end of its call.
        with (
            SyncClient(endpoint, timeout_s=0.001, register=bool(number % 2)) as client,
            contextlib.suppress(KvraftError),
        ):
            client.kv.put(b"k", b"v")
