"""Registered clients and their answers: what makes a write safe to repeat (dissertation 6.3).

A client's numbered command is applied once. Its answer is kept as a row, in the same state, so it
is wherever the effect of the command is: on every node, in every snapshot. The row begins with a
fingerprint of the command, so that the answer is never taken for that of another one that is sent under
the same number: such a one is refused. The memory of clients in this module is a copy of those rows and
nothing more; a node that has just started reads them anew.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

import xxhash

from kvraft.machine import keys
from kvraft.machine.answers import decode_answer, encode_answer
from kvraft.machine.results import Answer, Failed, FailureReason
from kvraft.storage.interfaces import StateReader, StateTransaction
from kvraft.v1 import command_pb2

CLIENT_IDLE_MS = 60 * 60 * 1000
"""A client that sends nothing for so long is forgotten."""
ANSWERS_MAX = 1_024
ANSWER_BYTES_MAX = 4 << 20
"""Of one client; it should say which answers it has."""
FORGOTTEN_ROWS_MAX = 10_000
"""Deleted with idle clients in one command; a client's answers go with it."""
_SEEN_RESOLUTION_MS = 10_000
"""Activity is recorded no finer than this: a row need not be written for every command."""

# when it was last seen, first unacknowledged number
_CLIENT = struct.Struct(">QQ")
_FINGERPRINT_BYTES = 8
_CLIENT_ID_TAG = b"\xa9\x01"
"""Of `Command.client_id`, a fixed64, in protobuf's encoding."""


class _Client:
    """A copy of a client's rows."""

    __slots__ = ("answer_bytes", "answers", "first_unacknowledged", "row", "row_key", "seen_ms")

    def __init__(self, client_id: int, row: bytes, answers: dict[int, bytes]) -> None:
        self.row_key = keys.client_key(client_id)
        self.row = row
        self.seen_ms: int
        self.first_unacknowledged: int
        self.seen_ms, self.first_unacknowledged = _CLIENT.unpack(row)
        self.answers = answers
        self.answer_bytes = sum(map(len, answers.values()))

    def is_stale(self, sequence: int) -> bool:
        """Whether the client has said that it has this answer."""
        return sequence < self.first_unacknowledged


class Clients:
    """The clients of one state."""

    __slots__ = ("_clients", "_state")

    def __init__(self, state: StateTransaction) -> None:
        self._state = state
        self._clients: dict[int, _Client] = {}

    def register(self, client_id: int, clock_ms: int) -> None:
        """A new client; its id was never used before."""
        self._state.put(keys.client_key(client_id), _CLIENT.pack(clock_ms, 1), None)

    def forget(self, client_id: int) -> bool:
        """Forgets a client and its answers. False: there was none."""
        client = self._find(client_id)
        if client is None:
            return False
        for sequence in list(client.answers):
            self._forget_answer(client_id, client, sequence)
        self._state.delete(client.row_key, client.row)
        del self._clients[client_id]
        return True

    def forget_idle(self, client_ids: Iterable[int], clock_ms: int) -> tuple[bool, int]:
        """Forgets those clients that have been idle for too long, in the given order, until so many answers
        went with them that the rest has to wait: whether there was one, and how many rows were deleted."""
        forgotten, rows = False, 0
        for client_id in client_ids:
            if rows >= FORGOTTEN_ROWS_MAX:
                break
            client = self._find(client_id)
            if client is not None and is_idle(client.seen_ms, clock_ms):
                rows += 1 + len(client.answers)
                forgotten = self.forget(client_id)
        return forgotten, rows

    def recall(
        self, command: command_pb2.Command, fingerprint: bytes, *, clock_ms: int, revision: int
    ) -> Answer | None:
        """What a client's number is answered without being applied: what it was the first time, or why it is
        refused. None: it is to be applied, and its answer to be remembered. `revision` is the state's."""
        client_id, sequence = command.client_id, command.sequence
        client = self._find(client_id)
        if client is None:
            return Answer(revision, Failed(FailureReason.UNKNOWN_CLIENT, client_id))
        self._seen(client_id, client, command.first_unacknowledged, clock_ms)
        if (row := client.answers.get(sequence)) is not None:
            if not row.startswith(fingerprint):
                return Answer(revision, Failed(FailureReason.REQUEST_ID_REUSED, sequence))
            return answer_of_row(row)
        if client.is_stale(sequence):
            return Answer(revision, Failed(FailureReason.STALE_SEQUENCE, sequence))
        if len(client.answers) >= ANSWERS_MAX or client.answer_bytes >= ANSWER_BYTES_MAX:
            return Answer(revision, Failed(FailureReason.TOO_MANY_UNACKNOWLEDGED, client_id))
        return None

    def remember(self, command: command_pb2.Command, fingerprint: bytes, answer: Answer) -> None:
        """The answer to a number that `recall` let pass."""
        client_id, sequence = command.client_id, command.sequence
        client = self._find(client_id)
        assert client is not None, f"client {client_id} was there when its command began"
        row = fingerprint + encode_answer(answer)
        if len(row) > ANSWER_BYTES_MAX:
            too_large = Failed(FailureReason.ANSWER_TOO_LARGE, sequence)
            row = fingerprint + encode_answer(Answer(answer.revision, too_large))
        self._state.put(keys.answer_key(client_id, sequence), row, None)
        client.answers[sequence] = row
        client.answer_bytes += len(row)

    def _forget_answer(self, client_id: int, client: _Client, sequence: int) -> None:
        row = client.answers.pop(sequence)
        client.answer_bytes -= len(row)
        self._state.delete(keys.answer_key(client_id, sequence), row)

    def _seen(self, client_id: int, client: _Client, first_unacknowledged: int, clock_ms: int) -> None:
        if first_unacknowledged > client.first_unacknowledged:
            client.first_unacknowledged = first_unacknowledged
            for sequence in [each for each in client.answers if each < first_unacknowledged]:
                self._forget_answer(client_id, client, sequence)
        elif clock_ms - client.seen_ms < _SEEN_RESOLUTION_MS:
            return
        client.seen_ms = clock_ms
        row = _CLIENT.pack(clock_ms, client.first_unacknowledged)
        self._state.put(client.row_key, row, client.row)
        client.row = row

    def _find(self, client_id: int) -> _Client | None:
        client = self._clients.get(client_id)
        if client is not None:
            return client
        row = self._state.get(keys.client_key(client_id))
        if row is None:
            return None
        answers = {
            keys.sequence_of_row(row_key): answer
            for row_key, answer in self._state.scan(*keys.answer_range(client_id))
        }
        client = self._clients[client_id] = _Client(client_id, row, answers)
        return client


def fingerprint_of(data: bytes, client_id: int) -> bytes:
    """8 bytes that tell a client's command, encoded as `data`, from others: of all but its number, which is
    encoded last. (`first_unacknowledged`, a part of the number, differs from one attempt to the next.)"""
    number_at = data.rfind(_CLIENT_ID_TAG + client_id.to_bytes(8, "little"))
    return xxhash.xxh3_64_digest(data[:number_at])


def answer_of_row(row: bytes) -> Answer:
    """The answer that a row keeps."""
    return decode_answer(row[_FINGERPRINT_BYTES:])


def is_idle(seen_ms: int, clock_ms: int) -> bool:
    """Whether a client is to be forgotten."""
    return clock_ms - seen_ms >= CLIENT_IDLE_MS


def idle_clients(reader: StateReader, clock_ms: int) -> Iterator[int]:
    """The clients that are to be forgotten; a look at every client."""
    for row_key, row in reader.scan(*keys.CLIENTS):
        if is_idle(_CLIENT.unpack(row)[0], clock_ms):
            yield keys.client_of_row(row_key)
