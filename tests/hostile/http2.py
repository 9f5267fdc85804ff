"""A client that speaks HTTP/2 in frames of its own making, and so breaks the manners that a library keeps: it
opens windows of no bytes, never reads, opens streams without end, and sends what is no message."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM = END_HEADERS = 1
ACK = 1
_INITIAL_WINDOW_SIZE = 4
_CANCEL = 8


@dataclass(frozen=True, slots=True)
class Frame:
    """What came from the server."""

    kind: int
    flags: int
    stream_id: int
    payload: bytes


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """The bytes of a frame."""
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream_id) + payload


def headers(path: str, *extra: tuple[str, str]) -> bytes:
    """The header block of a call, nothing of it compressed or indexed."""
    fields = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "test")]
    fields += [("content-type", "application/grpc"), ("te", "trailers"), *extra]
    return b"".join(b"\0" + _string(name) + _string(value) for name, value in fields)


def _string(text: str) -> bytes:
    raw = text.encode()
    return _integer(len(raw), 7) + raw


def _integer(value: int, prefix_bits: int) -> bytes:
    limit = (1 << prefix_bits) - 1
    if value < limit:
        return bytes((value,))
    rest = bytearray((limit,))
    value -= limit
    while value >= 128:
        rest.append(value % 128 | 128)
        value //= 128
    rest.append(value)
    return bytes(rest)


def message(body: bytes, *, compressed: bool = False) -> bytes:
    """A gRPC message: flag, length, body."""
    return struct.pack(">BI", compressed, len(body)) + body


class Connection:
    """A connection on which nothing is done but what it is told to."""

    def __init__(self, address: str, *, window_bytes: int = 65_535, timeout_s: float = 20.0) -> None:
        """`window_bytes`: what each stream may send before it is given more."""
        host, port = address.rsplit(":", 1)
        self._socket = socket.create_connection((host, int(port)), timeout=timeout_s)
        self._last_stream_id = -1
        self._received = b""
        settings = struct.pack(">HI", _INITIAL_WINDOW_SIZE, window_bytes)
        self.send(PREFACE + frame(SETTINGS, 0, 0, settings))

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, raw: bytes) -> None:
        self._socket.sendall(raw)

    def opening(self, path: str, body: bytes | None = None, *, end: bool = False) -> bytes:
        """The frames that open the next stream, with a first message if `body` is one."""
        self._last_stream_id += 2
        stream_id = self._last_stream_id
        raw = frame(HEADERS, 4 | (END_STREAM if end and body is None else 0), stream_id, headers(path))
        if body is not None:
            raw += self.data(stream_id, message(body), end=end)
        return raw

    def open(self, path: str, body: bytes | None = None, *, end: bool = False) -> int:
        """Opens a stream; its id."""
        self.send(self.opening(path, body, end=end))
        return self._last_stream_id

    @staticmethod
    def data(stream_id: int, payload: bytes, *, end: bool = False) -> bytes:
        """Frames of at most 16 KiB, as the least limit of HTTP/2 has it."""
        pieces = [payload[at : at + 16_384] for at in range(0, len(payload), 16_384)] or [b""]
        return b"".join(
            frame(DATA, END_STREAM if end and number == len(pieces) - 1 else 0, stream_id, piece)
            for number, piece in enumerate(pieces)
        )

    def reset(self, stream_id: int) -> bytes:
        """The frame that gives a stream up."""
        return frame(RST_STREAM, 0, stream_id, struct.pack(">I", _CANCEL))

    def receive(self) -> Frame | None:
        """The next frame; None at the end of the connection. Raises TimeoutError."""
        head = self._exactly(9)
        if head is None:
            return None
        size = int.from_bytes(head[:3], "big")
        payload = self._exactly(size)
        if payload is None:
            return None
        return Frame(head[3], head[4], int.from_bytes(head[5:9], "big") & 0x7FFF_FFFF, payload)

    def _exactly(self, size: int) -> bytes | None:
        while len(self._received) < size:
            try:
                more = self._socket.recv(1 << 20)
            except ConnectionError:
                return None
            if not more:
                return None
            self._received += more
        taken, self._received = self._received[:size], self._received[size:]
        return taken
