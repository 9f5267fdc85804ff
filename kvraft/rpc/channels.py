"""Channels and servers between nodes: the options, each with its reason."""

from __future__ import annotations

import grpc.aio

PEER_MESSAGE_BYTES_MAX = 16 << 20
"""Of one message between nodes: an AppendEntries of one entry as large as a request may be, with room."""

CLIENT_MESSAGE_BYTES_MAX = (4 << 20) + (64 << 10)
"""Of one message from a client: the limit of a request and a margin, so that the limit's own error is
what a client sees."""

CONNECTION_STREAMS_MAX = 1_024
METADATA_BYTES_MAX = 16 << 10
"""Of the headers of a call; of those between once and twice this size the more are refused the larger they
are."""

_KEEPALIVE_MS = 10_000
_KEEPALIVE_TIMEOUT_MS = 5_000

HANDSHAKE_TIMEOUT_MS = 10_000
"""A connection that does not speak HTTP/2 by then is closed."""
CONNECTION_IDLE_MS = 300_000
"""A connection without a call for so long is closed. A quiet stream is a call."""
PEER_CONNECTIONS_MAX = 128
"""At the peer port: two for each peer, and room for those whose other end is gone."""

ChannelOptions = list[tuple[str, int]]


# A name that gRPC does not know is passed over in silence: a test looks for each of these in the library.
PEER_OPTIONS: ChannelOptions = [
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    # An unreachable peer is tried again soon: while a channel is in backoff every call fails.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # A peer whose address has changed is found: by default a name is looked up twice a minute at most.
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
    # A half-open connection is found by pings.
    ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", PEER_MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", PEER_MESSAGE_BYTES_MAX),
    ("grpc.enable_retries", 0),
]
SERVER_OPTIONS: ChannelOptions = [
    # The port is shared with nobody: by default two processes may bind the same one and each gets half of
    # the connections.
    ("grpc.so_reuseport", 0),
    # Of one connection. A client has a few streams, and as many calls as callers; gRPC holds more back.
    ("grpc.max_concurrent_streams", CONNECTION_STREAMS_MAX),
    ("grpc.max_metadata_size", METADATA_BYTES_MAX),
    ("grpc.absolute_max_metadata_size", 2 * METADATA_BYTES_MAX),
    ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # Peers and clients ping every 10 s; by default that is taken for abuse where no data flows, and a quiet
    # watch or receiver loses its connection.
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    # Connections on which nothing happens do not stay, as their number is limited.
    ("grpc.server_handshake_timeout_ms", HANDSHAKE_TIMEOUT_MS),
    ("grpc.max_connection_idle_ms", CONNECTION_IDLE_MS),
]


def peer_channel(address: str) -> grpc.aio.Channel:
    """A channel to a peer, with a connection of its own: identical channels would share one, and a
    snapshot would delay heartbeats."""
    return grpc.aio.insecure_channel(address, options=PEER_OPTIONS)


def server_options(*, message_bytes_max: int, connections_max: int) -> ChannelOptions:
    """See `server`."""
    return [
        *SERVER_OPTIONS,
        ("grpc.max_receive_message_length", message_bytes_max),
        ("grpc.max_send_message_length", message_bytes_max),
        ("grpc.max_allowed_incoming_connections", connections_max),
    ]


def server(*, message_bytes_max: int, connections_max: int) -> grpc.aio.Server:
    """A server, for clients or for peers. A connection beyond `connections_max` is closed at once."""
    return grpc.aio.server(
        options=server_options(message_bytes_max=message_bytes_max, connections_max=connections_max)
    )
