"""The acknowledgements in what a node sends to its clients: HTTP/2 frames (RFC 9113, 4.1), in their DATA
frames gRPC messages, in them the answers to puts."""

from __future__ import annotations

from kvraft.v1 import kv_pb2

_FRAME_HEADER_BYTES = 9
_MESSAGE_HEADER_BYTES = 5
_DATA = 0
_PADDED = 0x8


class AnswerStream:
    """What one connection carried to the client."""

    def __init__(self) -> None:
        self._bytes = b""
        self._messages: dict[int, bytes] = {}

    def feed(self, data: bytes) -> list[kv_pb2.PutResponse]:
        """The answers that are whole with these bytes."""
        answers = []
        self._bytes += data
        while len(self._bytes) >= _FRAME_HEADER_BYTES:
            length = int.from_bytes(self._bytes[:3], "big")
            kind, flags = self._bytes[3], self._bytes[4]
            stream = int.from_bytes(self._bytes[5:9], "big")
            end = _FRAME_HEADER_BYTES + length
            if len(self._bytes) < end:
                break
            payload, self._bytes = self._bytes[_FRAME_HEADER_BYTES:end], self._bytes[end:]
            if kind == _DATA:
                assert not flags & _PADDED, "gRPC does not pad"
                message = self._messages.pop(stream, b"") + payload
                if len(message) >= _MESSAGE_HEADER_BYTES + int.from_bytes(message[1:5], "big"):
                    answers.append(kv_pb2.PutResponse.FromString(message[_MESSAGE_HEADER_BYTES:]))
                else:
                    self._messages[stream] = message
        return answers
